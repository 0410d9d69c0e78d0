// zlint runs the lints of RFC 5280 and its kin over certificates and prints
// what they find, a line each:  FILE LINT STATUS DETAILS
package main

import (
	"encoding/pem"
	"fmt"
	"os"

	"github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"
)

func fail(err error) {
	fmt.Fprintln(os.Stderr, "zlint:", err)
	os.Exit(1)
}

func main() {
	rfcs, err := lint.GlobalRegistry().Filter(lint.FilterOptions{
		IncludeSources: lint.SourceList{lint.RFC3279, lint.RFC5280,
			lint.RFC5480, lint.RFC5891, lint.RFC6960, lint.RFC6962,
			lint.RFC8813},
	})
	if err != nil {
		fail(err)
	}
	for _, path := range os.Args[1:] {
		text, err := os.ReadFile(path)
		if err != nil {
			fail(err)
		}
		block, _ := pem.Decode(text)
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			fail(err)
		}
		found := zlint.LintCertificateEx(cert, rfcs)
		for name, result := range found.Results {
			if result.Status >= lint.Notice {
				fmt.Println(path, name, result.Status,
					result.Details)
			}
		}
		fmt.Println(path, "lints", len(found.Results))
	}
}

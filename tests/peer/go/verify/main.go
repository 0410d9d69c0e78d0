// verify reads a leaf and verifies it with Go's crypto/x509, for both ends of
// TLS:  verify ROOTS ABOVE LEAF PURPOSE
// It prints what it read: the serial number and the URIs.
package main

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
)

func fail(err error) {
	fmt.Fprintln(os.Stderr, "verify:", err)
	os.Exit(1)
}

func read(path string) []byte {
	text, err := os.ReadFile(path)
	if err != nil {
		fail(err)
	}
	return text
}

func main() {
	purposes := map[string]x509.ExtKeyUsage{
		"server": x509.ExtKeyUsageServerAuth,
		"client": x509.ExtKeyUsageClientAuth,
		"email":  x509.ExtKeyUsageEmailProtection,
	}
	roots, above := x509.NewCertPool(), x509.NewCertPool()
	roots.AppendCertsFromPEM(read(os.Args[1]))
	above.AppendCertsFromPEM(read(os.Args[2]))
	block, _ := pem.Decode(read(os.Args[3]))
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		fail(err)
	}
	_, err = leaf.Verify(x509.VerifyOptions{
		Roots:         roots,
		Intermediates: above,
		KeyUsages:     []x509.ExtKeyUsage{purposes[os.Args[4]]},
	})
	if err != nil {
		fail(err)
	}
	fmt.Println(leaf.SerialNumber)
	for _, uri := range leaf.URIs {
		fmt.Println(uri)
	}
}

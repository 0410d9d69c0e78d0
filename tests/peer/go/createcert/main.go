// createcert loads istio.v1.auth.IstioCertificateService/CreateCertificate.
// It depends on grpc-go only; requests are encoded once, from a pool of CSRs made before the run.
package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protowire"

	"meshcert.test/peer/internal/procstat"
	"meshcert.test/peer/internal/raw"
)

var (
	addr     = flag.String("addr", "127.0.0.1:15012", "CA address host:port (or unix:PATH)")
	caFile   = flag.String("ca", "", "PEM file of the root that signed the CA server's certificate")
	sni      = flag.String("name", "istiod.istio-system.svc", "server name expected in the CA server's certificate")
	plain    = flag.Bool("plaintext", false, "no TLS")
	tokFile  = flag.String("token", "", "bearer token file (JWT authentication)")
	toksFile = flag.String("tokens", "", "file of bearer tokens, one a line: each request takes the next")
	certFile = flag.String("cert", "", "client certificate chain file (mTLS authentication)")
	keyFile  = flag.String("key", "", "client key file")
	conc     = flag.Int("c", 8, "requests in flight (workers)")
	conns    = flag.Int("conns", 1, "connections, shared by the workers round robin")
	newConn  = flag.Bool("new-conn", false, "open a new TCP+TLS+HTTP/2 connection for every request")
	resume   = flag.Bool("resume", false, "allow TLS session resumption (off: as grpc-go and Envoy agents do)")
	keyType  = flag.String("csr-key", "p256", "CSR key: p256, p384, rsa2048, ed25519")
	pool     = flag.Int("pool", 64, "distinct CSRs")
	san      = flag.String("san", "spiffe://cluster.local/ns/default/sa/default", "URI SAN put in the CSR ('' for none)")
	ttl      = flag.Int64("ttl", 86400, "validity_duration in seconds")
	dur      = flag.Duration("d", 10*time.Second, "measured duration")
	warm     = flag.Duration("warmup", 2*time.Second, "warm-up before measuring")
	maxN     = flag.Int64("n", 0, "stop after this many requests (0: by time)")
	pidList  = flag.String("pid", "", "CA server's PIDs, with commas: CPU of all of them, memory of the first")
	clusterH = flag.String("cluster", "Kubernetes", "ClusterID header ('' for none)")
	verify   = flag.Int("verify-every", 256, "check the returned certificate of every Nth reply (public key, chain to -ca); 0: first only")
	show     = flag.Bool("show", false, "make one request, print the reply's certificates, exit")
	label    = flag.String("label", "", "label for the JSON line")
)

const method = "/istio.v1.auth.IstioCertificateService/CreateCertificate"

type req struct {
	msg []byte
	pub crypto.PublicKey
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "createcert:", err)
		os.Exit(1)
	}
}

func makeReq() req {
	var k crypto.Signer
	var err error
	switch *keyType {
	case "p256":
		k, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "p384":
		k, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "rsa2048":
		k, err = rsa.GenerateKey(rand.Reader, 2048)
	case "ed25519":
		_, k, err = ed25519.GenerateKey(rand.Reader)
	default:
		err = errors.New("bad -csr-key")
	}
	must(err)
	t := &x509.CertificateRequest{Subject: pkix.Name{Organization: []string{""}}}
	if *san != "" {
		u, err := url.Parse(*san)
		must(err)
		t.URIs = []*url.URL{u}
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, t, k)
	must(err)
	p := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
	// IstioCertificateRequest: csr = 1, validity_duration = 3, metadata = 4 (Struct{CertSigner: ""} as pilot-agent sends)
	var m []byte
	m = protowire.AppendTag(m, 1, protowire.BytesType)
	m = protowire.AppendBytes(m, p)
	m = protowire.AppendTag(m, 3, protowire.VarintType)
	m = protowire.AppendVarint(m, uint64(*ttl))
	val := protowire.AppendString(protowire.AppendTag(nil, 3, protowire.BytesType), "")
	ent := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "CertSigner")
	ent = protowire.AppendBytes(protowire.AppendTag(ent, 2, protowire.BytesType), val)
	st := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), ent)
	m = protowire.AppendBytes(protowire.AppendTag(m, 4, protowire.BytesType), st)
	return req{m, k.Public()}
}

func chain(b []byte) (out []string, err error) {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return nil, protowire.ParseError(n)
		}
		b = b[n:]
		if num == 1 && typ == protowire.BytesType {
			v, n := protowire.ConsumeBytes(b)
			if n < 0 {
				return nil, protowire.ParseError(n)
			}
			out = append(out, string(v))
			b = b[n:]
			continue
		}
		n = protowire.ConsumeFieldValue(num, typ, b)
		if n < 0 {
			return nil, protowire.ParseError(n)
		}
		b = b[n:]
	}
	return out, nil
}

func check(reply []byte, r req, roots *x509.CertPool) error {
	ch, err := chain(reply)
	if err != nil {
		return err
	}
	if len(ch) < 2 {
		return fmt.Errorf("cert_chain has %d elements", len(ch))
	}
	var certs []*x509.Certificate
	for _, s := range ch {
		rest := []byte(s)
		for {
			var bl *pem.Block
			if bl, rest = pem.Decode(rest); bl == nil {
				break
			}
			c, err := x509.ParseCertificate(bl.Bytes)
			if err != nil {
				return err
			}
			certs = append(certs, c)
		}
	}
	if len(certs) < 2 {
		return errors.New("no certificates in the reply")
	}
	if !r.pub.(interface{ Equal(crypto.PublicKey) bool }).Equal(certs[0].PublicKey) {
		return errors.New("leaf has another public key")
	}
	if len(certs[0].URIs) != 1 || certs[0].URIs[0].Scheme != "spiffe" {
		return fmt.Errorf("leaf URIs %v", certs[0].URIs)
	}
	if roots != nil {
		in := x509.NewCertPool()
		for _, c := range certs[1:] {
			in.AddCert(c)
		}
		_, err := certs[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: in, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
		return err
	}
	return nil
}

func readTokens(path string) []string {
	if path == "" {
		return nil
	}
	b, err := os.ReadFile(path)
	must(err)
	return strings.Fields(string(b))
}

func readPids(list string) (pids []int) {
	for _, word := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' }) {
		n, err := strconv.Atoi(word)
		must(err)
		pids = append(pids, n)
	}
	return pids
}

func cpuOf(pids []int) (user, sys time.Duration) {
	for _, pid := range pids {
		u, s, err := procstat.CPU(pid)
		must(err)
		user, sys = user+u, sys+s
	}
	return user, sys
}

func main() {
	flag.Parse()
	pids := readPids(*pidList)
	var roots *x509.CertPool
	creds := insecure.NewCredentials()
	if !*plain {
		cfg := &tls.Config{ServerName: *sni, MinVersion: tls.VersionTLS12}
		if *caFile != "" {
			b, err := os.ReadFile(*caFile)
			must(err)
			roots = x509.NewCertPool()
			if !roots.AppendCertsFromPEM(b) {
				must(errors.New("no certificate in -ca"))
			}
			cfg.RootCAs = roots
		}
		if *certFile != "" {
			kp, err := tls.LoadX509KeyPair(*certFile, *keyFile)
			must(err)
			cfg.Certificates = []tls.Certificate{kp}
		}
		if *resume {
			cfg.ClientSessionCache = tls.NewLRUClientSessionCache(64)
		}
		creds = credentials.NewTLS(cfg)
	}
	md := metadata.MD{}
	if *tokFile != "" {
		b, err := os.ReadFile(*tokFile)
		must(err)
		md.Set("authorization", "Bearer "+strings.TrimSpace(string(b)))
	}
	if *clusterH != "" {
		md.Set("clusterid", *clusterH)
	}
	tokens := readTokens(*toksFile)
	var nextToken atomic.Int64
	base := metadata.NewOutgoingContext(context.Background(), md)
	target := *addr
	if !strings.HasPrefix(target, "unix:") {
		target = "passthrough:///" + target
	}
	dial := func() *grpc.ClientConn {
		c, err := grpc.NewClient(target, grpc.WithTransportCredentials(creds), grpc.WithDefaultCallOptions(grpc.ForceCodecV2(raw.Codec{})),
			grpc.WithDisableServiceConfig(), grpc.WithIdleTimeout(0))
		must(err)
		return c
	}
	fmt.Fprintf(os.Stderr, "making %d CSRs (%s)\n", *pool, *keyType)
	reqs := make([]req, *pool)
	for i := range reqs {
		reqs[i] = makeReq()
	}
	call := func(c *grpc.ClientConn, r req) ([]byte, error) {
		ctx, cancel := context.WithTimeout(base, 10*time.Second)
		defer cancel()
		if len(tokens) > 0 {
			t := tokens[int(nextToken.Add(1)-1)%len(tokens)]
			ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+t)
		}
		var out []byte
		err := c.Invoke(ctx, method, r.msg, &out)
		return out, err
	}
	// one request first, checked in full
	c0 := dial()
	t0 := time.Now()
	out, err := call(c0, reqs[0])
	must(err)
	first := time.Since(t0)
	must(check(out, reqs[0], roots))
	c0.Close()
	if *show {
		ch, _ := chain(out)
		for _, s := range ch {
			fmt.Print(s)
		}
		fmt.Fprintf(os.Stderr, "%d elements, %d bytes, %v with the connection\n", len(ch), len(out), first)
		return
	}
	cs := make([]*grpc.ClientConn, *conns)
	if !*newConn {
		for i := range cs {
			cs[i] = dial()
			_, err := call(cs[i], reqs[i%len(reqs)]) // connect before the clock starts
			must(err)
		}
	}
	var done, errs, bad, respBytes atomic.Int64
	var phase atomic.Int32 // 0 warm-up, 1 measuring, 2 stop
	var errMu sync.Mutex
	errKinds := map[string]int{}
	lat := make([][]int64, *conc)
	var wg sync.WaitGroup
	for w := 0; w < *conc; w++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			i := w * 7
			l := make([]int64, 0, 1<<16)
			defer func() { lat[w] = l }()
			for n := 0; ; n++ {
				if phase.Load() == 2 {
					return
				}
				r := reqs[i%len(reqs)]
				i++
				c := cs[w%len(cs)]
				t := time.Now()
				if *newConn {
					c = dial()
				}
				out, err := call(c, r)
				if *newConn {
					c.Close()
				}
				d := time.Since(t)
				if phase.Load() == 1 {
					if err != nil {
						errs.Add(1)
						errMu.Lock()
						errKinds[err.Error()]++
						errMu.Unlock()
					} else {
						done.Add(1)
						respBytes.Store(int64(len(out)))
						l = append(l, int64(d))
					}
				}
				if err == nil && *verify > 0 && n%*verify == 0 {
					if e := check(out, r, roots); e != nil {
						bad.Add(1)
						errMu.Lock()
						errKinds["check: "+e.Error()]++
						errMu.Unlock()
					}
				}
				if *maxN > 0 && done.Load() >= *maxN {
					return
				}
			}
		}()
	}
	time.Sleep(*warm)
	self := func() time.Duration {
		var ru syscall.Rusage
		syscall.Getrusage(syscall.RUSAGE_SELF, &ru)
		return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
	}
	var u0, s0, u1, s1 time.Duration
	u0, s0 = cpuOf(pids)
	b0, i0, st0 := procstat.Machine()
	c00 := self()
	start := time.Now()
	phase.Store(1)
	if *maxN > 0 {
		wg.Wait()
	} else {
		time.Sleep(*dur)
	}
	phase.Store(2)
	el := time.Since(start)
	n := done.Load()
	u1, s1 = cpuOf(pids)
	b1, i1, st1 := procstat.Machine()
	cl := self() - c00
	var mem procstat.Mem
	if len(pids) > 0 {
		mem, _ = procstat.ReadMem(pids[0])
	}
	wg.Wait()
	var all []int64
	for _, l := range lat {
		all = append(all, l...)
	}
	slices.Sort(all)
	q := func(p float64) float64 {
		if len(all) == 0 {
			return 0
		}
		return float64(all[min(len(all)-1, int(p*float64(len(all))))]) / 1e3
	}
	srv := (u1 - u0) + (s1 - s0)
	other := (b1 - b0) - srv - cl
	o := map[string]any{
		"label": *label, "certs": n, "seconds": el.Seconds(), "certs_per_s": float64(n) / el.Seconds(), "errors": errs.Load(), "bad": bad.Load(),
		"p50_us": q(.50), "p90_us": q(.90), "p99_us": q(.99), "p999_us": q(.999), "max_us": q(1), "reply_bytes": respBytes.Load(), "first_ms": float64(first.Microseconds()) / 1e3,
		"client_cpu_us_per_cert": float64(cl.Microseconds()) / float64(max(n, 1)),
		"machine_busy_s":         (b1 - b0).Seconds(), "machine_idle_s": (i1 - i0).Seconds(), "steal_s": (st1 - st0).Seconds(),
	}
	if len(pids) > 0 {
		o["server_cpu_us_per_cert"] = float64(srv.Microseconds()) / float64(max(n, 1))
		o["server_user_us"] = float64((u1 - u0).Microseconds()) / float64(max(n, 1))
		o["server_sys_us"] = float64((s1 - s0).Microseconds()) / float64(max(n, 1))
		o["server_cores"] = srv.Seconds() / el.Seconds()
		o["other_cpu_cores"] = other.Seconds() / el.Seconds()
		o["server_rss_kib"] = mem.Rss
		o["server_private_dirty_kib"] = mem.PrivateDirty
		o["server_hwm_kib"] = mem.Hwm
	}
	if len(errKinds) > 0 {
		o["error_kinds"] = errKinds
	}
	j, _ := json.Marshal(o)
	fmt.Println(string(j))
	fmt.Fprintf(os.Stderr, "%-28s %9.0f certs/s  p50 %7.0f us  p99 %7.0f us  err %d bad %d | server %6.1f us/cert (%.2f cores) rss %d KiB | client %5.1f us/cert | others %.2f cores\n",
		*label, float64(n)/el.Seconds(), q(.5), q(.99), errs.Load(), bad.Load(), float64(srv.Microseconds())/float64(max(n, 1)), srv.Seconds()/el.Seconds(), mem.Rss,
		float64(cl.Microseconds())/float64(max(n, 1)), other.Seconds()/el.Seconds())
}

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
	rng "math/rand/v2"
	"net/url"
	"os"
	"slices"
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
	clients  = flag.Int("clients", 0, "new-conn: get so many client certificates first; each connection shows the next")
	rate     = flag.Float64("rate", 0, "open loop: so many requests a second at random moments, answered or not; -c does not count then")
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
	verify   = flag.Int("verify-every", 256, "check the returned certificate of every Nth reply of a worker (public key, chain to -ca); 0: first only")
	show     = flag.Bool("show", false, "make one request, print the reply's certificates, exit")
	label    = flag.String("label", "", "label for the JSON line")
)

const method = "/istio.v1.auth.IstioCertificateService/CreateCertificate"

type req struct {
	msg []byte
	key crypto.Signer
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
	return req{m, k}
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

// parseReply gives all certificates of a reply, and how many of them come before the last element, the root bundle.
func parseReply(reply []byte) (certs []*x509.Certificate, shown int, err error) {
	ch, err := chain(reply)
	if err != nil {
		return nil, 0, err
	}
	if len(ch) < 2 {
		return nil, 0, fmt.Errorf("cert_chain has %d elements", len(ch))
	}
	for i, s := range ch {
		if i == len(ch)-1 {
			shown = len(certs)
		}
		rest := []byte(s)
		for {
			var bl *pem.Block
			if bl, rest = pem.Decode(rest); bl == nil {
				break
			}
			c, err := x509.ParseCertificate(bl.Bytes)
			if err != nil {
				return nil, 0, err
			}
			certs = append(certs, c)
		}
	}
	if shown < 1 || len(certs) < 2 {
		return nil, 0, errors.New("no certificates in the reply")
	}
	return certs, shown, nil
}

func check(reply []byte, r req, roots *x509.CertPool) error {
	certs, _, err := parseReply(reply)
	if err != nil {
		return err
	}
	if !r.key.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(certs[0].PublicKey) {
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

// clientCert is a reply in the form in which TLS shows it.
func clientCert(reply []byte, r req) tls.Certificate {
	certs, shown, err := parseReply(reply)
	must(err)
	out := tls.Certificate{PrivateKey: r.key, Leaf: certs[0]}
	for _, c := range certs[:shown] {
		out.Certificate = append(out.Certificate, c.Raw)
	}
	return out
}

func readTokens(path string) []string {
	if path == "" {
		return nil
	}
	b, err := os.ReadFile(path)
	must(err)
	return strings.Fields(string(b))
}

// Phases of a load.
const (
	warmingUp = iota
	measuring
	stopping
)

// tally is what a load gave while it was measured.
type tally struct {
	phase      atomic.Int32
	done, errs atomic.Int64
	mu         sync.Mutex
	bad        int64
	replyBytes int
	kinds      map[string]int
	lat        []int64
}

func (t *tally) measures() bool { return t.phase.Load() == measuring }

func (t *tally) add(reply []byte, err error, d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.errs.Add(1)
		t.kinds[err.Error()]++
		return
	}
	t.done.Add(1)
	t.replyBytes = len(reply)
	t.lat = append(t.lat, int64(d))
}

func (t *tally) addBad(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bad++
	t.kinds["check: "+err.Error()]++
}

// over: no more requests.
func (t *tally) over() bool {
	return t.phase.Load() == stopping || *maxN > 0 && t.done.Load()+t.errs.Load() >= *maxN
}

// closedLoop keeps *conc requests in flight: each worker's next begins when its last was answered.
func closedLoop(t *tally, wg *sync.WaitGroup, one func(worker, turn int, due time.Time)) {
	for w := 0; w < *conc; w++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := 0; !t.over(); n++ {
				one(w, n, time.Now())
			}
		}()
	}
}

// openLoop starts requests at random moments (Poisson), answered or not. A request's time counts from the moment when it was due, so that
// a stall shows in all the requests that it holds up.
func openLoop(t *tally, wg *sync.WaitGroup, one func(worker, turn int, due time.Time)) {
	wg.Add(1)
	go func() {
		defer wg.Done()
		random := rng.New(rng.NewPCG(1, 2))
		due := time.Now()
		for n := 0; !t.over(); n++ {
			due = due.Add(time.Duration(random.ExpFloat64() / *rate * 1e9))
			time.Sleep(time.Until(due))
			wg.Add(1)
			go func() {
				defer wg.Done()
				one(n, n, due)
			}()
		}
	}()
}

func main() {
	flag.Parse()
	pids, err := procstat.Pids(*pidList)
	must(err)
	var roots *x509.CertPool
	creds := insecure.NewCredentials()
	var cfg *tls.Config
	if !*plain {
		cfg = &tls.Config{ServerName: *sni, MinVersion: tls.VersionTLS12}
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
	var shown []tls.Certificate
	var nextShown atomic.Int64
	dial := func() *grpc.ClientConn {
		creds := creds
		if len(shown) > 0 {
			own := cfg.Clone()
			own.Certificates = []tls.Certificate{shown[int(nextShown.Add(1)-1)%len(shown)]}
			creds = credentials.NewTLS(own)
		}
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
	for i := range cs {
		cs[i] = dial()
		_, err := call(cs[i], reqs[i%len(reqs)]) // connect before the clock starts
		must(err)
	}
	if *clients > 0 && (!*newConn || cfg == nil) {
		must(errors.New("-clients goes with -new-conn and TLS"))
	}
	var got []tls.Certificate
	for i := range *clients {
		r := reqs[i%len(reqs)]
		out, err := call(cs[0], r)
		must(err)
		got = append(got, clientCert(out, r))
	}
	shown = got
	t := &tally{kinds: map[string]int{}}
	var wg sync.WaitGroup
	one := func(worker, turn int, due time.Time) {
		r := reqs[(worker*7+turn)%len(reqs)]
		c := cs[worker%len(cs)]
		counts := t.measures()
		if *newConn {
			c = dial()
		}
		out, err := call(c, r)
		if *newConn {
			c.Close()
		}
		d := time.Since(due)
		// A closed loop counts what ends while it is measured, as the CPU is; an open one what begins then, or the slowest would be left out.
		if *rate <= 0 {
			counts = t.measures()
		}
		if counts {
			t.add(out, err, d)
		}
		if err == nil && *verify > 0 && turn%*verify == 0 {
			if err := check(out, r, roots); err != nil {
				t.addBad(err)
			}
		}
	}
	if *rate > 0 {
		openLoop(t, &wg, one)
	} else {
		closedLoop(t, &wg, one)
	}
	time.Sleep(*warm)
	self := func() time.Duration {
		var ru syscall.Rusage
		syscall.Getrusage(syscall.RUSAGE_SELF, &ru)
		return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
	}
	r0, err := procstat.ReadRun(pids)
	must(err)
	b0, i0, st0 := procstat.Machine()
	c00 := self()
	start := time.Now()
	t.phase.Store(measuring)
	if *maxN > 0 {
		wg.Wait()
	} else {
		time.Sleep(*dur)
	}
	t.phase.Store(stopping)
	el := time.Since(start)
	n := t.done.Load()
	r1, err := procstat.ReadRun(pids)
	must(err)
	b1, i1, st1 := procstat.Machine()
	cl := self() - c00
	var mem procstat.Mem
	if len(pids) > 0 {
		mem, _ = procstat.ReadMem(pids[0])
	}
	wg.Wait()
	all := t.lat
	slices.Sort(all)
	q := func(p float64) float64 {
		if len(all) == 0 {
			return 0
		}
		return float64(all[min(len(all)-1, int(p*float64(len(all))))]) / 1e3
	}
	srv := r1.Since(r0)
	other := (b1 - b0) - srv - cl
	o := map[string]any{
		"label": *label, "certs": n, "seconds": el.Seconds(), "certs_per_s": float64(n) / el.Seconds(), "errors": t.errs.Load(), "bad": t.bad,
		"p50_us": q(.50), "p90_us": q(.90), "p99_us": q(.99), "p999_us": q(.999), "max_us": q(1), "reply_bytes": t.replyBytes, "first_ms": float64(first.Microseconds()) / 1e3,
		"client_cpu_us_per_cert": float64(cl.Microseconds()) / float64(max(n, 1)),
		"machine_busy_s":         (b1 - b0).Seconds(), "machine_idle_s": (i1 - i0).Seconds(), "steal_s": (st1 - st0).Seconds(),
	}
	if len(pids) > 0 {
		o["server_cpu_us_per_cert"] = float64(srv.Microseconds()) / float64(max(n, 1))
		o["server_cores"] = srv.Seconds() / el.Seconds()
		o["other_cpu_cores"] = other.Seconds() / el.Seconds()
		o["server_rss_kib"] = mem.Rss
		o["server_private_dirty_kib"] = mem.PrivateDirty
		o["server_hwm_kib"] = mem.Hwm
	}
	if len(t.kinds) > 0 {
		o["error_kinds"] = t.kinds
	}
	j, _ := json.Marshal(o)
	fmt.Println(string(j))
	fmt.Fprintf(os.Stderr, "%-28s %9.0f certs/s  p50 %7.0f us  p99 %7.0f us  err %d bad %d | server %6.1f us/cert (%.2f cores) rss %d KiB | client %5.1f us/cert | others %.2f cores\n",
		*label, float64(n)/el.Seconds(), q(.5), q(.99), t.errs.Load(), t.bad, float64(srv.Microseconds())/float64(max(n, 1)), srv.Seconds()/el.Seconds(), mem.Rss,
		float64(cl.Microseconds())/float64(max(n, 1)), other.Seconds()/el.Seconds())
}

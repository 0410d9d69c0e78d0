// sdsload speaks envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets to an SDS server on a Unix socket (or TCP).
// Modes:
//
//	first   start a command (after --), or only poll; time until the first certificate is served
//	hold    open -streams streams over -conns connections, wait until each has its secret, report memory, then count pushes for -hold
//	fetch   -c workers open a stream, ask, take the answer, close; for -d; report fetches/s and server CPU per fetch
package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protowire"

	"meshcert.test/peer/internal/procstat"
	"meshcert.test/peer/internal/raw"
)

var (
	mode    = flag.String("mode", "hold", "first | hold | fetch")
	socket  = flag.String("socket", "", "SDS Unix socket path")
	streams = flag.Int("streams", 1, "streams")
	conns   = flag.Int("conns", 1, "connections the streams share")
	names   = flag.String("resources", "default,ROOTCA", "resource names; stream i asks for name i mod count (first: the first name)")
	hold    = flag.Duration("hold", 2*time.Second, "hold: how long to stay and count pushes")
	pushes  = flag.Int("pushes", 0, "hold: leave early after this many push rounds of the first name")
	dur     = flag.Duration("d", 10*time.Second, "fetch: duration")
	conc    = flag.Int("c", 4, "fetch: workers")
	newConn = flag.Bool("new-conn", false, "fetch: new connection per fetch")
	pidList = flag.String("pid", "", "server's PIDs, with commas: CPU of all of them, memory of the first")
	logF    = flag.String("log", "", "first: file for the command's output")
	dir     = flag.String("dir", "", "first: working directory of the command")
	keep    = flag.Bool("keep", false, "first: leave the command running and print its PID")
	settle  = flag.Duration("settle", 1500*time.Millisecond, "hold: wait before reading memory")
	label   = flag.String("label", "", "label")
	method  = "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets"
)

var pids []int

const typeURL = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "sdsload:", err)
		os.Exit(1)
	}
}

// DiscoveryRequest: version_info 1, node 2 (id 1), resource_names 3, type_url 4, response_nonce 5
func request(name, version, nonce, node string) []byte {
	var m []byte
	s := func(n protowire.Number, v string) {
		if v != "" {
			m = protowire.AppendString(protowire.AppendTag(m, n, protowire.BytesType), v)
		}
	}
	s(1, version)
	if node != "" {
		nd := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), node)
		m = protowire.AppendBytes(protowire.AppendTag(m, 2, protowire.BytesType), nd)
	}
	s(3, name)
	s(4, typeURL)
	s(5, nonce)
	return m
}

func fields(b []byte, f func(protowire.Number, []byte)) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		if typ == protowire.BytesType {
			v, n := protowire.ConsumeBytes(b)
			if n < 0 {
				return protowire.ParseError(n)
			}
			f(num, v)
			b = b[n:]
			continue
		}
		n = protowire.ConsumeFieldValue(num, typ, b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
	}
	return nil
}

type reply struct {
	version, nonce, name string
	chain, key, ca       []byte
}

// DiscoveryResponse: version_info 1, resources 2 (Any: value 2), type_url 4, nonce 5.
// Secret: name 1, tls_certificate 2 {certificate_chain 1, private_key 2}, validation_context 4 {trusted_ca 1}; DataSource: inline_bytes 2.
func parse(b []byte) (r reply, err error) {
	inline := func(b []byte) (o []byte) {
		_ = fields(b, func(n protowire.Number, v []byte) {
			if n == 2 || n == 3 {
				o = v
			}
		})
		return
	}
	err = fields(b, func(n protowire.Number, v []byte) {
		switch n {
		case 1:
			r.version = string(v)
		case 5:
			r.nonce = string(v)
		case 2:
			_ = fields(v, func(n protowire.Number, v []byte) {
				if n != 2 {
					return
				}
				_ = fields(v, func(n protowire.Number, v []byte) {
					switch n {
					case 1:
						r.name = string(v)
					case 2:
						_ = fields(v, func(n protowire.Number, v []byte) {
							if n == 1 {
								r.chain = inline(v)
							} else if n == 2 {
								r.key = inline(v)
							}
						})
					case 4:
						_ = fields(v, func(n protowire.Number, v []byte) {
							if n == 1 {
								r.ca = inline(v)
							}
						})
					}
				})
			})
		}
	})
	if err == nil && len(r.ca) == 0 && (len(r.chain) == 0 || len(r.key) == 0) {
		err = errors.New("reply has no secret")
	}
	return
}

var desc = &grpc.StreamDesc{StreamName: "StreamSecrets", ServerStreams: true, ClientStreams: true}

func dial() *grpc.ClientConn {
	c, err := grpc.NewClient("unix:"+*socket, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDisableServiceConfig(), grpc.WithIdleTimeout(0),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(raw.Codec{})), grpc.WithAuthority("localhost"))
	must(err)
	return c
}

func serial(chain []byte) string {
	b, _ := pem.Decode(chain)
	if b == nil {
		return ""
	}
	c, err := x509.ParseCertificate(b.Bytes)
	if err != nil {
		return ""
	}
	return c.SerialNumber.Text(16)
}

func out(m map[string]any) {
	m["label"] = *label
	j, _ := json.Marshal(m)
	fmt.Println(string(j))
}

func one(ctx context.Context, c *grpc.ClientConn, name string) (reply, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	st, err := c.NewStream(ctx, desc, method)
	if err != nil {
		return reply{}, err
	}
	if err := st.SendMsg(request(name, "", "", "sidecar~127.0.0.1~load.default~default.svc.cluster.local")); err != nil {
		return reply{}, err
	}
	var b []byte
	if err := st.RecvMsg(&b); err != nil {
		return reply{}, err
	}
	r, err := parse(b)
	if err != nil {
		return r, err
	}
	return r, st.SendMsg(request(name, r.version, r.nonce, ""))
}

func first(nm []string) {
	t0 := time.Now()
	p := 0
	if a := flag.Args(); len(a) > 0 {
		_ = os.Remove(*socket)
		cmd := exec.Command(a[0], a[1:]...)
		cmd.Dir = *dir
		if *logF != "" {
			f, err := os.Create(*logF)
			must(err)
			cmd.Stdout, cmd.Stderr = f, f
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		t0 = time.Now()
		must(cmd.Start())
		p = cmd.Process.Pid
		go func() {
			err := cmd.Wait()
			fmt.Fprintln(os.Stderr, "command ended:", err)
			if !*keep {
				return
			}
			os.Exit(1)
		}()
	}
	var tSock time.Duration
	for {
		if _, err := os.Stat(*socket); err == nil {
			tSock = time.Since(t0)
			break
		}
		if time.Since(t0) > 60*time.Second {
			must(errors.New("no socket within 60 s"))
		}
		time.Sleep(200 * time.Microsecond)
	}
	var r reply
	var err error
	for {
		c := dial()
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
		r, err = one(ctx, c, nm[0])
		cancel()
		c.Close()
		if err == nil {
			break
		}
		if time.Since(t0) > 60*time.Second {
			must(err)
		}
		time.Sleep(200 * time.Microsecond)
	}
	t := time.Since(t0)
	m := map[string]any{"mode": "first", "socket_ms": float64(tSock.Microseconds()) / 1e3, "first_cert_ms": float64(t.Microseconds()) / 1e3, "serial": serial(r.chain), "pid": p}
	if p > 0 {
		u, s, _ := procstat.CPU(p)
		m["cpu_ms_until_first_cert"] = (u + s).Milliseconds()
		if mem, err := procstat.ReadMem(p); err == nil {
			m["mem"] = mem
		}
		if !*keep {
			_ = syscall.Kill(p, syscall.SIGTERM)
			time.Sleep(200 * time.Millisecond)
			_ = syscall.Kill(-p, syscall.SIGKILL)
		}
	}
	out(m)
}

func doHold(nm []string) {
	var r0, r1 procstat.Run
	if len(pids) > 0 {
		r0, _ = procstat.ReadRun(pids)
	}
	cs := make([]*grpc.ClientConn, *conns)
	for i := range cs {
		cs[i] = dial()
	}
	var mu sync.Mutex
	rounds := map[string][][]time.Time{} // name -> per-round arrival times
	serials := map[string][]map[string]int{}
	var ready sync.WaitGroup
	var failed atomic.Int64
	ctx, cancel := context.WithCancel(context.Background())
	t0 := time.Now()
	perName := map[string]int{}
	for i := 0; i < *streams; i++ {
		perName[nm[i%len(nm)]]++
	}
	full := make(chan struct{}, 1000)
	sem := make(chan struct{}, 64)
	for i := 0; i < *streams; i++ {
		ready.Add(1)
		name := nm[i%len(nm)]
		go func() {
			sem <- struct{}{}
			got := false
			defer func() {
				if !got {
					failed.Add(1)
					<-sem
					ready.Done()
				}
			}()
			st, err := cs[i%len(cs)].NewStream(ctx, desc, method)
			if err == nil {
				err = st.SendMsg(request(name, "", "", fmt.Sprintf("sidecar~127.0.0.1~load-%d.default~default.svc.cluster.local", i)))
			}
			if err != nil {
				fmt.Fprintln(os.Stderr, "stream", i, err)
				return
			}
			for round := 0; ; round++ {
				var b []byte
				if err := st.RecvMsg(&b); err != nil {
					if ctx.Err() == nil && err != io.EOF {
						fmt.Fprintln(os.Stderr, "stream", i, err)
					}
					return
				}
				t := time.Now()
				r, err := parse(b)
				if err != nil {
					fmt.Fprintln(os.Stderr, "stream", i, err)
					return
				}
				mu.Lock()
				for len(rounds[name]) <= round {
					rounds[name] = append(rounds[name], nil)
					serials[name] = append(serials[name], map[string]int{})
				}
				rounds[name][round] = append(rounds[name][round], t)
				key := string(r.chain)
				if len(key) > 200 {
					key = key[100:200]
				}
				serials[name][round][key]++
				if len(rounds[name][round]) == perName[name] && name == nm[0] && round > 0 {
					select {
					case full <- struct{}{}:
					default:
					}
				}
				mu.Unlock()
				_ = st.SendMsg(request(name, r.version, r.nonce, ""))
				if !got {
					got = true
					<-sem
					ready.Done()
				}
			}
		}()
	}
	ready.Wait()
	tReady := time.Since(t0)
	if len(pids) > 0 {
		time.Sleep(20 * time.Millisecond)
		r1, _ = procstat.ReadRun(pids)
	}
	time.Sleep(*settle)
	m := map[string]any{"mode": "hold", "streams": *streams, "conns": *conns, "all_ready_ms": float64(tReady.Microseconds()) / 1e3, "failed": failed.Load()}
	if len(pids) > 0 {
		mem, _ := procstat.ReadMem(pids[0])
		m["mem"] = mem
		m["server_cpu_us_per_stream_open"] = float64(r1.Since(r0).Microseconds()) / float64(*streams)
		fmt.Fprintf(os.Stderr, "%-24s %d streams/%d conns ready in %v: %s\n", *label, *streams, *conns, tReady.Round(time.Millisecond), mem)
		r0, _ = procstat.ReadRun(pids)
	}
	deadline := time.After(*hold)
	n := 0
wait:
	for {
		select {
		case <-full:
			n++
			if *pushes > 0 && n >= *pushes {
				time.Sleep(300 * time.Millisecond)
				break wait
			}
		case <-deadline:
			break wait
		}
	}
	if len(pids) > 0 {
		r1, _ = procstat.ReadRun(pids)
		m["server_cpu_ms_while_holding"] = r1.Since(r0).Milliseconds()
	}
	mu.Lock()
	var pr []map[string]any
	for name, rs := range rounds {
		for k, ts := range rs {
			if k == 0 {
				continue
			}
			slices.SortFunc(ts, func(a, b time.Time) int { return a.Compare(b) })
			d := ts[len(ts)-1].Sub(ts[0])
			pr = append(pr, map[string]any{"name": name, "round": k, "got": len(ts), "of": perName[name], "spread_ms": float64(d.Microseconds()) / 1e3,
				"p50_ms":   float64(ts[len(ts)/2].Sub(ts[0]).Microseconds()) / 1e3,
				"distinct": len(serials[name][k]), "first_at": ts[0].Format("15:04:05.000000"), "last_at": ts[len(ts)-1].Format("15:04:05.000000")})
		}
	}
	mu.Unlock()
	m["push_rounds"] = pr
	out(m)
	cancel()
	for _, c := range cs {
		c.Close()
	}
}

func doFetch(nm []string) {
	var done, errs atomic.Int64
	lat := make([][]int64, *conc)
	cs := make([]*grpc.ClientConn, *conns)
	for i := range cs {
		cs[i] = dial()
		_, err := one(context.Background(), cs[i], nm[0])
		must(err)
	}
	r0, err := procstat.ReadRun(pids)
	must(err)
	b0, _, _ := procstat.Machine()
	var ru0, ru1 syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &ru0)
	t0 := time.Now()
	end := t0.Add(*dur)
	var wg sync.WaitGroup
	for w := 0; w < *conc; w++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := 0; time.Now().Before(end); n++ {
				t := time.Now()
				c := cs[w%len(cs)]
				if *newConn {
					c = dial()
				}
				_, err := one(context.Background(), c, nm[n%len(nm)])
				if *newConn {
					c.Close()
				}
				if err != nil {
					errs.Add(1)
					continue
				}
				done.Add(1)
				lat[w] = append(lat[w], int64(time.Since(t)))
			}
		}()
	}
	wg.Wait()
	el := time.Since(t0)
	r1, err := procstat.ReadRun(pids)
	must(err)
	b1, _, _ := procstat.Machine()
	syscall.Getrusage(syscall.RUSAGE_SELF, &ru1)
	cl := time.Duration(ru1.Utime.Nano() + ru1.Stime.Nano() - ru0.Utime.Nano() - ru0.Stime.Nano())
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
	srv := r1.Since(r0)
	m := map[string]any{"mode": "fetch", "fetches": done.Load(), "errors": errs.Load(), "fetches_per_s": float64(done.Load()) / el.Seconds(), "p50_us": q(.5), "p99_us": q(.99),
		"server_cpu_us_per_fetch": float64(srv.Microseconds()) / float64(max(1, done.Load())), "client_cpu_us_per_fetch": float64(cl.Microseconds()) / float64(max(1, done.Load())),
		"other_cpu_cores": ((b1 - b0) - srv - cl).Seconds() / el.Seconds()}
	if len(pids) > 0 {
		if mem, err := procstat.ReadMem(pids[0]); err == nil {
			m["mem"] = mem
		}
	}
	out(m)
}

func main() {
	flag.Parse()
	var err error
	pids, err = procstat.Pids(*pidList)
	must(err)
	nm := strings.Split(*names, ",")
	switch *mode {
	case "first":
		first(nm)
	case "hold":
		doHold(nm)
	case "fetch":
		doFetch(nm)
	default:
		must(errors.New("bad -mode"))
	}
}

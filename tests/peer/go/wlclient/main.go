// wlclient is go-spiffe's own Workload API client with a mouth: it prints one
// JSON line for each X.509 context that the server pushes, and one for each
// error the watch reports.
//
//	wlclient -socket PATH -updates 2 -timeout 20s [-bundles]
//
// Ends with 0 after -updates contexts, with 1 at the deadline.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

type svid struct {
	ID       string `json:"id"`
	Hint     string `json:"hint,omitempty"`
	Serial   string `json:"serial"`
	NotAfter string `json:"not_after"`
	Chain    int    `json:"chain"`
	Verified string `json:"verified"`
}

type bundle struct {
	TrustDomain string   `json:"trust_domain"`
	SHA256      []string `json:"sha256"`
}

type line struct {
	Update  int      `json:"update,omitempty"`
	Error   string   `json:"error,omitempty"`
	SVIDs   []svid   `json:"svids,omitempty"`
	Bundles []bundle `json:"bundles,omitempty"`
}

type watcher struct {
	mu   sync.Mutex
	seen int
	want int
	done context.CancelFunc
}

// say prints one line; at the wanted count it ends the watch.
func (w *watcher) say(l line, counts bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if counts {
		w.seen++
		l.Update = w.seen
	}
	text, err := json.Marshal(l)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(text))
	if w.seen >= w.want {
		w.done()
	}
}

func bundlesOf(set *x509bundle.Set) (out []bundle) {
	for _, b := range set.Bundles() {
		entry := bundle{TrustDomain: b.TrustDomain().Name()}
		for _, c := range b.X509Authorities() {
			sum := sha256.Sum256(c.Raw)
			entry.SHA256 = append(entry.SHA256, hex.EncodeToString(sum[:]))
		}
		out = append(out, entry)
	}
	return out
}

// verified is go-spiffe's own verdict on the chain against the bundles that
// came with it: the SPIFFE ID, or the error's text.
func verified(s *x509svid.SVID, set *x509bundle.Set) string {
	id, _, err := x509svid.Verify(s.Certificates, set)
	if err != nil {
		return "error: " + err.Error()
	}
	return id.String()
}

func (w *watcher) OnX509ContextUpdate(c *workloadapi.X509Context) {
	l := line{Bundles: bundlesOf(c.Bundles)}
	for _, s := range c.SVIDs {
		leaf := s.Certificates[0]
		l.SVIDs = append(l.SVIDs, svid{
			ID: s.ID.String(), Hint: s.Hint,
			Serial:   leaf.SerialNumber.Text(16),
			NotAfter: leaf.NotAfter.UTC().Format(time.RFC3339),
			Chain:    len(s.Certificates),
			Verified: verified(s, c.Bundles),
		})
	}
	w.say(l, true)
}

func (w *watcher) OnX509ContextWatchError(err error) {
	w.say(line{Error: err.Error()}, false)
}

func (w *watcher) OnX509BundlesUpdate(set *x509bundle.Set) {
	w.say(line{Bundles: bundlesOf(set)}, true)
}

func (w *watcher) OnX509BundlesWatchError(err error) {
	w.say(line{Error: err.Error()}, false)
}

func main() {
	socket := flag.String("socket", "", "path of the agent's Unix socket")
	updates := flag.Int("updates", 1, "end after this many updates")
	timeout := flag.Duration("timeout", 20*time.Second, "give up after this")
	bundles := flag.Bool("bundles", false, "watch the bundles only (FetchX509Bundles)")
	flag.Parse()

	ctx, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()
	w := &watcher{want: *updates, done: cancel}
	addr := workloadapi.WithAddr("unix://" + *socket)
	var err error
	if *bundles {
		err = workloadapi.WatchX509Bundles(ctx, w, addr)
	} else {
		err = workloadapi.WatchX509Context(ctx, w, addr)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seen < w.want {
		fmt.Fprintf(os.Stderr, "wlclient: %d of %d updates seen: %v\n", w.seen, w.want, err)
		os.Exit(1)
	}
}

package redis_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// visited is a front whose server takes visits.
func visited(t *testing.T, name, prefix string, cfg redis.ForwardConfig, log *written) *front {
	t.Helper()
	cfg.Path = cmp.Or(cfg.Path, "/socket.io/")
	return newFrontWith(t, name, "127.0.0.1:0", cfg, redis.Config{URL: shared.URL(), Prefix: prefix, HeartbeatInterval: 100 * time.Millisecond,
		Logger: slog.New(slog.NewTextHandler(log, nil))})
}

// forwarding is what the state of a node says of it, by what it is of.
func (x *front) forwarding(of string) error {
	for _, p := range x.cluster.Status().Parts {
		if p.Kind == redis.PartForwarding && p.Of == of {
			return p.Err
		}
	}
	return errors.New("nothing is known")
}

// says waits until it says text, or that all is well if that is empty.
func (x *front) says(t *testing.T, of, text string) {
	t.Helper()
	adaptertest.Eventually(t, func() error {
		switch err := x.forwarding(of); {
		case text == "":
			return err
		case err == nil || !strings.Contains(err.Error(), text):
			return fmt.Errorf("%s: %v; want %q", of, err, text)
		case x.cluster.Status().Up:
			return errors.New("up")
		}
		return nil
	})
}

// A node whose address does not lead the others to it says so, without a client that has come to harm, as long as it
// lasts, once, and no longer. The others, whom it reaches, are well.
func TestAddressThatDoesNotLeadHere(t *testing.T) {
	t.Parallel()
	defer http.DefaultClient.CloseIdleConnections()
	wild := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(wild.Close)
	for name, c := range map[string]struct {
		of   func(a *front) string // what it leads to; nil: nothing listens there
		says string
	}{
		"nobody listens there":               {says: "connection refused"},
		"it leads to something else":         {of: func(*front) string { return wild.URL }, says: "status 404"},
		"it leads to the one that asks":      {of: func(a *front) string { return a.URL }, says: "server a answers there"},
		"nothing but a connection comes off": {of: func(*front) string { return "" }, says: "nothing answers"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			prefix := unique()
			var la, lb written
			a := visited(t, "a", prefix, redis.ForwardConfig{}, &la)
			port := redistest.FreePort(t)
			at := fmt.Sprintf("127.0.0.1:%d", port)
			end := func() {}
			if c.of != nil {
				end = serveAt(t, at, proxyTo(c.of(a)))
			}
			b := visited(t, "b", prefix, redis.ForwardConfig{URL: "http://" + at}, &lb)
			b.says(t, "reach", c.says)
			if code, _ := a.get(t, "b-1", nil); code == 200 {
				t.Error("forwarded all the same")
			}
			b.says(t, "reach", c.says)
			saidOnce(t, &lb)
			end()
			end = serveAt(t, at, proxyTo(b.URL))
			defer end()
			b.says(t, "reach", "")
			a.forwards(t, "b")
			if err := a.forwarding("reach"); err == nil || !a.cluster.Status().Up || strings.Contains(la.String(), "degraded") {
				t.Errorf("the other one: %v, %s", err, &la)
			}
		})
	}
}

// TestFindingOfOneThatHasEndedIsOver: what a node has found of another does not outlast it.
func TestFindingOfOneThatHasEndedIsOver(t *testing.T) {
	t.Parallel()
	prefix := unique()
	var la, lb written
	a := visited(t, "a", prefix, redis.ForwardConfig{}, &la)
	b := visited(t, "b", prefix, redis.ForwardConfig{URL: fmt.Sprintf("http://127.0.0.1:%d", redistest.FreePort(t)),
		DialTimeout: 200 * time.Millisecond}, &lb) // from which follows how long a finding stands
	b.says(t, "reach", "connection refused")
	if err := a.cluster.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.says(t, "reach", "")
}

// serveAt serves at an address until the end that it returns.
func serveAt(t *testing.T, at string, h http.Handler) (end func()) {
	t.Helper()
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(h)
	_ = s.Listener.Close()
	s.Listener = l
	s.Start()
	return s.Close
}

// proxyTo leads to a URL, or ends connections if that is empty.
func proxyTo(to string) http.Handler {
	if to == "" {
		return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	}
	return &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.Out.URL.Scheme, p.Out.URL.Host = "http", strings.TrimPrefix(to, "http://")
	}}
}

// Two that announce one address both say so, once, and for as long as both are there, whoever of them renews its entry
// last.
func TestTwinsSayWhatTheyAre(t *testing.T) {
	t.Parallel()
	prefix := unique()
	var la, lb written
	a := visited(t, "a", prefix, redis.ForwardConfig{}, &la)
	b := visited(t, "b", prefix, redis.ForwardConfig{URL: a.URL}, &lb)
	a.says(t, "", "announces the address")
	b.says(t, "", "announces the address")
	for range 30 { // heartbeats
		for _, x := range []*front{a, b} {
			if x.forwarding("") == nil {
				t.Fatal("it is well in between")
			}
		}
		pass(t, 100*time.Millisecond)
	}
	saidOnce(t, &la)
	saidOnce(t, &lb)
}

// saidOnce waits for a line about forwarding, which is written by another than who sets the state, and holds the log to it.
func saidOnce(t *testing.T, log *written) {
	t.Helper()
	adaptertest.Eventually(t, func() error {
		if n := strings.Count(log.String(), "part=forwarding"); n != 1 {
			return fmt.Errorf("said %d times:\n%s", n, log.String())
		}
		return nil
	})
}

// Servers with different secrets both say so, and nothing wrong about their addresses.
func TestSecretsThatDiffer(t *testing.T) {
	t.Parallel()
	for name, given := range map[string]string{"two that are given": "another of the same length", "one that is given": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			prefix := unique()
			var la, lb written
			a := visited(t, "a", prefix, redis.ForwardConfig{Secret: "a secret of sixteen letters"}, &la)
			b := visited(t, "b", prefix, redis.ForwardConfig{Secret: given}, &lb)
			a.says(t, "secrets", "client: b")
			b.says(t, "secrets", "client: a")
			for _, log := range []*written{&la, &lb} {
				saidOnce(t, log)
				if text := log.String(); strings.Contains(text, "address") {
					t.Errorf("the log says:\n%s", text)
				}
			}
		})
	}
}

// What others find is believed when a node of the cluster says it of this process.
func TestFindingsThatAreNotBelieved(t *testing.T) {
	t.Parallel()
	prefix := unique()
	var log written
	b := visited(t, "b", prefix, redis.ForwardConfig{URL: "http://127.0.0.1:9"}, &log)
	key, client := prefix+"-beanpole:unreached:b", shared.Client()
	a := visited(t, "a", prefix, redis.ForwardConfig{}, new(written))
	b.says(t, "reach", "connection refused")
	text, err := client.Get(t.Context(), key).Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []*front{a, b} {
		if err := x.cluster.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	again := visited(t, "b", prefix, redis.ForwardConfig{URL: "http://127.0.0.1:9"}, new(written))
	for _, forged := range []string{text, strings.Replace(text, " a ", " x ", 1), "x", "1 a unreached false x"} {
		if err := client.Set(t.Context(), key, forged, time.Minute).Err(); err != nil {
			t.Fatal(err)
		}
		pass(t, 3*100*time.Millisecond) // heartbeats
		if err := again.forwarding("reach"); err.Error() != "nothing is known" {
			t.Errorf("%q: %v", forged, err)
		}
	}
}

// A node that has no descriptor left for a connection says nothing of those that it could not visit.
func TestNodeThatCannotVisit(t *testing.T) {
	t.Parallel()
	prefix := unique()
	var la, lb written
	var tried atomic.Int64
	visited(t, "a", prefix, redis.ForwardConfig{Dial: func(context.Context, string, string) (net.Conn, error) {
		tried.Add(1)
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("socket", syscall.EMFILE)}
	}}, &la)
	b := visited(t, "b", prefix, redis.ForwardConfig{}, &lb)
	adaptertest.Eventually(t, func() error {
		if n := tried.Load(); n < 4 {
			return fmt.Errorf("tried %d times", n)
		}
		return nil
	})
	if n, err := shared.Client().Exists(t.Context(), prefix+"-beanpole:unreached:b").Result(); n != 0 || err != nil || !b.cluster.Status().Up {
		t.Errorf("%d, %v, %+v", n, err, b.cluster.Status())
	}
}

// A node of a version that takes no visits is not visited, and what cannot be forwarded to it says nothing about it.
func TestNodeThatTakesNoVisits(t *testing.T) {
	t.Parallel()
	defer http.DefaultClient.CloseIdleConnections()
	prefix := unique()
	var log written
	a := visited(t, "a", prefix, redis.ForwardConfig{}, &log)
	b := newFrontAt(t, "b", prefix, shared.URL(), "127.0.0.1:0", redis.ForwardConfig{})
	a.forwards(t, "b")
	before := b.served.Load()
	pass(t, 12*100*time.Millisecond) // heartbeats
	if n := b.served.Load() - before; n != 0 {
		t.Errorf("visited %d times", n)
	}
	b.Server.Close()
	if code, _ := a.get(t, "b-1", nil); code != 400 {
		t.Errorf("status %d", code)
	}
	pass(t, 6*100*time.Millisecond) // heartbeats
	if n, err := shared.Client().Exists(t.Context(), prefix+"-beanpole:unreached:b").Result(); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

// A node that leaves is not looked for: nobody tells it, or says of itself, that it is not there when its port is closed, however long it
// takes to end.
func TestNodeThatLeavesIsNotCalledBad(t *testing.T) {
	t.Parallel()
	defer http.DefaultClient.CloseIdleConnections()
	prefix := unique()
	var la, lb written
	a, b := visited(t, "a", prefix, redis.ForwardConfig{}, &la), visited(t, "b", prefix, redis.ForwardConfig{}, &lb)
	a.forwards(t, "b")
	adaptertest.Eventually(t, func() error {
		if n, err := shared.Client().ZCard(t.Context(), prefix+"-beanpole:{"+prefix+"}:visited").Result(); n != 2 {
			return fmt.Errorf("%d are listed, %v", n, err)
		}
		return nil
	})
	b.f.Leave(t.Context())
	b.Server.Close()
	for range 12 { // heartbeats
		if code, _ := a.get(t, "b-1", nil); code != 400 {
			t.Errorf("status %d", code)
		}
		pass(t, 100*time.Millisecond)
	}
	if n, err := shared.Client().Exists(t.Context(), prefix+"-beanpole:unreached:b").Result(); n != 0 || err != nil || !a.cluster.Status().Up || !b.cluster.Status().Up {
		t.Errorf("%d, %v, %+v, %+v", n, err, a.cluster.Status(), b.cluster.Status())
	}
	if text := la.String() + lb.String(); strings.Contains(text, "degraded") {
		t.Errorf("it is said:\n%s", text)
	}
}

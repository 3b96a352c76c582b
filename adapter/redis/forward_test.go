package redis_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// front is a node that holds sessions named <node>-<anything but gone>.
type front struct {
	*httptest.Server
	cluster *redis.Cluster
	f       *redis.Forwarder
	header  chan http.Header
}

func nodeOf(sid string) (string, bool) {
	node, _, ok := strings.Cut(sid, "-")
	return node, ok
}

func newFront(t *testing.T, name, prefix, url string) *front {
	t.Helper()
	x := &front{header: make(chan http.Header, 1)}
	x.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sid := r.URL.Query().Get("sid")
		if strings.HasPrefix(sid, name+"-") && !strings.HasSuffix(sid, "gone") {
			select {
			case x.header <- r.Header.Clone():
			default:
			}
			if r.Header.Get("Upgrade") != "" {
				c, rw, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer c.Close()
				fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
				_ = rw.Flush()
				line, _ := rw.ReadString('\n')
				fmt.Fprint(rw, "echo "+line)
				_ = rw.Flush()
				_, _ = rw.ReadByte()
				return
			}
			b, _ := io.ReadAll(r.Body)
			w.Header().Add("Set-Cookie", "a=1")
			fmt.Fprintf(w, "%s %s %s %s", name, r.Method, r.URL.RequestURI(), b)
			return
		}
		if !x.f.UnknownSession(w, r, sid) {
			http.Error(w, "Session ID unknown", http.StatusBadRequest)
		}
	}))
	t.Cleanup(x.Server.Close)
	x.cluster = start(t, redis.Config{URL: url, Prefix: prefix, HeartbeatInterval: 100 * time.Millisecond})
	var err error
	x.f, err = x.cluster.Forward(redis.ForwardConfig{Node: name, NodeOf: nodeOf, URL: x.Server.URL})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func (x *front) get(t *testing.T, sid string, header http.Header) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "POST", x.URL+"/socket.io/?EIO=4&sid="+sid, strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	if header != nil {
		r.Header = header
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// forwards waits until requests for node arrive there.
func (x *front) forwards(t *testing.T, node string) {
	t.Helper()
	adaptertest.Eventually(t, func() error {
		if code, body := x.get(t, node+"-1", nil); code != 200 {
			return fmt.Errorf("status %d: %s", code, body)
		}
		return nil
	})
}

func TestForward(t *testing.T) {
	defer http.DefaultClient.CloseIdleConnections()
	prefix := unique()
	a, b := newFront(t, "a", prefix, shared.URL()), newFront(t, "b", prefix, shared.URL())
	a.forwards(t, "b")
	if code, body := a.get(t, "b-7", nil); code != 200 || body != "b POST /socket.io/?EIO=4&sid=b-7 body" {
		t.Errorf("%d %q", code, body)
	}
	<-b.header
	// The client's address is kept, and a client that says it was forwarded is not believed.
	if code, _ := a.get(t, "b-7", http.Header{"X-Forwarded-For": {"192.0.2.1"}, "Beanpole-Forwarded": {"1 a x"}}); code != 200 {
		t.Errorf("status %d", code)
	}
	if h := <-b.header; h.Get("X-Forwarded-For") != "192.0.2.1, 127.0.0.1" {
		t.Errorf("headers %v", h)
	}
	for _, c := range []struct{ sid, cause string }{
		{"a-gone", redis.CauseOwn}, {"c-1", redis.CauseNodeDead}, {"nonsense", redis.CauseInvalid}, {"b-gone", redis.CauseForwarded},
	} {
		before := a.f.Counts()[c.cause]
		if code, body := a.get(t, c.sid, nil); code != 400 || !strings.Contains(body, "Session ID unknown") {
			t.Errorf("%s: %d %q", c.sid, code, body)
		}
		if n := a.f.Counts()[c.cause]; n != before+1 {
			t.Errorf("%s: %s counted %d times", c.sid, c.cause, n-before)
		}
	}
	if n := b.f.Counts()[redis.CauseOwn]; n != 1 {
		t.Errorf("counts of b %v", b.f.Counts())
	}
}

func TestForwardUpgrade(t *testing.T) {
	defer http.DefaultClient.CloseIdleConnections()
	prefix := unique()
	a, _ := newFront(t, "a", prefix, shared.URL()), newFront(t, "b", prefix, shared.URL())
	a.forwards(t, "b")
	c, err := net.Dial("tcp", a.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "GET /socket.io/?sid=b-1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	r := bufio.NewReader(c)
	res, err := http.ReadResponse(r, nil)
	if err != nil || res.StatusCode != 101 {
		t.Fatalf("%v %v", res, err)
	}
	fmt.Fprint(c, "hello\n")
	if line, err := r.ReadString('\n'); line != "echo hello\n" {
		t.Errorf("%q %v", line, err)
	}
	// It ends with the cluster.
	ctx, cancel := context.WithTimeout(t.Context(), adaptertest.Patience)
	defer cancel()
	if err := a.cluster.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := r.ReadByte(); err == nil {
		t.Error("the connection is still open")
	}
}

// The session of a node that is gone is unknown at once, whether or not its entry has expired.
func TestForwardToDeadNode(t *testing.T) {
	defer http.DefaultClient.CloseIdleConnections()
	s := redistest.Start(t)
	prefix := unique()
	p := redistest.NewProxy(t, s.Addr())
	a, b := newFront(t, "a", prefix, s.URL()), newFront(t, "b", prefix, p.URL())
	a.forwards(t, "b")
	b.Server.Close()
	start := time.Now()
	if code, _ := a.get(t, "b-1", nil); code != 400 || time.Since(start) > time.Second {
		t.Errorf("status %d after %v", code, time.Since(start))
	}
	if n := a.f.Counts()[redis.CauseUnreachable]; n != 1 {
		t.Errorf("counts %v", a.f.Counts())
	}
	p.Cut(true)
	adaptertest.Eventually(t, func() error {
		a.get(t, "b-1", nil)
		if a.f.Counts()[redis.CauseNodeDead] == 0 {
			return fmt.Errorf("counts %v", a.f.Counts())
		}
		return nil
	})
	p.Cut(false)
}

// A node that lives and does not get to renew its entry keeps its sessions.
func TestForwardToNodeWithoutEntry(t *testing.T) {
	defer http.DefaultClient.CloseIdleConnections()
	s := redistest.Start(t)
	prefix := unique()
	p := redistest.NewProxy(t, s.Addr())
	a, _ := newFront(t, "a", prefix, s.URL()), newFront(t, "b", prefix, p.URL())
	a.forwards(t, "b")
	p.Cut(true)
	adaptertest.Eventually(t, func() error {
		if n, err := s.Client().Exists(t.Context(), prefix+"-beanpole:node:b").Result(); n != 0 || err != nil {
			return fmt.Errorf("%d entries, %v", n, err)
		}
		return nil
	})
	pass(t, 1100*time.Millisecond) // for a second it is not looked up again
	if code, body := a.get(t, "b-1", nil); code != 200 {
		t.Errorf("status %d: %s, counts %v", code, body, a.f.Counts())
	}
	p.Cut(false)
}

// The sessions of a node that has left are unknown at once.
func TestForwardToNodeThatHasLeft(t *testing.T) {
	defer http.DefaultClient.CloseIdleConnections()
	prefix := unique()
	a, b := newFront(t, "a", prefix, shared.URL()), newFront(t, "b", prefix, shared.URL())
	a.forwards(t, "b")
	ctx, cancel := context.WithTimeout(t.Context(), adaptertest.Patience)
	defer cancel()
	if err := b.cluster.Close(ctx); err != nil {
		t.Fatal(err)
	}
	adaptertest.Eventually(t, func() error {
		a.get(t, "b-gone", nil)
		if a.f.Counts()[redis.CauseNodeDead] == 0 {
			return fmt.Errorf("counts %v", a.f.Counts())
		}
		return nil
	})
}

func TestForwardWhileRedisIsDown(t *testing.T) {
	defer http.DefaultClient.CloseIdleConnections()
	s := redistest.Start(t)
	prefix := unique()
	a, _ := newFront(t, "a", prefix, s.URL()), newFront(t, "b", prefix, s.URL())
	a.forwards(t, "b")
	s.Kill()
	a.forwards(t, "b")
	if code, _ := a.get(t, "c-1", nil); code != 400 {
		t.Errorf("status %d", code)
	}
	s.Run()
}

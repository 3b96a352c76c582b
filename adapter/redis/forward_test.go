package redis_test

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"runtime"
	"strings"
	"sync/atomic"
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
	served  atomic.Int64 // requests that came here
}

func nodeOf(sid string) (string, bool) {
	node, _, ok := strings.Cut(sid, "-")
	return node, ok
}

func newFront(t *testing.T, name, prefix, url string) *front {
	t.Helper()
	return newFrontAt(t, name, prefix, url, "127.0.0.1:0", redis.ForwardConfig{})
}

// newFrontAt is newFront on an address, announced as cfg.URL, or else as it is.
func newFrontAt(t *testing.T, name, prefix, url, addr string, cfg redis.ForwardConfig) *front {
	t.Helper()
	return newFrontWith(t, name, addr, cfg, redis.Config{URL: url, Prefix: prefix, HeartbeatInterval: 100 * time.Millisecond})
}

func newFrontWith(t *testing.T, name, addr string, cfg redis.ForwardConfig, of redis.Config) *front {
	t.Helper()
	x, begun := &front{header: make(chan http.Header, 1)}, make(chan struct{})
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	x.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-begun
		if x.served.Add(1); x.f.Visited(w, r) {
			return
		}
		w.Header().Set("X-Front", name)
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
	_ = x.Server.Listener.Close()
	x.Server.Listener = l
	x.Server.Start()
	t.Cleanup(x.Server.Close)
	x.cluster = start(t, of)
	cfg.Node, cfg.NodeOf, cfg.URL = name, nodeOf, cmp.Or(cfg.URL, x.Server.URL)
	x.f, err = x.cluster.Forward(cfg)
	if close(begun); err != nil {
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
	t.Parallel()
	defer http.DefaultClient.CloseIdleConnections()
	prefix := unique()
	a, b := newFront(t, "a", prefix, shared.URL()), newFront(t, "b", prefix, shared.URL())
	a.forwards(t, "b")
	if code, body := a.get(t, "b-7", nil); code != 200 || body != "b POST /socket.io/?EIO=4&sid=b-7 body" {
		t.Errorf("%d %q", code, body)
	}
	<-b.header
	// What proxies have said arrives as they said it.
	if code, _ := a.get(t, "b-7", http.Header{"X-Forwarded-For": {"192.0.2.1"}}); code != 200 {
		t.Errorf("status %d", code)
	}
	if h := <-b.header; h.Get("X-Forwarded-For") != "192.0.2.1" {
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

// The others find a server before its first session has an id, and it forwards from its first request on, though Redis
// is slow, or was not there when it started.
func TestForwardsFromTheFirstRequest(t *testing.T) {
	t.Parallel()
	defer http.DefaultClient.CloseIdleConnections()
	prefix := unique()
	a := newFront(t, "a", prefix, shared.URL())
	slow, away := redistest.NewProxy(t, shared.Addr()), redistest.NewProxy(t, shared.Addr())
	slow.Slow(50 * time.Millisecond)
	// Its entry lasts for four heartbeats, and four questions to the slow Redis renew it.
	b := newFrontWith(t, "b", "127.0.0.1:0", redis.ForwardConfig{}, redis.Config{URL: slow.URL(), Prefix: prefix, HeartbeatInterval: time.Second})
	if code, body := a.get(t, "b-1", nil); code != 200 {
		t.Errorf("from a to b: %d %s", code, body)
	}
	if code, body := b.get(t, "a-1", nil); code != 200 {
		t.Errorf("from b to a: %d %s", code, body)
	}
	away.Block()
	c := newFront(t, "c", prefix, away.URL())
	time.AfterFunc(100*time.Millisecond, away.Unblock)
	if code, body := c.get(t, "a-1", nil); code != 200 {
		t.Errorf("from c to a: %d %s", code, body)
	}
}

func TestForwardUpgrade(t *testing.T) {
	t.Parallel()
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

// What is left of a WebSocket that its node has ended goes, though the client does not close it, and cannot be told from
// one whose connection is dead.
func TestForwardedUpgradeEnds(t *testing.T) {
	t.Parallel()
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
	if res, err := http.ReadResponse(r, nil); err != nil || res.StatusCode != 101 {
		t.Fatalf("%v %v", res, err)
	}
	fmt.Fprint(c, "hello\n")
	if line, err := r.ReadString('\n'); line != "echo hello\n" {
		t.Errorf("%q %v", line, err)
	}
	fmt.Fprint(c, "x") // upon which b ends it
	if _, err := r.ReadByte(); err != io.EOF {
		t.Errorf("read: %v", err)
	}
	stacks := make([]byte, 1<<20)
	adaptertest.Eventually(t, func() error {
		if all := string(stacks[:runtime.Stack(stacks, true)]); strings.Contains(all, "handleUpgradeResponse") {
			return fmt.Errorf("a still forwards: %s", all)
		}
		return nil
	})
}

// The answer to a poll may have been lost together with what was in it: the poll is not asked for again.
func TestForwardedPollIsNotRepeated(t *testing.T) {
	t.Parallel()
	defer http.DefaultClient.CloseIdleConnections()
	prefix := unique()
	var polls atomic.Int64
	b := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if polls.Add(1) > 1 { // on the same connection, as of the second
			panic(http.ErrAbortHandler)
		}
	}))
	defer b.Close()
	c := start(t, redis.Config{URL: shared.URL(), Prefix: prefix, HeartbeatInterval: 100 * time.Millisecond})
	if _, err := c.Forward(redis.ForwardConfig{Node: "b", NodeOf: nodeOf, URL: b.URL}); err != nil {
		t.Fatal(err)
	}
	a := newFront(t, "a", prefix, shared.URL())
	poll := func() int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "GET", a.URL+"/socket.io/?EIO=4&sid=b-1", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		_, _ = io.Copy(io.Discard, res.Body)
		return res.StatusCode
	}
	adaptertest.Eventually(t, func() error {
		if code := poll(); code != 200 {
			return fmt.Errorf("status %d", code)
		}
		return nil
	})
	if code := poll(); code != 400 || polls.Load() != 2 {
		t.Errorf("status %d, asked %d times", code, polls.Load())
	}
}

// A request whose body does not come, within the time of this server or at all, is never answered as one that was delivered.
func TestForwardedBodyThatDoesNotCome(t *testing.T) {
	t.Parallel()
	defer http.DefaultClient.CloseIdleConnections()
	prefix := unique()
	c := start(t, redis.Config{URL: shared.URL(), Prefix: prefix, HeartbeatInterval: 100 * time.Millisecond})
	f, err := c.Forward(redis.ForwardConfig{Node: "a", NodeOf: nodeOf, URL: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	a := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if !f.UnknownSession(w, r, r.URL.Query().Get("sid")) {
			http.Error(w, "Session ID unknown", http.StatusBadRequest)
		}
	}))
	defer a.Close()
	newFront(t, "b", prefix, shared.URL())
	adaptertest.Eventually(t, func() error {
		res, err := http.Get(a.URL + "/socket.io/?EIO=4&sid=b-1") //nolint:noctx // loopback
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if _, _ = io.Copy(io.Discard, res.Body); res.StatusCode != 200 {
			return fmt.Errorf("status %d", res.StatusCode)
		}
		return nil
	})
	for _, sid := range []string{"b-1", "b-gone"} {
		for name, cut := range map[string]bool{"late": false, "cut": true} {
			conn, err := net.Dial("tcp", a.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(conn, "POST /socket.io/?EIO=4&sid=%s HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\nabc", sid)
			if cut {
				_ = conn.(*net.TCPConn).CloseWrite()
			}
			if line, err := bufio.NewReader(conn).ReadString('\n'); err == nil && strings.Contains(line, " 200 ") {
				t.Errorf("%s, %s: %s", sid, name, line)
			}
			_ = conn.Close()
		}
	}
}

// A node that takes a POST and does not answer it is named in the log, whoever gives up first; this node answers then.
func TestForwardedPostThatIsNotAnswered(t *testing.T) {
	t.Parallel()
	defer http.DefaultClient.CloseIdleConnections()
	for name, patience := range map[string]time.Duration{"node": time.Minute, "client": 200 * time.Millisecond} {
		prefix, silent := unique(), make(chan struct{})
		b := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-silent
		}))
		of := start(t, redis.Config{URL: shared.URL(), Prefix: prefix, HeartbeatInterval: 100 * time.Millisecond})
		if _, err := of.Forward(redis.ForwardConfig{Node: "b", NodeOf: nodeOf, URL: b.URL}); err != nil {
			t.Fatal(err)
		}
		lines := make(said, 100)
		a := newFrontWith(t, "a", "127.0.0.1:0", redis.ForwardConfig{AnswerTimeout: 400 * time.Millisecond},
			redis.Config{URL: shared.URL(), Prefix: prefix, HeartbeatInterval: 100 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(lines, nil))})
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		r, err := http.NewRequestWithContext(ctx, "POST", a.URL+"/socket.io/?EIO=4&sid=b-1", strings.NewReader("body"))
		if err != nil {
			t.Fatal(err)
		}
		if res, err := http.DefaultClient.Do(r); err == nil {
			_ = res.Body.Close()
			if res.StatusCode != 400 {
				t.Errorf("%s: status %d", name, res.StatusCode)
			}
		} else if name == "node" {
			t.Error(err)
		}
		for !strings.Contains(<-lines, `level=WARN msg="a server does not answer what is forwarded to it" node=b`) {
		}
		cancel()
		close(silent)
		b.Close()
	}
}

// said gets the lines of a log.
type said chan string

func (s said) Write(line []byte) (int, error) {
	select {
	case s <- string(line):
	default:
	}
	return len(line), nil
}

// The session of a node that is gone is unknown at once, whether or not its entry has expired.
func TestForwardToDeadNode(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
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

// A node that is killed leaves its entry behind. One that starts at its address is not sent to by itself.
func TestForwardNeverLoops(t *testing.T) {
	t.Parallel()
	defer http.DefaultClient.CloseIdleConnections()
	client := shared.Client()
	for name, entry := range map[string]func(url string) string{
		"left by a node that had the address":         func(url string) string { return url + "#AAAA" },
		"left by one of an older version":             func(url string) string { return url },
		"of the same address, written otherwise":      func(url string) string { return strings.Replace(url, "127.0.0.1", "localhost", 1) },
		"of an address that leads through a balancer": nil,
	} {
		t.Run(name, func(t *testing.T) {
			prefix := unique()
			a := newFront(t, "a", prefix, shared.URL())
			if entry == nil {
				balancer := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
					p.Out.URL.Scheme, p.Out.URL.Host = "http", a.Listener.Addr().String()
				}})
				defer balancer.Close()
				entry = func(string) string { return balancer.URL }
			}
			if err := client.Set(t.Context(), prefix+"-beanpole:node:dead", entry(a.URL), 0).Err(); err != nil {
				t.Fatal(err)
			}
			b := newFront(t, "b", prefix, shared.URL())
			a.forwards(t, "b")
			for _, x := range []*front{a, b} {
				before := a.served.Load() + b.served.Load()
				if code, body := x.get(t, "dead-1", nil); code != 400 {
					t.Errorf("%d %s", code, body)
				}
				if n := a.served.Load() + b.served.Load() - before; n > 2 {
					t.Errorf("the request was served %d times", n)
				}
			}
		})
	}
}

// What a process has left that had the address before is taken out.
func TestForwardTakesOverAnAddress(t *testing.T) {
	t.Parallel()
	prefix := unique()
	client := shared.Client()
	const url = "http://127.0.0.9:5000"
	for key, value := range map[string]string{"node:dead": url + "#AAAA", "addr:" + url: "dead#AAAA"} {
		if err := client.Set(t.Context(), prefix+"-beanpole:"+key, value, time.Minute).Err(); err != nil {
			t.Fatal(err)
		}
	}
	newFrontAt(t, "a", prefix, shared.URL(), "127.0.0.1:0", redis.ForwardConfig{URL: url})
	adaptertest.Eventually(t, func() error {
		if got, err := client.Get(t.Context(), prefix+"-beanpole:node:dead").Result(); got != "#" || err != nil {
			return fmt.Errorf("its entry is %q, %v", got, err)
		}
		return nil
	})
}

// Servers in containers may all think that they have one address, and two may be given one NodeID: nobody could
// say which of them is meant, so neither is announced as long as it lasts, and the log says so.
func TestForwardToTwins(t *testing.T) {
	t.Parallel()
	const bridge = "http://127.0.0.9:5000"
	for name, other := range map[string]struct{ key, value string }{
		"one address": {"addr:" + bridge, "b#BBBB"},
		"one name":    {"node:a", "http://127.0.0.8:5000#BBBB"},
	} {
		t.Run(name, func(t *testing.T) {
			prefix := unique()
			newFrontAt(t, "a", prefix, shared.URL(), "127.0.0.1:0", redis.ForwardConfig{URL: bridge})
			client := shared.Client()
			is := func(want string) {
				t.Helper()
				adaptertest.Eventually(t, func() error {
					got, err := client.Get(t.Context(), prefix+"-beanpole:node:a").Result()
					if want == "#" { // the other renews its entries, too
						client.Set(t.Context(), prefix+"-beanpole:"+other.key, other.value, time.Minute)
					}
					if !strings.HasPrefix(got, want) {
						return fmt.Errorf("entry %q, %v; want %q", got, err, want)
					}
					return nil
				})
			}
			is(bridge)
			is("#")
			is(bridge)
		})
	}
}

// The node that serves a request sees the client as the first one did, and believes nobody else.
func TestForwardedClient(t *testing.T) {
	t.Parallel()
	defer http.DefaultClient.CloseIdleConnections()
	prefix := unique()
	seen := func(r *http.Request) (string, bool) { return "2001:db8::7", true }
	a := newFrontAt(t, "a", prefix, shared.URL(), "127.0.0.1:0", redis.ForwardConfig{ClientAddr: seen})
	b := newFront(t, "b", prefix, shared.URL())
	a.forwards(t, "b")
	mark := (<-b.header)["Beanpole-Forwarded"]
	request := func(sid string, mark ...string) *http.Request {
		r := httptest.NewRequest("GET", "/socket.io/?EIO=4&sid="+sid, nil)
		r.Header["Beanpole-Forwarded"] = mark
		return r
	}
	if addr, secure, ok := b.f.Client(request("b-1", mark...)); addr != "2001:db8::7" || !secure || !ok {
		t.Errorf("%q, %v, %v", addr, secure, ok)
	}
	forged := strings.Replace(mark[0], "2001", "2002", 1)
	for name, r := range map[string]*http.Request{
		"none": request("b-1"), "of another session": request("b-2", mark...), "changed": request("b-1", forged),
		"twice": request("b-1", mark[0], mark[0]), "no mark": request("b-1", "x"), "empty": request("b-1", ""),
	} {
		if addr, _, ok := b.f.Client(r); ok {
			t.Errorf("%s: believed, %q", name, addr)
		}
	}
}

// The answer's headers take the place of those that the node in between has set.
func TestForwardedHeadersReplace(t *testing.T) {
	t.Parallel()
	defer http.DefaultClient.CloseIdleConnections()
	prefix := unique()
	a, b := newFront(t, "a", prefix, shared.URL()), newFront(t, "b", prefix, shared.URL())
	a.forwards(t, "b")
	res, err := http.Get(a.URL + "/?sid=b-1")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if got := res.Header["X-Front"]; len(got) != 1 || got[0] != "b" {
		t.Errorf("X-Front %q", got)
	}
	<-b.header
	// Of a node that is not there nothing is left behind.
	res, err = http.Get(a.URL + "/?sid=gone-1")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if got := res.Header["X-Front"]; len(got) != 1 || got[0] != "a" {
		t.Errorf("X-Front %q", got)
	}
}

// Where a node is may not be known at once: it waits for an answer that may come, and others find it when it has one. The
// state says so until then.
func TestForwardToANodeThatLearnsWhereItIs(t *testing.T) {
	t.Parallel()
	defer http.DefaultClient.CloseIdleConnections()
	for name, err := range map[string]*redis.Unlocated{
		"a failure that passes": {Err: errors.New("no answer"), Advice: "wait"},
		"a fact":                {Err: errors.New("no address"), Advice: "name one", Known: true},
	} {
		t.Run(name, func(t *testing.T) {
			prefix := unique()
			var asked atomic.Int64
			var at atomic.Pointer[string]
			serves := make(chan struct{})
			located := redis.ForwardConfig{Locate: func(ctx context.Context) (string, error) {
				if asked.Add(1) == 2 && err.Known {
					select { // asked by a heartbeat, or by one that waits in vain
					case <-serves:
					case <-ctx.Done():
						t.Error("it does not serve before it is asked again")
					}
				}
				if at.Load() == nil {
					return "", err
				}
				return *at.Load(), nil
			}}
			a := newFrontAt(t, "a", prefix, shared.URL(), "127.0.0.1:0", located)
			if close(serves); !err.Known && asked.Load() == 1 {
				t.Error("it serves without having been asked again")
			}
			b := newFront(t, "b", prefix, shared.URL())
			forwarding := func() (p redis.Part) {
				for _, p = range a.cluster.Status().Parts {
					if p.Kind == redis.PartForwarding {
						return p
					}
				}
				return redis.Part{}
			}
			if p := forwarding(); !errors.Is(p.Err, err) {
				t.Errorf("the state is %v", p)
			}
			if code, body := b.get(t, "a-1", nil); code != 400 {
				t.Errorf("%d %s", code, body)
			}
			at.Store(&a.Server.URL)
			b.forwards(t, "a")
			adaptertest.Eventually(t, func() error { return forwarding().Err })
		})
	}
}

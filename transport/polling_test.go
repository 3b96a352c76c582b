package transport

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestSecondPollEndsSession(t *testing.T) {
	h := newHarness(t, Config{}, nil)
	c, r := h.openPolling()
	first := c.goGet()
	parked(t, r.session)
	want(t, "second poll", c.get().status, 400)
	want(t, "first poll", receive(t, "poll", first).body, "1")
	want(t, "reason", r.reason(t), "transport error")
	want(t, "cause", errors.Is(r.cause, errPollOverlap), true)
}

func TestSecondPostEndsSession(t *testing.T) {
	h := newHarness(t, Config{}, nil)
	c, r := h.openPolling()
	body, feed := io.Pipe()
	first := make(chan answer, 1)
	go func() {
		a, _ := c.do(http.MethodPost, body, "text/plain")
		first <- a
	}()
	feed.Write([]byte("4x"))
	eventually(t, "first post", func() bool {
		r.session.mu.Lock()
		defer r.session.mu.Unlock()
		return r.session.post != nil
	})
	want(t, "second post", c.post("4y").status, 400)
	want(t, "first post", receive(t, "post", first).status, 400)
	feed.Close()
	want(t, "reason", r.reason(t), "transport error")
	want(t, "messages", len(r.messages(t, 0)), 0)
}

func TestBodyLimit(t *testing.T) {
	h := newHarness(t, Config{MaxHTTPBufferSize: 100}, nil)
	fits, over := "4"+strings.Repeat("x", 99), "4"+strings.Repeat("x", 100)
	for _, body := range []io.Reader{strings.NewReader(over), struct{ io.Reader }{strings.NewReader(over)}} { // the second without length
		c, r := h.openPolling()
		poll := c.goGet()
		parked(t, r.session)
		a, err := c.do(http.MethodPost, body, "text/plain")
		want(t, "over", a.status, 413)
		want(t, "err", err, nil)
		want(t, "reason", r.reason(t), "transport error")
		want(t, "cause", r.cause, errBodyTooBig)
		want(t, "poll", receive(t, "poll", poll).body, "1")
	}
	c, r := h.openPolling()
	want(t, "fits", c.post(fits).status, 200)
	a, _ := c.do(http.MethodPost, struct{ io.Reader }{strings.NewReader(fits)}, "text/plain")
	want(t, "fits without length", a.status, 200)
	want(t, "messages", len(r.messages(t, 2)), 2)
	want(t, "open", r.session.Open(), true)
}

func TestBadPosts(t *testing.T) {
	for _, test := range []struct{ name, body, contentType, reason string }{
		{"binary", "4x", "application/octet-stream", "transport error"},
		{"unknown type", "4x\x1e9", "text/plain", "parse error"},
		{"empty", "", "text/plain", "parse error"},
		{"client ping", "4x\x1e2", "text/plain", "transport error"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHarness(t, Config{}, nil)
			c, r := h.openPolling()
			poll := c.goGet()
			parked(t, r.session)
			a, err := c.do(http.MethodPost, strings.NewReader(test.body), test.contentType)
			want(t, "err", err, nil)
			want(t, "status", a.status, 400)
			want(t, "reason", r.reason(t), test.reason)
			want(t, "poll", receive(t, "poll", poll).body, "1")
		})
	}
}

func TestEarlyPongIsHarmless(t *testing.T) {
	h := newHarness(t, Config{}, nil)
	c, r := h.openPolling()
	want(t, "post", c.post("3\x1e3\x1e6\x1e4x").body, "ok")
	want(t, "messages", r.messages(t, 1)[0], "x")
	w, r2 := h.openWebSocket()
	w.send("3")
	w.send("4x")
	want(t, "messages", r2.messages(t, 1)[0], "x")
}

func TestAbortedPollEndsSession(t *testing.T) {
	h := newHarness(t, Config{}, nil)
	c, r := h.openPolling()
	ctx, cancel := context.WithCancel(t.Context())
	req, _ := http.NewRequestWithContext(ctx, "GET", c.url(), nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = c.http.Do(req)
	}()
	parked(t, r.session)
	cancel()
	want(t, "reason", r.reason(t), "transport error")
	want(t, "cause", r.cause, error(errPollAborted))
	<-done
}

func TestAbortedPostEndsSession(t *testing.T) {
	h := newHarness(t, Config{}, nil)
	c, r := h.openPolling()
	conn, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(conn, "POST /engine.io/?EIO=4&transport=polling&sid="+c.sid+" HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n4abc")
	conn.Close()
	want(t, "reason", r.reason(t), "transport error")
	want(t, "messages", len(r.messages(t, 0)), 0)
}

func TestSlowPostEndsSession(t *testing.T) {
	h := newHarness(t, Config{BodyTimeout: 50 * time.Millisecond}, nil)
	c, r := h.openPolling()
	conn, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "POST /engine.io/?EIO=4&transport=polling&sid="+c.sid+" HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n4abc")
	status, err := (&wsClient{t: t, conn: conn, r: bufio.NewReader(conn)}).readHead()
	want(t, "status", status, http.StatusRequestTimeout)
	want(t, "err", err, nil)
	want(t, "reason", r.reason(t), "transport error")
	want(t, "cause", r.cause, errBodyTooSlow)
}

// A poll outlives the timeouts of the http.Server around it, and the connection can be used again.
func TestServerTimeoutsDoNotCutPolls(t *testing.T) {
	srv, opened := serverOnly(t, Config{})
	ts := httptest.NewUnstartedServer(srv)
	ts.Config.ReadTimeout = 50 * time.Millisecond
	ts.Config.WriteTimeout = 50 * time.Millisecond
	ts.Config.IdleTimeout = patience
	ts.Start()
	defer ts.Close()
	h := &harness{t: t, srv: srv, addr: ts.Listener.Addr().String()}
	c := h.poller("EIO=4&transport=polling")
	c.open()
	r := receive(t, "session", opened)
	for range 2 {
		poll := c.goGet()
		parked(t, r.session)
		select {
		case a := <-poll:
			t.Fatalf("poll cut: %v", a)
		case <-time.After(150 * time.Millisecond):
		}
		_ = r.session.Send(SendOptions{}, Message{Data: []byte("late")})
		want(t, "poll", receive(t, "poll", poll).body, "4late")
		want(t, "post", c.post("4x").body, "ok")
	}
}

// serverOnly returns a Server whose sessions are recorders.
func serverOnly(t *testing.T, cfg Config) (*Server, chan *recorder) {
	opened := make(chan *recorder, 100)
	cfg.Accept = func(s *Session) Receiver {
		r := &recorder{session: s, signal: make(chan struct{}, 1), done: make(chan struct{})}
		opened <- r
		return r
	}
	srv, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		srv.Each(func(s *Session) bool { s.Abort(ReasonServerShuttingDown); return true })
		if err := srv.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
	return srv, opened
}

func TestEverythingWaitingLeavesInOneBody(t *testing.T) {
	h := newHarness(t, Config{}, nil)
	c, r := h.openPolling()
	p := Prepare(Message{Data: []byte("p1")}, Message{Data: []byte{1}, Binary: true})
	_ = r.session.Send(SendOptions{}, Message{Data: []byte("a")}, Message{Data: []byte("b")})
	_ = r.session.SendPrepared(SendOptions{}, p)
	_ = r.session.SendPrepared(SendOptions{}, p)
	n, size := r.session.Backlog()
	want(t, "backlog", n*1000+size, 6*1000+14)
	want(t, "poll", c.get().body, "4a\x1e4b\x1e4p1\x1ebAQ==\x1e4p1\x1ebAQ==")
}

func TestVolatileIsDroppedBetweenPolls(t *testing.T) {
	h := newHarness(t, Config{}, nil)
	c, r := h.openPolling()
	want(t, "writable", r.session.Writable(), false)
	want(t, "err", r.session.Send(SendOptions{Volatile: true}, Message{Data: []byte("lost")}), nil)
	poll := c.goGet()
	parked(t, r.session)
	want(t, "writable", r.session.Writable(), true)
	_ = r.session.Send(SendOptions{Volatile: true}, Message{Data: []byte("seen")})
	want(t, "poll", receive(t, "poll", poll).body, "4seen")
	want(t, "dropped", h.srv.Stats().VolatileDropped, uint64(1))
}

func TestPollingBacklogIsBounded(t *testing.T) {
	h := newHarness(t, Config{MaxBacklogBytes: 1000, MaxBacklogPackets: 5}, nil)
	_, r := h.openPolling()
	for i := range 6 {
		err := r.session.Send(SendOptions{}, Message{Data: []byte("x")})
		if i < 5 && err != nil || i == 5 && !errors.Is(err, ErrBacklog) {
			t.Errorf("send %d: %v", i, err)
		}
	}
	want(t, "reason", r.reason(t), "slow consumer")
	want(t, "after", r.session.Send(SendOptions{}, Message{}), error(ErrClosed))
	_, r = h.openPolling()
	large := Message{Data: bytes.Repeat([]byte("x"), 900)}
	want(t, "large", r.session.Send(SendOptions{}, large, large), nil) // nothing waits
	want(t, "one behind", r.session.Send(SendOptions{}, large), nil)
	want(t, "two behind", r.session.Send(SendOptions{}, large), error(ErrBacklog))
}

func TestJSONP(t *testing.T) {
	h := newHarness(t, Config{JSONP: JSONPAll}, echo)
	c := h.poller("EIO=4&transport=polling&j=7")
	a, _ := c.do("GET", nil, "")
	if !strings.HasPrefix(a.body, `___eio[7]("0{\"sid\"`) {
		t.Fatalf("handshake %q", a.body)
	}
	r := h.session()
	c.sid = r.session.ID()
	poll := c.goGet()
	parked(t, r.session)
	a, _ = c.do("POST", strings.NewReader("d=4a%5Cnb"), "application/x-www-form-urlencoded")
	want(t, "post", a.body, "ok")
	a = receive(t, "poll", poll)
	want(t, "poll", a.body, `___eio[7]("4a\nb");`)
	want(t, "type", a.header.Get("Content-Type"), "text/javascript; charset=UTF-8")
}

func TestProtocol3Polling(t *testing.T) {
	h := newHarness(t, Config{AllowEIO3: true}, echo)
	c := h.poller("EIO=3&transport=polling")
	open := c.open()
	if !strings.Contains(open, `:0{"sid":"`) {
		t.Fatalf("handshake %q", open)
	}
	r := h.session()
	want(t, "protocol", r.session.Protocol(), 3)
	want(t, "ping", c.post("1:2").body, "ok")
	want(t, "pong", c.get().body, "1:3")
	poll := c.goGet()
	parked(t, r.session)
	c.post("6:4h\u00e9llo2:4x")
	want(t, "echo", receive(t, "poll", poll).body, "6:4h\u00e9llo2:4x")
	poll = c.goGet()
	parked(t, r.session)
	a, _ := c.do("POST", strings.NewReader("\x01\x03\xff\x04\x01\x02"), "application/octet-stream")
	want(t, "post", a.body, "ok")
	got := receive(t, "poll", poll)
	want(t, "echo", got.body, "\x01\x03\xff\x04\x01\x02")
	want(t, "type", got.header.Get("Content-Type"), "application/octet-stream")
	want(t, "pong", c.post("1:3").status, 400)
	want(t, "reason", r.reason(t), "transport error")
}

// Answers have what clients have sent in them. No browser is to take one for a script, a style or a document.
func TestNoAnswerIsSniffed(t *testing.T) {
	h := newHarness(t, Config{AllowEIO3: true, JSONP: JSONPAll, MaxHTTPBufferSize: 100,
		UnknownSession: func(http.ResponseWriter, *http.Request, string) bool { return false }}, echo)
	c, _ := h.openPolling()
	big, _ := h.openPolling()
	c3 := h.poller("EIO=3&transport=polling")
	c3.open()
	for _, tt := range []struct {
		name, method, query, body, contentType string
		want                                   string
	}{
		{"handshake", "GET", "EIO=4&transport=polling", "", "", "200 text/plain; charset=UTF-8"},
		{"post", "POST", c.query + "&sid=" + c.sid, "4x", "text/plain", "200 text/html"},
		{"poll", "GET", c.query + "&sid=" + c.sid, "", "", "200 text/plain; charset=UTF-8"},
		{"post of bytes", "POST", c3.query + "&sid=" + c3.sid, "\x01\x02\xff\x04\x01", "application/octet-stream", "200 text/html"},
		{"poll of bytes", "GET", c3.query + "&sid=" + c3.sid, "", "", "200 application/octet-stream"},
		{"script", "GET", "EIO=4&transport=polling&j=0", "", "", "200 text/javascript; charset=UTF-8"},
		{"too big", "POST", big.query + "&sid=" + big.sid, strings.Repeat("4", 200), "text/plain", "413 "},
		{"transport unknown", "GET", "EIO=4&transport=x", "", "", "400 application/json"},
		{"session unknown", "GET", "EIO=4&transport=polling&sid=x", "", "", "400 application/json"},
		{"preflight", "OPTIONS", "EIO=4&transport=polling", "", "", "400 application/json"},
		{"other method", "PUT", c.query + "&sid=" + c.sid, "", "", "500 "},
		{"broken", "POST", c.query + "&sid=" + c.sid, "x", "text/plain", "400 "},
		{"ended", "POST", c.query + "&sid=" + c.sid, "4x", "text/plain", "400 application/json"},
	} {
		req, _ := http.NewRequest(tt.method, c.base+"?"+tt.query, strings.NewReader(tt.body))
		req.Header.Set("Content-Type", tt.contentType)
		res, err := c.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		want(t, tt.name, fmt.Sprint(res.StatusCode, " ", res.Header.Get("Content-Type")), tt.want)
		want(t, tt.name, strings.Join(res.Header["X-Content-Type-Options"], "|"), "nosniff")
	}
}

package transport

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"weak"
)

// newReturning is newHarness with connections that leave net/http.
func newReturning(t *testing.T, cfg Config, edit func(*recorder)) *harness {
	t.Helper()
	return newReturningOn(t, cfg, edit, func(*http.Server) {})
}

// configured starts an http.Server that edit has configured.
func configured(edit func(*http.Server)) func(http.Handler) *httptest.Server {
	return func(h http.Handler) *httptest.Server {
		s := httptest.NewUnstartedServer(h)
		edit(s.Config)
		s.Start()
		return s
	}
}

// newReturningOn is newReturning with an http.Server that web configures.
func newReturningOn(t *testing.T, cfg Config, edit func(*recorder), web func(*http.Server)) *harness {
	t.Helper()
	return newReturningFrom(t, cfg, edit, configured(web))
}

// newReturningFrom is newReturning with an http.Server that start makes.
func newReturningFrom(t *testing.T, cfg Config, edit func(*recorder), start func(http.Handler) *httptest.Server) *harness {
	t.Helper()
	var served sync.WaitGroup
	t.Cleanup(served.Wait)
	h := newHarnessOn(t, cfg, edit, start)
	returns := h.srv.Returns()
	served.Go(func() { _ = h.http.Config.Serve(returns) })
	t.Cleanup(func() { _ = returns.Close() })
	return h
}

// left waits until the session's poll has left net/http.
func left(t *testing.T, s *Session) {
	t.Helper()
	eventually(t, "poll left", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.poll != nil && s.poll.conn != nil
	})
}

// rawPoller speaks polling on one connection.
type rawPoller struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

func (h *harness) raw() *rawPoller {
	h.t.Helper()
	conn, err := net.Dial("tcp", h.addr)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(3 * patience))
	return &rawPoller{t: h.t, conn: conn, r: bufio.NewReader(conn)}
}

func (p *rawPoller) send(requests ...string) {
	p.t.Helper()
	if _, err := io.WriteString(p.conn, strings.Join(requests, "")); err != nil {
		p.t.Fatal(err)
	}
}

func getRequest(sid string, headers ...string) string {
	if sid != "" {
		sid = "&sid=" + sid
	}
	return "GET /engine.io/?EIO=4&transport=polling" + sid + " HTTP/1.1\r\nHost: x\r\n" + strings.Join(headers, "") + "\r\n"
}

func (p *rawPoller) answer() (answer, error) {
	res, err := http.ReadResponse(p.r, nil)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, string(b), res.Header}, err
}

func (p *rawPoller) body() string {
	p.t.Helper()
	a, err := p.answer()
	if err != nil {
		p.t.Fatalf("answer: %v", err)
	}
	return a.body
}

// open opens a session on p.
func (h *harness) openRaw() (*rawPoller, *recorder) {
	h.t.Helper()
	p := h.raw()
	p.send(getRequest(""))
	p.body()
	return p, h.session()
}

func TestWaitingPollLeavesNetHTTP(t *testing.T) {
	h := newReturning(t, Config{
		CORS:    &CORS{Origins: []string{"http://a.example"}},
		Headers: func(h http.Header, _ *http.Request) { h.Add("Set-Cookie", "a=1"); h.Add("Set-Cookie", "b=2") },
	}, nil)
	p, r := h.openRaw()
	get := getRequest(r.session.ID(), "Origin: http://a.example\r\n")
	_ = r.session.Send(SendOptions{}, Message{Data: []byte("at once")})
	p.send(get)
	plain, err := p.answer()
	want(t, "answer", plain.body, "4at once")
	want(t, "err", err, nil)
	for i := range 5 {
		p.send(get)
		left(t, r.session)
		eventually(t, "net/http is done", func() bool { return goroutinesIn("net/http.(*conn).serve") == 0 })
		text := "late " + strconv.Itoa(i) + "  " // as long as "at once"
		want(t, "writable", r.session.Writable(), true)
		_ = r.session.Send(SendOptions{}, Message{Data: []byte(text)[:7]})
		a, err := p.answer()
		want(t, "err", err, nil)
		want(t, "answer", a.body, "4"+text[:7])
		a.header.Del("Date")
		plain.header.Del("Date")
		want(t, "header", fmt.Sprint(a.header), fmt.Sprint(plain.header))
	}
}

// announcing adds to the head of an answer when it is written, as middleware does.
type announcing struct {
	http.ResponseWriter
	add func(http.Header)
}

func (a announcing) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a announcing) WriteHeader(code int) {
	a.add(a.Header())
	a.ResponseWriter.WriteHeader(code)
}

func (a announcing) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.ResponseWriter.Write(b)
}

// What handlers around the Server add to the head of an answer is in every answer, however long its poll waited.
func TestWaitingPollHasTheHeadersOfMiddleware(t *testing.T) {
	h := newReturning(t, Config{}, nil)
	_, r := h.openRaw()
	add := func(h http.Header) { h.Set("X-Frame-Options", "DENY") }
	h.http.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.srv.ServeHTTP(announcing{w, add}, r)
	})
	p := h.raw()
	for range 3 {
		p.send(getRequest(r.session.ID()))
		parked(t, r.session)
		time.Sleep(30 * time.Millisecond) // for what must not happen
		_ = r.session.Send(SendOptions{}, Message{Data: []byte("x")})
		a, err := p.answer()
		want(t, "err", err, nil)
		want(t, "answer", a.body, "4x")
		want(t, "header", a.header.Get("X-Frame-Options"), "DENY")
	}
}

// Where the connection cannot be taken over, waiting polls stay in net/http.
func TestPollThatCannotLeave(t *testing.T) {
	h := newReturning(t, Config{}, nil)
	_, r := h.openRaw()
	h.http.Config.Handler = http.TimeoutHandler(h.srv, patience, "")
	p := h.raw()
	p.send(getRequest(r.session.ID()))
	parked(t, r.session)
	time.Sleep(30 * time.Millisecond) // for what must not happen
	_ = r.session.Send(SendOptions{}, Message{Data: []byte("x")})
	a, err := p.answer()
	want(t, "err", err, nil)
	want(t, "answer", a.body, "4x")
	want(t, "type", a.header.Get("Content-Type"), "text/plain; charset=UTF-8")
}

// A proxy sends the requests of other clients on the connection.
func TestReturnedConnectionServesOthers(t *testing.T) {
	h := newReturning(t, Config{}, echo)
	p, a := h.openRaw()
	for range 3 {
		p.send(getRequest(a.session.ID()))
		left(t, a.session)
		_ = a.session.Send(SendOptions{}, Message{Data: []byte("x")})
		want(t, "answer", p.body(), "4x")
		p.send(getRequest(""))
		want(t, "open", p.body()[:8], `0{"sid":`)
		b := h.session()
		p.send("POST /engine.io/?EIO=4&transport=polling&sid=" + b.session.ID() + " HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n4y")
		want(t, "post", p.body(), "ok")
		p.send(getRequest(b.session.ID()))
		want(t, "answer", p.body(), "4y")
	}
	// And it can become a WebSocket.
	p.send("GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\r\n" + wsHeaders + "\r\n")
	c := &wsClient{t: t, conn: p.conn, r: p.r}
	status, err := c.readHead()
	want(t, "status", status, 101)
	want(t, "err", err, nil)
	c.text()
	asleep(t, h.session().session)
}

func TestClientOfLeftPollGoes(t *testing.T) {
	for name, leave := range map[string]func(*net.TCPConn){
		"closed": func(c *net.TCPConn) { _ = c.Close() },
		"end":    func(c *net.TCPConn) { _ = c.CloseWrite() },
		"reset":  func(c *net.TCPConn) { _ = c.SetLinger(0); _ = c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			h := newReturning(t, Config{}, nil)
			p, r := h.openRaw()
			p.send(getRequest(r.session.ID()))
			left(t, r.session)
			leave(p.conn.(*net.TCPConn))
			want(t, "reason", r.reason(t), "transport error")
			want(t, "cause", r.cause, error(errPollAborted))
		})
	}
}

// Nothing is lost of what a client sends before it has its answer.
func TestPipelinedRequestsBehindAPoll(t *testing.T) {
	for _, when := range []string{"with the poll", "after it left"} {
		t.Run(when, func(t *testing.T) {
			h := newReturning(t, Config{}, nil)
			p, r := h.openRaw()
			for range 3 {
				get := getRequest(r.session.ID())
				if when == "with the poll" {
					p.send(get, getRequest(""), getRequest(""))
					left(t, r.session)
				} else {
					p.send(get)
					left(t, r.session)
					p.send(getRequest(""))
					p.send(getRequest(""))
				}
				_ = r.session.Send(SendOptions{}, Message{Data: []byte("x")})
				want(t, "poll", p.body(), "4x")
				want(t, "next", p.body()[:8], `0{"sid":`)
				want(t, "next", p.body()[:8], `0{"sid":`)
				h.session()
				h.session()
			}
		})
	}
}

// The body of a GET is none of the requests that follow, whether it waits or is answered at once.
func TestBodiesOfPollsAreNoRequests(t *testing.T) {
	const smuggled = "GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n"
	for _, waits := range []bool{false, true} {
		for length, headers := range map[int]string{
			len(smuggled): fmt.Sprintf("Content-Length: %d\r\n", len(smuggled)),
			300 << 10:     fmt.Sprintf("Content-Length: %d\r\n", 300<<10), // more than net/http reads
			0:             "Transfer-Encoding: chunked\r\n",
		} {
			h := newReturning(t, Config{}, nil)
			p, r := h.openRaw()
			if !waits {
				_ = r.session.Send(SendOptions{}, Message{Data: []byte("x")})
			}
			body := smuggled + strings.Repeat("x", max(0, length-len(smuggled)))
			if length == 0 {
				body = fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(smuggled), smuggled)
			}
			go func() { _, _ = io.WriteString(p.conn, getRequest(r.session.ID(), headers)+body) }()
			if waits {
				parked(t, r.session)
				_ = r.session.Send(SendOptions{}, Message{Data: []byte("x")})
			}
			want(t, "answer", p.body(), "4x")
			_, _ = io.WriteString(p.conn, getRequest("nobody"))
			if a, err := p.answer(); err == nil { // else the connection has ended
				want(t, "status", a.status, http.StatusBadRequest)
			}
			want(t, "sessions", h.srv.Sessions(), 1)
		}
	}
}

func TestPollsThatStay(t *testing.T) {
	for name, get := range map[string]func(sid string) string{
		"HTTP/1.0":          func(sid string) string { return strings.Replace(getRequest(sid), "HTTP/1.1", "HTTP/1.0", 1) },
		"connection: close": func(sid string) string { return getRequest(sid, "Connection: close\r\n") },
	} {
		t.Run(name, func(t *testing.T) {
			h := newReturning(t, Config{}, nil)
			_, r := h.openRaw()
			p := h.raw()
			p.send(get(r.session.ID()))
			parked(t, r.session)
			time.Sleep(30 * time.Millisecond) // for what must not happen
			r.session.mu.Lock()
			want(t, "left", r.session.poll.conn == nil, true)
			r.session.mu.Unlock()
			_ = r.session.Send(SendOptions{}, Message{Data: []byte("x")})
			want(t, "answer", p.body(), "4x")
			_, err := p.r.ReadByte()
			want(t, "end", errors.Is(err, io.EOF), true)
		})
	}
}

func TestLeftPollWithoutAnswer(t *testing.T) {
	h := newReturning(t, Config{PingInterval: 50 * time.Millisecond, PingTimeout: 50 * time.Millisecond}, nil)
	p, r := h.openRaw()
	p.send(getRequest(r.session.ID()))
	left(t, r.session)
	want(t, "ping", p.body(), "2")
	p.send(getRequest(r.session.ID()))
	want(t, "reason", r.reason(t), "ping timeout")
	want(t, "close", p.body(), "1")
}

func TestLeftPollForms(t *testing.T) {
	h := newReturning(t, Config{JSONP: JSONPAll}, nil)
	p, r := h.openRaw()
	p.send(strings.Replace(getRequest(r.session.ID()), "&sid", "&j=3&sid", 1))
	left(t, r.session)
	_ = r.session.Send(SendOptions{}, Message{Data: []byte("x")})
	a, err := p.answer()
	want(t, "err", err, nil)
	want(t, "jsonp", a.body, `___eio[3]("4x");`)
	want(t, "type", a.header.Get("Content-Type"), "text/javascript; charset=UTF-8")
	want(t, "nosniff", a.header.Get("X-Content-Type-Options"), "nosniff")

	long := strings.Repeat("long ", 1000)
	p.send(getRequest(r.session.ID(), "Accept-Encoding: gzip\r\n"))
	left(t, r.session)
	_ = r.session.Send(SendOptions{}, Message{Data: []byte(long)})
	a, err = p.answer()
	want(t, "err", err, nil)
	want(t, "encoding", a.header.Get("Content-Encoding"), "gzip")
	want(t, "vary", a.header.Get("Vary"), "Accept-Encoding")
	z, err := gzip.NewReader(strings.NewReader(a.body))
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(z)
	want(t, "body", string(b), "4"+long)
}

// An answer that the kernel does not take at once waits for its client, and for nobody else.
func TestSlowClientOfLeftPoll(t *testing.T) {
	h := newReturning(t, Config{MaxBacklogBytes: 64 << 20}, nil)
	p, r := h.openRaw()
	p.send(getRequest(r.session.ID()))
	left(t, r.session)
	big := bytes.Repeat([]byte("x"), 16<<20)
	_ = r.session.Send(SendOptions{NoCompress: true}, Message{Data: big})
	eventually(t, "writer waits", func() bool { return goroutinesIn("transport.(*pollConn).write") == 1 })
	want(t, "size", len(p.body()), len(big)+1)
	p.send(getRequest(r.session.ID()))
	left(t, r.session)
}

// Nothing is kept of a session whose answer could not be written.
func TestFailedAnswerOfLeftPollLeavesNothing(t *testing.T) {
	h := newReturning(t, Config{WriteTimeout: 20 * time.Millisecond}, nil)
	p, r := h.openRaw()
	p.send(getRequest(r.session.ID()))
	left(t, r.session)
	r.session.mu.Lock()
	conn := weak.Make(r.session.poll.conn)
	r.session.mu.Unlock()
	_ = r.session.Send(SendOptions{NoCompress: true}, Message{Data: make([]byte, 16<<20)}) // and nobody reads
	want(t, "reason", r.reason(t), "transport error")
	eventually(t, "the connection is forgotten", func() bool { runtime.GC(); return conn.Value() == nil })
}

func TestUpgradeAnswersLeftPoll(t *testing.T) {
	h := newReturning(t, Config{ParkAfter: 50 * time.Millisecond}, nil)
	p, r := h.openRaw()
	p.send(getRequest(r.session.ID()))
	left(t, r.session)
	c := h.dial("EIO=4&transport=websocket&sid=" + r.session.ID())
	c.send("2probe")
	want(t, "probe", c.text(), "3probe")
	want(t, "poll", p.body(), "6")
	c.send("5")
	c.send("4x")
	want(t, "message", r.messages(t, 1)[0], "x")
	asleep(t, r.session)
}

// Messages sent at the moment of leaving are neither lost nor doubled.
func TestSendAtTheMomentOfLeaving(t *testing.T) {
	const sessions, messages = 8, 200
	h := newReturning(t, Config{}, nil)
	var wg sync.WaitGroup
	for range sessions {
		p, r := h.openRaw()
		wg.Go(func() {
			for i := range messages {
				time.Sleep(time.Duration(rand.IntN(2500)) * time.Microsecond)
				_ = r.session.Send(SendOptions{}, Message{Data: []byte(strconv.Itoa(i))})
			}
		})
		wg.Go(func() {
			var got []string
			for len(got) < messages {
				p.send(getRequest(r.session.ID()))
				a, err := p.answer()
				if err != nil || a.status != 200 {
					t.Errorf("after %d messages: %v, %v", len(got), a, err)
					return
				}
				got = append(got, strings.Split(a.body, "\x1e")...)
			}
			for i, m := range got {
				want(t, "message", m, "4"+strconv.Itoa(i))
			}
		})
	}
	wg.Wait()
}

// Clients go, and their descriptors are used again, while polls leave and are answered.
func TestLeftDescriptorsAreUsedAgain(t *testing.T) {
	h := newReturning(t, Config{}, echo)
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for i := range 40 {
				p := h.raw()
				p.send(getRequest(""))
				body := p.body()
				sid := body[9:29]
				text := fmt.Sprintf("4%d/%d", n, i)
				for range 1 + i%3 {
					p.send(fmt.Sprintf("POST /engine.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", sid, len(text), text))
					want(t, "post", p.body(), "ok")
					p.send(getRequest(sid))
					want(t, "echo", p.body(), text)
				}
				if i%2 == 0 { // with a poll that waits
					p.send(getRequest(sid))
					time.Sleep(time.Duration(rand.IntN(3)) * time.Millisecond)
					_ = p.conn.(*net.TCPConn).SetLinger(0)
				}
				_ = p.conn.Close()
			}
		})
	}
	wg.Wait()
}

func TestBroadcastToLeftPolls(t *testing.T) {
	const n = 300
	h := newReturning(t, Config{}, nil)
	polls := make([]*rawPoller, n)
	sessions := make([]*recorder, n)
	for i := range polls {
		polls[i], sessions[i] = h.openRaw()
	}
	p := Prepare(Message{Data: []byte("all")})
	for range 2 {
		for i, poll := range polls {
			poll.send(getRequest(sessions[i].session.ID()))
		}
		for _, r := range sessions {
			left(t, r.session)
		}
		eventually(t, "net/http is done", func() bool { return goroutinesIn("net/http.(*conn).serve") == 0 })
		h.srv.Each(func(s *Session) bool { return s.SendPrepared(SendOptions{}, p) == nil })
		for _, poll := range polls {
			want(t, "broadcast", poll.body(), "4all")
		}
	}
}

func TestShutdownWithLeftPolls(t *testing.T) {
	h := newReturning(t, Config{}, nil)
	var waiting, idle []*rawPoller
	for range 20 {
		p, r := h.openRaw()
		p.send(getRequest(r.session.ID()))
		left(t, r.session)
		waiting = append(waiting, p)
		p, r = h.openRaw()
		p.send(getRequest(r.session.ID()))
		left(t, r.session)
		_ = r.session.Send(SendOptions{}, Message{Data: []byte("x")})
		want(t, "answer", p.body(), "4x")
		r.session.Abort(ReasonForcedServerClose)
		idle = append(idle, p)
	}
	if err := h.srv.Shutdown(context.Background()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	for _, p := range waiting {
		want(t, "close", p.body(), "1")
	}
	for _, p := range append(waiting, idle...) {
		_, err := p.r.ReadByte()
		want(t, "end", err, io.EOF)
	}
	want(t, "goroutines", goroutinesIn("transport.(*parker)"), 0)
}

func TestReturnsClosed(t *testing.T) {
	srv, err := New(Config{Accept: func(*Session) Receiver { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	l := srv.Returns()
	a, b := net.Pipe()
	srv.returns.put(a)
	got, err := l.Accept()
	want(t, "accepted", got == a, true)
	want(t, "err", err, nil)
	done := make(chan error, 1)
	go func() {
		_, err := l.Accept()
		done <- err
	}()
	want(t, "Close", l.Close(), nil)
	want(t, "Accept", receive(t, "Accept", done), net.ErrClosed)
	srv.returns.put(b)
	_, err = b.Read(make([]byte, 1))
	want(t, "closed", err, io.ErrClosedPipe)
	_ = a.Close()
}

// The hook that tells the headers of a poll's answer is called when the poll leaves net/http: what it fails
// with ends that poll's session as it would there.
func TestHookOfAPollThatLeavesMayFail(t *testing.T) {
	for how, fail := range faults {
		t.Run(how, func(t *testing.T) {
			cfg := failingConfig("Headers", fail, nil)
			h := newReturning(t, cfg, nil)
			for range tries {
				c, r := h.openPolling()
				h.fail(http.MethodGet, c.url(), "", nil)
				want(t, "reason", r.reason(t), "transport error")
			}
			c, r := h.openPolling()
			poll := c.goGet()
			left(t, r.session)
			_ = r.session.Send(SendOptions{}, Message{Data: []byte("x")})
			want(t, "poll", receive(t, "poll", poll).body, "4x")
		})
	}
}

package transport

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// patience is how long a test waits for what must come. It is no assertion: a machine may be as slow as
// it likes.
const patience = time.Minute

// recorder is a Receiver that keeps what it gets. onReceive and onWork, if set, are called too.
type recorder struct {
	session   *Session
	onReceive func(*recorder, Message)
	onWork    func(*recorder)

	mu     sync.Mutex
	got    []string
	closed []string
	cause  error
	inRX   bool
	bad    []string
	signal chan struct{} // of size 1
	done   chan struct{}
}

func (r *recorder) Receive(m Message) {
	r.mu.Lock()
	if r.inRX {
		r.bad = append(r.bad, "two Receive at a time")
	}
	if len(r.closed) > 0 {
		r.bad = append(r.bad, "Receive after Closed")
	}
	r.inRX = true
	text := string(m.Data)
	if m.Binary {
		text = fmt.Sprintf("b:%x", m.Data)
	}
	r.got = append(r.got, text)
	r.mu.Unlock()
	if r.onReceive != nil {
		r.onReceive(r, m)
	}
	r.mu.Lock()
	r.inRX = false
	r.mu.Unlock()
	r.poke()
}

func (r *recorder) Work() {
	if r.onWork != nil {
		r.onWork(r)
	}
}

func (r *recorder) Closed(reason CloseReason, cause error) {
	r.mu.Lock()
	if r.inRX {
		r.bad = append(r.bad, "Closed inside Receive")
	}
	r.closed = append(r.closed, string(reason))
	r.cause = cause
	if len(r.closed) == 1 {
		close(r.done)
	}
	r.mu.Unlock()
	r.poke()
}

func (r *recorder) poke() {
	select {
	case r.signal <- struct{}{}:
	default:
	}
}

// messages waits until n messages have come and returns all.
func (r *recorder) messages(t *testing.T, n int) []string {
	t.Helper()
	timeout := time.After(patience)
	for {
		r.mu.Lock()
		got := append([]string(nil), r.got...)
		r.mu.Unlock()
		if len(got) >= n {
			return got
		}
		select {
		case <-r.signal:
		case <-timeout:
			t.Fatalf("got %d messages, want %d: %.200q", len(got), n, got)
		}
	}
}

// reason waits for the session's end and returns its reason.
func (r *recorder) reason(t *testing.T) string {
	t.Helper()
	select {
	case <-r.done:
	case <-time.After(patience):
		t.Fatal("session did not end")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.closed, ",")
}

// harness is a Server behind an http.Server on loopback.
type harness struct {
	t      *testing.T
	srv    *Server
	http   *httptest.Server
	addr   string
	dialer func() (net.Conn, error) // nil: plain TCP to addr

	mu       sync.Mutex
	sessions []*recorder
	opened   chan *recorder
}

// newHarness starts a Server whose sessions are recorders; edit, if not nil, prepares each.
func newHarness(t *testing.T, cfg Config, edit func(*recorder)) *harness {
	t.Helper()
	return newHarnessOn(t, cfg, edit, httptest.NewServer)
}

// newHarnessOn is newHarness with an http.Server that start makes.
func newHarnessOn(t *testing.T, cfg Config, edit func(*recorder), start func(http.Handler) *httptest.Server) *harness {
	t.Helper()
	h := &harness{t: t, opened: make(chan *recorder, 100000)}
	cfg.Accept = func(s *Session) Receiver {
		r := &recorder{session: s, signal: make(chan struct{}, 1), done: make(chan struct{})}
		if edit != nil {
			edit(r)
		}
		h.mu.Lock()
		h.sessions = append(h.sessions, r)
		h.mu.Unlock()
		h.opened <- r
		return r
	}
	h.serve(cfg, start)
	return h
}

// serve starts the Server of h, whose Accept is that of cfg, until the test ends.
func (h *harness) serve(cfg Config, start func(http.Handler) *httptest.Server) {
	t := h.t
	t.Helper()
	srv, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	h.srv = srv
	h.http = start(srv)
	h.addr = h.http.Listener.Addr().String()
	if h.http.TLS != nil {
		h.dialer = func() (net.Conn, error) {
			return tls.Dial("tcp", h.addr, &tls.Config{InsecureSkipVerify: true})
		}
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		// Or Shutdown waits for polls that nobody makes.
		srv.Each(func(s *Session) bool { s.Abort(ReasonServerShuttingDown); return true })
		if err := srv.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		h.http.CloseClientConnections()
		h.http.Close()
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, r := range h.sessions {
			r.mu.Lock()
			if len(r.bad) > 0 {
				t.Errorf("session %d: %v", r.session.Num(), r.bad)
			}
			if len(r.closed) != 1 {
				t.Errorf("session %d: Closed called %d times", r.session.Num(), len(r.closed))
			}
			r.mu.Unlock()
		}
		if n := srv.Sessions(); n != 0 {
			t.Errorf("%d sessions left", n)
		}
	})
}

// session returns the recorder of the session opened last.
func (h *harness) session() *recorder {
	h.t.Helper()
	select {
	case r := <-h.opened:
		return r
	case <-time.After(patience):
		h.t.Fatal("no session opened")
		return nil
	}
}

// echo makes a recorder send back what it gets, from Work.
func echo(r *recorder) {
	var mu sync.Mutex
	var queue []Message
	r.onReceive = func(r *recorder, m Message) {
		mu.Lock()
		queue = append(queue, Message{Data: bytes.Clone(m.Data), Binary: m.Binary})
		mu.Unlock()
	}
	r.onWork = func(r *recorder) {
		mu.Lock()
		defer mu.Unlock()
		for _, m := range queue {
			_ = r.session.Send(SendOptions{}, m)
		}
		queue = nil
	}
}

// pollClient speaks polling.
type pollClient struct {
	t     *testing.T
	http  *http.Client
	base  string
	sid   string
	query string
}

type answer struct {
	status int
	body   string
	header http.Header
}

func (h *harness) poller(query string) *pollClient {
	transport := &http.Transport{}
	h.t.Cleanup(transport.CloseIdleConnections)
	return &pollClient{t: h.t, http: &http.Client{Transport: transport}, base: "http://" + h.addr + "/engine.io/", query: query}
}

// openPolling opens a session of protocol 4 over polling.
func (h *harness) openPolling() (*pollClient, *recorder) {
	h.t.Helper()
	c := h.poller("EIO=4&transport=polling")
	c.open()
	return c, h.session()
}

func (c *pollClient) open() string {
	c.t.Helper()
	a, err := c.do(http.MethodGet, nil, "")
	if err != nil || a.status != 200 {
		c.t.Fatalf("handshake: %v, %v", a, err)
	}
	body := a.body
	if i := strings.Index(body, "{"); i >= 0 {
		body = body[i:]
	}
	var open struct{ SID string }
	if err := json.NewDecoder(strings.NewReader(body)).Decode(&open); err != nil {
		c.t.Fatalf("handshake %q: %v", a.body, err)
	}
	c.sid = open.SID
	return a.body
}

func (c *pollClient) url() string {
	u := c.base + "?" + c.query
	if c.sid != "" {
		u += "&sid=" + c.sid
	}
	return u
}

func (c *pollClient) do(method string, body io.Reader, contentType string) (answer, error) {
	req, err := http.NewRequest(method, c.url(), body)
	if err != nil {
		return answer{}, err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, string(b), res.Header}, err
}

func (c *pollClient) get() answer {
	c.t.Helper()
	a, err := c.do(http.MethodGet, nil, "")
	if err != nil {
		c.t.Fatalf("poll: %v", err)
	}
	return a
}

func (c *pollClient) post(body string) answer {
	c.t.Helper()
	a, err := c.do(http.MethodPost, strings.NewReader(body), "text/plain;charset=UTF-8")
	if err != nil {
		c.t.Fatalf("post: %v", err)
	}
	return a
}

// goGet polls on another goroutine.
func (c *pollClient) goGet() <-chan answer {
	out := make(chan answer, 1)
	go func() {
		a, err := c.do(http.MethodGet, nil, "")
		if err != nil {
			a.body = "error: " + err.Error()
		}
		out <- a
	}()
	return out
}

func want(t *testing.T, what string, got, want any) {
	t.Helper()
	if got != want {
		t.Errorf("%s = %.300q, want %.300q", what, fmt.Sprint(got), fmt.Sprint(want))
	}
}

func receive[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("%s: nothing came", what)
		panic("unreachable")
	}
}

// parked waits until the session has a poll pending.
func parked(t *testing.T, s *Session) {
	t.Helper()
	eventually(t, "poll parked", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.poll != nil && s.poll.wake != nil
	})
}

// eventually waits for what has no event to wait for.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: did not happen", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// wsClient is a raw WebSocket client.
type wsClient struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
	head string
}

func (h *harness) dial(query string) *wsClient {
	h.t.Helper()
	c, status, err := h.tryDial(query)
	if err != nil || status != 101 {
		h.t.Fatalf("websocket %s: status %d, %v", query, status, err)
	}
	return c
}

const wsHeaders = "Host: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

func (h *harness) tryDial(query string) (*wsClient, int, error) {
	return h.tryDialWith(query, "", nil)
}

func (h *harness) connect() (net.Conn, error) {
	if h.dialer != nil {
		return h.dialer()
	}
	return net.Dial("tcp", h.addr)
}

// tryDialWith sends headers, and frames in the same segment, with the handshake.
func (h *harness) tryDialWith(query, headers string, frames []byte) (*wsClient, int, error) {
	conn, err := h.connect()
	if err != nil {
		return nil, 0, err
	}
	c := newWSClient(h.t, conn)
	h.t.Cleanup(func() { conn.Close() })
	request := append([]byte("GET /engine.io/?"+query+" HTTP/1.1\r\n"+wsHeaders+headers+"\r\n"), frames...)
	if _, err := conn.Write(request); err != nil {
		return nil, 0, err
	}
	status, err := c.readHead()
	return c, status, err
}

func newWSClient(t *testing.T, conn net.Conn) *wsClient {
	_ = conn.SetDeadline(time.Now().Add(3 * patience))
	return &wsClient{t: t, conn: conn, r: bufio.NewReader(conn)}
}

// readHead reads the answer's head and returns its status.
func (c *wsClient) readHead() (status int, err error) {
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return status, err
		}
		if status == 0 {
			_, _ = fmt.Sscanf(line[min(len("HTTP/1.1 "), len(line)):], "%d", &status)
		}
		c.head += line
		if line == "\r\n" {
			return status, nil
		}
	}
}

// goroutinesIn counts the goroutines with a call of fn on their stack.
func goroutinesIn(fn string) int {
	buf := make([]byte, 16<<20)
	buf = buf[:runtime.Stack(buf, true)]
	n := 0
	for _, stack := range strings.Split(string(buf), "\n\n") {
		if strings.Contains(stack, fn) {
			n++
		}
	}
	return n
}

// openWebSocket opens a session of protocol 4 over WebSocket.
func (h *harness) openWebSocket() (*wsClient, *recorder) {
	h.t.Helper()
	c := h.dial("EIO=4&transport=websocket")
	if open := c.text(); !strings.HasPrefix(open, `0{"sid":"`) {
		h.t.Fatalf("first message %q", open)
	}
	return c, h.session()
}

// maskedFrame returns a masked frame.
func maskedFrame(op ws.OpCode, data string) []byte {
	f := ws.MaskFrameInPlaceWith(ws.NewFrame(op, true, []byte(data)), [4]byte{1, 2, 3, 4})
	return ws.MustCompileFrame(f)
}

func (c *wsClient) write(b ...[]byte) {
	c.t.Helper()
	if _, err := c.conn.Write(bytes.Join(b, nil)); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

func (c *wsClient) send(text string) { c.t.Helper(); c.write(maskedFrame(ws.OpText, text)) }

func (c *wsClient) frame() (ws.Frame, error) { return ws.ReadFrame(c.r) } //nolint:staticcheck // what the server sends is bounded

// text returns the next message; a binary one as b:hex.
func (c *wsClient) text() string {
	c.t.Helper()
	f, err := c.frame()
	if err != nil {
		c.t.Fatalf("read: %v", err)
	}
	return frameText(f)
}

func frameText(f ws.Frame) string {
	switch f.Header.OpCode {
	case ws.OpText:
		return string(f.Payload)
	case ws.OpBinary:
		return fmt.Sprintf("b:%x", f.Payload)
	case ws.OpClose:
		return "close " + closeText(f.Payload)
	default:
		return fmt.Sprintf("op %d %s", f.Header.OpCode, f.Payload)
	}
}

func closeText(payload []byte) string {
	if len(payload) < 2 {
		return "none"
	}
	code, _ := ws.ParseCloseFrameData(payload)
	return fmt.Sprint(uint16(code))
}

// eof reads until the end of the connection and returns the close code seen on the way.
func (c *wsClient) eof() string {
	c.t.Helper()
	code := "no close frame"
	for {
		f, err := c.frame()
		if err != nil {
			if errors.Is(err, net.ErrClosed) || isTimeout(err) {
				c.t.Fatalf("read: %v", err)
			}
			return code
		}
		if f.Header.OpCode == ws.OpClose {
			code = closeText(f.Payload)
			_, _ = c.conn.Write(maskedFrame(ws.OpClose, string(f.Payload)))
		}
	}
}

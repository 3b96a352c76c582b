package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gobwas/ws"
)

// What the application's code does in these tests instead of returning. The panic is the one that net/http
// does not log.
var faults = map[string]func(){
	"panics": func() { panic(http.ErrAbortHandler) },
	"exits":  runtime.Goexit,
}

// badHeader marks the requests for which, and for whose sessions, the application's code fails.
const badHeader = "X-Bad"

// failing is a Receiver that echoes from Work, and fails in one of its methods: over the message "bad" in
// Receive and Work.
type failing struct {
	session *Session
	where   string // "" fails nowhere
	fail    func()
	closed  chan CloseReason // of size 1

	mu    sync.Mutex
	queue []string
}

func (f *failing) Receive(m Message) {
	if string(m.Data) == "bad" && f.where == "Receive" {
		f.fail()
	}
	f.mu.Lock()
	f.queue = append(f.queue, string(m.Data))
	f.mu.Unlock()
}

func (f *failing) Work() {
	f.mu.Lock()
	bad := false
	for _, message := range f.queue {
		if message == "bad" && f.where == "Work" {
			bad = true
			continue
		}
		_ = f.session.Send(SendOptions{}, Message{Data: []byte(message)})
	}
	f.queue = nil
	f.mu.Unlock()
	if bad {
		f.fail() // what has been sent leaves all the same
	}
}

func (f *failing) Closed(reason CloseReason, _ error) {
	f.closed <- reason
	if f.where == "Closed" {
		f.fail()
	}
}

// refusedPlace is where a handshake is refused, and the hook that is told of it fails.
const refusedPlace = "ConnectionError"

// failingConfig returns a Config whose code fails in one place.
func failingConfig(where string, fail func(), opened chan<- *failing) Config {
	hook := func(name string, r *http.Request) {
		if where == name && r.Header.Get(badHeader) != "" {
			fail()
		}
	}
	cfg := Config{
		MaxSessions:    3,
		AllowRequest:   func(r *http.Request) error { hook("AllowRequest", r); return nil },
		InitialHeaders: func(_ http.Header, r *http.Request) { hook("InitialHeaders", r) },
		Headers:        func(_ http.Header, r *http.Request) { hook("Headers", r) },
		GenerateID: func(r *http.Request) (string, error) {
			hook("GenerateID", r)
			return newSID(NodeID{1}), nil
		},
		ClientAddr: func(r *http.Request) (string, bool) { hook("ClientAddr", r); return peerAddr(r) },
		CORS: &CORS{AllowOrigin: func(r *http.Request, _ string) bool {
			hook("AllowOrigin", r)
			return true
		}},
		Accept: func(s *Session) Receiver {
			f := &failing{session: s, fail: fail, closed: make(chan CloseReason, 1)}
			if s.Handshake().Header().Get(badHeader) != "" {
				f.where = where
			}
			if f.where == "Accept" {
				fail()
			}
			if !slices.Contains(placesOfHandshake, f.where) { // else its handshake fails
				opened <- f
			}
			return f
		},
	}
	if where == refusedPlace {
		cfg.AllowRequest = func(r *http.Request) error {
			if r.Header.Get(badHeader) != "" {
				return errors.New("bad")
			}
			return nil
		}
		cfg.ConnectionError = func(e *ConnectionError) { hook(where, e.Request) }
	}
	return cfg
}

// conversation is a client of either transport.
type conversation struct {
	send   func(text string)
	next   func() (string, error) // the next message, without its type
	hangUp func()
}

var errEnded = errors.New("session ended")

// handshakeHeaders returns the headers of a handshake.
func handshakeHeaders(bad bool) http.Header {
	h := http.Header{"Origin": {"https://page.example"}}
	if bad {
		h.Set(badHeader, "1")
	}
	return h
}

// converse opens a session, or returns an error if it is not let in. What is early is sent with the
// handshake, over WebSocket.
func (h *harness) converse(transport Name, bad bool, early ...string) (*conversation, error) {
	if transport == WebSocket {
		return h.converseWebSocket(bad, early)
	}
	p := h.poller("EIO=4&transport=polling")
	headers := handshakeHeaders(bad)
	do := func(method, body string) (string, error) {
		req, err := http.NewRequest(method, p.url(), strings.NewReader(body))
		if err != nil {
			return "", err
		}
		req.Header = headers
		res, err := p.http.Do(req)
		if err != nil {
			return "", err
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err == nil && res.StatusCode != http.StatusOK {
			err = errEnded
		}
		return string(b), err
	}
	open, err := do(http.MethodGet, "")
	if err != nil {
		return nil, err
	}
	_, open, _ = strings.Cut(open, `"sid":"`)
	p.sid, _, _ = strings.Cut(open, `"`)
	var waiting []string
	c := &conversation{
		send: func(text string) { _, _ = do(http.MethodPost, "4"+text) }, // what came of it is seen by what follows
		next: func() (string, error) {
			for {
				if len(waiting) > 0 {
					packet := waiting[0]
					waiting = waiting[1:]
					switch packet[0] {
					case '1':
						return "", errEnded
					case '4':
						return packet[1:], nil
					}
					continue
				}
				body, err := do(http.MethodGet, "")
				if err != nil {
					return "", err
				}
				waiting = strings.Split(body, "\x1e")
			}
		},
		hangUp: func() {
			_, _ = do(http.MethodPost, "1")
			p.http.CloseIdleConnections()
		},
	}
	for _, text := range early {
		c.send(text)
	}
	return c, nil
}

func (h *harness) converseWebSocket(bad bool, early []string) (*conversation, error) {
	var headers bytes.Buffer
	_ = handshakeHeaders(bad).Write(&headers)
	var frames []byte
	for _, text := range early {
		frames = append(frames, maskedFrame(ws.OpText, "4"+text)...)
	}
	c, status, err := h.tryDialWith("EIO=4&transport=websocket", headers.String(), frames)
	if err == nil && status != http.StatusSwitchingProtocols {
		err = errEnded
	}
	if err != nil {
		if c != nil {
			_ = c.conn.Close()
		}
		return nil, err
	}
	return &conversation{
		send: func(text string) { _, _ = c.conn.Write(maskedFrame(ws.OpText, "4"+text)) },
		next: func() (string, error) {
			for {
				f, err := c.frame()
				switch {
				case err != nil:
					return "", err
				case f.Header.OpCode == ws.OpClose:
					return "", errEnded
				case f.Payload[0] == '4':
					return string(f.Payload[1:]), nil
				}
			}
		},
		hangUp: func() { _ = c.conn.Close() },
	}, nil
}

// safeBuffer is a log that may be read while it is written.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// descriptors returns how many file descriptors the process has, or zero where that cannot be seen.
func descriptors() int {
	entries, _ := os.ReadDir("/proc/self/fd")
	return len(entries)
}

// The places where the application's code may fail while a session is opened, while it is open, and when it
// has ended.
var (
	placesOfHandshake = []string{
		"ClientAddr", "AllowOrigin", "AllowRequest", "GenerateID", refusedPlace, "InitialHeaders", "Headers", "Accept",
	}
	placesOfReceiver = []string{"Receive", "Work", "Closed"}
)

// way is a transport, and how its requests are served.
type way struct {
	transport Name
	wsReader
}

func ways() []way {
	all := []way{{Polling, wsReader{name: "polling", start: httptest.NewServer}}}
	for _, r := range wsReaders() {
		all = append(all, way{WebSocket, r})
	}
	return all
}

// The application's code may panic, or end its goroutine, wherever it is called: no session is left, no
// descriptor and no goroutine, others are let in, and what is open goes on.
func TestApplicationsCodeMayFail(t *testing.T) {
	for _, w := range ways() {
		for how, fail := range faults {
			for _, where := range placesOfHandshake {
				t.Run(w.name+"/"+where+" "+how, func(t *testing.T) {
					h := newFailingHarness(t, w, where, fail)
					for range tries {
						h.failToOpen(w.transport, where)
					}
					h.nothingLeft(w.transport)
				})
			}
			for _, where := range placesOfReceiver {
				t.Run(w.name+"/"+where+" "+how, func(t *testing.T) {
					h := newFailingHarness(t, w, where, fail)
					for try := range tries {
						h.failWhileOpen(w.transport, where, how, try%len(talk))
					}
					h.nothingLeft(w.transport)
					if how == "panics" {
						eventually(t, "each is logged and counted", func() bool {
							return strings.Count(h.log.String(), "receiver panicked") == tries && h.srv.Stats().Panics == tries
						})
					}
				})
			}
		}
	}
}

// tries is how often the application's code fails: more often than there may be sessions.
const tries = 10

// talk is what the client of a session says whose receiver fails at "bad".
var talk = []string{"bad", "good", "go on"}

type failingHarness struct {
	*harness
	log         safeBuffer
	accepted    chan *failing
	descriptors int // when nobody is there
}

func newFailingHarness(t *testing.T, w way, where string, fail func()) *failingHarness {
	t.Helper()
	h := &failingHarness{harness: &harness{t: t}, accepted: make(chan *failing, 1)}
	cfg := failingConfig(where, fail, h.accepted)
	cfg.ParkAfter = w.park
	cfg.Logger = slog.New(slog.NewTextHandler(&h.log, nil))
	h.serve(cfg, w.start)
	h.letsIn(w.transport) // which makes what the server makes once
	h.descriptors = descriptors()
	return h
}

// letsIn has a good client come and go.
func (h *failingHarness) letsIn(transport Name) {
	h.t.Helper()
	c, f := h.enter(transport, false)
	c.send("hello")
	if got, err := c.next(); err != nil || got != "hello" {
		h.t.Errorf("a good client gets %q, %v", got, err)
	}
	c.hangUp()
	receive(h.t, "end", f.closed)
	eventually(h.t, "no session", func() bool { return h.srv.Sessions() == 0 })
	h.http.CloseClientConnections()
}

// enter waits until a client is let in: the end of one before may take a while.
func (h *failingHarness) enter(transport Name, bad bool, early ...string) (c *conversation, f *failing) {
	h.t.Helper()
	eventually(h.t, "let in", func() bool {
		var err error
		c, err = h.converse(transport, bad, early...)
		return err == nil
	})
	return c, receive(h.t, "session", h.accepted)
}

// failToOpen makes a handshake that fails.
func (h *failingHarness) failToOpen(transport Name, where string) {
	h.t.Helper()
	c, err := h.converse(transport, true)
	if err != nil {
		return
	}
	defer c.hangUp()
	if where != "Accept" || transport != WebSocket { // there the answer has left before
		h.t.Error("a handshake succeeded")
	}
	if got, err := c.next(); err == nil {
		h.t.Errorf("a session that was not accepted sends %q", got)
	}
}

// failWhileOpen opens a session whose receiver fails. So much of talk comes with the handshake.
func (h *failingHarness) failWhileOpen(transport Name, where, how string, early int) {
	h.t.Helper()
	c, f := h.enter(transport, true, talk[:early]...)
	defer c.hangUp()
	if where == "Receive" && how == "exits" { // the rest of what was read is lost with it
		for _, text := range talk[early:] {
			c.send(text)
		}
		if got, err := c.next(); err == nil {
			h.t.Errorf("a session whose order is lost sends %q", got)
		}
		want(h.t, "reason", receive(h.t, "end", f.closed), ReasonForcedServerClose)
		return
	}
	for _, text := range talk[early:] {
		c.send(text)
	}
	wanted := talk
	if where != "Closed" {
		wanted = talk[1:]
	}
	for _, text := range wanted {
		if got, err := c.next(); err != nil || got != text {
			h.t.Fatalf("got %q, %v, want %q", got, err, text)
		}
	}
	c.hangUp()
	receive(h.t, "end", f.closed)
}

// nothingLeft checks that the server is as it was.
func (h *failingHarness) nothingLeft(transport Name) {
	h.t.Helper()
	h.letsIn(transport)
	eventually(h.t, "no descriptor is left", func() bool { return descriptors() <= h.descriptors })
	st := h.srv.Stats()
	opened, closed := uint64(0), uint64(0)
	for _, n := range st.Opened {
		opened += n
	}
	for _, n := range st.Closed {
		closed += n
	}
	want(h.t, "sessions closed", closed, opened)
}

// fail makes a request for which the application's code fails, and checks that it has no answer.
func (h *harness) fail(method, url, body string, headers http.Header) {
	h.t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	for name, values := range headers {
		req.Header[name] = values
	}
	req.Header.Set(badHeader, "1")
	client := &http.Transport{} // of its own, or it would try again
	defer client.CloseIdleConnections()
	res, err := client.RoundTrip(req)
	if err == nil {
		_, err = io.ReadAll(res.Body)
		_ = res.Body.Close()
	}
	if err == nil {
		h.t.Errorf("%s has an answer, %s", method, res.Status)
	}
}

// failingBody is a body of a handler around the server.
type failingBody struct {
	io.ReadCloser
	fail func()
}

func (b failingBody) Read([]byte) (int, error) { b.fail(); return 0, io.EOF }

// What fails for one request of an open session ends the session if its packets are lost, and nothing else.
func TestCodeOfOneRequestMayFail(t *testing.T) {
	upgrade := http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
	otherProtocol := func(url string) string { return strings.Replace(url, "EIO=4", "EIO=3", 1) }
	for _, test := range []struct {
		name, where string
		reason      CloseReason // "": the session goes on
		request     func(h *harness, c *pollClient, r *recorder)
	}{
		{"poll", "Headers", ReasonTransportError, func(h *harness, c *pollClient, r *recorder) {
			_ = r.session.Send(SendOptions{}, Message{Data: []byte("x")})
			h.fail(http.MethodGet, c.url(), "", nil)
		}},
		{"post", "Headers", "", func(h *harness, c *pollClient, r *recorder) {
			h.fail(http.MethodPost, c.url(), "4received", nil)
			want(h.t, "message", r.messages(h.t, 1)[0], "received")
		}},
		{"body of a post", "Body", ReasonForcedServerClose, func(h *harness, c *pollClient, _ *recorder) {
			h.fail(http.MethodPost, c.url(), "4x", nil)
		}},
		{"refused request", refusedPlace, "", func(h *harness, c *pollClient, _ *recorder) {
			h.fail(http.MethodGet, otherProtocol(c.url()), "", nil)
		}},
		{"upgrade", "Headers", "", func(h *harness, c *pollClient, _ *recorder) {
			h.fail(http.MethodGet, strings.Replace(c.url(), "polling", "websocket", 1), "", upgrade)
		}},
		{"refused upgrade", refusedPlace, "", func(h *harness, c *pollClient, _ *recorder) {
			h.fail(http.MethodGet, otherProtocol(strings.Replace(c.url(), "polling", "websocket", 1)), "", upgrade)
		}},
	} {
		for how, fail := range faults {
			t.Run(test.name+" "+how, func(t *testing.T) {
				cfg := failingConfig(test.where, fail, nil)
				cfg.AllowRequest = nil
				h := newHarnessOn(t, cfg, nil, func(handler http.Handler) *httptest.Server {
					return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						if test.where == "Body" && r.Header.Get(badHeader) != "" {
							r.Body = failingBody{r.Body, fail}
						}
						handler.ServeHTTP(w, r)
					}))
				})
				for range tries {
					c, r := h.openPolling()
					test.request(h, c, r)
					if test.reason != "" {
						want(t, "reason", r.reason(t), string(test.reason))
						continue
					}
					test.request(h, c, r)
					want(t, "post", c.post("4goes on").body, "ok")
					w := h.dial("EIO=4&transport=websocket&sid=" + c.sid)
					w.send("2probe")
					want(t, "probe", w.text(), "3probe")
					w.send("5")
					eventually(t, "upgraded", func() bool { return r.session.Transport() == WebSocket })
					_ = w.conn.Close()
					r.reason(t)
				}
			})
		}
	}
}

// telling is a log handler that sends each line to a session.
type telling struct {
	slog.Handler
	session func() *Session
}

func (h telling) Enabled(context.Context, slog.Level) bool { return true }

func (h telling) Handle(_ context.Context, r slog.Record) error {
	if s := h.session(); s != nil {
		_ = s.Send(SendOptions{}, Message{Data: []byte(r.Message)})
	}
	return nil
}

// A log may be sent to its readers by this very server.
func TestLogThatIsSentToASession(t *testing.T) {
	var reader atomic.Pointer[Session]
	h := newHarness(t, Config{Logger: slog.New(telling{slog.DiscardHandler, reader.Load})}, nil)
	c, r := h.openPolling()
	reader.Store(r.session)
	defer reader.Store(nil)
	w := h.dial("EIO=4&transport=websocket&sid=" + c.sid)
	w.send("2probe")
	want(t, "probe", w.text(), "3probe")
	w.send("5")
	want(t, "message", w.text(), "4session upgraded")
	other, _ := h.openWebSocket()
	want(t, "message", w.text(), "4session opened")
	other.conn.Close()
	want(t, "message", w.text(), "4session closed")
}

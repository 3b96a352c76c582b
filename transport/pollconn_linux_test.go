package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// openOurs opens a session on a connection that has left net/http.
func (h *harness) openOurs() (*rawPoller, *recorder) {
	h.t.Helper()
	p, r := h.openRaw()
	p.post(r, "4a")
	return p, r
}

func (p *rawPoller) post(r *recorder, body string, headers ...string) {
	p.t.Helper()
	p.send(strings.Replace(oddPost, "SID", r.session.ID(), 1), strings.Join(headers, ""), "Content-Length: 2\r\n\r\n", body)
	want(p.t, "post", p.body(), "ok")
}

func (p *rawPoller) ends() {
	p.t.Helper()
	_, err := p.r.ReadByte()
	want(p.t, "end", err, io.EOF)
}

type userKey struct{}

// What a handler adds to a request's context is not in that of the next, which may be another client's; what the
// http.Server adds is; and the context ends with the handler.
func TestContextsOfRequestsWithoutNetHTTP(t *testing.T) {
	type connKey struct{}
	h := newReturningOn(t, Config{}, echo, func(web *http.Server) {
		web.ConnContext = func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) }
	})
	var seen []context.Context
	var ours atomic.Int32
	next := make(chan struct{}, 10)
	h.http.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := w.(*pollWriter); ok {
			ours.Add(1)
		}
		seen = append(seen, r.Context())
		if user := r.Header.Get("X-User"); user != "" {
			r = r.WithContext(context.WithValue(r.Context(), userKey{}, user))
			seen[len(seen)-1] = r.Context()
		}
		h.srv.ServeHTTP(w, r)
		next <- struct{}{}
	})
	p, r := h.openRaw()
	<-next
	for range 3 {
		p.post(r, "4a", "X-User: somebody\r\n")
		<-next
		p.post(r, "4a")
		<-next
	}
	want(t, "ours", int(ours.Load()), 5) // the first took the connection
	for i, ctx := range seen[1:] {
		if i > 0 {
			<-ctx.Done()
			want(t, "err", ctx.Err(), error(context.Canceled))
		}
		want(t, "user", ctx.Value(userKey{}) != nil, i%2 == 0)
		want(t, "server", ctx.Value(http.ServerContextKey) == h.http.Config, true)
		want(t, "connection", ctx.Value(connKey{}) != nil, true)
		want(t, "address", ctx.Value(http.LocalAddrContextKey) != nil, true)
	}
}

// A Work that blocks holds up neither the answers to the POSTs that follow on its connection nor what they bring.
func TestBlockedWorkReadsOn(t *testing.T) {
	blocked := make(chan struct{})
	h := newReturning(t, Config{}, func(r *recorder) {
		var first atomic.Bool
		r.onWork = func(*recorder) {
			if first.CompareAndSwap(false, true) {
				<-blocked
			}
		}
	})
	p, r := h.openRaw()
	for range 5 {
		p.post(r, "4a")
	}
	r.messages(t, 5)
	close(blocked)
}

// An upgrade ends the turn of a POST whose Work is under way; the connection of the POST, which may be a proxy's and the
// way of other sessions, is read on all the same, whatever becomes of that Work.
func TestUpgradeDuringWorkReadsOn(t *testing.T) {
	for _, how := range []string{"returns", "blocks", "exits"} {
		t.Run(how, func(t *testing.T) {
			var works atomic.Int32
			working, upgraded, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
			defer close(done)
			h := newReturning(t, Config{}, func(r *recorder) {
				r.onWork = func(r *recorder) {
					s := r.session
					if s.Num() == 1 || works.Add(1) != 2 {
						return
					}
					s.mu.Lock()
					if s.takeover != nil { // else a machine that stands still has shown less
						s.takeover.timer.Stop()
					}
					s.mu.Unlock()
					close(working)
					<-upgraded
					switch how {
					case "blocks":
						<-done
					case "exits":
						runtime.Goexit()
					}
				}
			})
			_, other := h.openRaw()
			p, r := h.openOurs()
			eventually(t, "end of the first work", func() bool {
				r.session.mu.Lock()
				defer r.session.mu.Unlock()
				return works.Load() == 1 && !r.session.working
			})
			p.post(r, "4b")
			receive(t, "work", working)
			w := h.dial("EIO=4&transport=websocket&sid=" + r.session.ID())
			w.send("5")
			eventually(t, "upgraded", func() bool { return r.session.Transport() == WebSocket })
			close(upgraded)
			for range 3 {
				p.post(other, "4c")
			}
			w.send("4d")
			want(t, "message", r.messages(t, 3)[2], "d")
		})
	}
}

// A connection between two requests ends when the http.Server says so, parked or read.
func TestIdleConnectionsOfPollingEnd(t *testing.T) {
	for name, requests := range map[string]int{"parked": 1, "read": 3 * keepAwake} {
		t.Run(name, func(t *testing.T) {
			h := newReturningOn(t, Config{ParkAfter: 20 * time.Millisecond}, nil, func(web *http.Server) { web.IdleTimeout = 100 * time.Millisecond })
			p, r := h.openRaw()
			for range requests {
				p.post(r, "4a")
			}
			p.ends()
			want(t, "open", r.session.Open(), true)
			eventually(t, "forgotten", func() bool {
				h.srv.conns.mu.Lock()
				defer h.srv.conns.mu.Unlock()
				return len(h.srv.conns.all) == 0
			})
		})
	}
}

// When the http.Server ends, so do connections between requests; what waits is answered, and said to be the last.
func TestConnectionsEndWithTheirServer(t *testing.T) {
	h := newReturning(t, Config{}, nil)
	idle, _ := h.openOurs()
	waiting, r := h.openOurs()
	waiting.send(getRequest(r.session.ID()))
	left(t, r.session)
	posting, other := h.openOurs()
	posting.send(strings.Replace(oddPost, "SID", other.session.ID(), 1), "Content-Length: 3\r\n\r\n4")
	eventually(t, "read", func() bool {
		other.session.mu.Lock()
		defer other.session.mu.Unlock()
		return other.session.post != nil
	})
	_ = h.srv.returns.Close()
	idle.ends()
	_ = r.session.Send(SendOptions{}, Message{Data: []byte("x")})
	a, err := waiting.answer()
	want(t, "err", err, nil)
	want(t, "answer", a.body, "4x")
	waiting.ends()
	posting.send("bc")
	a, err = posting.answer()
	want(t, "err", err, nil)
	want(t, "answer", a.body, "ok")
	posting.ends()
	p := h.raw()
	p.send(getRequest("")) // net/http serves on
	want(t, "open", p.body()[:8], `0{"sid":`)
}

// Connections that a listener wraps have their requests read too, by a goroutine each.
func TestWrappedConnectionsOfPolling(t *testing.T) {
	h := newReturningFrom(t, Config{ParkAfter: 20 * time.Millisecond}, echo, wrapped)
	p, r := h.openRaw()
	for i := range 20 {
		if i%5 == 4 {
			p.send(getRequest(r.session.ID()))
			left(t, r.session)
			_ = r.session.Send(SendOptions{}, Message{Data: []byte("x")})
			want(t, "late", p.body(), "4x")
		}
		p.post(r, "4a")
		p.send(getRequest(r.session.ID()))
		want(t, "echo", p.body(), "4a")
	}
	p.send(getRequest(r.session.ID()))
	left(t, r.session)
	_ = p.conn.Close()
	want(t, "reason", r.reason(t), "transport error")
	want(t, "cause", errors.Is(r.cause, errPollAborted), true)
}

// wrapping is a listener of connections that are no sockets to who looks.
type wrapping struct{ net.Listener }

func (l wrapping) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return struct{ net.Conn }{c}, err
}

func wrapped(h http.Handler) *httptest.Server {
	s := httptest.NewUnstartedServer(h)
	s.Listener = wrapping{s.Listener}
	s.Start()
	return s
}

// A client whose requests net/http has to see to keeps its connection there after some.
func TestOddClientsStayInNetHTTP(t *testing.T) {
	h := newReturning(t, Config{}, nil)
	p, r := h.openRaw()
	for range maxOdd + 1 {
		p.post(r, "4a", "Pragma: no-cache\r\n")
	}
	for range 3 {
		p.post(r, "4a")
	}
	h.srv.conns.mu.Lock()
	defer h.srv.conns.mu.Unlock()
	want(t, "connections", len(h.srv.conns.all), 0)
}

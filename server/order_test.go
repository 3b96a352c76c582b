package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/transport"
)

// joining is an adapter that has something happen right after a socket has become a member.
type joining struct {
	adapter.Adapter
	joined func()
}

func (a joining) Join(m adapter.Member, rooms ...string) {
	a.Adapter.Join(m, rooms...)
	a.joined()
}

// Nothing that is emitted once a socket is a member is missed, and nothing comes before the answer to CONNECT.
func TestMemberBeforeConnect(t *testing.T) {
	var srv *server.Server
	cfg := server.Config{Adapter: func(n adapter.Namespace) (adapter.Adapter, error) {
		a, err := adapter.Memory(nil)(n)
		return joining{a, func() { _ = srv.Emit("at once") }}, err
	}}
	srv, url := start(t, cfg, func(io *server.Server) {
		io.Use(func(s *server.Socket) error { return s.Emit("from the middleware") })
		io.OnConnection(func(s *server.Socket) { _ = s.Emit("from the handler") })
	})
	p := dial(t, url)
	p.Send("40")
	for _, want := range []string{"40{", `42["at once"]`, `42["from the middleware"]`, `42["from the handler"]`} {
		if got := p.Text(); !strings.HasPrefix(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	_ = srv
}

// Whatever leaves for one client leaves in the order of the calls, with recovery too, while others emit.
func TestOneOrderWithRecovery(t *testing.T) {
	srv, url := start(t, server.Config{Recovery: &server.Recovery{}}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) {
			s.On("ask", func() (string, error) { return "second", s.Emit("first") })
			s.On("go", func() {
				_ = s.Emit("last")
				s.Disconnect(false)
			})
		})
	})
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				_ = srv.To("of nobody").Emit("busy")
			}
		}
	}()
	for range 50 {
		p := dial(t, url)
		p.connect("")
		p.Send(`421["ask"]`)
		if got := p.Text(); !strings.HasPrefix(got, `42["first",`) {
			t.Fatalf("got %s", got)
		}
		if got := p.Text(); got != `431["second"]` {
			t.Fatalf("got %s", got)
		}
		p.Send(`42["go"]`)
		if got := p.Text(); !strings.HasPrefix(got, `42["last",`) {
			t.Fatalf("got %s", got)
		}
		if got := p.Text(); got != "41" {
			t.Fatalf("got %s", got)
		}
		_ = p.Conn.Close()
	}
	close(stop)
	<-done
}

// recovering starts a server with recovery that tells of each socket and of each end.
func recovering(t *testing.T, r server.Recovery, setup func(*server.Server)) (srv *server.Server, url string, in chan *server.Socket, out chan string) {
	in, out = make(chan *server.Socket, 8), make(chan string, 8)
	srv, url = start(t, server.Config{Recovery: &r}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) {
			s.OnDisconnect(func(why server.Disconnection) { out <- string(why.Reason) })
			in <- s
		})
		if setup != nil {
			setup(io)
		}
	})
	return srv, url, in, out
}

// A phone that changes networks comes back before the server has noticed that its connection is dead.
func TestLiveSocketIsTakenOver(t *testing.T) {
	srv, url, in, out := recovering(t, server.Recovery{}, nil)
	p := dial(t, url)
	first := p.connect("")
	await(t, in).Join("room")
	_ = srv.Emit("seen")
	last := offset(t, p.Text())
	_ = srv.To("room").Emit("lost on the way", 1)

	q := dial(t, url)
	if again := q.connect(fmt.Sprintf(`{"pid":%q,"offset":%q}`, first.PID, last)); again != first {
		t.Fatalf("recovered as %v, want %v", again, first)
	}
	if got := q.Text(); !strings.HasPrefix(got, `42["lost on the way",1,`) {
		t.Errorf("got %s", got)
	}
	if reason := await(t, out); reason != string(server.ReasonTakenOver) {
		t.Errorf("the old socket ended with %q", reason)
	}
	if s := await(t, in); !s.Recovered() || len(s.Rooms()) != 2 {
		t.Errorf("recovered %v, rooms %v", s.Recovered(), s.Rooms())
	}
	if n := srv.LocalCount(); n != 1 {
		t.Errorf("%d sockets", n)
	}
}

// The same for a client that polls: the poll that waits on the old connection is answered.
func TestLivePollingSocketIsTakenOver(t *testing.T) {
	srv, url, in, out := recovering(t, server.Recovery{}, nil)
	base := url + "/socket.io/?EIO=4&transport=polling"
	get := func(sid string) (string, error) {
		resp, err := http.Get(base + sid)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return string(b), err
	}
	open, err := get("")
	if err != nil {
		t.Fatal(err)
	}
	sid := "&sid=" + strings.Split(open, `"`)[3]
	resp, err := http.Post(base+sid, "text/plain", strings.NewReader("40"))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	answer, err := get(sid)
	var first welcome
	if err != nil || json.Unmarshal([]byte(strings.TrimPrefix(answer, "40")), &first) != nil {
		t.Fatalf("answer %q: %v", answer, err)
	}
	s := await(t, in)
	waits := make(chan string, 1)
	go func() {
		body, err := get(sid)
		if err != nil {
			body = err.Error()
		}
		waits <- body
	}()
	eventually(t, "the poll waits", s.Session().Writable)

	q := dial(t, url)
	if again := q.connect(fmt.Sprintf(`{"pid":%q}`, first.PID)); again != first {
		t.Fatalf("recovered as %v, want %v", again, first)
	}
	if got := await(t, waits); got != "1" {
		t.Errorf("the poll is answered %q", got)
	}
	if reason := await(t, out); reason != string(server.ReasonTakenOver) {
		t.Errorf("the old socket ended with %q", reason)
	}
	_ = srv.Emit("live")
	if got := q.Text(); !strings.HasPrefix(got, `42["live",`) {
		t.Errorf("got %s", got)
	}
}

// A client that has got no event knows its pid alone.
func TestRecoveryOfAClientThatHasSeenNothing(t *testing.T) {
	srv, url, in, out := recovering(t, server.Recovery{}, nil)
	_ = srv.Emit("before it came")
	p := dial(t, url)
	first := p.connect("")
	await(t, in)
	_ = p.Conn.Close()
	await(t, out)
	_ = srv.Emit("missed")
	q := dial(t, url)
	if again := q.connect(`{"pid":"` + first.PID + `"}`); again != first {
		t.Fatalf("recovered as %v, want %v", again, first)
	}
	if got := q.Text(); !strings.HasPrefix(got, `42["missed",`) {
		t.Errorf("got %s", got)
	}
}

// A middleware that refuses a recovered socket once, as when its token has just ended, does not cost it its
// session; one that always runs does so for recovered sockets; and a session stays with its identity.
func TestMiddlewaresOfRecoveredSockets(t *testing.T) {
	always := 0
	_, url, in, out := recovering(t, server.Recovery{RunMiddlewares: true}, func(io *server.Server) {
		io.UseAlways(func(*server.Socket) error { always++; return nil })
		io.Use(func(s *server.Socket) error {
			var auth struct{ User string }
			if err := s.Handshake().Auth(&auth); err != nil || auth.User == "" {
				return errors.New("token expired")
			}
			return s.SetIdentity(auth.User)
		})
	})
	p := dial(t, url)
	first := p.connect(`{"user":"ann"}`)
	await(t, in)
	_ = p.Conn.Close()
	await(t, out)
	q := dial(t, url)
	for _, c := range []struct{ user, want string }{
		{"", `44{"message":"token expired"}`},
		{"bob", `44{"message":"` + server.ErrOtherIdentity.Error() + `"}`},
	} {
		q.Send(fmt.Sprintf(`40{"pid":%q,"user":%q}`, first.PID, c.user))
		if got := q.Text(); got != c.want {
			t.Errorf("user %q: %s", c.user, got)
		}
	}
	if again := q.connect(fmt.Sprintf(`{"pid":%q,"user":"ann"}`, first.PID)); again != first {
		t.Errorf("recovered as %v, want %v", again, first)
	}
	if s := await(t, in); !s.Recovered() || s.Identity() != "ann" {
		t.Errorf("recovered %v, identity %q", s.Recovered(), s.Identity())
	}
	if always != 4 {
		t.Errorf("the middleware that always runs ran %d times", always)
	}
}

// By default a recovered socket has passed the middlewares before, all but those that always run.
func TestUseAlways(t *testing.T) {
	var ran []string
	_, url, in, out := recovering(t, server.Recovery{}, func(io *server.Server) {
		io.Use(func(*server.Socket) error { ran = append(ran, "use"); return nil })
		io.UseAlways(func(*server.Socket) error { ran = append(ran, "always"); return nil })
	})
	p := dial(t, url)
	first := p.connect("")
	await(t, in)
	_ = p.Conn.Close()
	await(t, out)
	q := dial(t, url)
	if again := q.connect(`{"pid":"` + first.PID + `"}`); again != first {
		t.Errorf("recovered as %v, want %v", again, first)
	}
	if got := fmt.Sprint(ran); got != "[use always always]" {
		t.Errorf("ran %s", got)
	}
}

// Events that were received before the end run with a context that has not ended.
func TestContextOfEventsBehindTheEnd(t *testing.T) {
	got := make(chan error, 1)
	hold := make(chan struct{})
	srv, url := start(t, server.Config{}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) {
			s.On("first", func() { <-hold })
			s.On("last", func(ctx context.Context) { got <- ctx.Err() })
		})
	})
	p := dial(t, url)
	p.Send("40")
	p.Text()
	p.Send(`42["first"]`)
	p.Send(`42["last"]`)
	p.Send("41")
	_ = p.Conn.Close()
	eventually(t, "the socket leaves", func() bool { return srv.LocalCount() == 0 })
	close(hold)
	if err := await(t, got); err != nil {
		t.Errorf("the last event's context: %v", err)
	}
}

// But not for ever: a handler that waits for its client's end gets it, and what nobody has begun by then is dropped.
func TestHandlersBehindTheEndEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		io, err := server.New(server.Config{Transport: transport.Config{PingInterval: time.Hour}})
		if err != nil {
			t.Fatal(err)
		}
		gone := make(chan struct{})
		ended := 0 // in the socket's turn
		io.OnConnection(func(s *server.Socket) {
			s.OnDisconnect(func(server.Disconnection) { close(gone) })
			s.On("stream", func(ctx context.Context) { <-ctx.Done(); ended++ })
		})
		serve := func(method, sid, body string) string {
			w := httptest.NewRecorder()
			io.ServeHTTP(w, httptest.NewRequest(method, "/?EIO=4&transport=polling"+sid, strings.NewReader(body)))
			synctest.Wait()
			return w.Body.String()
		}
		sid := "&sid=" + strings.Split(serve("GET", "", ""), `"`)[3]
		serve("POST", sid, "40")
		serve("POST", sid, `42["stream"]`+"\x1e"+`42["stream"]`+"\x1e"+`42["stream"]`+"\x1e41")
		start := time.Now()
		<-gone
		if d := time.Since(start); d > 10*time.Second || ended != 1 || io.Stats().EventsDropped != 2 {
			t.Errorf("%d have ended after %v, %d are dropped", ended, d, io.Stats().EventsDropped)
		}
		_ = io.Shutdown(t.Context())
	})
}

// What a client has missed may be more than may wait for it: it gets it as fast as it reads.
func TestReplayWaitsForTheClient(t *testing.T) {
	srv, url, in, out := recovering(t, server.Recovery{}, nil)
	p := dial(t, url)
	first := p.connect("")
	await(t, in)
	_ = p.Conn.Close()
	await(t, out)
	const n, size = 1200, 10_000
	for i := range n {
		_ = srv.Emit("missed", i, strings.Repeat("x", size))
	}
	q := dial(t, url)
	q.connect(`{"pid":"` + first.PID + `"}`)
	for i := range n {
		if got := q.Text(); !strings.HasPrefix(got, fmt.Sprintf(`42["missed",%d,`, i)) {
			t.Fatalf("event %d is %.40s", i, got)
		}
	}
}

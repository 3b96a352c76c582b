package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/transport"
)

type welcome struct{ SID, PID string }

func (p *peer) connect(auth string) welcome {
	p.T.Helper()
	p.Send("40" + auth)
	var w welcome
	got := p.Text()
	if !strings.HasPrefix(got, "40") || json.Unmarshal([]byte(got[2:]), &w) != nil || w.PID == "" {
		p.T.Fatalf("answer to CONNECT is %q", got)
	}
	return w
}

// offset returns the last argument of an event, as a client keeps it.
func offset(t *testing.T, event string) string {
	t.Helper()
	var args []any
	if err := json.Unmarshal([]byte(strings.TrimPrefix(event, "42")), &args); err != nil {
		t.Fatalf("%q: %v", event, err)
	}
	return args[len(args)-1].(string)
}

func TestRecoveryBringsBackStateAndMissedEvents(t *testing.T) {
	type arrival struct {
		s         *server.Socket
		recovered bool
	}
	sockets := make(chan arrival, 4)
	gone := make(chan string, 4)
	passes := 0
	srv, url := start(t, server.Config{Recovery: &server.Recovery{}}, func(io *server.Server) {
		io.Use(func(*server.Socket) error { passes++; return nil })
		io.OnConnection(func(s *server.Socket) {
			s.OnDisconnect(func(d server.Disconnection) { gone <- string(d.Reason) })
			if !s.Recovered() {
				s.Join("room")
				s.Data.Set("name", "ann")
			}
			sockets <- arrival{s, s.Recovered()}
		})
	})
	p := dial(t, url)
	first := p.connect("")
	await(t, sockets)
	if err := srv.Emit("seen"); err != nil {
		t.Fatal(err)
	}
	last := offset(t, p.Text())
	_ = p.Conn.Close()
	await(t, gone)

	for _, emit := range []func() error{
		func() error { return srv.To("room").Emit("missed", 1) },
		func() error { return srv.To("elsewhere").Emit("not for it", 2) },
		func() error { return srv.Volatile().Emit("volatile", 3) },
		func() error { return srv.Except("room").Emit("excepted", 4) },
		func() error { return srv.To(first.SID).Emit("missed", 5) },
	} {
		if err := emit(); err != nil {
			t.Fatal(err)
		}
	}
	q := dial(t, url)
	again := q.connect(`{"pid":"` + first.PID + `","offset":"` + last + `"}`)
	if again != first {
		t.Errorf("recovered as %v, want %v", again, first)
	}
	for _, want := range []string{`42["missed",1,`, `42["missed",5,`} {
		if got := q.Text(); !strings.HasPrefix(got, want) {
			t.Errorf("got %q, want %s…", got, want)
		}
	}
	a := await(t, sockets)
	if name, _ := server.Value[string](&a.s.Data, "name"); !a.recovered || name != "ann" || len(a.s.Rooms()) != 2 {
		t.Errorf("recovered %v, name %q, rooms %v", a.recovered, name, a.s.Rooms())
	}
	if passes != 1 {
		t.Errorf("the middleware ran %d times", passes)
	}
	_ = a.s.Emit("live")
	if got := q.Text(); !strings.HasPrefix(got, `42["live",`) {
		t.Errorf("got %q", got)
	}
}

func TestRecoveryThatIsNotPossibleSaysWhy(t *testing.T) {
	sockets := make(chan *server.Socket, 1)
	gone := make(chan string, 1)
	_, url := start(t, server.Config{Recovery: &server.Recovery{}}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) {
			s.OnDisconnect(func(d server.Disconnection) { gone <- string(d.Reason) })
			sockets <- s
		})
	})
	p := dial(t, url)
	pid := p.connect("").PID
	await(t, sockets)
	p.Send("41") // for good
	await(t, gone)
	for _, x := range []struct{ auth, why string }{ // "": nothing was asked for
		{`{"pid":"unknown","offset":"x"}`, "session not recovered: unknown or expired session"},
		{`{"pid":"` + pid + `","offset":"x"}`, "session not recovered: unknown or expired session"},
		{`{"pid":1,"offset":{}}`, ""}, // what is not text is not taken for an offset
		{`{"offset":"x"}`, ""},
	} {
		q := dial(t, url)
		q.connect(x.auth)
		s := await(t, sockets)
		why := ""
		if err := s.RecoveryError(); err != nil {
			if why = err.Error(); !errors.Is(err, adapter.ErrNoRecovery) {
				t.Errorf("%s: %v is no ErrNoRecovery", x.auth, err)
			}
		}
		if s.Recovered() || why != x.why {
			t.Errorf("%s: recovered %v, error %q, want %q", x.auth, s.Recovered(), why, x.why)
		}
		_ = q.Conn.Close()
		await(t, gone)
	}
}

// slow is an adapter whose Restore or Resume takes until a client has gone.
type slow struct {
	adapter.Adapter
	restored, resuming func()
}

func (a slow) Restore(ctx context.Context, pid, offset string) (*adapter.Session, error) {
	s, err := a.Adapter.Restore(ctx, pid, offset)
	a.restored()
	return s, err
}

func (a slow) Resume(ctx context.Context, m adapter.Member, s *adapter.Session, replay func(adapter.Message)) error {
	a.resuming()
	return a.Adapter.Resume(ctx, m, s, replay)
}

// parting tells when the sockets of a session know that it has ended.
type parting struct {
	transport.Receiver
	ended chan<- struct{}
}

func (p parting) Closed(reason transport.CloseReason, cause error) {
	p.Receiver.Closed(reason, cause)
	p.ended <- struct{}{}
}

// A client that goes while it is being recovered, as when the next server drains too, can come again.
func TestRecoveryOutlivesAClientThatGoesMeanwhile(t *testing.T) {
	for _, when := range []string{"restored", "resuming"} {
		t.Run(when, func(t *testing.T) {
			var srv *server.Server
			var second *peer
			ended := make(chan struct{}, 100)
			var once sync.Once
			leave := func() {
				once.Do(func() {
					_ = second.Conn.Close()
					<-ended // the first session
					<-ended
				})
			}
			never := func() {}
			hooks := map[string]*func(){"restored": &never, "resuming": &never}
			r := &adapter.Recovery{}
			cfg := server.Config{Recovery: &server.Recovery{}, Adapter: func(n adapter.Namespace) (adapter.Adapter, error) {
				a, err := adapter.Memory(r)(n)
				return slow{a, func() { (*hooks["restored"])() }, func() { (*hooks["resuming"])() }}, err
			}, Wrap: func(_ *transport.Session, r transport.Receiver) transport.Receiver { return parting{r, ended} }}
			gone := make(chan string, 4)
			var url string
			srv, url = start(t, cfg, func(io *server.Server) {
				io.OnConnection(func(s *server.Socket) {
					s.OnDisconnect(func(d server.Disconnection) { gone <- string(d.Reason) })
					if !s.Recovered() {
						s.Join("room")
					}
				})
			})
			p := dial(t, url)
			first := p.connect("")
			if err := srv.Emit("seen"); err != nil {
				t.Fatal(err)
			}
			auth := `{"pid":"` + first.PID + `","offset":"` + offset(t, p.Text()) + `"}`
			_ = p.Conn.Close()
			await(t, gone)
			if err := srv.To("room").Emit("missed"); err != nil {
				t.Fatal(err)
			}

			second = dial(t, url)
			done := make(chan struct{})
			hooks[when] = new(func())
			*hooks[when] = func() { leave(); hooks[when] = &never; close(done) }
			second.Send("40" + auth)
			await(t, done)

			for try := 0; ; try++ { // what it takes to give the session back is not told
				q := dial(t, url)
				if again := q.connect(auth); again == first {
					if got := q.Text(); !strings.HasPrefix(got, `42["missed",`) {
						t.Errorf("it missed %q", got)
					}
					if n := srv.Stats().Recovered; n != 1 {
						t.Errorf("%d recoveries are counted, of which handlers have seen one", n)
					}
					return
				}
				_ = q.Conn.Close()
				if try == 50 {
					t.Fatal("not recovered")
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
}

// late is an adapter whose sessions somebody else has always just taken.
type late struct{ adapter.Adapter }

func (late) Resume(context.Context, adapter.Member, *adapter.Session, func(adapter.Message)) error {
	return adapter.ErrNoRecovery
}

// A socket that could be restored and not be resumed passes the middlewares once more, and has what they have set
// once.
func TestMiddlewaresRunAnewForASessionThatIsTaken(t *testing.T) {
	cfg := server.Config{Recovery: &server.Recovery{}, Adapter: func(n adapter.Namespace) (adapter.Adapter, error) {
		a, err := adapter.Memory(&adapter.Recovery{})(n)
		return late{a}, err
	}}
	gone, asked := make(chan struct{}, 4), make(chan struct{}, 4)
	_, url := start(t, cfg, func(io *server.Server) {
		io.UseAlways(func(s *server.Socket) error {
			s.On("ask", func() error { asked <- struct{}{}; return nil })
			s.OnDisconnect(func(server.Disconnection) { gone <- struct{}{} })
			return s.Emit("early")
		})
	})
	p := dial(t, url)
	first := p.connect("")
	_ = p.Conn.Close()
	await(t, gone)
	q := dial(t, url)
	if again := q.connect(`{"pid":"` + first.PID + `"}`); again == first {
		t.Fatal("recovered")
	}
	q.Send(`421["ask"]`)
	for _, want := range []string{`42["early",`, `431[]`} {
		if got := q.Text(); !strings.HasPrefix(got, want) {
			t.Errorf("got %s, want %s…", got, want)
		}
	}
	_ = q.Conn.Close()
	await(t, gone)
	if len(asked) != 1 || len(gone) > 0 {
		t.Errorf("%d handlers ran for one event, %d more for one end", len(asked), len(gone))
	}
}

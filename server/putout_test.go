package server_test

import (
	"context"
	"strings"
	"testing"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server"
)

// telling is an adapter that says when somebody is about to come back.
type telling struct {
	adapter.Adapter
	coming chan struct{}
}

func (a telling) Restore(ctx context.Context, pid, offset string) (*adapter.Session, error) {
	a.coming <- struct{}{}
	return a.Adapter.Restore(ctx, pid, offset)
}

// Nobody comes back to a socket that the server has put out, whenever that was.
func TestWhoIsPutOutLeavesNoState(t *testing.T) {
	type world struct {
		first                welcome // of a client whose connection is lost
		former               *server.Socket
		here, there          string // the server that it was at, and another
		on, out, held, letGo chan struct{}
		coming               chan struct{}
		admin                chan *server.Socket
	}
	coming := func(t *testing.T, w *world, at string) *peer { // on a session that is also in /admin
		q := dial(t, at)
		q.Connect("/admin", "")
		q.Send(`40{"pid":"` + w.first.PID + `"}`)
		await(t, w.coming)
		return q
	}
	for name, x := range map[string]struct {
		busy  bool
		limit int
		do    func(*testing.T, *world)
	}{
		"by its handler, behind its end": {busy: true, do: func(_ *testing.T, w *world) {
			w.former.Disconnect(false)
			close(w.on)
		}},
		"with its session, behind its end": {busy: true, do: func(_ *testing.T, w *world) {
			w.former.Disconnect(true)
			close(w.on)
		}},
		"while it waits for its handler": {busy: true, do: func(t *testing.T, w *world) {
			q := coming(t, w, w.here)
			await(t, w.admin).Disconnect(true)
			q.ExpectClosed()
			close(w.on)
		}},
		"while it waits for its handler at another server": {busy: true, do: func(t *testing.T, w *world) {
			q := coming(t, w, w.there)
			await(t, w.admin).Disconnect(true)
			q.ExpectClosed()
			close(w.on)
		}},
		"behind other CONNECTs": {limit: 1, do: func(t *testing.T, w *world) {
			q := dial(t, w.there)
			q.Connect("/admin", "")
			q.Send(`40/slow,`, `40{"pid":"`+w.first.PID+`"}`)
			await(t, w.held)
			q.Send(`42/admin,["out"]`) // is read when what is before it has been
			for got := ""; !strings.HasPrefix(got, `44{`); got = q.Text() {
			}
			close(w.letGo)
			q.ExpectClosed()
		}},
		"by a middleware": {do: func(t *testing.T, w *world) {
			q := dial(t, w.there)
			q.Send(`40{"pid":"` + w.first.PID + `","out":true}`)
			q.ExpectClosed()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{on: make(chan struct{}), out: make(chan struct{}, 8), held: make(chan struct{}, 1), letGo: make(chan struct{}), coming: make(chan struct{}, 8),
				admin: make(chan *server.Socket, 8)}
			bus, err := adapter.NewBus(&adapter.Recovery{})
			if err != nil {
				t.Fatal(err)
			}
			sockets := make(chan *server.Socket, 8)
			setup := func(io *server.Server) {
				io.UseAlways(func(s *server.Socket) error {
					var auth struct{ Out bool }
					if s.Handshake().Auth(&auth) == nil && auth.Out {
						s.Disconnect(true)
					}
					return nil
				})
				io.OnConnection(func(s *server.Socket) {
					s.OnDisconnect(func(server.Disconnection) { w.out <- struct{}{} })
					s.On("wait", func() { <-w.on })
					sockets <- s
				})
				io.Of("/admin").OnConnection(func(s *server.Socket) {
					s.On("out", func() { s.Disconnect(true) })
					w.admin <- s
				})
				io.Of("/slow").Use(func(*server.Socket) error { w.held <- struct{}{}; <-w.letGo; return nil })
			}
			at := func() (*server.Server, string) {
				bus := bus.Adapter()
				return start(t, server.Config{Recovery: &server.Recovery{}, Adapter: func(n adapter.Namespace) (adapter.Adapter, error) {
					a, err := bus(n)
					return telling{a, w.coming}, err
				}, Limits: server.Limits{MaxConnecting: x.limit}}, setup)
			}
			here, url := at()
			w.here = url
			_, w.there = at()
			p := dial(t, w.here)
			w.first = p.connect("")
			w.former = await(t, sockets)
			if x.busy {
				p.Send(`42["wait"]`)
			}
			_ = p.Conn.Close()
			if eventually(t, "it has gone", func() bool { return here.LocalCount() == 0 }); !x.busy {
				await(t, w.out)
			}
			x.do(t, w)
			if x.busy {
				await(t, w.out)
			}
			for _, url := range []string{w.here, w.there} {
				if again := dial(t, url).connect(`{"pid":"` + w.first.PID + `"}`); again.SID == w.first.SID {
					t.Error("it was recovered")
				}
			}
		})
	}
}

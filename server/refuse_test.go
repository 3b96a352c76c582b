package server_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/transport"
)

// A client that a middleware disconnects is told so, as by an error: it would come back for ever otherwise.
func TestDisconnectInAMiddlewareRefuses(t *testing.T) {
	for _, x := range []struct {
		session bool
		err     error
		want    string
	}{
		{false, nil, "socket disconnected"},
		{false, errors.New("banned"), "banned"},
		{true, nil, "socket disconnected"},
		{true, errors.New("banned"), "banned"},
	} {
		t.Run(fmt.Sprintf("session=%v, error=%v", x.session, x.err), func(t *testing.T) {
			srv, url := start(t, server.Config{}, func(io *server.Server) {
				io.Of("/x").Use(func(s *server.Socket) error {
					s.Disconnect(x.session)
					return x.err
				})
				io.Of("/x").OnConnection(func(*server.Socket) { t.Error("it is in") })
				io.Of("/other").OnConnection(func(*server.Socket) {})
			})
			p, _ := join(t, url, "/other")
			p.Send("40/x,")
			if x.session {
				p.Expect("41/other,")
			}
			p.Expect(`44/x,{"message":"` + x.want + `"}`)
			if x.session {
				p.ExpectClosed()
				wantClosed(t, srv, transport.ReasonForcedServerClose, 1)
			} else {
				p.Send("40/x,") // the session stays, and it may try again
				p.Expect(`44/x,{"message":"` + x.want + `"}`)
			}
			if n := srv.Stats().RefusedBy[server.RefusedMiddleware]; n == 0 {
				t.Error("not counted as refused")
			}
		})
	}
}

// The session of a client that is disconnected by one socket ends when those that still connect have their answer, and
// nobody else is let in.
func TestDisconnectAnswersWhoConnects(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	srv, url := start(t, server.Config{Limits: server.Limits{MaxConnecting: 1}}, func(io *server.Server) {
		io.On("kick me", func(s *server.Socket) error { s.Disconnect(true); return nil })
		io.Of("/slow").Use(func(*server.Socket) error {
			close(entered)
			<-leave
			return nil
		})
		io.Of("/next").OnConnection(func(*server.Socket) { t.Error("it is in") })
		io.Of("/late").OnConnection(func(*server.Socket) { t.Error("it is in") })
	})
	p, _ := join(t, url, "/")
	p.Send("40/slow,")
	await(t, entered)
	p.Send("40/next,", `42["kick me"]`) // behind the other, as one may be in progress
	p.Expect("41", `44/next,{"message":"socket disconnected"}`)
	p.Send("40/late,")
	p.Expect(`44/late,{"message":"socket disconnected"}`)
	close(leave)
	p.Expect(`44/slow,{"message":"socket disconnected"}`)
	p.ExpectClosed()
	wantClosed(t, srv, transport.ReasonForcedServerClose, 1)
}

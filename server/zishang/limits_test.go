package zishang_test

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/zishang"
)

// identified is a middleware that takes the name in the auth payload for the identity.
func identified(s *socket.Socket, next func(*socket.ExtendedError)) {
	auth, _ := s.Handshake().Auth.(map[string]any)
	name, _ := auth["name"].(string)
	next(zishang.SetIdentity(s, name))
}

// enter connects to a namespace under a name and returns the answer.
func (p *peer) enter(nsp, name string) string {
	p.T.Helper()
	p.Send("40" + nsp + `{"name":"` + name + `"}`)
	return p.Text()
}

func TestSessionsPerIdentity(t *testing.T) {
	n := start(t, zishang.Config{Limits: server.Limits{MaxSessionsPerIdentity: 2}}, func(io *socket.Server) {
		for _, name := range []string{"/", "/b"} {
			io.Of(name, nil).Use(identified)
		}
		io.Of("/no", nil).Use(identified).Use(func(_ *socket.Socket, next func(*socket.ExtendedError)) {
			next(socket.NewExtendedError("no", nil))
		})
	})
	const refused = `{"message":"too many sessions per identity","data":{"limit":"sessions per identity","max":2}}`
	a, b, c := dial(t, n.url), dial(t, n.url), dial(t, n.url)
	a.enter("", "ada")
	a.enter("/b,", "ada") // the same session
	b.enter("", "ada")
	if got := c.enter("", "ada"); got != "44"+refused {
		t.Errorf("a third session got %s", got)
	}
	if got := c.enter("", "bob"); !strings.HasPrefix(got, "40") {
		t.Errorf("somebody else got %s", got)
	}
	a.Send("41")
	if got := c.enter("/b,", "ada"); got != "44/b,"+refused {
		t.Errorf("after one of two sockets of a session has left: %s", got)
	}
	b.HangUp()
	eventually(t, "room for another", func() bool { return strings.HasPrefix(c.enter("/b,", "ada"), "40/b,") })

	// One that is refused for something else leaves no trace.
	for range 5 {
		if got := a.enter("/no,", "eve"); got != `44/no,{"message":"no"}` {
			t.Errorf("refused with %s", got)
		}
	}
	d := dial(t, n.url)
	if got := d.enter("", "eve"); !strings.HasPrefix(got, "40") {
		t.Errorf("got %s", got)
	}
	if got := d.enter("/there is none,", "eve"); !strings.HasPrefix(got, "44") {
		t.Errorf("got %s", got)
	}
	eventually(t, "all refusals counted", func() bool { // which is after the client has heard of them
		by := n.handler.Stats().RefusedBy
		return by[server.RefusedIdentity] >= 2 && by[server.RefusedMiddleware] == 5 && by[server.RefusedNamespace] == 1
	})
}

func TestEventsPerIdentityAndAddress(t *testing.T) {
	for _, c := range []struct {
		name   string
		limits server.Limits
		count  func(server.Stats) uint64
	}{
		{"identity", server.Limits{EventsPerSecondPerIdentity: 5}, func(s server.Stats) uint64 { return s.RateLimitedIdentity }},
		{"address", server.Limits{EventsPerSecondPerAddr: 5}, func(s server.Stats) uint64 { return s.RateLimitedAddr }},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := start(t, zishang.Config{Limits: c.limits}, func(io *socket.Server) {
				io.Use(identified)
				onConnection(io.Sockets(), echo)
			})
			p, q := dial(t, n.url), dial(t, n.url)
			p.enter("", "ada")
			q.enter("", "ada")
			for range 5 { // half of what may come at once
				p.Send(`420["echo",1]`)
				p.Expect(`430[1]`)
			}
			q.Flood(30, `42["echo",1]`)
			q.ExpectClosed()
			if s := n.handler.Stats(); s.RateLimited != 1 || c.count(s) != 1 {
				t.Errorf("stats %+v", s)
			}
		})
	}
}

// Events that come behind their CONNECT, when nobody knows whose they are, count as well.
func TestEarlyEventsCountForTheIdentity(t *testing.T) {
	var handled atomic.Int32
	pass := make(chan struct{})
	n := start(t, zishang.Config{Limits: server.Limits{EventsPerSecondPerIdentity: 5}}, func(io *socket.Server) {
		io.Use(func(s *socket.Socket, next func(*socket.ExtendedError)) {
			go func() {
				<-pass // until all have come
				identified(s, next)
			}()
		})
		onConnection(io.Sockets(), func(s *socket.Socket) {
			_ = s.On("echo", func(...any) { handled.Add(1) })
		})
	})
	p := dial(t, n.url)
	p.Send(`40{"name":"ada"}`)
	p.Flood(32, `42["echo"]`)
	eventually(t, "all have come", func() bool { return n.handler.Stats().EventsIn == 32 })
	close(pass)
	p.ExpectClosed()
	eventually(t, "the limit has closed the session", func() bool { return n.handler.Stats().RateLimitedIdentity == 1 })
	if n := handled.Load(); n > 15 {
		t.Errorf("%d of 32 events are handled", n)
	}
}

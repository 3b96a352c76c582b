package server_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/beanpole/beanpole/server"
)

// record is a list that handlers write to.
type record struct {
	mu   sync.Mutex
	list []string
}

func (r *record) add(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, fmt.Sprintf(format, args...))
}

func (r *record) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.list
	r.list = nil
	return list
}

// What is registered for all sockets of a namespace, or of all that a pattern lets in, comes before what a socket has
// itself, and ends when it is taken out.
func TestWhatSeesTheEventsOfAllSockets(t *testing.T) {
	var seen record
	var offs []func()
	off := func(fn func()) { offs = append(offs, fn) }
	_, url := start(t, server.Config{}, func(io *server.Server) {
		see := func(who string) (func(*server.Event), server.Middleware) {
			return func(e *server.Event) {
					if e.Socket() == nil || e.Context().Err() != nil {
						t.Error("an event without its socket or its context")
					}
					seen.add("%s any %s", who, e.Name)
				}, func(ctx context.Context, e *server.Event) error {
					seen.add("%s use %s", who, e.Name)
					if e.Name == "refused by "+who {
						return errors.New("no")
					}
					return ctx.Err()
				}
		}
		d := io.OfPattern(regexp.MustCompile("^/room-"))
		anyOf, use := see("pattern")
		off(d.OnAny(anyOf))
		off(d.UseEvents(use))
		io.OnNamespace(func(n *server.Namespace) {
			anyOf, use := see("namespace")
			off(n.OnAny(anyOf))
			off(n.UseEvents(use))
		})
		d.OnConnection(func(s *server.Socket) {
			anyOf, use := see("socket")
			off(s.OnAny(anyOf))
			off(s.Use(use))
		})
		d.On("x", func() string { seen.add("handler"); return "yes" })
		d.On("refused by pattern", func() { t.Error("handled") })
	})
	p, _ := join(t, url, "/room-1")
	p.Send(`42/room-1,1["x"]`)
	p.Expect(`43/room-1,1["yes"]`)
	if got, want := seen.take(), []string{
		"pattern any x", "namespace any x", "socket any x", "pattern use x", "namespace use x", "socket use x", "handler",
	}; !slices.Equal(got, want) {
		t.Errorf("seen %q, want %q", got, want)
	}
	p.Send(`42/room-1,2["refused by pattern"]`)
	p.Expect(`43/room-1,2[{"error":"no"}]`)
	if got := seen.take(); len(got) != 4 {
		t.Errorf("seen of what the pattern refuses: %q", got)
	}
	for _, fn := range offs {
		fn()
		fn() // twice is no fault
	}
	p.Send(`42/room-1,3["x"]`)
	p.Expect(`43/room-1,3["yes"]`)
	if got := seen.take(); !slices.Equal(got, []string{"handler"}) {
		t.Errorf("seen of what is registered no more: %q", got)
	}
}

func TestWhatSeesAllThatIsSent(t *testing.T) {
	var seen record
	var off, offPattern func()
	srv, url := start(t, server.Config{}, func(io *server.Server) {
		n := io.Of("/a")
		off = n.OnAnyOutgoing(func(e *server.Event) { seen.add("%s %v", e.Name, e.Socket().Namespace().Name()) })
		offPattern = io.OfPattern(regexp.MustCompile("^/room-")).OnAnyOutgoing(func(e *server.Event) { seen.add("pattern %s", e.Name) })
		io.Of("/b").On("x", func(s *server.Socket) error { return s.Emit("unseen") })
		n.On("x", func(s *server.Socket) error { return s.Emit("unicast") })
	})
	p, _ := join(t, url, "/a")
	q := dial(t, url)
	q.Connect("/a", "")
	q.Connect("/b", "")
	q.Connect("/room-1", "")
	if err := srv.Of("/a").Emit("all"); err != nil {
		t.Error(err)
	}
	p.Expect(`42/a,["all"]`)
	q.Expect(`42/a,["all"]`)
	q.Send(`42/b,["x"]`)
	q.Expect(`42/b,["unseen"]`)
	q.Send(`42/a,["x"]`)
	q.Expect(`42/a,["unicast"]`)
	if err := srv.Of("/room-1").Emit("all"); err != nil {
		t.Error(err)
	}
	q.Expect(`42/room-1,["all"]`)
	if got, want := seen.take(), []string{"all /a", "all /a", "unicast /a", "pattern all"}; !slices.Equal(got, want) {
		t.Errorf("seen %q, want %q", got, want)
	}
	off()
	offPattern()
	if err := errors.Join(srv.Of("/a").Emit("more"), srv.Of("/room-1").Emit("more")); err != nil {
		t.Error(err)
	}
	if got := seen.take(); got != nil {
		t.Errorf("seen of what is registered no more: %q", got)
	}
}

// A namespace's disconnect functions follow the socket's own, are told of no socket that has not connected, and all are
// called though one ends its goroutine.
func TestDisconnectOfAllSockets(t *testing.T) {
	var seen record
	ended := make(chan bool, 4)
	var off func()
	srv, url := start(t, server.Config{}, func(io *server.Server) {
		n := io.Of("/a")
		n.Use(func(s *server.Socket) error {
			if string(s.Handshake().RawAuth()) == `{"no":1}` {
				return errors.New("refused")
			}
			return nil
		})
		n.OnConnection(func(s *server.Socket) {
			s.OnDisconnect(func(server.Disconnection) { seen.add("socket") })
			s.OnDisconnect(func(server.Disconnection) { seen.add("taken out") })()
		})
		off = n.OnDisconnect(func(s *server.Socket, why server.Disconnection) {
			seen.add("first %s", why)
			runtime.Goexit()
		})
		n.OnDisconnect(func(s *server.Socket, why server.Disconnection) {
			seen.add("second %v", why.Reason == server.ReasonClientDisconnect)
			ended <- true
		})
	})
	p := dial(t, url)
	p.Send(`40/a,{"no":1}`)
	p.Expect(`44/a,{"message":"refused"}`)
	p.Connect("/a", "")
	p.Send("41/a,")
	await(t, ended)
	if got, want := seen.take(), []string{"socket", "first client namespace disconnect", "second true"}; !slices.Equal(got, want) {
		t.Errorf("seen %q, want %q", got, want)
	}
	off()
	p.Connect("/a", "")
	_ = srv.Of("/a").DisconnectSockets(false)
	await(t, ended)
	if got, want := seen.take(), []string{"socket", "second false"}; !slices.Equal(got, want) {
		t.Errorf("seen %q, want %q", got, want)
	}
}

// What is registered can be taken out again, whatever it is.
func TestRegistrationsEnd(t *testing.T) {
	var seen record
	_, url := start(t, server.Config{}, func(io *server.Server) {
		for _, off := range []func(){
			io.Use(func(*server.Socket) error { return errors.New("no") }),
			io.UseAlways(func(*server.Socket) error { return errors.New("no") }),
			io.OnConnection(func(*server.Socket) { seen.add("connection") }),
			io.OnNamespace(func(*server.Namespace) { seen.add("namespace") }),
		} {
			off()
		}
		d := io.OfPattern(regexp.MustCompile("^/x"))
		for _, off := range []func(){
			d.Use(func(*server.Socket) error { return errors.New("no") }),
			d.OnConnection(func(*server.Socket) { seen.add("connection") }),
		} {
			off()
		}
		io.Of("/other")
	})
	join(t, url, "/")
	join(t, url, "/x")
	if got := seen.take(); got != nil {
		t.Errorf("called though taken out: %q", got)
	}
}

package zishang_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zishang520/engine.io/v2/events"
	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/server/zishang"
)

// The tests of this file, of events and handlers in their turn, belong to the table of defects in doc.go.

func TestEveryBroadcastArrives(t *testing.T) {
	n := start(t, zishang.Config{}, nil)
	p, _ := join(t, n.url, "/")
	const many = 1000
	go func() {
		for i := range many {
			n.io.Emit("n", i)
		}
	}()
	for i := range many {
		p.Expect(fmt.Sprintf(`42["n",%d]`, i))
	}
}

func TestEventsKeepTheirOrder(t *testing.T) {
	const many = 5000
	var got []int
	done := make(chan []int)
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) {
			_ = s.On("n", func(args ...any) { got = append(got, int(args[0].(float64))) }) // one at a time, so no lock
			_ = s.On("disconnect", func(...any) { done <- got })
		})
	})
	p, _ := join(t, n.url, "/")
	for i := range many {
		p.Send(fmt.Sprintf(`42["n",%d]`, i))
	}
	p.Send("41")
	list := await(t, done)
	if len(list) != many || !slices.IsSorted(list) {
		t.Errorf("%d of %d events, in order: %v", len(list), many, slices.IsSorted(list))
	}
}

func TestEventsBeforeCloseAreHandled(t *testing.T) {
	const many = 2000
	got := 0
	done := make(chan int)
	hold := make(chan struct{})
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) {
			_ = s.On("n", func(...any) {
				if got++; got == 1 {
					<-hold
				}
			})
			_ = s.On("disconnect", func(...any) { done <- got })
		})
	})
	p, _ := join(t, n.url, "/")
	for range many {
		p.Send(`42["n"]`)
	}
	eventually(t, "all received", func() bool { return n.handler.Stats().EventsIn == many })
	p.HangUp()
	eventually(t, "closed", func() bool { return n.handler.Engine().Sessions() == 0 })
	close(hold)
	if got := await(t, done); got != many {
		t.Errorf("%d of %d events", got, many)
	}
}

func TestFirstEventIsNotLost(t *testing.T) {
	got := make(chan string, 1)
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) {
			runtime.Gosched()
			_ = s.On("first", func(...any) { got <- string(s.Id()) })
		})
	})
	for range 200 {
		p := dial(t, n.url)
		p.Send("40", `42["first"]`)
		await(t, got)
		p.HangUp()
	}
}

func TestLastEventBeforeDisconnectArrives(t *testing.T) {
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) {
			_ = s.Emit("last")
			s.Disconnect(true)
		})
	})
	for range 100 {
		p, _ := join(t, n.url, "/")
		p.Expect(`42["last"]`, "41")
		p.ExpectClosed()
	}
}

func TestListenersAreTheirOwn(t *testing.T) {
	var calls []string
	sockets := make(chan *socket.Socket, 1)
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) {
			made := make([]events.Listener, 3) // closures of one literal
			for i := range made {
				made[i] = func(...any) { calls = append(calls, fmt.Sprint(i)) }
				_ = s.On("x", made[i])
			}
			s.RemoveListener("x", made[1])
			_ = s.Once("once", func(...any) {
				calls = append(calls, "once")
				s.EmitUntyped("once") // again from within: the library would wait for itself
			})
			sockets <- s
		})
	})
	join(t, n.url, "/")
	s := await(t, sockets)
	s.EmitUntyped("x")
	s.EmitUntyped("once")
	if got := strings.Join(calls, " "); got != "0 2 once" {
		t.Errorf("called %q", got)
	}
}

func TestPanicsEndNothing(t *testing.T) {
	var panicking atomic.Bool
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		io.Of("/guarded", nil).Use(func(*socket.Socket, func(*socket.ExtendedError)) {
			if panicking.Load() {
				panic("middleware")
			}
		})
		onConnection(io.Sockets(), func(s *socket.Socket) {
			echo(s)
			s.OnAny(func(args ...any) {
				if args[0] == "any" {
					panic("any")
				}
			})
			s.Use(func(args []any, next func(error)) {
				if args[0] == "use" {
					panic("use")
				}
				next(nil)
			})
			_ = s.On("handler", func(args ...any) { _ = args[7] })
			_ = s.On("ack", func(...any) { _ = s.Emit("q", func([]any, error) { panic("ack") }) })
			s.OnAnyOutgoing(func(args ...any) {
				if args[0] == "outgoing" {
					panic("outgoing")
				}
			})
			_ = s.On("disconnecting", func(...any) { panic("disconnecting") })
			_ = s.On("disconnect", func(...any) { panic("disconnect") })
		})
	})
	p, _ := join(t, n.url, "/")
	p.Send(`42["any"]`, `42["use"]`, `42["handler"]`, `42["ack"]`)
	p.Expect(`421["q"]`)
	p.Send(`431[]`)
	n.io.Emit("outgoing")
	p.Expect(`42["outgoing"]`)
	panicking.Store(true)
	p.Send("40/guarded,")
	p.Expect(`44/guarded,{"message":"internal error"}`)
	p.Send(`42["echo","alive"]`)
	p.Expect(`42["echo","alive"]`)
	p.HangUp()
	eventually(t, "all panics counted", func() bool { return n.handler.Stats().Panics == 8 })
}

func TestBlockedHandlersDelayNobody(t *testing.T) {
	hold := make(chan struct{})
	options := socket.DefaultServerOptions()
	options.SetPingInterval(50 * time.Millisecond)
	options.SetPingTimeout(2 * time.Second)
	n := start(t, zishang.Config{Options: options}, func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) {
			echo(s)
			_ = s.On("block", func(...any) { <-hold })
		})
		io.Of("/slow", nil).Use(func(_ *socket.Socket, next func(*socket.ExtendedError)) { <-hold; next(nil) })
		onConnection(io.Of("/quick", nil), echo)
	})
	p, _ := join(t, n.url, "/")
	q, _ := join(t, n.url, "/")
	p.Send("40/slow,", `42["block"]`)
	p.Connect("/quick", "")
	for i := range 5 { // pings are answered between, by peer.read
		p.Send(fmt.Sprintf(`42/quick,["echo",%d]`, i))
		p.Expect(fmt.Sprintf(`42/quick,["echo",%d]`, i))
		q.Send(`42["echo","q"]`)
		q.Expect(`42["echo","q"]`)
	}
	close(hold)
	if got := p.Text(); !strings.HasPrefix(got, "40/slow,") {
		t.Errorf("got %q", got)
	}
}

func TestNumericEventName(t *testing.T) {
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) {
			_ = s.On("7", func(args ...any) { _ = s.Emit("seven", args...) })
		})
	})
	p, _ := join(t, n.url, "/")
	p.Send(`42[7,"x"]`)
	p.Expect(`42["seven","x"]`)
}

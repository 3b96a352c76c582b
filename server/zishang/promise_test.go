package zishang_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/zishang"
)

// The tests of this file are of what package server promises: nothing of the application's or of a client's ends
// the process, and nothing is missed.

// counting keeps its data changing while its handler runs.
func counting(s *socket.Socket) {
	data := map[string]any{"n": 0}
	s.SetData(data)
	_ = s.On("count", func(args ...any) {
		for i := range 5_000 {
			data[fmt.Sprint(i%50)] = i
		}
		if ack, ok := args[len(args)-1].(socket.Ack); ok {
			ack(nil, nil)
		}
	})
}

func TestDataChangesWhileItIsSaved(t *testing.T) {
	for name, cfg := range map[string]zishang.Config{
		"memory":  {Options: withRecovery()},
		"cluster": {Options: withRecovery(), Adapter: adapter.Memory(&adapter.Recovery{})},
	} {
		t.Run(name, func(t *testing.T) {
			n := start(t, cfg, func(io *socket.Server) { onConnection(io.Sockets(), counting) })
			for range 50 {
				p, _ := join(t, n.url, "/")
				p.Send(`42["count"]`)
				p.HangUp()
			}
			eventually(t, "all left", func() bool {
				s := n.handler.Stats()
				return s.Disconnected == s.Connected && n.handler.Engine().Sessions() == 0
			})
		})
	}
}

// remote asks for sockets as another server would.
type remote struct {
	nsp     adapter.Namespace
	adapter adapter.Adapter
}

// data returns the data of the socket with that id as another server sees them.
func (r remote) data(id string) string {
	d := r.nsp.Describe(r.adapter.Members(adapter.Target{Rooms: []string{id}}))
	return string(d[0].Data)
}

// clusterOfOne makes adapters, and tells what another server could ask the first of them.
func clusterOfOne(made chan<- remote) adapter.Factory {
	memory := adapter.Memory(nil)
	return func(n adapter.Namespace) (adapter.Adapter, error) {
		a, err := memory(n)
		select {
		case made <- remote{n, a}:
		default:
		}
		return a, err
	}
}

func TestDataChangesWhileItIsFetched(t *testing.T) {
	made := make(chan remote, 1)
	n := start(t, zishang.Config{Adapter: clusterOfOne(made)}, func(io *socket.Server) { onConnection(io.Sockets(), counting) })
	other := await(t, made)
	p, id := join(t, n.url, "/")
	var busy atomic.Bool
	busy.Store(true)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for busy.Load() {
			n.io.FetchSockets()(func([]*socket.RemoteSocket, error) {})
			other.data(id)
		}
	}()
	for i := range 20 {
		p.Send(fmt.Sprintf(`42%d["count"]`, i))
		p.Expect(fmt.Sprintf(`43%d[]`, i))
	}
	busy.Store(false)
	<-done
	eventually(t, "others see what it is now", func() bool {
		return strings.Contains(other.data(id), `"49":4999`)
	})
}

// Data that a handler has set are seen by other servers while the next handler runs.
func TestDataOfABusySocket(t *testing.T) {
	made := make(chan remote, 1)
	hold := make(chan struct{})
	busy := make(chan struct{})
	n := start(t, zishang.Config{Adapter: clusterOfOne(made)}, func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) {
			_ = s.On("name", func(args ...any) { s.SetData(map[string]any{"name": args[0]}) })
			_ = s.On("hold", func(...any) { close(busy); <-hold })
		})
	})
	other := await(t, made)
	p, id := join(t, n.url, "/")
	p.Send(`42["name","Ann"]`, `42["hold"]`)
	await(t, busy)
	if got := other.data(id); got != `{"name":"Ann"}` {
		t.Errorf("data %s", got)
	}
	close(hold)
}

// A client that has left has left: what it sends then does nothing, and it counts for no identity.
func TestNothingRunsAfterDisconnect(t *testing.T) {
	var late atomic.Int64
	hold, ended := make(chan struct{}), make(chan struct{}, 1)
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) {
			over := false // one at a time, so no lock
			_ = s.On("hold", func(...any) { <-hold })
			_ = s.On("x", func(...any) {
				if over {
					late.Add(1)
				}
			})
			_ = s.On("disconnect", func(...any) { over = true; ended <- struct{}{} })
		})
		onConnection(io.Of("/other", nil), echo)
	})
	p, _ := join(t, n.url, "/")
	p.Connect("/other", "")
	p.Send(`42["hold"]`, `42["x"]`, "41", `42["x"]`, `42["x"]`, `42/other,1["echo",1]`)
	p.Expect(`43/other,1[1]`)
	close(hold)
	await(t, ended)
	p.Send(`42["x"]`, `42/other,2["echo",2]`)
	p.Expect(`43/other,2[2]`)
	if n := late.Load(); n != 0 {
		t.Errorf("%d events were handled after the end", n)
	}
}

func TestLeavingEvadesNoLimit(t *testing.T) {
	n := start(t, zishang.Config{Limits: server.Limits{EventsPerSecondPerIdentity: 5, MaxSessionsPerIdentity: 1}},
		func(io *socket.Server) { io.Use(identified); onConnection(io.Sockets(), echo) })
	p, q := dial(t, n.url), dial(t, n.url)
	p.enter("", "ada")
	p.Send("41")
	var id string
	eventually(t, "its place is free", func() bool { id = q.enter("", "ada"); return strings.HasPrefix(id, "40") })
	p.Flood(50, `42["echo",1]`) // to nobody
	q.Send(`421["echo",1]`)
	q.Expect("431[1]")
	if s := n.handler.Stats(); s.EventsIn != 1 {
		t.Errorf("%d events were let in", s.EventsIn)
	}
}

// slow has a Join that takes its time, as one over a network may.
type slow struct {
	adapter.Adapter
	join func()
}

func (a slow) Join(m adapter.Member, rooms ...string) {
	a.join()
	a.Adapter.Join(m, rooms...)
}

func TestNothingIsMissedAfterConnect(t *testing.T) {
	memory := adapter.Memory(nil)
	n := start(t, zishang.Config{Adapter: func(n adapter.Namespace) (adapter.Adapter, error) {
		a, err := memory(n)
		return slow{a, func() { time.Sleep(30 * time.Millisecond) }}, err
	}}, func(io *socket.Server) {
		io.Use(func(s *socket.Socket, next func(*socket.ExtendedError)) { _ = s.Emit("early"); next(nil) })
		onConnection(io.Sockets(), echo)
	})
	stop, done := make(chan struct{}), make(chan struct{})
	go func() { // so that there is always something that could come too early
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				n.io.Emit("noise")
				time.Sleep(time.Millisecond)
			}
		}
	}()
	for i := range 20 {
		p := dial(t, n.url)
		w := p.Connect("/", "") // which fails when anything else comes first
		n.io.Emit("news", i)
		found := false
		n.io.FetchSockets()(func(list []*socket.RemoteSocket, _ error) {
			for _, r := range list {
				found = found || string(r.Id()) == w.SID
			}
		})
		if _, ok := n.io.Sockets().Sockets().Load(socket.SocketId(w.SID)); !ok || !found {
			t.Error("the socket is not found")
		}
		early := false
		for want := fmt.Sprintf(`42["news",%d]`, i); ; {
			got := p.Text()
			early = early || got == `42["early"]`
			if got == want {
				break
			}
		}
		if !early {
			t.Error("what a middleware has emitted was lost")
		}
		n.io.In(socket.Room(w.SID)).DisconnectSockets(true)
		p.ExpectClosed()
	}
	close(stop)
	<-done
}

type panics struct{}

func (panics) MarshalJSON() ([]byte, error) { panic("MarshalJSON") }

func TestAnswersAlwaysCome(t *testing.T) {
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) {
			_ = s.On("answer", func(args ...any) {
				ack := args[len(args)-1].(socket.Ack)
				switch args[0] {
				case "NaN":
					ack([]any{math.NaN()}, nil)
				case "channel":
					ack([]any{make(chan int)}, nil)
				case "panics":
					ack([]any{panics{}}, nil)
				case "no buffer":
					ack([]any{(*types.BytesBuffer)(nil)}, nil)
				case "itself":
					ack([]any{itself()}, nil)
				case "panic":
					panic("handler")
				}
			})
			zishang.OnAck(s, "typed", func(_ context.Context, what string) (any, error) {
				switch what {
				case "NaN":
					return math.NaN(), nil
				case "channel":
					return make(chan int), nil
				case "panics":
					return panics{}, nil
				case "nil":
					var err *typedError
					return nil, err
				}
				panic("handler")
			})
			_ = s.On("emit", func(args ...any) {
				_ = s.Emit("bad", make(chan int)) // logged
				_ = s.Emit("bad", panics{})
				_ = io.Sockets().Emit("bad", panics{})
				_ = io.Sockets().Emit("bad", func() {})
				_ = s.Emit("bad", (*types.BytesBuffer)(nil))
				_ = io.Sockets().Emit("bad", (*types.BytesBuffer)(nil))
				_ = s.Emit("bad", itself())
				_ = io.Sockets().Emit("bad", []any{1, itself()})
				s.SetData(itself())
				s.SetData(panics{})
				_ = s.Emit("good", math.Inf(1))
			})
		})
		io.Of("/no", nil).Use(func(_ *socket.Socket, next func(*socket.ExtendedError)) {
			next(socket.NewExtendedError("no", panics{}))
		})
	})
	p, _ := join(t, n.url, "/")
	const internal = `{"error":"internal error"}`
	for i, c := range []struct{ event, what, want string }{
		{"answer", "NaN", "null"}, {"answer", "channel", internal}, {"answer", "panics", internal}, {"answer", "panic", internal},
		{"answer", "no buffer", internal}, {"answer", "itself", internal},
		{"typed", "NaN", "null"}, {"typed", "channel", internal}, {"typed", "panics", internal}, {"typed", "panic", internal},
		{"typed", "nil", internal},
	} {
		p.Send(fmt.Sprintf(`42%d[%q,%q]`, i, c.event, c.what))
		p.Expect(fmt.Sprintf(`43%d[%s]`, i, c.want))
	}
	p.Send(`42["emit"]`)
	p.Expect(`42["good",null]`)
	p.Send("40/no,")
	p.Expect(`44/no,{"message":"no"}`)
}

// itself is a value that contains itself, and so has no end.
func itself() any {
	object, list := map[string]any{}, make([]any, 2)
	object["list"], list[0], list[1] = list, object, list
	return object
}

// typedError is an error whose methods cannot be called on nil.
type typedError struct{ text string }

func (e *typedError) Error() string { return e.text }

// Middlewares that call next from other goroutines change nothing.
func TestLateMiddlewareKeepsOrder(t *testing.T) {
	const many = 500
	var running, together atomic.Int64
	got := make(chan []int, 1)
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) {
			var list []int // one at a time, so no lock
			s.Use(func(_ []any, next func(error)) { go next(nil) })
			s.Use(func(_ []any, next func(error)) { go func() { next(nil); next(nil) }() })
			_ = s.On("n", func(args ...any) {
				if running.Add(1) > 1 {
					together.Add(1)
				}
				list = append(list, int(args[0].(float64)))
				running.Add(-1)
			})
			_ = s.On("disconnect", func(...any) { got <- list })
		})
	})
	p, _ := join(t, n.url, "/")
	for i := range many {
		p.Send(fmt.Sprintf(`42["n",%d]`, i))
	}
	p.Send("41")
	list := await(t, got)
	for i, v := range list {
		if v != i {
			t.Fatalf("event %d came in place of %d", v, i)
		}
	}
	if len(list) != many || together.Load() != 0 {
		t.Errorf("%d events of %d, %d at the same time", len(list), many, together.Load())
	}
}

// One that never calls next drops its event and holds nobody up for long; what it lets through much later
// still has a turn of its own, and none after the end.
func TestMiddlewareThatDropsEvents(t *testing.T) {
	kept := make(chan func(error), 1)
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) {
			s.Use(func(args []any, next func(error)) {
				switch args[1] {
				case "drop":
				case "keep":
					kept <- next
				default:
					next(nil)
				}
			})
			echo(s)
		})
	})
	p, _ := join(t, n.url, "/")
	for range 30 {
		p.Send(`42["echo","drop"]`)
	}
	p.Send(`42["echo","keep"]`, `42["echo","next"]`)
	p.Expect(`42["echo","next"]`)
	next := await(t, kept)
	next(nil)
	next(nil)
	p.Expect(`42["echo","keep"]`)
	p.Send(`42["echo","keep"]`, `421["echo","x"]`)
	p.Expect(`431["x"]`)
	p.HangUp()
	eventually(t, "it has left", func() bool { return n.handler.Stats().Disconnected == 1 })
	await(t, kept)(errors.New("too late"))
}

func TestMiddlewareCallsNextTwice(t *testing.T) {
	var connected atomic.Int64
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		io.Use(func(_ *socket.Socket, next func(*socket.ExtendedError)) {
			next(nil)
			next(nil)
			go next(nil)
			next(socket.NewExtendedError("too late", nil))
		})
		onConnection(io.Sockets(), func(s *socket.Socket) { connected.Add(1); echo(s) })
	})
	p, _ := join(t, n.url, "/")
	p.Send(`421["echo",1]`)
	p.Expect(`431[1]`)
	if c := connected.Load(); c != 1 {
		t.Errorf("connected %d times", c)
	}
	p.HangUp()
	n.stop(t) // which must not hang
}

// A connection handler that panics leaves no client with half of its handlers.
func TestConnectionHandlerPanics(t *testing.T) {
	reasons := make(chan string, 1)
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) {
			_ = s.On("disconnect", func(args ...any) { reasons <- args[0].(string) })
			panic("connection")
		})
	})
	p, _ := join(t, n.url, "/")
	p.Expect("41")
	if got := await(t, reasons); got != "server namespace disconnect" {
		t.Errorf("reason %q", got)
	}
	if s := n.handler.Stats(); s.Panics != 1 {
		t.Errorf("stats %+v", s)
	}
}

package server_test

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/transport"
)

// notes is an observer that writes down what it is told.
type notes struct {
	mu   sync.Mutex
	list []string
}

type noteKey struct{}

func (n *notes) add(s string) {
	n.mu.Lock()
	n.list = append(n.list, s)
	n.mu.Unlock()
}

func (n *notes) Handling(ctx context.Context, _ *server.Socket, event string, known bool) context.Context {
	return context.WithValue(ctx, noteKey{}, event)
}

func (n *notes) Handled(ctx context.Context, _ *server.Socket, event string, known bool, _ time.Duration, err error) {
	switch {
	case ctx.Value(noteKey{}) != event:
		n.add("another's context")
	case err != nil:
		n.add(event + " failed")
	case known:
		n.add(event)
	default:
		n.add("unknown " + event)
	}
}

func (n *notes) Acknowledged(_ *server.Socket, _ time.Duration, err error) {
	if errors.Is(err, server.ErrTimeout) {
		n.add("ack timed out")
	}
}

func TestObserverSeesWhatHandlersDo(t *testing.T) {
	n := &notes{}
	done := make(chan struct{})
	_, url := start(t, server.Config{Observers: []server.Observer{n}}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) {
			s.OnDisconnect(func(server.Disconnection) { time.AfterFunc(0, func() { close(done) }) })
		})
		io.On("works", func(ctx context.Context) any { return ctx.Value(noteKey{}) })
		io.On("fails", func() error { return errors.New("no") })
		io.On("panics", func() { panic("no") })
		io.On("asks", func(ctx context.Context, s *server.Socket) bool {
			_, err := s.Timeout(time.Millisecond).EmitWithAck(ctx, "q")
			return err != nil
		})
	})
	p, _ := join(t, url, "/")
	p.Send(`421["works"]`)
	p.Expect(`431["works"]`)
	p.Send(`42["fails"]`, `42["panics"]`, `422["asks"]`)
	p.Text() // the question, which is not answered
	p.Expect(`432[true]`)
	p.Send(`42["made up"]`, `41`)
	await(t, done)
	defer func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if t.Failed() {
			t.Log(n.list)
		}
	}()
	eventually(t, "the observer has been told all", func() bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		return slices.Equal(n.list, []string{
			"middleware", "connection", "works", "fails failed", "panics failed", "ack timed out", "asks",
			"unknown made up", "disconnect",
		})
	})
}

// What is derived from a socket's context ends with the socket, and has no goroutine to wait for that.
func TestContextsAreDerivedFromASockets(t *testing.T) {
	derived := make(chan context.Context, 1)
	_, url := start(t, server.Config{}, func(io *server.Server) {
		io.On("x", func(ctx context.Context, s *server.Socket) bool {
			ctx, cancel := context.WithCancel(ctx)
			context.AfterFunc(ctx, cancel)
			derived <- ctx
			return ctx.Err() == nil && s.Context().Err() == nil
		})
	})
	p, _ := join(t, url, "/")
	p.Send(`421["x"]`)
	p.Expect(`431[true]`)
	var stacks strings.Builder
	if err := pprof.Lookup("goroutine").WriteTo(&stacks, 1); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(stacks.String(), "propagateCancel") {
		t.Error("a derived context has a goroutine")
	}
	p.Send(`41`)
	await(t, (<-derived).Done())
}

// stopwatch is an observer that keeps how long events took.
type stopwatch struct {
	bystander
	took chan string
}

func (w stopwatch) Handled(_ context.Context, _ *server.Socket, event string, _ bool, took time.Duration, _ error) {
	w.took <- event + " " + took.String()
}

// Each event has the time of its own handlers, also of several that came at once, behind a middleware, and behind one
// that has ended its goroutine.
func TestObserverIsToldTheTimeOfEach(t *testing.T) {
	for _, withMiddleware := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := stopwatch{took: make(chan string, 16)}
			srv, err := server.New(server.Config{
				Observers: []server.Observer{w}, Transport: transport.Config{PingInterval: time.Hour}, Logger: slog.New(slog.DiscardHandler),
			})
			if err != nil {
				t.Fatal(err)
			}
			srv.Use(func(*server.Socket) error { time.Sleep(time.Second); return nil })
			srv.OnConnection(func(s *server.Socket) {
				time.Sleep(2 * time.Second)
				if withMiddleware {
					s.Use(func(context.Context, *server.Event) error { time.Sleep(3 * time.Second); return nil })
				}
				s.OnDisconnect(func(server.Disconnection) { time.Sleep(4 * time.Second) })
			})
			srv.On("wait", func(ms int) { time.Sleep(time.Duration(ms) * time.Millisecond) })
			srv.On("goes", func() { time.Sleep(time.Millisecond); runtime.Goexit() })
			v := openVirtual(t, srv)
			go func() {
				time.Sleep(time.Minute)
				v.post(strings.Join([]string{`42["wait",30]`, `42["goes"]`, `42["nobody"]`, `42["wait",7]`, "41"}, "\x1e"))
			}()
			v.post("40")
			for _, want := range []string{"middleware 1s", "connection 2s", "wait 30ms", "goes 1ms", "nobody 0s", "wait 7ms", "disconnect 4s"} {
				if got := <-w.took; got != want {
					t.Errorf("told of %s, want %s", got, want)
				}
			}
			_ = srv.Shutdown(t.Context())
		})
	}
}

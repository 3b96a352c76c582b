package server_test

import (
	"context"
	"errors"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beanpole/beanpole/server"
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

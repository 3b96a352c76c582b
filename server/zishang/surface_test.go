package zishang_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zishang520/engine.io/v2/engine"
	"github.com/zishang520/engine.io/v2/transports"
	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/zishang"
)

// The tests of this file are of what the library's API has beside sockets and namespaces.

// notes collects what has happened, from any goroutine.
type notes struct {
	mu   sync.Mutex
	list []string
}

func (n *notes) add(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = append(n.list, fmt.Sprintf(format, args...))
}

func (n *notes) has(what string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Contains(n.list, what)
}

func TestRoomsTellOfThemselves(t *testing.T) {
	var got notes
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		for _, event := range []types.EventName{"create-room", "join-room", "leave-room", "delete-room"} {
			_ = io.Sockets().Adapter().On(event, func(args ...any) { got.add("%s %v", event, args[0]) })
		}
		onConnection(io.Sockets(), func(s *socket.Socket) { s.Join("a", "b"); s.Leave("b"); echo(s) })
	})
	p, _ := join(t, n.url, "/")
	q, _ := join(t, n.url, "/")
	for _, c := range []*peer{p, q} {
		c.Send(`42["echo",1]`)
		c.Expect(`42["echo",1]`)
	}
	p.HangUp()
	eventually(t, "left", func() bool { return got.has("leave-room a") })
	if got.has("delete-room a") {
		t.Error("a room that somebody is in was told to be deleted")
	}
	q.HangUp()
	eventually(t, "deleted", func() bool { return got.has("delete-room a") })
	for _, want := range []string{"create-room a", "join-room a", "create-room b", "leave-room b", "delete-room b"} {
		if !got.has(want) {
			t.Errorf("no %s among %v", want, got.list)
		}
	}
}

// watching is an observer.
type watching struct{ notes }

func (w *watching) Handling(ctx context.Context, s *server.Socket, event string, _ bool) context.Context {
	w.add("of %s", s.ID())
	if event == "panic" {
		defer panic("observer")
	}
	return ctx
}

func (w *watching) Handled(_ context.Context, _ *server.Socket, event string, known bool, _ time.Duration, err error) {
	w.add("%s %v %v", event, known, errors.Is(err, server.ErrPanic))
}

func (*watching) Acknowledged(*server.Socket, time.Duration, error) {}

func TestObserversSeeEvents(t *testing.T) {
	w := &watching{}
	n := start(t, zishang.Config{Observers: []server.Observer{w}}, func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) {
			echo(s)
			_ = s.On("fail", func(...any) { panic("handler") })
			_ = s.On("panic", func(...any) {})
		})
	})
	p, id := join(t, n.url, "/")
	p.Send(`42["fail"]`, `42["nobody's"]`, `42["panic"]`, `421["echo",1]`)
	p.Expect(`431[1]`)
	eventually(t, "all seen", func() bool {
		return w.has("of "+id) && w.has("fail true true") && w.has("nobody's false false") && w.has("echo true false")
	})
}

// Parents apply in the order they were made in; what is put on one later holds for all its children, and two of
// the same text are one.
func TestParentsInOrder(t *testing.T) {
	var got notes
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		for i, text := range []string{`^/a\d$`, `^/a.*`, `^/a\d$`} {
			p := io.Of(regexp.MustCompile(text), func(...any) { got.add("connect %d", i) })
			p.Use(func(_ *socket.Socket, next func(*socket.ExtendedError)) { got.add("use %d", i); next(nil) })
			_ = p.On("connection", func(args ...any) { echo(args[0].(*socket.Socket)) })
		}
		io.Of("/a1", nil).Use(func(_ *socket.Socket, next func(*socket.ExtendedError)) { got.add("own"); next(nil) })
	})
	p := dial(t, n.url)
	p.Connect("/a1", "")
	p.Send(`42/a1,["echo",1]`)
	p.Expect(`42/a1,["echo",1]`, `42/a1,["echo",1]`)
	if want := []string{"use 0", "use 2", "own", "connect 0", "connect 2"}; !slices.Equal(got.list, want) {
		t.Errorf("got %v, want %v", got.list, want)
	}
}

func TestKickedWhileItConnects(t *testing.T) {
	var got notes
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) {
			_ = s.On("disconnect", func(args ...any) { got.add("%v %v", args[0], s.Connected()) })
			_ = s.On("x", func(...any) { got.add("event") })
			s.Disconnect(false)
		})
		onConnection(io.Of("/use", nil), func(s *socket.Socket) {
			s.Use(func(_ []any, next func(error)) { s.Disconnect(false); next(nil) })
			_ = s.On("x", func(...any) { got.add("event") })
		})
	})
	p := dial(t, n.url)
	p.Connect("/use", "")
	p.Send(`42/use,["x"]`, `42/use,["x"]`)
	p.Expect("41/use,")
	p.Send("40", `42["x"]`)
	if answer := p.Text(); !strings.HasPrefix(answer, `40{"sid"`) {
		t.Errorf("got %s", answer)
	}
	p.Expect("41")
	eventually(t, "told", func() bool { return got.has("server namespace disconnect false") })
	if got.has("event") {
		t.Error("an event was handled")
	}
}

// A function that ends its goroutine, as testify's require does, holds up nobody.
func TestGoexitHoldsUpNobody(t *testing.T) {
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		io.Of("/use", nil).Use(func(*socket.Socket, func(*socket.ExtendedError)) { runtime.Goexit() })
		onConnection(io.Sockets(), func(s *socket.Socket) {
			echo(s)
			_ = s.On("exit", func(...any) { runtime.Goexit() })
			_ = s.On("ask", func(...any) {
				_ = s.Emit("q", func([]any, error) { runtime.Goexit() })
				_ = s.Emit("q", func([]any, error) { _ = s.Emit("answered") })
			})
		})
	})
	p, _ := join(t, n.url, "/")
	p.Send(`427["exit"]`)
	p.Expect(`437[{"error":"internal error"}]`)
	p.Send(`42["ask"]`)
	p.Expect(`421["q"]`, `422["q"]`)
	p.Send(`431[]`, `432[]`)
	p.Expect(`42["answered"]`)
	p.Send("40/use,")
	p.Expect(`44/use,{"message":"internal error"}`)
	p.Send(`421["echo",1]`)
	p.Expect(`431[1]`)
}

func TestConnIsTheSession(t *testing.T) {
	var got notes
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		_ = io.Engine().On("connection", func(args ...any) {
			c := args[0].(engine.Socket)
			got.add("open %s", c.Id())
			_ = c.On("close", func(args ...any) { got.add("close %s %v", c.Id(), args[0]) })
		})
		onConnection(io.Sockets(), func(s *socket.Socket) {
			_ = s.On("raw", func(...any) {
				s.Conn().Send(strings.NewReader("text"), nil, nil)
				s.Conn().Write(types.NewBytesBufferString("binary"), nil, func(transports.Transport) { got.add("sent") })
			})
			_ = s.On("close", func(...any) { s.Conn().Close(false) })
		})
	})
	p, _ := join(t, n.url, "/")
	if !got.has("open " + p.SID) {
		t.Errorf("got %v", got.list)
	}
	p.Send(`42["raw"]`)
	p.Expect("4text")
	p.ExpectBinary("binary")
	p.Send(`42["close"]`)
	p.ExpectClosed()
	eventually(t, "told", func() bool { return got.has("close " + p.SID + " forced close") })
	if !got.has("sent") {
		t.Error("not told of what was sent")
	}
}

func TestManySocketsAtOnce(t *testing.T) {
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		io.Use(identified)
		onConnection(io.Sockets(), func(s *socket.Socket) {
			s.Join("a", "b")
			_ = s.Emit("you", zishang.Identity(s))
		})
	})
	p, q := dial(t, n.url), dial(t, n.url)
	p.enter("", "ada")
	p.Expect(`42["you","ada"]`)
	answer := q.enter("", "bob")
	q.Expect(`42["you","bob"]`)
	var w struct{ SID string }
	_ = json.Unmarshal([]byte(answer[2:]), &w)
	ids, err := n.io.In("a").AllSockets()
	if err != nil || ids.Len() != 2 {
		t.Errorf("%v %v", ids.Keys(), err)
	}
	n.io.In(socket.Room(w.SID)).SocketsLeave("a")
	n.io.To("a").Volatile().Local().Emit("a")
	n.io.To("b").Except("a").Emit("b")
	p.Expect(`42["a"]`)
	q.Expect(`42["b"]`)
	q.Send(`42["n"]`)
	for _, s := range n.io.Sockets().Sockets().Values() {
		zishang.On(s, "typed", func(context.Context, int) error { return s.Emit("typed") })
		s.EmitUntyped("typed", 7) // by the application itself
		s.EmitUntyped("typed", "no number")
	}
	p.Expect(`42["typed"]`)
	q.Expect(`42["typed"]`)
}

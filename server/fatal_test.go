package server_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/packet"
)

// What would end the process, as no recover holds a stack that overflows, is an error.
func TestValuesThatContainThemselvesEndNothing(t *testing.T) {
	type endless *endless
	var cycle any
	cycle = &cycle
	list := []any{nil}
	list[0] = list
	_, url := start(t, server.Config{}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) {
			s.On("answer", func() any { return cycle })
			s.On("error", func() error { return &server.Error{Message: "no", Data: cycle} })
			s.On("data", func() error { return s.Data.Set("x", cycle) })
			s.On("endless data", func() error { return s.Data.Set("x", (endless)(nil)) })
			s.On("emit", func() string { return s.Emit("x", list, cycle).Error() })
			s.On("panic", func() { panic(list) })
			s.On("panic through", func() { panic(cycle) })
			s.On("decode", func(e *server.Event) error { return e.Decode(0, cycle) })
		})
	})
	p, _ := join(t, url, "/")
	for _, event := range []string{"answer", "error", "data", "endless data", "emit", "panic", "panic through", "decode"} {
		p.Send(`421["` + event + `",{"a":1}]`)
		if event == "panic" || event == "panic through" {
			continue // which answer nothing unless they return something
		}
		if got := p.Text(); !strings.HasPrefix(got, "431[") {
			t.Errorf("%s is answered %s", event, got)
		}
	}
}

func TestHandlerOfEndlessPointersIsRefused(t *testing.T) {
	type endless *endless
	_, _ = start(t, server.Config{}, func(io *server.Server) {
		for _, fn := range []any{func(endless) {}, func(struct{ P endless }) {}, func() endless { return nil }} {
			func() {
				defer func() {
					if v, _ := recover().(string); !strings.Contains(v, "nothing but pointers") {
						t.Errorf("%T: %q", fn, v)
					}
				}()
				io.On("x", fn)
			}()
		}
	})
}

type (
	forest map[string]forest
	array  []array
	ring   struct {
		Next *ring          `json:"next"`
		Any  any            `json:"any"`
		Kids []ring         `json:"kids"`
		By   map[string]any `json:"by"`
	}
)

// circles are values that contain themselves.
func circles() map[string]any {
	object, list := map[string]any{"photo": []byte{1}}, []any{[]byte{1}, 0}
	object["a"], list[1] = object, list
	t, a := forest{}, make(array, 1)
	t["a"], a[0] = t, a
	next, loose, kids, by := &ring{}, &ring{}, &ring{Kids: make([]ring, 1)}, &ring{By: map[string]any{}}
	next.Next, loose.Any, kids.Kids[0].Kids, by.By["b"] = next, loose, kids.Kids, by
	return map[string]any{
		"map": object, "slice": list, "map by type": t, "slice by type": a, "pointer": next, "interface": loose,
		"slice of structs": kids, "map in a struct": by, "value of a struct": *next, "two of them": []any{[]byte{1}, next, object},
	}
}

// A value that contains itself is an error of the call that it was given to, on each way out, and not the end of the process.
func TestValuesThatContainThemselvesAreErrors(t *testing.T) {
	sockets := make(chan *server.Socket, 1)
	var value any
	io, url := start(t, server.Config{Development: true}, func(io *server.Server) {
		io.Use(func(s *server.Socket) error {
			if value != nil {
				return &server.Error{Message: "no", Data: value}
			}
			return nil
		})
		io.OnConnection(func(s *server.Socket) { sockets <- s })
		io.On("answer", func() any { return value })
		io.On("fails", func() error { return &server.Error{Message: "no", Data: value} })
		io.On("ack", func(ack server.Ack) error { return ack(value) })
	})
	p := dial(t, url)
	p.Connect("/", "")
	s := await(t, sockets)
	for name, v := range circles() {
		value = v
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		_, ackErr := s.EmitWithAck(ctx, "x", v)
		_, allErr := io.All().EmitWithAck(ctx, "x", v)
		_, serversErr := io.ServerSideEmitWithAck(ctx, "x", v)
		cancel()
		for way, err := range map[string]error{
			"Emit": s.Emit("x", 1, v), "Volatile": s.Volatile().Emit("x", v), "broadcast": io.To("room").Emit("x", v),
			"EmitWithAck": ackErr, "EmitWithAck of all": allErr, "EmitThen": s.EmitThen(func(server.Args, error) {}, "x", v),
			"ServerSideEmit": io.ServerSideEmit("x", v), "ServerSideEmitWithAck": serversErr,
			"Data.Set": s.Data.Set("x", v), "Data.Replace": s.Data.Replace(map[string]any{"x": v}),
		} {
			if !errors.Is(err, packet.ErrValue) {
				t.Errorf("%s by %s: %v", name, way, err)
			}
		}
		for _, event := range []string{"answer", "fails", "ack"} {
			p.Send(`421["` + event + `"]`)
			if got := p.Text(); got != `431[{"error":"internal error"}]` {
				t.Errorf("%s by %s: %s", name, event, got)
			}
		}
		other := dial(t, url)
		other.Send("40/,")
		if got := other.Text(); got != `44{"message":"no"}` {
			t.Errorf("%s by a middleware: %s", name, got)
		}
	}
}

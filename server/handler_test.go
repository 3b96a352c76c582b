package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/beanpole/beanpole/server"
)

type point struct {
	X, Y int
	Tag  []byte `json:",omitempty"`
}

func TestHandlersAnswerByTheirTypes(t *testing.T) {
	_, url := start(t, server.Config{}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) {
			s.On("nothing", func() {})
			s.On("only error", func(fail bool) error {
				if fail {
					return errors.New("refused")
				}
				return nil
			})
			s.On("string", func(in string) string { return in + "!" })
			s.On("raw", func(in json.RawMessage) json.RawMessage { return in })
			s.On("struct", func(ctx context.Context, p point) (point, error) { return point{X: p.Y, Y: p.X}, ctx.Err() })
			s.On("two", func(a int, b string) (string, int) { return b, a })
			s.On("variadic", func(first string, rest ...int) string { return fmt.Sprint(first, rest) })
			s.On("pointer", func(p *point) bool { return p == nil })
			s.On("later", func(in int, ack server.Ack) { go func() { _ = ack(in + 1) }() })
			s.On("event", func(e *server.Event) { _ = e.Ack(e.Len(), e.Name, string(e.Raw(1))) })
			s.On("with data", func() error { return &server.Error{Message: "no", Data: map[string]int{"code": 7}} })
			s.On("wrapped", func() (int, error) { return 0, fmt.Errorf("wrapped: %w", &server.Error{Message: "no", Data: 1}) })
			s.On("socket", func(s *server.Socket, e *server.Event) { _ = e.Ack(e.Socket() == s) })
			s.On("panics", func() int { panic("a secret") })
			s.On("bytes", func(b []byte) int { return len(b) })
		})
		io.On("of the namespace", func(s *server.Socket, n int) int { return n * 2 })
	})
	p, _ := join(t, url, "/")
	for _, c := range []struct{ send, want string }{
		{`421["only error",false]`, `431[]`},
		{`422["only error",true]`, `432[{"error":"refused"}]`},
		{`423["string","a"]`, `433["a!"]`},
		{`424["raw",{"a":[1,null]}]`, `434[{"a":[1,null]}]`},
		{`425["struct",{"X":1,"y":2}]`, `435[{"X":2,"Y":1}]`},
		{`426["two",1,"b"]`, `436["b",1]`},
		{`427["variadic","a",1,2]`, `437["a[1 2]"]`},
		{`428["variadic"]`, `438["[]"]`},
		{`429["pointer"]`, `439[true]`},
		{`4210["pointer",{}]`, `4310[false]`},
		{`4211["later",1]`, `4311[2]`},
		{`4212["event","a","b"]`, `4312[2,"event","\"b\""]`},
		{`4213["with data"]`, `4313[{"error":"no","data":{"code":7}}]`},
		{`4214["wrapped"]`, `4314[{"error":"wrapped: no","data":1}]`},
		{`4215["socket"]`, `4315[true]`},
		{`4216["panics"]`, `4316[{"error":"internal error"}]`},
		{`4217["of the namespace",4]`, `4317[8]`},
		{`4218["two","not a number"]`, ``}, // looked at below
		{`4219["nothing"]`, ``},            // never answered
		{`42["string","no ack wanted"]`, ``},
		{`42["nobody","listens"]`, ``},
		{`4220["string","last"]`, `4320["last!"]`},
	} {
		p.Send(c.send)
		if c.want != "" {
			p.Expect(c.want)
		}
		if c.send[:5] == `4218[` {
			var answer []struct{ Error string }
			got := p.Text()
			if err := json.Unmarshal([]byte(got[4:]), &answer); err != nil || len(answer) != 1 || answer[0].Error == "" {
				t.Errorf("answer to an argument of the wrong type is %q", got)
			}
		}
	}
}

func TestBinaryTravelsBothWaysWhereverItStands(t *testing.T) {
	_, url := start(t, server.Config{}, func(io *server.Server) {
		io.On("echo", func(p point) point { return p })
		io.On("plain", func(b []byte) []byte { return b })
		io.On("any", func(v any) any { return v })
	})
	p, _ := join(t, url, "/")
	p.Send(`451-1["echo",{"X":1,"Tag":{"_placeholder":true,"num":0}}]`)
	p.SendBinary([]byte("\x01\x02"))
	p.Expect(`461-1[{"X":1,"Y":0,"Tag":{"_placeholder":true,"num":0}}]`)
	p.ExpectBinary("\x01\x02")

	p.Send(`451-2["plain",{"_placeholder":true,"num":0}]`)
	p.SendBinary([]byte("ab"))
	p.Expect(`461-2[{"_placeholder":true,"num":0}]`)
	p.ExpectBinary("ab")

	p.Send(`452-3["any",{"b":[{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]}]`)
	p.SendBinary([]byte("first"))
	p.SendBinary([]byte("second"))
	p.Expect(`462-3[{"b":[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]}]`)
	p.ExpectBinary("second")
	p.ExpectBinary("first")
}

// taking makes a function with such parameters, also those that go vet would not let pass.
func taking(in ...reflect.Type) any {
	return reflect.MakeFunc(reflect.FuncOf(in, nil, false), func([]reflect.Value) []reflect.Value { return nil }).Interface()
}

func TestRegisteringWhatCannotBeAHandlerPanics(t *testing.T) {
	srv, err := server.New(server.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	for _, c := range []struct {
		name string
		fn   any
		want string
	}{
		{"a number", 1, "is of type int, not a function"},
		{"nil of a type", (func())(nil), "is nil, not a function"},
		{"nil", nil, "is nil, not a function"},
		{"channel", func(chan int) {}, "parameter 1: chan int, which has no form in JSON"},
		{"ack not last", func(server.Ack, int) {}, "which may only be the last parameter"},
		{"disconnect", func(string) {}, "use OnDisconnect"},
		{"socket by value", taking(reflect.TypeFor[server.Socket]()), "parameter 1: server.Socket, which is taken as *server.Socket, before the arguments"},
		{"event by value", taking(reflect.TypeFor[int](), reflect.TypeFor[server.Event]()), "parameter 2: server.Event, which is taken as *server.Event, before the arguments"},
		{"socket last", func(int, *server.Socket) {}, "parameter 2: *server.Socket, which may only stand before the arguments"},
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, c.want) {
					t.Errorf("%s: %s, want %q in it", c.name, got, c.want)
				}
			}()
			srv.On(c.name, c.fn)
		}()
	}
}

func TestOffAndOnce(t *testing.T) {
	_, url := start(t, server.Config{}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) {
			var off func()
			off = s.On("off", func() string { off(); return "on" })
			s.Once("once", func() string { return "once" })
			s.On("all", func() string { return "all" })
			s.On("stop", func() string { s.Off("all"); return "stopped" })
			s.On("ping", func() string { return "pong" })
		})
	})
	p, _ := join(t, url, "/")
	p.Send(`421["off"]`, `422["off"]`, `423["once"]`, `424["once"]`, `425["all"]`, `426["stop"]`, `427["all"]`, `428["ping"]`)
	for _, want := range []string{`431["on"]`, `433["once"]`, `435["all"]`, `436["stopped"]`, `438["pong"]`} {
		p.Expect(want)
	}
}

// A function that cannot be a handler, registered for each connection, ends the first one: its client is told, in the place of
// one whose other handlers are there and whose answers never come.
func TestMistakeInAConnectionHandlerEndsTheConnection(t *testing.T) {
	log := &lines{}
	srv, url := start(t, server.Config{Logger: slog.New(slog.NewTextHandler(log, nil))}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) {
			s.On("good", func() bool { return true })
			s.On("bad", func(chan int) {})
			s.On("behind", func() bool { return true })
		})
		io.OnConnection(func(*server.Socket) { t.Error("the next connection handler ran") })
	})
	p, _ := join(t, url, "/")
	p.Expect("41")
	if n := srv.LocalCount(); n != 0 {
		t.Errorf("%d sockets", n)
	}
	if text := log.String(); !strings.Contains(text, "its connection handler failed") || !strings.Contains(text, `handler of \"bad\"`) {
		t.Errorf("the log says %s", text)
	}
}

package server_test

import (
	"errors"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beanpole/beanpole/client"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/servertest"
)

// order is what the shop below takes.
type order struct {
	Item string `json:"item"`
}

// The small mistakes of a first program, all in one: each has a sentence that says what to do, which is that of
// docs/testing.md.
func TestSmallMistakes(t *testing.T) {
	document, err := os.ReadFile("../docs/testing.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(document), "\n## Mistakes")
	synctest.Test(t, func(t *testing.T) {
		var said remarks
		says := func(sentence string, parts ...string) {
			t.Helper()
			said.once(t, sentence, parts...)
			if !strings.Contains(table, "`"+sentence) {
				t.Errorf("docs/testing.md does not say %q", sentence)
			}
		}
		io := servertest.Server(t, server.Config{Development: true, Logger: said.log(slog.LevelWarn)})
		io.OnConnection(func(s *server.Socket) {
			s.On("order", func(o order) string { return o.Item })
			s.On("stock", func() any { return map[string]any{"updates": make(chan int)} })
			s.On("remember", func(order) {})
			s.On("pictures", func(n int) [][]byte { return slices.Repeat([][]byte{{1}}, n) })
			s.On("join", func(o order) { s.Join(o.Item); s.On("left", func() {}) })
			s.On("news", func(int) error { return s.Emit("news", time.Second, make(chan int)) })
			s.On("count", func() struct{ Beans int } { return struct{ Beans int }{7} })
			io.On("bye", func() {})
		})
		io.Of("/clock").OnConnection(func(s *server.Socket) {
			for s.Connected() {
				time.Sleep(time.Second)
				_ = s.Emit("tick")
			}
		})
		c := servertest.Connect(t, io)

		if err := c.Emit("oder", order{"beans"}); err != nil {
			t.Error(err)
		}
		if got := servertest.AskFails(c, "order", "beans"); got != "argument 1: expected object, got string" {
			t.Errorf("the client is told %q", got)
		}
		if got := servertest.AskFails(c, "stock"); got != "internal error" {
			t.Errorf("the client is told %q", got)
		}
		if err := c.EmitFunc(func(client.Args, error) {}, "remember", order{"beans"}); err != nil {
			t.Error(err)
		}
		if got := servertest.Ask[map[string]int](c, "count"); got["Beans"] != 7 {
			t.Errorf("counted %v", got)
		}
		for range 2 {
			if err := c.Emit("join", map[string]string{"room": "beans"}, "now"); err != nil {
				t.Error(err)
			}
		}
		if err := c.Emit("news"); err != nil {
			t.Error(err)
		}
		io.Of("/staff").Use(func(*server.Socket) error { return errors.New("who are you?") })
		servertest.Refused(t, io, "/staff", client.Config{})
		servertest.Refused(t, io, "/stuff", client.Config{})
		clock := servertest.ConnectTo(t, io, "/clock", client.Config{})
		if err := clock.Emit("stop"); err != nil {
			t.Error(err)
		}
		time.Sleep(10 * time.Second)
		if got := servertest.Ask[[][]byte](c, "pictures", 10); len(got) != 10 || len(said.find("binaries")) != 0 {
			t.Errorf("%d binaries, %q", len(got), said.find("binaries"))
		}
		if err := c.EmitFunc(func(client.Args, error) {}, "pictures", 11); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if c.Connected() {
			t.Error("a client has taken 11 binaries")
		}

		says("an event has no handler", "event=oder", "perhaps_meant=order", "register one by On")
		says("a handler was not called, as the client sends something else than it takes", "event=order", "expected object, got string")
		says("answer cannot be encoded", "event=stock", "map[string]interface {}")
		says("events wait for a connection handler that does not return", "mistakes_test.go:", "start a goroutine")
		says("Namespace.On was called by a handler of one client", "event=bye", "mistakes_test.go:", "call it once, where the program starts")
		says("a client waits for an acknowledgement that no handler gives", "event=remember", "let one return a value")
		says("a packet has more binaries than clients take", "event=pictures", "binaries=11", "clients_take=10", "maxAttachments")
		says("an event was not sent", "event=news", "chan int")
		says("a middleware has refused a client", "mistakes_test.go:", "who are you?")
		says("a client asks for a namespace that is not there", "namespace=/stuff", "perhaps_meant=/staff")
		says("a field that is sent has no place in the struct", "event=join", "field=room", `json:\"room\"`)
		says("a client sends more arguments than the handler takes", "event=join", "sent=2", "taken=1")
		says("a client sends fewer arguments than the handler takes", "event=news", "sent=0", "taken=1")
		says("a socket joins a room whose name is empty", "namespace=/")
		says("Socket.On was called by a handler of an event", "event=left", "call it in OnConnection")
		says("a field is sent under its name in Go", "field=Beans", `json:\"beans\"`)
	})
}

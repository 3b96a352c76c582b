package server_test

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/packet"
	"github.com/beanpole/beanpole/transport"
)

// caller is a log handler that calls the server, as one does that shows the log to an administrator's page.
type caller struct {
	slog.Handler // never called but for Enabled
	call         func(message string)
}

func (c caller) Enabled(context.Context, slog.Level) bool      { return true }
func (c caller) Handle(_ context.Context, r slog.Record) error { c.call(r.Message); return nil }
func (c caller) WithAttrs([]slog.Attr) slog.Handler            { return c }
func (c caller) WithGroup(string) slog.Handler                 { return c }

// Whatever is logged, and whoever says it: the handler may ask, send and disconnect.
func TestALogHandlerMayCallTheServer(t *testing.T) {
	for name, recovery := range map[string]*server.Recovery{"plain": nil, "recovery": {}} {
		t.Run(name, func(t *testing.T) {
			var io atomic.Pointer[server.Server]
			lines := make(chan string, 1000)
			log := slog.New(caller{slog.DiscardHandler, func(message string) {
				if srv := io.Load(); srv != nil && message != "log" {
					_, err := srv.FetchSockets(t.Context())
					_, err2 := srv.In("nobody").EmitWithAck(t.Context(), "log", message)
					if err != nil || err2 != nil {
						t.Errorf("%s: %v, %v", message, err, err2)
					}
					_ = srv.Emit("log", message)
					_ = srv.In("victims").DisconnectSockets(true)
					for _, s := range srv.Sockets() {
						_ = s.Emit("log", message)
					}
				}
				lines <- message
			}})
			await := func(line string) {
				t.Helper()
				for got := ""; got != line; got = await(t, lines) {
				}
			}
			sockets := make(chan *server.Socket, 10)
			srv, url := start(t, server.Config{
				Logger: log, Recovery: recovery, Parser: badParser{packet.Text(), faults["panics"]},
				Transport: transport.Config{MaxSendBytes: 10_000},
			}, func(io *server.Server) {
				io.OnConnection(func(s *server.Socket) { sockets <- s })
				io.On("fails", func() error { return context.Canceled })
				io.On("panics", func() { panic("no") })
				io.Of("/refused").Use(func(*server.Socket) error {
					return &server.Error{Message: "no", Data: func() {}}
				})
			})
			io.Store(srv)
			p, _ := join(t, url, "/")
			await("session opened")
			s := <-sockets

			if err := srv.Emit("large", strings.Repeat("x", 20_000)); err != nil {
				t.Error(err)
			}
			await("messages are not sent: they are larger than MaxSendBytes")
			if err := srv.Emit("unsendable"); err != nil {
				t.Error(err)
			}
			await("packet not sent")
			p.Send(`42["fails"]`)
			await("handler failed")
			p.Send(`42["panics"]`)
			await("handler panicked")
			p.Send("40/refused,")
			await("data of a refusal cannot be encoded")
			s.Join("victims")
			p.Send(`42["fails"]`)
			await("session closed")
		})
	}
}

// Who registers for each connection, or each event, what stays, is told so, once.
func TestHandlersThatPileUpAreSaidOnce(t *testing.T) {
	for _, c := range []struct {
		method   string
		register func(io *server.Server, s *server.Socket)
	}{
		{"Namespace.On", func(io *server.Server, _ *server.Socket) { io.On("x", func() {}) }},
		{"Namespace.OnConnection", func(io *server.Server, _ *server.Socket) { io.OnConnection(func(*server.Socket) {}) }},
		{"Namespace.Use", func(io *server.Server, _ *server.Socket) { io.Use(func(*server.Socket) error { return nil }) }},
		{"Namespace.OnServerSide", func(io *server.Server, _ *server.Socket) { io.OnServerSide("x", func() {}) }},
		{"Server.OnNamespace", func(io *server.Server, _ *server.Socket) { io.OnNamespace(func(*server.Namespace) {}) }},
		{"Dynamic.On", func(io *server.Server, _ *server.Socket) { io.OfPattern(regexp.MustCompile("^/a$")).On("x", func() {}) }},
		{"Socket.On", func(_ *server.Server, s *server.Socket) { s.On("x", func() {}) }},
		{"Socket.OnDisconnect", func(_ *server.Server, s *server.Socket) { s.OnDisconnect(func(server.Disconnection) {}) }},
		{"Socket.OnAny", func(_ *server.Server, s *server.Socket) { s.OnAny(func(*server.Event) {}) }},
	} {
		t.Run(c.method, func(t *testing.T) {
			lines := make(logLines, 100)
			log := slog.New(slog.NewTextHandler(lines, &slog.HandlerOptions{Level: slog.LevelWarn}))
			sockets := make(chan *server.Socket, 1)
			srv, url := start(t, server.Config{Logger: log, Transport: transport.Config{MaxSendBytes: 10_000}}, func(io *server.Server) {
				io.OnConnection(func(s *server.Socket) { sockets <- s })
			})
			join(t, url, "/")
			s := await(t, sockets)
			for range 29 {
				c.register(srv, s)
			}
			// Handlers of other events, and those that are taken back, are no crowd.
			for i := range 100 {
				srv.On(fmt.Sprint("event ", i), func() {})
				srv.On("x", func() {})()
				s.On("x", func() {})()
			}
			for range 100 {
				c.register(srv, s)
			}
			if got := await(t, lines); !strings.Contains(got, "handlers pile up") || !strings.Contains(got, "method="+c.method+" ") {
				t.Error(got)
			}
			if err := srv.Emit("large", strings.Repeat("x", 20_000)); err != nil {
				t.Error(err)
			}
			if got := await(t, lines); strings.Contains(got, "pile up") {
				t.Errorf("again: %s", got)
			}
		})
	}
}

// logLines gets the lines of a log.
type logLines chan string

func (l logLines) Write(b []byte) (int, error) { l <- string(b); return len(b), nil }

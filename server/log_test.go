package server_test

import (
	"context"
	"log/slog"
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

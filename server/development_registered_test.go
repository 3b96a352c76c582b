package server_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/servertest"
)

// Whatever is registered for a socket once more with each event is said, from wherever it is called for an event; what
// OnConnection registers, and what is taken out again, is not.
func TestDevelopmentSaysWhatIsRegisteredWithEachEvent(t *testing.T) {
	methods := map[string]func(s *server.Socket) (off func()){
		"On":              func(s *server.Socket) func() { return s.On("other", func() {}) },
		"OnAny":           func(s *server.Socket) func() { return s.OnAny(func(*server.Event) {}) },
		"OnAnyOutgoing":   func(s *server.Socket) func() { return s.OnAnyOutgoing(func(*server.Event) {}) },
		"Use":             func(s *server.Socket) func() { return s.Use(func(context.Context, *server.Event) error { return nil }) },
		"OnDisconnecting": func(s *server.Socket) func() { return s.OnDisconnecting(func(server.Disconnection) {}) },
		"OnDisconnect":    func(s *server.Socket) func() { return s.OnDisconnect(func(server.Disconnection) {}) },
	}
	for method, register := range methods {
		for _, place := range []string{"handler", "listener", "once", "taken out", "connection"} {
			t.Run(method+" "+place, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var said remarks
					io := servertest.Server(t, server.Config{Development: true, Logger: said.log(slog.LevelWarn)})
					io.OnConnection(func(s *server.Socket) {
						s.OnDisconnect(func(server.Disconnection) {})
						s.OnAny(func(*server.Event) {})
						off, first := func() {}, true
						again := func() {
							switch place {
							case "taken out":
								off()
								off = register(s)
							case "once":
								if first {
									register(s)
								}
								first = false
							case "handler", "listener":
								register(s)
							}
						}
						switch place {
						case "connection":
							register(s)
							register(s)
						case "listener":
							s.OnAny(func(*server.Event) { again() })
						}
						s.On("x", func() {
							if place != "listener" {
								again()
							}
						})
					})
					c := servertest.Connect(t, io)
					for range 3 {
						if err := c.Emit("x"); err != nil {
							t.Error(err)
						}
					}
					synctest.Wait()
					if place == "handler" || place == "listener" {
						said.once(t, "Socket."+method+" was called by a handler of an event", "call it in OnConnection", "development_registered_test.go:")
					}
					if n := len(said.find()); n > 1 || n == 1 && place != "handler" && place != "listener" {
						t.Errorf("said: %s", strings.Join(said.find(), ""))
					}
				})
			})
		}
	}
}

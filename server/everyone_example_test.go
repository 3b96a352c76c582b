package server_test

import (
	"context"
	"errors"
	"log"
	"strings"

	"github.com/beanpole/beanpole/server"
)

func ExampleNamespace_UseEvents() {
	io := new(server.Server)

	off := io.UseEvents(func(ctx context.Context, e *server.Event) error {
		if strings.HasPrefix(e.Name, "admin:") && e.Socket().Identity() != "root" {
			return errors.New("not allowed")
		}
		return nil
	})
	io.OnAny(func(e *server.Event) { log.Print("in ", e.Name) })
	io.OnAnyOutgoing(func(e *server.Event) { log.Print("out ", e.Name) })
	io.OnDisconnect(func(s *server.Socket, why server.Disconnection) { log.Print(s.ID(), " gone: ", why) })
	off() // what is registered returns what takes it out again
}

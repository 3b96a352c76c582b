package server_test

import (
	"context"
	"testing"

	"github.com/beanpole/beanpole/server"
)

// A nil context is the background, as a question is asked.
func TestNilContextIsTheBackground(t *testing.T) {
	sockets := make(chan *server.Socket, 1)
	srv, url := start(t, server.Config{}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) { sockets <- s })
	})
	p := dial(t, url)
	p.Connect("/", "")
	s := await(t, sockets)
	var none context.Context
	if list, err := srv.FetchSockets(none); err != nil || len(list) != 1 {
		t.Errorf("%d sockets, %v", len(list), err)
	}
	if n, err := srv.Servers(none); err != nil || n != 1 {
		t.Errorf("%d servers, %v", n, err)
	}
	if _, err := srv.ServerSideEmitWithAck(none, "x"); err != nil {
		t.Error(err)
	}
	asked := make(chan error, 1)
	go func() {
		_, err := s.EmitWithAck(none, "x")
		asked <- err
	}()
	p.Expect(`421["x"]`)
	p.Send("431[]")
	if err := await(t, asked); err != nil {
		t.Error(err)
	}
}

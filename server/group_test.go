package server_test

import (
	"sync"
	"testing"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/servertest"
)

// The application's own goroutines, a timer's for one, may disconnect clients and ask them while Shutdown waits for what runs:
// here, for the handler of another.
func TestApplicationGoesOnDuringAStop(t *testing.T) {
	t.Parallel()
	for range 5 {
		sockets := make(chan *server.Socket, 4)
		begun, ends := make(chan struct{}), make(chan struct{})
		io := servertest.Server(t, server.Config{})
		io.OnConnection(func(s *server.Socket) { sockets <- s })
		io.On("work", func() { close(begun); <-ends })
		var list []*server.Socket
		for range cap(sockets) {
			c := servertest.Connect(t, io)
			if list = append(list, await(t, sockets)); len(list) == cap(sockets) {
				c.Emit("work")
			}
		}
		await(t, begun)
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := io.Close(); err != nil {
				t.Error(err)
			}
		})
		eventually(t, "the end of the sessions", func() bool { return io.Engine().Sessions() == 0 })
		for _, s := range list {
			wg.Go(func() {
				for range 20 {
					_ = io.To(s.ID()).EmitThen(func([]server.Args, error) {}, "ask")
					s.Disconnect(true)
				}
			})
		}
		close(ends)
		wg.Wait()
	}
}

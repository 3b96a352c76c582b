package host

import (
	"context"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
	"github.com/beanpole/beanpole/client"
	"github.com/beanpole/beanpole/server"
)

// What a server can do with an adapter it can do with the one of a host, too: tell what happens to rooms, find a socket, and
// send to one that has left the room of its id.
func TestHostHidesNothingOfItsAdapter(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	for name, cfg := range map[string]Config{
		"alone":         {Recovery: time.Minute},
		"with Redis":    {RedisURL: r.URL(), RedisPrefix: "plain"},
		"with recovery": {RedisURL: r.URL(), RedisPrefix: "kept", Recovery: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg.Port, cfg.Host = AnyPort, "127.0.0.1"
			h, _ := newTestHost(t, cfg)
			rooms := make(chan adapter.RoomEvent, 16)
			h.IO().OnRoom(func(e adapter.RoomEvent) { rooms <- e })
			found := make(chan bool, 1)
			h.IO().On("leave", func(s *server.Socket) error {
				s.Leave(s.ID())
				found <- h.IO().Socket(s.ID()) == s
				return s.Emit("after", 1)
			})
			if err := h.Listen(); err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
			done := make(chan error, 1)
			go func() { done <- h.Run(ctx) }()
			t.Cleanup(func() {
				stop()
				_ = await(t, done)
			})
			s, err := client.Dial(ctx, h.URL(), client.Config{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Client().Close(context.Background()) })
			got := make(chan int, 1)
			s.On("after", func(n int) { got <- n })
			if err := s.Emit("leave"); err != nil {
				t.Fatal(err)
			}
			if !<-found {
				t.Error("the socket is not found")
			}
			for left := false; !left || len(got) == 0; {
				select {
				case e := <-rooms:
					left = left || e.Kind == adapter.RoomLeft
				case n := <-got:
					got <- n
				case <-ctx.Done():
					t.Fatalf("left its room: %v; got what was sent: %v", left, len(got) > 0)
				}
			}
		})
	}
}

package redis_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis"
)

func TestEmitter(t *testing.T) {
	t.Parallel()
	for name, cfg := range modes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg.URL, cfg.Prefix = shared.URL(), unique()
			cfg.Stream = cfg.Prefix
			a, b := start(t, cfg), start(t, cfg)
			x, y := adaptertest.NewNode(t, "/e", a.Adapter()), adaptertest.NewNode(t, "/e", b.Adapter())
			m, w := adaptertest.NewMember("member-0000000000001"), adaptertest.NewMember("member-0000000000002")
			x.Join(m, "room")
			y.Join(w, "other")
			ready(t, a, b)
			root, err := redis.NewEmitter(cfg)
			if err != nil {
				t.Fatal(err)
			}
			// Another one, which numbers its entries likewise.
			second, err := redis.NewEmitter(cfg)
			if err != nil {
				t.Fatal(err)
			}
			if err := second.Of("/e").Emit("first"); err != nil {
				t.Error(err)
			}
			if err := second.Close(t.Context()); err != nil {
				t.Error(err)
			}
			m.Wait(t, 1)
			w.Wait(t, 1)
			e := root.Of("e")
			for _, err := range []error{
				e.To("room").Emit("to room", 1, []byte{7}),
				e.Except("room").Emit("not to room"),
				e.To("room", "other").Volatile().Compress(false).Emit("to both"),
				e.To("room").SocketsJoin("joined"),
				e.To().Emit("to nobody"),
				e.To([]string{}...).To().Except("x").DisconnectSockets(true),
				e.To().SocketsJoin("joined by nobody"),
				e.To().SocketsLeave("room"),
				e.To().To("room").SocketsJoin("joined too"),
				e.To().ServerSideEmit("server", 2), // rooms do not matter to it
				e.To(w.ID()).DisconnectSockets(true),
			} {
				if err != nil {
					t.Error(err)
				}
			}
			if e.Emit("connect") == nil {
				t.Error("a reserved event was sent")
			}
			adaptertest.Eventually(t, func() error {
				if got := x.RoomsOf(m); !slices.Contains(got, "joined") {
					return fmt.Errorf("rooms %q", got)
				}
				if n, o := len(x.NS.Events()), len(y.NS.Events()); n != 1 || o != 1 {
					return fmt.Errorf("%d and %d server events", n, o)
				}
				if got := w.Ended(); !slices.Equal(got, []bool{true}) {
					return fmt.Errorf("ended %v", got)
				}
				return nil
			})
			m.Wait(t, 3)
			w.Wait(t, 3)
			if got := x.RoomsOf(m); slices.Contains(got, "joined by nobody") || !slices.Contains(got, "room") || !slices.Contains(got, "joined too") {
				t.Errorf("rooms %q", got)
			}
			if got := m.Ended(); len(got) > 0 {
				t.Errorf("of no room, ended %v", got)
			}
			if f := m.Flags()[2]; f != (adapter.Flags{Volatile: true, NoCompress: true}) {
				t.Errorf("flags %+v", f)
			}
			ctx, cancel := context.WithTimeout(t.Context(), adaptertest.Patience)
			defer cancel()
			if err := root.Close(ctx); err != nil {
				t.Error(err)
			}
			if err := e.Emit("x"); err == nil {
				t.Error("emitted after Close")
			}
		})
	}
}

// Who puts sockets into a room and emits to it reaches them, though the servers have just begun to listen to that room.
func TestEmitterFillsRooms(t *testing.T) {
	all := modes()
	all["dynamic"] = redis.Config{Subscriptions: redis.Dynamic}
	for name, cfg := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg.URL, cfg.Prefix = shared.URL(), unique()
			cfg.Stream = cfg.Prefix
			c := start(t, cfg)
			m := adaptertest.NewMember("member-0000000000001")
			adaptertest.NewNode(t, "/", c.Adapter()).Join(m, "all")
			ready(t, c)
			e, err := redis.NewEmitter(cfg)
			if err != nil {
				t.Fatal(err)
			}
			const rooms = 20
			for i := range rooms {
				room := fmt.Sprint("room", i)
				if err := errors.Join(e.To("all").SocketsJoin(room), e.To(room).Emit("n", 2*i), e.To(room).Emit("n", 2*i+1)); err != nil {
					t.Fatal(err)
				}
			}
			m.Wait(t, 2*rooms)
			place := map[int]int{}
			for i, k := range numbers(m) {
				place[k] = i
			}
			for k := range 2 * rooms { // rooms may overtake each other
				if _, ok := place[k]; !ok || k%2 == 1 && place[k] < place[k-1] {
					t.Errorf("got %v", numbers(m))
				}
			}
			if err := e.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

package redis_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// A server stands still, and Redis ends its subscription. Meanwhile another one starts and publishes, of which the first has
// heard nothing: when it goes on it reads what had come before, then learns that its connection is gone, and misses nothing.
func TestNewcomerIsNotMissedByOneThatStoodStill(t *testing.T) {
	t.Parallel()
	for name, cfg := range channels() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			p := redistest.NewProxy(t, s.Addr())
			cfg.Prefix = unique()
			begin := func(url string) (*redis.Cluster, *adaptertest.Node) {
				cfg.URL = url
				c := start(t, cfg)
				return c, adaptertest.NewNode(t, "/", c.Adapter())
			}
			old, oldNode := begin(s.URL())
			still, stillNode := begin(p.URL())
			m := adaptertest.NewMember("member-0000000000000")
			stillNode.Join(m, "room")
			ready(t, old, still)
			emit := func(n *adaptertest.Node, k int, rooms ...string) {
				t.Helper()
				if err := n.Broadcast(adaptertest.Event(fmt.Sprintf(`["n",%d]`, k)), adapter.Target{Rooms: rooms}); err != nil {
					t.Fatal(err)
				}
			}
			p.Block()
			emit(oldNode, -1) // what had come
			adaptertest.Eventually(t, func() error {
				if p.Held() == 0 {
					return fmt.Errorf("nothing is on its way")
				}
				return nil
			})
			if err := s.Client().Do(t.Context(), "CLIENT", "KILL", "TYPE", "pubsub").Err(); err != nil {
				t.Fatal(err)
			}
			newcomer, newNode := begin(s.URL())
			if err := newcomer.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
			const count = 100
			for k := range count {
				emit(newNode, 2*k)
				emit(newNode, 2*k+1, "room")
			}
			pass(t, 3*time.Second) // longer than what is asked for beyond the last message
			p.Unblock()
			emit(newNode, 2*count)
			emit(newNode, 2*count+1, "room")
			adaptertest.Eventually(t, func() error {
				got := slices.DeleteFunc(numbers(m), func(k int) bool { return k < 0 })
				var all, room []int
				for _, k := range got {
					if k%2 == 0 {
						all = append(all, k)
					} else {
						room = append(room, k)
					}
				}
				if len(all) != count+1 || len(room) != count+1 || !slices.IsSorted(all) || !slices.IsSorted(room) {
					return fmt.Errorf("got %v; %+v", got, still.Stats())
				}
				return nil
			})
		})
	}
}

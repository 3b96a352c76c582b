package redis_test

import (
	"fmt"
	"testing"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// TestNothingIsMissedOfFreshRooms: what is emitted elsewhere when a join has returned arrives, though Redis has not
// taken the subscription of the room yet, whether more follows or not.
func TestNothingIsMissedOfFreshRooms(t *testing.T) {
	const rooms = 300
	for _, cfg := range []redis.Config{{Mode: redis.PubSub, Subscriptions: redis.Dynamic}, {Mode: redis.Sharded}} {
		t.Run(modeName(&cfg), func(t *testing.T) {
			f := newFleet(t, redistest.Start(t), cfg, 2, false)
			here, there := f.nodes[0], f.nodes[1]
			for k := range rooms {
				room := fmt.Sprintf("fresh-%d", k)
				to := adapter.Target{Rooms: []string{room}}
				if k%3 == 0 { // that the lane has a past must not matter
					if err := there.Broadcast(adaptertest.Event(`["before"]`), to); err != nil {
						t.Fatal(err)
					}
				}
				here.Join(f.members[0], room)
				for i := range 1 + k%2 {
					if err := there.Broadcast(adaptertest.Event(fmt.Sprintf(`["fresh",%d,%d]`, k, i)), to); err != nil {
						t.Fatal(err)
					}
				}
			}
			want := map[string]bool{}
			for k := range rooms {
				for i := range 1 + k%2 {
					want[fmt.Sprintf(`["fresh",%d,%d]`, k, i)] = true
				}
			}
			adaptertest.Eventually(t, func() error {
				seen := map[string]int{}
				for _, s := range f.members[0].Got() {
					seen[s]++
				}
				missing := 0
				for s := range want {
					switch seen[s] {
					case 0:
						missing++
					case 1:
					default:
						t.Fatalf("%s came %d times", s, seen[s])
					}
				}
				if missing > 0 {
					return fmt.Errorf("%d events of %d are missing; lost %v", missing, len(want), f.clusters[0].Stats().Lost)
				}
				return nil
			})
		})
	}
}

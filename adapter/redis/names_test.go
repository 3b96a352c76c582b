package redis_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis"
)

// What servers and Redis remember of a room that was published to does not grow with its name, which a client may have
// chosen; and what is for rooms with long names arrives, in order with the rest.
func TestRoomsWithLongNames(t *testing.T) {
	t.Parallel()
	all := modes()
	maps.Copy(all, map[string]redis.Config{"dynamic": {Subscriptions: redis.DynamicPrivate}, "sharded private": {Mode: redis.Sharded, Subscriptions: redis.DynamicPrivate}})
	for name, cfg := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := pair(t, cfg, shared.URL(), shared.URL())
			m := adaptertest.NewMember("long-000000000000000")
			long, short := strings.Repeat("x", 50_000), "short"
			f.nodes[1].Join(m, long, short)
			ready(t, f.clusters...)
			const count = 20
			for i := range count {
				for _, room := range []string{long, short, fmt.Sprint(strings.Repeat("y", 50_000), i)} {
					if err := f.nodes[0].Broadcast(adaptertest.Event(fmt.Sprintf(`[%q,%d]`, room[:1], i)), adapter.Target{Rooms: []string{room}}); err != nil {
						t.Fatal(err)
					}
				}
			}
			got := m.Wait(t, 2*count)
			for i := range count {
				if a, b := got[2*i], got[2*i+1]; !strings.HasPrefix(a, fmt.Sprintf(`["x",%d`, i)) || !strings.HasPrefix(b, fmt.Sprintf(`["s",%d`, i)) {
					t.Fatalf("of %d: %s, %s", i, a, b)
				}
			}
			if cfg.Mode == redis.Streams {
				return // which servers that were away read themselves
			}
			client := shared.Client()
			adaptertest.Eventually(t, func() error {
				keys := client.Keys(t.Context(), f.prefix+"-beanpole:*"+f.clusters[0].UID()+".*").Val()
				if len(keys) != 1 {
					return fmt.Errorf("there are %q", keys)
				}
				if n := client.MemoryUsage(t.Context(), keys[0]).Val(); n > 10_000 {
					t.Errorf("the ends of its messages take %d bytes", n)
				}
				return nil
			})
		})
	}
}

package redis_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// TestSubscriptionsComeBackWhateverTheirNamesAre: a server whose subscriptions have names of more bytes than Redis lets wait for a
// subscriber hears the others again when its connection has broken.
func TestSubscriptionsComeBackWhateverTheirNamesAre(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]redis.Config{"dynamic": {Subscriptions: redis.Dynamic}, "sharded": {Mode: redis.Sharded}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t, "--client-output-buffer-limit", "pubsub 8mb 8mb 60")
			f := pair(t, cfg, s.URL(), s.URL())
			long := strings.Repeat("x", 100_000)
			for i := range 300 {
				f.nodes[1].Join(f.there, fmt.Sprint(i, long))
			}
			ready(t, f.clusters...)
			before := f.clusters[1].Stats().Reconnects
			if err := s.Client().Do(t.Context(), "client", "kill", "type", "pubsub").Err(); err != nil {
				t.Fatal(err)
			}
			if err := f.nodes[0].Broadcast(adaptertest.Event(`["n",0]`), adapter.Target{}); err != nil {
				t.Fatal(err)
			}
			adaptertest.Eventually(t, func() error {
				if n := f.there.Count(); n != 1 {
					return fmt.Errorf("%d events: %+v", n, f.clusters[1].Stats())
				}
				return nil
			})
			ready(t, f.clusters...)
			if n := f.clusters[1].Stats().Reconnects - before; n > 3 { // one, but for what a busy machine does
				t.Errorf("%d connections were made", n)
			}
		})
	}
}

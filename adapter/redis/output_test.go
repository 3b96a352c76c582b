package redis_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// An event larger than what Redis lets wait for a subscriber is missed, alone, and counted.
func TestMissedBecauseOfTheOutputLimit(t *testing.T) {
	t.Parallel()
	for name, cfg := range channels() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t, "--client-output-buffer-limit", "pubsub 64kb 32kb 5")
			f := pair(t, cfg, s.URL(), s.URL())
			f.flow()
			pass(t, 300*time.Millisecond)
			large := adaptertest.Event(fmt.Sprintf(`["large",%q]`, strings.Repeat("x", 100_000)))
			if err := f.nodes[0].Broadcast(large, adapter.Target{}); err != nil {
				t.Fatal(err)
			}
			adaptertest.Eventually(t, func() error {
				if s := f.clusters[1].Stats(); s.Lost["output limit"] != 1 || len(s.Lost) != 1 {
					return fmt.Errorf("%+v", s)
				}
				return nil
			})
			_, there := f.end()
			adaptertest.Eventually(t, func() error {
				if there = numbers(f.there); len(there) != f.sent || !slices.IsSorted(there) {
					return fmt.Errorf("%d of %d events: %+v", len(there), f.sent, f.clusters[1].Stats())
				}
				return nil
			})
		})
	}
}

// Bursts of events, each smaller than what Redis lets wait, and all together larger: none is missed.
func TestNothingIsMissedBecauseOfTheOutputLimit(t *testing.T) {
	t.Parallel()
	for name, cfg := range channels() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t, "--client-output-buffer-limit", "pubsub 64kb 32kb 5")
			f := pair(t, cfg, s.URL(), s.URL())
			pad := strings.Repeat("x", 30_000)
			for range 3 {
				for range 50 {
					if err := f.nodes[0].Broadcast(adaptertest.Event(fmt.Sprintf(`["n",%d,%q]`, f.sent, pad)), adapter.Target{}); err != nil {
						t.Fatal(err)
					}
					f.sent++
				}
				pass(t, 200*time.Millisecond)
			}
			adaptertest.Eventually(t, func() error {
				if n := f.there.Count(); n != f.sent || len(f.clusters[1].Stats().Lost) > 0 {
					return fmt.Errorf("%d of %d events: %+v %+v", n, f.sent, f.clusters[1].Stats(), f.clusters[0].Stats())
				}
				return nil
			})
		})
	}
}

package redis_test

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// TestLateSubscriptionsAreAskedForTogether: what Redis takes late, one by one, costs few questions and answers, and nothing of
// it is missed.
func TestLateSubscriptionsAreAskedForTogether(t *testing.T) {
	t.Parallel()
	const count = 400
	for name, x := range map[string]struct {
		cfg  redis.Config
		open func(n *adaptertest.Node, i int)
	}{
		"rooms": {redis.Config{Mode: redis.PubSub, Subscriptions: redis.Dynamic}, func(n *adaptertest.Node, i int) {
			n.Join(adaptertest.NewMember(fmt.Sprintf("member-%013d", i)))
		}},
		"rooms, sharded": {redis.Config{Mode: redis.Sharded}, func(n *adaptertest.Node, i int) {
			n.Join(adaptertest.NewMember(fmt.Sprintf("member-%03d", i)), fmt.Sprint("room ", i))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			way := redistest.NewProxy(t, s.Addr())
			x.cfg.Prefix, x.cfg.URL, x.cfg.HeartbeatInterval = unique(), s.URL(), 5*time.Second
			b := start(t, x.cfg)
			x.cfg.URL = way.URL()
			a := start(t, x.cfg)
			here, there := adaptertest.NewNode(t, "/", a.Adapter()), adaptertest.NewNode(t, "/", b.Adapter())
			first := adaptertest.NewMember("member-of-all-0000001")
			here.Join(first)
			ready(t, a, b)
			before, begun := publishes(t, s), time.Now()
			way.Slow(400 * time.Millisecond)
			for i := range count {
				x.open(here, i)
				pass(t, 2*time.Millisecond)
			}
			if err := there.Broadcast(adaptertest.Event(`["x"]`), adapter.Target{}); err != nil {
				t.Fatal(err)
			}
			way.Slow(0)
			ready(t, a, b)
			first.Wait(t, 1)
			pass(t, 2*time.Second) // by when all has been asked, and asked again
			// What comes late is gathered for a quarter of a second: it is more the longer a busy machine takes for it.
			if n, took := publishes(t, s)-before, time.Since(begun); n > count/4+int(took/(250*time.Millisecond)) {
				t.Errorf("%d messages for %d subscriptions in %v", n, count, took)
			}
			if a.Stats().Reconnects > 0 || len(a.Stats().Lost) > 0 {
				t.Errorf("%+v", a.Stats())
			}
		})
	}
}

// publishes returns how many messages Redis was given for channels.
func publishes(t *testing.T, s *redistest.Server) (n int) {
	info, err := s.Client().Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`cmdstat_s?publish:calls=(\d+)`).FindAllStringSubmatch(info, -1) {
		k, _ := strconv.Atoi(m[1])
		n += k
	}
	return n
}

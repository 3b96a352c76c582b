package redis

import (
	"log/slog"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// A server that takes the place of another one has missed nothing of it that was published before, though its own
// subscriptions came late; what was published since is counted.
func TestPredecessorIsNotMissed(t *testing.T) {
	t.Parallel()
	c, err := New(Config{URL: redistest.Start(t).URL(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	adaptertest.NewNode(t, "/", c.Adapter())
	defer c.Close(t.Context())
	if err := c.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	n := c.namespace("/")
	key, at := laneKey{n.name, c.wire.lane(n.name, n.first.name)}, c.bus.since(n.first)
	c.inbox.regained([]regained{{n.first, []receiver{n}, at.Add(-slack)}})
	ends := func(last time.Time) map[laneKey]recorded {
		return map[laneKey]recorded{key: {n: 5, count: 5, first: at.Add(-time.Minute), last: last}}
	}
	c.inbox.close("predecessor", ends(at.Add(-slack/2)))
	if lost := c.Stats().LostOf; len(lost) > 0 {
		t.Errorf("of what was published before: %v", lost)
	}
	c.inbox.close("another", ends(time.Now()))
	if lost := c.Stats().LostOf; lost["another"] != 1 || len(lost) != 1 {
		t.Errorf("of what was published since: %v", lost)
	}
}

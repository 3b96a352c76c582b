package redis_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis"
)

// TestManyPatternsAreSaid: who has so many namespaces, each of which is a pattern, that publishing gets dear is told once.
func TestManyPatternsAreSaid(t *testing.T) {
	t.Parallel()
	for mode, want := range map[redis.Subscriptions]int{redis.Static: 1, redis.Dynamic: 0} {
		var log written
		c := start(t, redis.Config{URL: "redis://127.0.0.1:1", Subscriptions: mode, Mode: redis.PubSub, Prefix: unique(),
			Logger: slog.New(slog.NewTextHandler(&log, nil))})
		for i := range 130 {
			adaptertest.NewNode(t, fmt.Sprintf("/many-%d", i), c.Adapter())
		}
		if got := strings.Count(log.String(), "publishing gets dear"); got != want {
			t.Errorf("%s: said %d times, want %d", mode, got, want)
		}
	}
}

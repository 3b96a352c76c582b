package redis_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis"
)

// TestManyPatternsAreSaid: who has so many namespaces, each of which is a pattern, that publishing gets dear is told.
func TestManyPatternsAreSaid(t *testing.T) {
	t.Parallel()
	var log written
	c := start(t, redis.Config{URL: "redis://127.0.0.1:1", Mode: redis.PubSub, Prefix: unique(), Logger: slog.New(slog.NewTextHandler(&log, nil))})
	for i := range 130 {
		adaptertest.NewNode(t, fmt.Sprintf("/many-%d", i), c.Adapter())
	}
	adaptertest.Eventually(t, func() error { // the log is written apart
		if !strings.Contains(log.String(), "publishing gets dear") {
			return errors.New("not said")
		}
		return nil
	})
}

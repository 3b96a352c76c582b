package redis_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis"
)

// A stream has a bound in bytes: large events leave it for small ones before it has as many entries as it may.
func TestStreamIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	cfg := redis.Config{URL: shared.URL(), Mode: redis.Streams, Prefix: unique(), MaxStreamBytes: 4 << 20}
	cfg.Stream = cfg.Prefix
	list := make([]*adaptertest.Node, 2)
	var clusters []*redis.Cluster
	for i := range list {
		c := start(t, cfg)
		clusters = append(clusters, c)
		list[i] = adaptertest.NewNode(t, "/", c.Adapter())
	}
	ready(t, clusters...)
	m := adaptertest.NewMember("member")
	list[1].Join(m)
	got := make(chan struct{})
	m.Watch(func(adapter.Message) { got <- struct{}{} })
	emit := func(size int) {
		t.Helper()
		if err := list[0].Broadcast(adaptertest.Event(`["`+strings.Repeat("x", size)+`"]`), adapter.Target{}); err != nil {
			t.Fatal(err)
		}
		<-got
	}
	holds := func() (entries, bytes int64) {
		t.Helper()
		entries, err := shared.Client().XLen(t.Context(), cfg.Stream).Result()
		if err == nil {
			bytes, err = shared.Client().MemoryUsage(t.Context(), cfg.Stream, 0).Result()
		}
		if err != nil {
			t.Fatal(err)
		}
		return entries, bytes
	}
	for range 200 {
		emit(100_000)
	}
	if entries, bytes := holds(); bytes > 6<<20 || entries < 30 {
		t.Errorf("the stream has %d entries and %d bytes", entries, bytes)
	}
	for range 600 {
		emit(100)
	}
	if entries, bytes := holds(); entries < 400 || bytes > 6<<20 {
		t.Errorf("the stream has %d entries and %d bytes", entries, bytes)
	}
	if lost := fmt.Sprint(clusters[1].Stats().LostOf); lost != "map[]" {
		t.Errorf("lost: %s", lost)
	}
}

package redis_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// TestQuestionsTogetherAreBounded: a server that asks many questions at once is not cut off for what is answered, on a way
// that is slower than Redis, and gets all of it.
func TestQuestionsTogetherAreBounded(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]redis.Config{"pubsub": {Mode: redis.PubSub}, "sharded": {Mode: redis.Sharded}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t, "--client-output-buffer-limit", "pubsub 4mb 0 0")
			way := redistest.NewProxy(t, s.Addr())
			cfg.Prefix, cfg.RequestTimeout, cfg.HeartbeatInterval = unique(), 20*adaptertest.Patience, 5*time.Second
			cfg.URL = s.URL()
			b := start(t, cfg)
			cfg.URL = way.URL()
			a := start(t, cfg)
			x, y := adaptertest.NewNode(t, "/", a.Adapter()), adaptertest.NewNode(t, "/", b.Adapter())
			const sockets, questions = 4, 40
			for i := range sockets {
				y.Join(adaptertest.NewMember(fmt.Sprintf("%013d-%s", i, strings.Repeat("l", 40_000))))
			}
			ready(t, a, b)
			before := a.Stats().Reconnects
			ctx, cancel := context.WithCancel(t.Context())
			largest := make(chan int)
			go func() { largest <- waits(ctx, t, s) }()
			way.Slow(2 * time.Millisecond)
			var wg sync.WaitGroup
			for range questions {
				wg.Go(func() {
					if list, err := x.Fetch(t.Context(), adapter.Target{}); len(list) != sockets || err != nil {
						t.Errorf("%d sockets of %d, %v", len(list), sockets, err)
					}
				})
			}
			wg.Wait()
			way.Slow(0)
			cancel()
			if n := <-largest; n > 3<<20 {
				t.Errorf("%d bytes waited in Redis for one subscription", n)
			}
			if n := a.Stats().Reconnects - before; n > 0 {
				t.Errorf("the server that asks was cut off %d times", n)
			}
		})
	}
}

// waits returns the most bytes that have waited in Redis for a connection until ctx is over.
func waits(ctx context.Context, t *testing.T, s *redistest.Server) (most int) {
	for ; ctx.Err() == nil; pass(t, 10*time.Millisecond) {
		list, err := s.Client().ClientList(ctx).Result()
		if err != nil {
			continue
		}
		for _, field := range strings.Fields(list) {
			if v, ok := strings.CutPrefix(field, "omem="); ok {
				n, _ := strconv.Atoi(v)
				most = max(most, n)
			}
		}
	}
	return most
}

// TestQuestionsWaitWithinTheirTime: what waits for others longer than it may is an error that names who was not asked.
func TestQuestionsWaitWithinTheirTime(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	way := redistest.NewProxy(t, s.Addr())
	cfg := redis.Config{URL: s.URL(), Prefix: unique(), Mode: redis.PubSub}
	a := start(t, cfg)
	cfg.URL = way.URL()
	b := start(t, cfg)
	x, y := adaptertest.NewNode(t, "/", a.Adapter()), adaptertest.NewNode(t, "/", b.Adapter())
	y.Join(adaptertest.NewMember("member-0000000000001"))
	ready(t, a, b)
	way.Block()
	defer way.Unblock()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second) // what does not come has its room for two
	defer cancel()
	var wg sync.WaitGroup
	var mu sync.Mutex
	for range 800 {
		wg.Go(func() {
			_, err := x.Fetch(ctx, adapter.Target{})
			var p *adapter.PartialError
			mu.Lock()
			defer mu.Unlock()
			if !errors.As(err, &p) || p.Nodes != 1 {
				t.Errorf("%v", err)
			}
		})
	}
	wg.Wait()
	published(t, a)
	if n := a.Stats().Published; n > 700 { // a question, and twice or so a reminder, for each of those asked
		t.Errorf("%d messages: more questions were asked than the answers of which have room", n)
	}
	way.Unblock()
	list, err := x.Fetch(t.Context(), adapter.Target{})
	if len(list) != 1 || err != nil {
		t.Errorf("%d sockets, %v", len(list), err)
	}
}

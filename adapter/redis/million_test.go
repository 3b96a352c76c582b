package redis_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// storms are the modes that a fault is tried in: with time, those with a stream as well. The stream holds what a storm
// has on its way, and the outbox as long as Redis is away.
func storms() map[string]redis.Config {
	all := channels()
	if million() {
		all["streams"] = redis.Config{Mode: redis.Streams, BlockTime: time.Second, MaxStreamLen: 100_000}
		all["recovery"] = redis.Config{Mode: redis.Streams, BlockTime: time.Second, MaxStreamLen: 100_000, Recovery: &adapter.Recovery{}}
	}
	for name, cfg := range all {
		cfg.MaxOutboxAge = 5 * time.Minute
		all[name] = cfg
	}
	return all
}

// with returns those of storms that have a stream, or those that have none.
func with(streams bool) map[string]redis.Config {
	all := storms()
	for name, cfg := range all {
		if (cfg.Mode == redis.Streams) != streams {
			delete(all, name)
		}
	}
	return all
}

// times calls fn n times, unless the storm is over, some time after each other.
func times(ctx context.Context, t *testing.T, n int, every time.Duration, fn func()) {
	for range n {
		select {
		case <-time.After(every): // events flow meanwhile
		case <-ctx.Done():
			return
		}
		if !t.Failed() {
			fn()
		}
	}
}

// alone skips a test that takes minutes, but for `make million`.
func alone(t *testing.T) {
	if !million() {
		t.Skip("for make million")
	}
}

// Redis restarts and has all it had: it is told to, or it is killed.
func TestNothingIsMissedWhileRedisRestartsWithItsData(t *testing.T) {
	t.Parallel()
	alone(t)
	for name, cfg := range storms() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
			f := pair(t, cfg, s.URL(), s.URL())
			storm(t, f, func(ctx context.Context) {
				times(ctx, t, 6, time.Second, func() {
					s.Stop()
					s.Run()
				})
			})
		})
	}
}

// Redis fails over to its replica. A stream loses with it what the replica has not got, which is counted.
func TestNothingIsMissedInAFailover(t *testing.T) {
	t.Parallel()
	alone(t)
	for name, cfg := range storms() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			main := redistest.Start(t)
			replica := redistest.Start(t, "--replicaof", "127.0.0.1 "+strconv.Itoa(main.Port))
			url := sentinelURL(t, main)
			f := pair(t, cfg, url, url)
			f.lossy = cfg.Mode == redis.Streams
			admin := replica.Client()
			storm(t, f, func(ctx context.Context) {
				times(ctx, t, 1, 2*time.Second, func() {
					main.Kill()
					promoted(t, admin)
				})
			})
		})
	}
}

// Redis stands still for half a minute.
func TestNothingIsMissedWhileRedisIsFrozen(t *testing.T) {
	t.Parallel()
	alone(t)
	for name, cfg := range storms() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			f := pair(t, cfg, s.URL(), s.URL())
			storm(t, f, func(ctx context.Context) {
				times(ctx, t, 1, time.Second, func() {
					s.Freeze()
					pass(t, 30*time.Second)
					s.Thaw()
				})
			})
		})
	}
}

// The password of Redis is changed, connections end, and it is changed back.
func TestNothingIsMissedWhilePasswordsChange(t *testing.T) {
	t.Parallel()
	alone(t)
	for name, cfg := range storms() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t, "--requirepass", "before")
			url := fmt.Sprintf("redis://:before@127.0.0.1:%d", s.Port)
			f := pair(t, cfg, url, url)
			admin := s.Client().Conn() // stays authenticated
			defer admin.Close()
			do := func(args ...any) {
				if err := admin.Do(t.Context(), args...).Err(); err != nil {
					t.Error(err)
				}
			}
			do("auth", "before")
			storm(t, f, func(ctx context.Context) {
				times(ctx, t, 6, time.Second, func() {
					do("config", "set", "requirepass", "after")
					do("client", "kill", "type", "normal", "skipme", "yes")
					do("client", "kill", "type", "pubsub")
					pass(t, 500*time.Millisecond)
					do("config", "set", "requirepass", "before")
				})
			})
		})
	}
}

// Masters of a Redis Cluster die and come back, one after the other, with what was in them, or, that with the stream,
// not at all: it would have nothing any more.
func TestNothingIsMissedWhileShardsAreDead(t *testing.T) {
	t.Parallel()
	alone(t)
	for name, cfg := range storms() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			list := redistest.Cluster(t, "--cluster-require-full-coverage", "no", "--cluster-allow-pubsubshard-when-down", "yes")
			url := redistest.ClusterURL(list)
			f := pair(t, cfg, url, url)
			var home *redistest.Server
			if cfg.Mode == redis.Streams {
				_, home = slot(t, list, f.prefix)
			}
			list = slices.DeleteFunc(slices.Clone(list), func(s *redistest.Server) bool { return s == home })
			storm(t, f, func(ctx context.Context) {
				k := 0
				times(ctx, t, 6, time.Second, func() {
					s := list[k%len(list)]
					k++
					s.Kill()
					pass(t, 1500*time.Millisecond)
					s.Run()
				})
			})
		})
	}
}

// The slot of a stream moves to another master, with the stream.
func TestNothingIsMissedWhileStreamsMove(t *testing.T) {
	t.Parallel()
	alone(t)
	list := redistest.Cluster(t)
	url := redistest.ClusterURL(list)
	for name, cfg := range with(true) {
		t.Run(name, func(t *testing.T) {
			f := pair(t, cfg, url, url)
			n, _ := slot(t, list, f.prefix)
			storm(t, f, func(ctx context.Context) {
				times(ctx, t, 6, time.Second, func() {
					_, from := slot(t, list, f.prefix)
					to := list[0]
					if to == from {
						to = list[1]
					}
					move(t, list, n, from, to)
				})
			})
		})
	}
}

// The stream is trimmed before its readers have read it, which they count.
func TestNothingIsMissedUncountedOfATrimmedStream(t *testing.T) {
	t.Parallel()
	alone(t)
	for name, cfg := range with(true) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			p := redistest.NewProxy(t, s.Addr())
			cfg.MaxStreamLen = 2000
			f := pair(t, cfg, s.URL(), p.URL())
			f.lossy = true
			storm(t, f, func(ctx context.Context) {
				for ctx.Err() == nil {
					p.Block()
					pass(t, 200*time.Millisecond)
					p.Unblock()
					pass(t, time.Second)
				}
			})
		})
	}
}

// sentinelURL starts a sentinel and returns the URL of what it watches, when it knows the replica.
func sentinelURL(t *testing.T, main *redistest.Server) string {
	t.Helper()
	port := sentinel(t, main)
	s := goredis.NewSentinelClient(&goredis.Options{Addr: "127.0.0.1:" + strconv.Itoa(port)})
	defer s.Close()
	eventually(t, func() error {
		list, err := s.Replicas(t.Context(), "main").Result()
		if err != nil || len(list) != 1 || list[0]["master-link-status"] != "ok" {
			return fmt.Errorf("replicas %v, %v", list, err)
		}
		return nil
	})
	return fmt.Sprintf("redis://127.0.0.1:%d?master_name=main", port)
}

// promoted waits until a replica has become the master.
func promoted(t *testing.T, replica *goredis.Client) {
	t.Helper()
	eventually(t, func() error {
		r, err := replica.Do(t.Context(), "role").Slice()
		if err != nil || r[0] != "master" {
			return fmt.Errorf("role %v, %v", r, err)
		}
		return nil
	})
}

// move moves a slot with its keys, in the order of redis-cli --cluster reshard.
func move(t *testing.T, list []*redistest.Server, slot int64, from, to *redistest.Server) {
	t.Helper()
	id := func(s *redistest.Server) string {
		id, err := s.Client().Do(t.Context(), "cluster", "myid").Text()
		if err != nil {
			t.Error(err)
		}
		return id
	}
	do := func(s *redistest.Server, args ...any) {
		if err := s.Client().Do(t.Context(), args...).Err(); err != nil {
			t.Errorf("%v: %v", args, err)
		}
	}
	do(to, "cluster", "setslot", slot, "importing", id(from))
	do(from, "cluster", "setslot", slot, "migrating", id(to))
	keys, err := from.Client().ClusterGetKeysInSlot(t.Context(), int(slot), 100).Result()
	if err != nil {
		t.Error(err)
	}
	for _, key := range keys {
		do(from, "migrate", "127.0.0.1", to.Port, key, 0, 10_000)
	}
	do(to, "cluster", "setslot", slot, "node", id(to))
	do(from, "cluster", "setslot", slot, "node", id(to))
	for _, s := range list {
		if s != to && s != from {
			do(s, "cluster", "setslot", slot, "node", id(to))
		}
	}
}

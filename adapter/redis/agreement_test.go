package redis_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// agreement returns what a server complains of about the settings of others.
func agreement(c *redis.Cluster) (list []string) {
	for _, p := range c.Status().Parts {
		if p.Kind == redis.PartAgreement && p.Err != nil {
			list = append(list, p.Err.Error())
		}
	}
	return list
}

// Servers that were given different modes, or recovery and none, find out and say so, as long as both are there.
func TestServersFindOutThatTheyDiffer(t *testing.T) {
	t.Parallel()
	for name, cfgs := range map[string][2]redis.Config{
		"mode":          {{Mode: redis.PubSub}, {Mode: redis.Sharded}},
		"recovery":      {{Mode: redis.Streams}, {Mode: redis.Streams, Recovery: &adapter.Recovery{}}},
		"subscriptions": {{Mode: redis.Sharded}, {Mode: redis.Sharded, Subscriptions: redis.Static}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			prefix := unique()
			var list []*redis.Cluster
			l := &logged{Handler: slog.DiscardHandler}
			for _, cfg := range cfgs {
				cfg.Prefix, cfg.Stream, cfg.URL, cfg.HeartbeatInterval = prefix, prefix, shared.URL(), 100*time.Millisecond
				cfg.Logger = slog.New(l)
				list = append(list, start(t, cfg))
			}
			for _, c := range list {
				adaptertest.Eventually(t, func() error {
					if got := agreement(c); len(got) != 1 || !strings.Contains(got[0], "do not have the same settings") {
						return fmt.Errorf("%+v", c.Status())
					}
					return nil
				})
			}
			if err := list[1].Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			adaptertest.Eventually(t, func() error {
				if got := agreement(list[0]); len(got) > 0 {
					return fmt.Errorf("%q", got)
				}
				return nil
			})
			if n := l.count("cluster degraded"); n != 2 && !testing.Verbose() {
				t.Errorf("said %d times by two servers", n)
			}
		})
	}
}

// A server that has stopped is none that differs: the mode is changed by stopping all and starting them anew.
func TestServersThatHaveStoppedDoNotDiffer(t *testing.T) {
	t.Parallel()
	prefix := unique()
	l := &logged{Handler: slog.DiscardHandler}
	for _, mode := range []redis.Mode{redis.PubSub, redis.Sharded, redis.Streams} {
		c := start(t, redis.Config{URL: shared.URL(), Mode: mode, Prefix: prefix, Stream: prefix, Logger: slog.New(l)})
		if err := c.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := agreement(c); len(got) > 0 {
			t.Errorf("mode %s: %q", mode, got)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := l.count("cluster degraded"); n > 0 {
		t.Errorf("said %d times", n)
	}
}

// Another prefix is said once, and is a complaint where both read the same stream.
func TestAnotherPrefixIsSaid(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	l := &logged{Handler: slog.DiscardHandler}
	cfg := redis.Config{URL: s.URL(), Mode: redis.Streams, Prefix: "one"}
	a := start(t, cfg)
	ready(t, a)
	cfg.Prefix, cfg.Logger = "two", slog.New(l)
	b := start(t, cfg)
	adaptertest.Eventually(t, func() error {
		if got := agreement(b); len(got) != 1 || !strings.Contains(got[0], "the same Stream") || !l.has("another prefix") {
			return fmt.Errorf("%q", got)
		}
		return nil
	})
	cfg.Prefix, cfg.Stream = "three", "three"
	c := start(t, cfg)
	ready(t, c)
	adaptertest.Eventually(t, func() error {
		if l.count("another prefix") != 2 {
			return errors.New("nothing is said")
		}
		return nil
	})
	if got := agreement(c); len(got) > 0 {
		t.Errorf("%q", got)
	}
}

// Whoever empties Redis takes the list of servers with it; none of them is gone for that.
func TestNobodyIsGoneWhenRedisIsEmptied(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	l := &logged{Handler: slog.DiscardHandler}
	cfg := redis.Config{URL: s.URL(), Prefix: "p", HeartbeatInterval: 100 * time.Millisecond, Logger: slog.New(l)}
	var list []*redis.Cluster
	for range 4 {
		list = append(list, start(t, cfg))
	}
	ready(t, list...)
	for range 5 {
		if err := s.Client().FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		adaptertest.Eventually(t, func() error {
			if n, err := s.Client().ZCard(t.Context(), "p-beanpole:{p}:nodes").Result(); n != 4 {
				return fmt.Errorf("%d, %v", n, err)
			}
			return nil
		})
	}
	ready(t, list...)
	if l.has("node gone") {
		t.Errorf("%q", l.list)
	}
}

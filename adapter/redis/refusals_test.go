package redis_test

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// failure returns the error of a part.
func failure(c *redis.Cluster, kind redis.PartKind, of string) error {
	s := c.Status()
	i := slices.IndexFunc(s.Parts, func(p redis.Part) bool { return p.Kind == kind && p.Of == of })
	if i < 0 {
		return nil
	}
	return s.Parts[i].Err
}

// fails waits until a part fails with a text, or works if that is empty, and the cluster with it.
func fails(t *testing.T, c *redis.Cluster, kind redis.PartKind, text string) {
	t.Helper()
	adaptertest.Eventually(t, func() error {
		err := failure(c, kind, "")
		if s := c.Status(); s.Up != (text == "") || (err == nil) != (text == "") || err != nil && !strings.Contains(err.Error(), text) {
			return fmt.Errorf("%v; status %+v, want %s to fail with %q", err, s, kind, text)
		}
		return nil
	})
}

func acl(t *testing.T, admin *goredis.Client, rules ...any) {
	t.Helper()
	if err := admin.Do(t.Context(), append([]any{"acl", "setuser", "app"}, rules...)...).Err(); err != nil {
		t.Fatal(err)
	}
}

// Redis answers, and refuses what carries events: nothing of that is well until it takes it again, whatever else it takes
// meanwhile.
func TestCommandsAreRefused(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		cfg     redis.Config
		command string
	}{
		"publish":            {redis.Config{Mode: redis.PubSub}, "publish"},
		"spublish":           {redis.Config{Mode: redis.Sharded}, "spublish"},
		"xadd":               {redis.Config{Mode: redis.Streams, BlockTime: time.Second}, "xadd"},
		"xadd with recovery": {redis.Config{Mode: redis.Streams, BlockTime: time.Second, Recovery: &adapter.Recovery{}}, "xadd"},
		"answers of streams": {redis.Config{Mode: redis.Streams, BlockTime: time.Second}, "publish"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			admin := s.Client()
			acl(t, admin, "on", ">secret", "+@all", "~*", "&*")
			cfg, l := x.cfg, &logged{Handler: slog.DiscardHandler}
			cfg.Logger = slog.New(l)
			url := "redis://app:secret@" + s.Addr()
			f := pair(t, cfg, url, url)
			c, n := f.clusters[0], f.nodes[0]
			adaptertest.Eventually(t, func() error {
				if l.count("cluster up") < 2 {
					return errors.New("not said to be up")
				}
				return nil
			})
			acl(t, admin, "-"+x.command)
			for i := range 10 {
				if err := n.Broadcast(adaptertest.Event(fmt.Sprintf(`["n",%d]`, i)), adapter.Target{}); err != nil {
					t.Error(err)
				}
			}
			fails(t, c, redis.PartSending, "NOPERM")
			since := c.Status().Since
			_, err := n.Fetch(t.Context(), adapter.Target{})
			if !errors.Is(err, adapter.ErrDegraded) {
				t.Errorf("Fetch: %v", err)
			}
			pass(t, time.Second) // some beats
			if s := c.Status(); s.Up || !s.Since.Equal(since) {
				t.Errorf("status %+v, before since %v", s, since)
			}
			if lost := c.Stats().Lost["refused"]; x.cfg.Mode != redis.Streams && lost < 10 {
				t.Errorf("refused %d", lost)
			}
			if n := l.count("cluster degraded"); n > 2 { // of each server
				t.Errorf("said %d times: %q", n, l.list)
			}
			acl(t, admin, "+@all")
			if err := n.Broadcast(adaptertest.Event(`["again"]`), adapter.Target{}); err != nil {
				t.Error(err)
			}
			fails(t, c, redis.PartSending, "")
			adaptertest.Eventually(t, func() error {
				if got := f.there.Got(); len(got) == 0 || !strings.Contains(got[len(got)-1], "again") {
					return fmt.Errorf("got %q", got)
				}
				return nil
			})
		})
	}
}

// Redis is out of memory for longer than events may wait: that nothing waits any more makes it no better.
func TestOutOfMemory(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	cfg := redis.Config{URL: s.URL(), Mode: redis.Streams, Prefix: unique(), BlockTime: time.Second, HeartbeatInterval: 100 * time.Millisecond,
		MaxOutboxAge: 300 * time.Millisecond}
	cfg.Stream = cfg.Prefix
	c := start(t, cfg)
	n := adaptertest.NewNode(t, "/", c.Adapter())
	ready(t, c)
	memory := func(max string) {
		t.Helper()
		if err := s.Client().ConfigSet(t.Context(), "maxmemory", max).Err(); err != nil {
			t.Fatal(err)
		}
	}
	memory("1")
	if err := n.Broadcast(adaptertest.Event(`["x"]`), adapter.Target{}); err != nil {
		t.Fatal(err)
	}
	fails(t, c, redis.PartSending, "OOM")
	adaptertest.Eventually(t, func() error {
		if s := c.Stats(); s.Waiting > 0 || s.Lost["too old"] != 1 {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
	pass(t, 500*time.Millisecond) // some beats, which are taken
	fails(t, c, redis.PartSending, "OOM")
	memory("0")
	if err := n.Broadcast(adaptertest.Event(`["x"]`), adapter.Target{}); err != nil {
		t.Fatal(err)
	}
	fails(t, c, redis.PartSending, "")
}

// Redis refuses one channel of many: that is said, and the others work.
func TestOneChannelIsRefused(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	admin := s.Client()
	acl(t, admin, "on", ">secret", "+@all", "~*", "&*")
	url := "redis://app:secret@" + s.Addr()
	f := pair(t, redis.Config{Mode: redis.PubSub, Subscriptions: redis.Dynamic}, url, url)
	acl(t, admin, "resetchannels", "&"+f.prefix+"-*", "&"+f.prefix+"#/fault#", "&"+f.prefix+"#/fault#member*")
	say := func(rooms ...string) {
		t.Helper()
		if err := f.nodes[0].Broadcast(adaptertest.Event(`["x"]`), adapter.Target{Rooms: rooms}); err != nil {
			t.Error(err)
		}
	}
	say("forbidden")
	fails(t, f.clusters[0], redis.PartRefusals, "forbidden")
	since := f.clusters[0].Status().Since
	for range 20 {
		say()
		say("forbidden")
		pass(t, 20*time.Millisecond)
	}
	if s := f.clusters[0].Status(); s.Up || !s.Since.Equal(since) || failure(f.clusters[0], redis.PartSending, "") != nil {
		t.Errorf("status %+v, before since %v", s, since)
	}
	if list, err := f.nodes[0].Fetch(t.Context(), adapter.Target{}); len(list) != 2 || err != nil {
		t.Errorf("Fetch = %v, %v", list, err)
	}
	adaptertest.Eventually(t, func() error {
		if got := f.there.Got(); len(got) != 20 {
			return fmt.Errorf("got %d", len(got))
		}
		return nil
	})
}

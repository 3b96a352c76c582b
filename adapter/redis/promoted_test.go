package redis_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// subscribers returns how many subscriptions the prefix has on a server, of either kind.
func subscribers(t *testing.T, s *redistest.Server, prefix string) (n int) {
	t.Helper()
	client := s.Client()
	for _, kind := range []string{"channels", "shardchannels"} {
		list, err := client.Do(t.Context(), "pubsub", kind, prefix+"*").StringSlice()
		if err != nil {
			t.Fatal(err)
		}
		n += len(list)
	}
	return n
}

// whole waits until each server of a flow counts all, gets their answers and is up, and until no subscription is left on
// the servers of Redis that are replicas.
func whole(t *testing.T, f *flow, replicas ...*redistest.Server) {
	t.Helper()
	for i, n := range f.nodes {
		adaptertest.Eventually(t, func() error {
			if s := f.clusters[i].Status(); !s.Up || s.Nodes != len(f.nodes) {
				return fmt.Errorf("status %+v", s)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			if got, err := n.Servers(ctx); got != len(f.nodes) || err != nil {
				return fmt.Errorf("Servers = %d, %v", got, err)
			}
			list, err := n.Fetch(ctx, adapter.Target{})
			if err != nil || len(list) != len(f.nodes) {
				return fmt.Errorf("Fetch = %v, %v", list, err)
			}
			for _, s := range replicas {
				if left := subscribers(t, s, f.prefix); left > 0 {
					return fmt.Errorf("%d subscriptions stand on a replica", left)
				}
			}
			return nil
		})
	}
}

// during has events flow and questions asked while fn changes who is the master, and waits until all is well again on
// new ones. No answer may be without the others and without an error, and no event may be missing.
func during(t *testing.T, f *flow, fn func() (replicas []*redistest.Server)) {
	t.Helper()
	f.flow()
	var asking sync.WaitGroup
	stop := make(chan struct{})
	done := false
	defer func() {
		if !done { // it has failed
			close(stop)
			asking.Wait()
			close(f.stop)
			f.wg.Wait()
		}
	}()
	asking.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			list, err := f.nodes[0].Fetch(ctx, adapter.Target{})
			if err == nil && len(list) != len(f.nodes) {
				t.Errorf("Fetch = %d of %d, without an error", len(list), len(f.nodes))
			}
			cancel()
		}
	})
	whole(t, f, fn()...)
	close(stop)
	asking.Wait()
	done = true
	here, there := f.end()
	for _, got := range [][]int{here, there} {
		if len(got) != f.sent || !slices.IsSorted(got) {
			t.Errorf("%d of %d events, lost %v and %v", len(got), f.sent, f.clusters[0].Stats().Lost, f.clusters[1].Stats().Lost)
		}
	}
}

// Each master of a Redis Cluster hands over to its replica, and stays as the replica of that.
func TestClusterFailsOver(t *testing.T) {
	t.Parallel()
	list := redistest.ReplicatedCluster(t)
	url := redistest.ClusterURL(list)
	for name, cfg := range map[string]redis.Config{
		"pubsub":   {Mode: redis.PubSub},
		"sharded":  {Mode: redis.Sharded},
		"static":   {Mode: redis.Sharded, Subscriptions: redis.Static},
		"streams":  {Mode: redis.Streams, BlockTime: time.Second},
		"recovery": {Mode: redis.Streams, BlockTime: time.Second, Recovery: &adapter.Recovery{}, ShardedPubSub: true},
	} {
		t.Run(name, func(t *testing.T) {
			f := pair(t, cfg, url, url)
			during(t, f, func() []*redistest.Server { return handOver(t, list) })
		})
	}
}

// handOver has all replicas of a Redis Cluster become masters, one after the other, and returns those that were.
func handOver(t *testing.T, list []*redistest.Server) (before []*redistest.Server) {
	t.Helper()
	role := func(s *redistest.Server) []any {
		role, err := s.Client().Do(t.Context(), "role").Slice()
		if err != nil {
			t.Fatal(err)
		}
		return role
	}
	var after []*redistest.Server
	for _, s := range list {
		if role(s)[0] == "slave" {
			after = append(after, s)
		}
	}
	for _, s := range after {
		port := role(s)[2]
		main := list[slices.IndexFunc(list, func(s *redistest.Server) bool { return int64(s.Port) == port })]
		before = append(before, main)
		var last time.Time
		adaptertest.Eventually(t, func() error {
			if role(s)[0] == "slave" && time.Since(last) > 5*time.Second { // masters that have just voted do not
				last = time.Now()
				if err := s.Client().ClusterFailover(t.Context()).Err(); err != nil {
					return err
				}
			}
			if role := role(main); role[0] != "slave" || role[3] != "connected" {
				return fmt.Errorf("role %v", role)
			}
			return nil
		})
	}
	return before
}

// Behind one address another server of Redis becomes the master, and the one before stays as its replica, with the
// connections that it has. Each kind of connection may be the one that is left there.
func TestReplicaIsPromotedBehindAnEndpoint(t *testing.T) {
	t.Parallel()
	for name, cfg := range modes() {
		for _, left := range []string{"all", "pubsub"} {
			t.Run(name+" "+left, func(t *testing.T) {
				t.Parallel()
				main := redistest.Start(t)
				replica := redistest.Start(t, "--replicaof", "127.0.0.1 "+strconv.Itoa(main.Port))
				replicated(t, main)
				p := redistest.NewProxy(t, main.Addr())
				f := pair(t, cfg, p.URL(), p.URL())
				do := func(c *goredis.Client, args ...any) {
					if err := c.Do(t.Context(), args...).Err(); err != nil {
						t.Errorf("%v: %v", args, err)
					}
				}
				during(t, f, func() []*redistest.Server {
					p.Lead(replica.Addr())
					do(replica.Client(), "replicaof", "no", "one")
					do(main.Client(), "replicaof", "127.0.0.1", replica.Port)
					if left == "pubsub" {
						do(main.Client(), "client", "kill", "type", "normal")
					}
					return []*redistest.Server{main}
				})
			})
		}
	}
}

// A server that was started when its address led to a replica works when that has been promoted.
func TestReplicaIsPromoted(t *testing.T) {
	t.Parallel()
	main := redistest.Start(t)
	replica := redistest.Start(t, "--replicaof", "127.0.0.1 "+strconv.Itoa(main.Port))
	replicated(t, main)
	cfg := redis.Config{URL: replica.URL(), Prefix: unique(), HeartbeatInterval: 200 * time.Millisecond}
	c := start(t, cfg)
	says := func(up bool) {
		t.Helper()
		adaptertest.Eventually(t, func() error {
			i := slices.IndexFunc(c.Status().Parts, func(p redis.Part) bool { return p.Kind == redis.PartRole })
			if s := c.Status(); s.Up != up || !up && (i < 0 || s.Parts[i].Err == nil || !strings.Contains(s.Parts[i].Err.Error(), "replica")) {
				return fmt.Errorf("status %+v", s)
			}
			return nil
		})
	}
	says(false)
	if err := replica.Client().Do(t.Context(), "replicaof", "no", "one").Err(); err != nil {
		t.Fatal(err)
	}
	says(true)
	if err := replica.Client().Do(t.Context(), "replicaof", "127.0.0.1", main.Port).Err(); err != nil {
		t.Fatal(err)
	}
	says(false)
}

// A server that renews its entry in the list, and has no subscription anywhere: what it is asked it does not answer. The
// others say so, and do not take it for gone.
func TestServerThatIsNotCounted(t *testing.T) {
	t.Parallel()
	for name, cfg := range modes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			if err := s.Client().Do(t.Context(), "acl", "setuser", "deaf", "on", ">secret", "+@all", "~*", "&*",
				"-subscribe", "-psubscribe", "-ssubscribe").Err(); err != nil {
				t.Fatal(err)
			}
			cfg.Prefix, cfg.HeartbeatInterval, cfg.URL = unique(), 200*time.Millisecond, s.URL()
			cfg.Stream = cfg.Prefix
			a := start(t, cfg)
			n := adaptertest.NewNode(t, "/", a.Adapter())
			ready(t, a)
			cfg.URL = "redis://deaf:secret@" + s.Addr()
			b := start(t, cfg)
			adaptertest.NewNode(t, "/", b.Adapter())
			part := func(want bool) {
				t.Helper()
				adaptertest.Eventually(t, func() error {
					s := a.Status()
					i := slices.IndexFunc(s.Parts, func(p redis.Part) bool { return p.Kind == redis.PartMembership && p.Of == "connections" })
					if failed := i >= 0 && s.Parts[i].Err != nil; failed != want || s.Up == want {
						return fmt.Errorf("status %+v", s)
					}
					return nil
				})
			}
			part(true)
			if s := a.Status(); s.Nodes != 2 {
				t.Errorf("status %+v, want 2 nodes", s)
			}
			misses := func(what string, ask func(context.Context) error) {
				t.Helper()
				adaptertest.Eventually(t, func() error { // on a busy machine a may have to find its own way to Redis first
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					defer cancel()
					var p *adapter.PartialError
					if err := ask(ctx); !errors.As(err, &p) || !slices.Contains(p.Missing, b.UID()) {
						return fmt.Errorf("%s: %w, missing %v", what, err, p)
					}
					return nil
				})
			}
			misses("Fetch", func(ctx context.Context) error { _, err := n.Fetch(ctx, adapter.Target{}); return err })
			misses("Servers", func(ctx context.Context) error { _, err := n.Servers(ctx); return err })
			if err := s.Client().Do(t.Context(), "acl", "setuser", "deaf", "+@all").Err(); err != nil {
				t.Fatal(err)
			}
			part(false)
			ready(t, a, b)
		})
	}
}

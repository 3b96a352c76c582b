package redis_test

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// main is a redistest.T for the server all tests share.
type main struct {
	mu       sync.Mutex
	cleanups []func()
}

func (m *main) Helper()             {}
func (m *main) Logf(string, ...any) {}
func (m *main) Fatalf(f string, a ...any) {
	fmt.Fprintf(os.Stderr, f+"\n", a...)
	os.Exit(1)
}
func (m *main) TempDir() string {
	d, err := os.MkdirTemp("", "redistest")
	if err != nil {
		m.Fatalf("%v", err)
	}
	m.Cleanup(func() { _ = os.RemoveAll(d) })
	return d
}
func (m *main) Cleanup(fn func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cleanups = append(m.cleanups, fn)
}

// shared is the server of all tests that do not harm it.
var shared *redistest.Server

func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given { // they wait for Redis, for time-outs and for each other, and not for the processor
		_ = flag.Set("test.parallel", "8")
	}
	redis.LogLibrary(slog.New(slog.DiscardHandler)) // thousands of lines, of what tests do to Redis, hide the one that fails
	var t main
	shared = redistest.Start(&t)
	if _, err := known.Trust(t.TempDir()); err != nil {
		t.Fatalf("%v", err)
	}
	code := m.Run()
	for i := len(t.cleanups) - 1; i >= 0; i-- {
		t.cleanups[i]()
	}
	if code == 0 {
		err := goleak.Find()
		for n := 0; err != nil && n < 3; n++ { // the library's dialer looks once a second whether its pool is closed
			err = goleak.Find()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

var prefixes atomic.Int64

// unique returns a prefix for one test.
func unique() string { return fmt.Sprintf("t%d-%d", os.Getpid(), prefixes.Add(1)) }

// start starts a cluster's node and closes it when the test ends.
func start(t *testing.T, cfg redis.Config) *redis.Cluster {
	t.Helper()
	if testing.Verbose() && cfg.Logger == nil { // a test that gives one looks at it
		cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	cfg.Logger = cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
	c, err := redis.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), adaptertest.Patience)
		defer cancel()
		if err := c.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return c
}

// published waits until Redis has had all that a node has to publish.
func published(t *testing.T, c *redis.Cluster) {
	t.Helper()
	adaptertest.Eventually(t, func() error {
		if w := c.Stats().Waiting; w > 0 {
			return fmt.Errorf("%d messages wait", w)
		}
		return nil
	})
}

// ready waits until all nodes hear each other.
func ready(t *testing.T, clusters ...*redis.Cluster) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), adaptertest.Patience)
	defer cancel()
	for _, c := range clusters {
		if err := c.Ready(ctx); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range clusters {
		adaptertest.Eventually(t, func() error {
			if s := c.Status(); !s.Up || s.Nodes != len(clusters) {
				return fmt.Errorf("status %+v, want %d nodes", s, len(clusters))
			}
			return nil
		})
	}
}

// nodes makes clusters of nodes that share cfg, which gets a prefix of its own. Clusters of one call
// serve any number of namespaces.
func nodes(cfg redis.Config) adaptertest.Cluster {
	var clusters []*redis.Cluster
	var owner *testing.T
	return func(t *testing.T, nsp string, n int) []*adaptertest.Node {
		t.Helper()
		if owner != t || len(clusters) != n {
			owner, clusters = t, nil
			cfg := cfg
			cfg.Prefix = unique()
			cfg.Stream = cfg.Prefix
			cfg.SessionPrefix = cfg.Prefix + ":session:"
			for range n {
				clusters = append(clusters, start(t, cfg))
			}
		}
		var list []*adaptertest.Node
		for _, c := range clusters {
			n := adaptertest.NewNode(t, nsp, c.Adapter())
			n.Ready = c.Ready
			list = append(list, n)
		}
		ready(t, clusters...)
		return list
	}
}

func TestPubSub(t *testing.T) {
	t.Parallel()
	for _, mode := range []redis.Subscriptions{redis.Static, redis.Dynamic} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			adaptertest.Run(t, 3, nodes(redis.Config{URL: shared.URL(), Subscriptions: mode}))
		})
	}
	t.Run("specific", func(t *testing.T) {
		t.Parallel()
		adaptertest.Run(t, 3, nodes(redis.Config{URL: shared.URL(), SpecificResponses: true}))
	})
}

func TestSharded(t *testing.T) {
	t.Parallel()
	for _, mode := range []redis.Subscriptions{redis.Static, redis.Dynamic, redis.DynamicPrivate} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			adaptertest.Run(t, 3, nodes(redis.Config{URL: shared.URL(), Mode: redis.Sharded, Subscriptions: mode}))
		})
	}
}

func TestStreams(t *testing.T) {
	t.Parallel()
	for _, cfg := range []redis.Config{{}, {ShardedPubSub: true}, {Recovery: &adapter.Recovery{}}} {
		cfg.URL, cfg.Mode, cfg.BlockTime = shared.URL(), redis.Streams, time.Second
		t.Run(fmt.Sprintf("sharded=%v,recovery=%v", cfg.ShardedPubSub, cfg.Recovery != nil), func(t *testing.T) {
			t.Parallel()
			adaptertest.Run(t, 3, nodes(cfg))
		})
	}
}

func TestRecovery(t *testing.T) {
	t.Parallel()
	adaptertest.RunRecovery(t, 3, nodes(redis.Config{URL: shared.URL(), Mode: redis.Streams, Recovery: &adapter.Recovery{}}))
}

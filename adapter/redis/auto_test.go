package redis_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
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

// The whole suite on a Redis as ElastiCache Serverless is one, given as a plain URL.
func TestServerless(t *testing.T) {
	t.Parallel()
	p := redistest.StartServerless(t, time.Second)
	t.Run("modes", func(t *testing.T) { // over before connections are to be idle
		for name, cfg := range map[string]redis.Config{
			"auto":    {},
			"pubsub":  {Mode: redis.PubSub},
			"sharded": {Mode: redis.Sharded, Subscriptions: redis.Static},
			"streams": {Mode: redis.Streams, BlockTime: 500 * time.Millisecond},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				cfg.URL, cfg.HeartbeatInterval = p.URL(), 300*time.Millisecond
				if name != "auto" {
					cfg.URL += "?cluster=true"
				}
				adaptertest.RunUnordered(t, 2, nodes(cfg))
			})
		}
		t.Run("recovery", func(t *testing.T) {
			t.Parallel()
			adaptertest.RunRecovery(t, 2, nodes(redis.Config{URL: p.URL() + "?cluster=true", Mode: redis.Streams, BlockTime: 500 * time.Millisecond,
				HeartbeatInterval: 300 * time.Millisecond, Recovery: &adapter.Recovery{}}))
		})
	})
	t.Run("idle", func(t *testing.T) {
		list := nodes(redis.Config{URL: p.URL(), HeartbeatInterval: 300 * time.Millisecond})(t, "/", 2)
		for range 3 {
			var wg sync.WaitGroup
			for range 8 { // on as many connections
				wg.Go(func() {
					if n, err := list[0].Servers(t.Context()); n != 2 || err != nil {
						t.Errorf("Servers = %d, %v", n, err)
					}
				})
			}
			wg.Wait()
			before, _ := p.Happened()
			adaptertest.Eventually(t, func() error {
				if n, _ := p.Happened(); n == before {
					return errors.New("no connection has been dropped")
				}
				return nil
			})
		}
	})
	if dropped, moved := p.Happened(); dropped == 0 || moved == 0 {
		t.Errorf("%d connections were dropped, %d times MOVED was answered", dropped, moved)
	}
}

// chosenModes is a handler that hands on the mode of each message that says which was chosen.
type chosenModes struct {
	slog.Handler
	mode string
	to   chan string
}

func (h chosenModes) Enabled(context.Context, slog.Level) bool { return true }

func (h chosenModes) WithAttrs(attrs []slog.Attr) slog.Handler {
	for _, a := range attrs {
		if a.Key == "mode" {
			h.mode = a.Value.String()
		}
	}
	return h
}

func (h chosenModes) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "redis mode chosen" {
		h.to <- h.mode
	}
	return nil
}

// chosen makes a node in mode auto and returns the mode it logs.
func chosen(t *testing.T, cfg redis.Config) string {
	t.Helper()
	h := chosenModes{slog.DiscardHandler, "", make(chan string, 1)}
	cfg.Logger = slog.New(h)
	c, err := redis.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	select {
	case mode := <-h.to:
		return mode
	case <-time.After(adaptertest.Patience):
		return "none"
	}
}

// Redis is asked what it can, and servers that are there already decide.
func TestAutoMode(t *testing.T) {
	t.Parallel()
	cluster := redistest.Cluster(t)
	restricted := redistest.Start(t, "--rename-command", "INFO", "")
	for name, x := range map[string]struct {
		url  string
		mode redis.Mode
	}{
		"single":             {shared.URL(), redis.PubSub},
		"cluster":            {redistest.ClusterURL(cluster), redis.Sharded},
		"cluster, plain URL": {cluster[1].URL(), redis.Sharded},
		"without INFO":       {restricted.URL(), redis.PubSub},
	} {
		if got := chosen(t, redis.Config{URL: x.url, Prefix: unique()}); got != string(x.mode) {
			t.Errorf("%s: mode %q, want %q", name, got, x.mode)
		}
	}
	for _, mode := range []redis.Mode{redis.PubSub, redis.Sharded} {
		for name, url := range map[string]string{"single": shared.URL(), "cluster": redistest.ClusterURL(cluster)} {
			cfg := redis.Config{URL: url, Mode: mode, Prefix: unique()}
			c := start(t, cfg)
			adaptertest.NewNode(t, "/", c.Adapter())
			ready(t, c)
			cfg.Mode = redis.Auto
			if got := chosen(t, cfg); got != string(mode) {
				t.Errorf("beside a server in mode %s (%s): mode %q", mode, name, got)
			}
		}
	}
}

// A server of another mode ends while two start: one has still seen it, and the other has not. Both take the choice of the
// first, but not for what it has seen itself a moment later.
func TestAutoModesOfServersThatStartTogether(t *testing.T) {
	t.Parallel()
	cluster := redistest.Cluster(t)
	claims := func(prefix string, mode redis.Mode) {
		t.Helper()
		client := goredis.NewClusterClient(&goredis.ClusterOptions{Addrs: []string{cluster[0].Addr()}})
		defer client.Close()
		if err := client.Set(t.Context(), prefix+"-beanpole:mode", string(mode), time.Minute).Err(); err != nil {
			t.Fatal(err)
		}
	}
	cfg := redis.Config{URL: redistest.ClusterURL(cluster), Prefix: unique()}
	claims(cfg.Prefix, redis.PubSub)
	if got := chosen(t, cfg); got != string(redis.PubSub) {
		t.Errorf("beside a server that has just chosen pubsub: mode %q", got)
	}
	there := cfg
	there.Mode, there.Prefix = redis.Sharded, unique()
	c := start(t, there)
	adaptertest.NewNode(t, "/", c.Adapter())
	ready(t, c)
	cfg.Prefix = there.Prefix
	claims(cfg.Prefix, redis.PubSub)
	if got := chosen(t, cfg); got != string(redis.Sharded) {
		t.Errorf("beside a server in mode sharded: mode %q", got)
	}
}

// Redis is away when a server starts. It works alone; and when another mode turns out to be right, it says so.
func TestAutoModeWithoutRedis(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	prefix := unique()
	p := redistest.NewProxy(t, s.Addr())
	p.Cut(true)
	c := start(t, redis.Config{URL: p.URL(), Prefix: prefix, HeartbeatInterval: 100 * time.Millisecond})
	n := adaptertest.NewNode(t, "/", c.Adapter())
	m := adaptertest.NewMember("member-0000000000001")
	n.Join(m)
	if err := n.Broadcast(adaptertest.Event(`["x"]`), adapter.Target{}); err != nil {
		t.Error(err)
	}
	m.Wait(t, 1)
	other := start(t, redis.Config{URL: s.URL(), Mode: redis.Sharded, Prefix: prefix})
	adaptertest.NewNode(t, "/", other.Adapter())
	ready(t, other)
	p.Cut(false)
	adaptertest.Eventually(t, func() error {
		if s := c.Status(); s.Err == nil || !strings.Contains(s.Err.Error(), "another mode") {
			return fmt.Errorf("status %+v", s)
		}
		return nil
	})
}

// A server that starts while Redis starts again, or something in between does, does not guess.
func TestAutoModeAsksAgain(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	prefix := unique()
	other := start(t, redis.Config{URL: s.URL(), Mode: redis.Sharded, Prefix: prefix})
	adaptertest.NewNode(t, "/", other.Adapter())
	ready(t, other)
	p := redistest.NewProxy(t, s.Addr())
	p.Cut(true)
	defer time.AfterFunc(200*time.Millisecond, func() { p.Cut(false) }).Stop()
	var log written
	start(t, redis.Config{URL: p.URL(), Prefix: prefix, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	adaptertest.Eventually(t, func() error {
		if text := log.String(); !strings.Contains(text, "mode=sharded") {
			return errors.New(text)
		}
		return nil
	})
}

// documentedACL returns the command that docs/adapters.md has.
func documentedACL(t *testing.T) (args []any) {
	t.Helper()
	text, err := os.ReadFile("../../docs/adapters.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(text), "\nACL SETUSER app")
	block, _, ok := strings.Cut("acl setuser app"+block, "```")
	if !ok {
		t.Fatal("docs/adapters.md has no ACL rules")
	}
	for _, word := range strings.Fields(block) {
		args = append(args, word)
	}
	return args
}

// The ACL rules of docs/adapters.md, as they are written there, are enough in every mode.
func TestDocumentedACL(t *testing.T) {
	t.Parallel()
	rules := documentedACL(t)
	s := redistest.Start(t)
	if err := s.Client().Do(t.Context(), rules...).Err(); err != nil {
		t.Fatal(err)
	}
	url := fmt.Sprintf("redis://app:password@%s", s.Addr())
	for name, cfg := range map[string]redis.Config{
		"auto": {}, "pubsub": {Mode: redis.PubSub}, "dynamic": {Mode: redis.PubSub, Subscriptions: redis.Dynamic},
		"sharded": {Mode: redis.Sharded}, "streams": {Mode: redis.Streams, BlockTime: time.Second},
		"recovery": {Mode: redis.Streams, BlockTime: time.Second, Recovery: &adapter.Recovery{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg.URL = url
			l := &logged{Handler: slog.DiscardHandler}
			cfg.Logger = slog.New(l)
			adaptertest.Run(t, 2, func(t *testing.T, nsp string, n int) (list []*adaptertest.Node) {
				cfg := cfg
				cfg.Prefix = "socket.io." + unique()
				cfg.Stream = cfg.Prefix
				var clusters []*redis.Cluster
				for range n {
					c := start(t, cfg)
					clusters = append(clusters, c)
					x := adaptertest.NewNode(t, nsp, c.Adapter())
					x.Ready = c.Ready
					list = append(list, x)
				}
				ready(t, clusters...)
				t.Cleanup(func() {
					for _, c := range clusters {
						if lost := c.Stats().Lost["refused"]; lost > 0 {
							t.Errorf("%d commands were refused", lost)
						}
					}
				})
				return list
			})
			if l.has("no list of servers") {
				t.Errorf("log %v", l.list)
			}
		})
	}
	// With patterns demanded, it says what is wrong.
	c := start(t, redis.Config{URL: url, Mode: redis.PubSub, Subscriptions: redis.Static, HeartbeatInterval: 100 * time.Millisecond})
	adaptertest.NewNode(t, "/", c.Adapter())
	adaptertest.Eventually(t, func() error {
		if s := c.Status(); s.Up || s.Err == nil || !strings.Contains(s.Err.Error(), "NOPERM") {
			return fmt.Errorf("status %+v", s)
		}
		return nil
	})
}

// A mode that Redis does not have says so, and which would do.
func TestModeThatCannotRun(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "--rename-command", "SSUBSCRIBE", "", "--rename-command", "SPUBLISH", "")
	var b strings.Builder
	lines := make(chan string, 100)
	h := slog.NewTextHandler(&b, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == "advice" {
			select {
			case lines <- a.Value.String():
			default:
			}
		}
		return a
	}})
	c, err := redis.New(redis.Config{URL: s.URL(), Mode: redis.Sharded, Logger: slog.New(h)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.WithoutCancel(t.Context()))
	ctx, cancel := context.WithTimeout(t.Context(), adaptertest.Patience)
	defer cancel()
	for {
		select {
		case line := <-lines:
			if strings.Contains(line, "no sharded channels") && strings.Contains(line, "pubsub") {
				return
			}
		case <-ctx.Done():
			t.Fatal(errors.New("nothing is said about the mode"))
		}
	}
}

// What was listening by pattern goes on by rooms, those there already and those to come.
func TestPatternsAreRefused(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "--rename-command", "PSUBSCRIBE", "")
	cfg := redis.Config{URL: s.URL(), Mode: redis.PubSub, Prefix: unique()}
	c := start(t, cfg)
	n := adaptertest.NewNode(t, "/", c.Adapter())
	m := adaptertest.NewMember("member-0000000000001")
	n.Join(m, "before")
	ready(t, c)
	n.Join(m, "after")
	client := goredis.NewClient(&goredis.Options{Addr: s.Addr()})
	defer client.Close()
	e, err := redis.NewEmitter(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close(context.WithoutCancel(t.Context()))
	adaptertest.Eventually(t, func() error {
		for _, room := range []string{"before", "after", m.ID()} {
			if n, err := client.PubSubNumSub(t.Context(), cfg.Prefix+"#/#"+room+"#").Result(); err != nil || n[cfg.Prefix+"#/#"+room+"#"] != 1 {
				return fmt.Errorf("%s: %v, %v", room, n, err)
			}
		}
		return nil
	})
	for i, room := range []string{"before", "after", m.ID()} {
		if err := e.To(room).Emit("x"); err != nil {
			t.Error(err)
		}
		m.Wait(t, i+1)
	}
}

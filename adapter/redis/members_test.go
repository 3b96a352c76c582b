package redis_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
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

// long is a heartbeat interval at which no server is given up for its silence while a test lasts.
const long = 20 * time.Second

func hasNodes(t *testing.T, c *redis.Cluster, want int) {
	t.Helper()
	adaptertest.Eventually(t, func() error {
		if s := c.Status(); s.Nodes != want || !s.Up {
			return fmt.Errorf("status %+v, want %d nodes", s, want)
		}
		return nil
	})
}

// A server whose process ends, so that its connections do, is not waited for until it has missed heartbeats.
func TestKilledNodeIsGoneWithItsConnections(t *testing.T) {
	t.Parallel()
	for name, cfg := range modes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := redistest.NewProxy(t, shared.Addr())
			cfg.Prefix = unique()
			cfg.Stream, cfg.HeartbeatInterval = cfg.Prefix, 2*time.Second
			cfg.HeartbeatMisses = 30
			var clusters []*redis.Cluster
			for _, url := range []string{shared.URL(), shared.URL(), p.URL()} {
				cfg.URL = url
				clusters = append(clusters, start(t, cfg))
			}
			ready(t, clusters...)
			p.Cut(true)
			hasNodes(t, clusters[0], 2)
			hasNodes(t, clusters[1], 2)
			p.Cut(false)
			ready(t, clusters...)
		})
	}
}

// TestReadyNodeKnowsAndIsKnown: a server that is ready is in the list of servers, and knows the others.
func TestReadyNodeKnowsAndIsKnown(t *testing.T) {
	t.Parallel()
	p := redistest.NewProxy(t, shared.Addr())
	p.Slow(5 * time.Millisecond)
	cfg := redis.Config{URL: p.URL(), Prefix: unique()}
	for n := range 5 {
		c := start(t, cfg)
		if err := c.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := c.Status().Nodes; got != n+1 {
			t.Errorf("server %d knows of %d", n, got)
		}
		uids, err := shared.Client().ZRange(t.Context(), cfg.Prefix+"-beanpole:{"+cfg.Prefix+"}:nodes", 0, -1).Result()
		if err != nil || !slices.Contains(uids, c.UID()) {
			t.Errorf("the list has %q (%v), and not %s", uids, err, c.UID())
		}
	}
}

// A server that ends in order is gone when Close returns, and does not come back.
func TestClosedNodeIsGone(t *testing.T) {
	t.Parallel()
	for name, cfg := range modes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg.Prefix, cfg.URL, cfg.HeartbeatInterval = unique(), shared.URL(), long
			cfg.Stream = cfg.Prefix
			a, b := start(t, cfg), start(t, cfg)
			ready(t, a, b)
			if err := b.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			list, err := shared.Client().ZRange(t.Context(), cfg.Prefix+"-beanpole:{"+cfg.Prefix+"}:nodes", 0, -1).Result()
			if err != nil || len(list) != 1 || list[0] != a.UID() {
				t.Errorf("the roster has %v, %v; want %s", list, err, a.UID())
			}
			hasNodes(t, a, 1)
		})
	}
}

// logged collects messages.
type logged struct {
	slog.Handler
	mu   sync.Mutex
	list []string
}

func (l *logged) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, r.Message)
	return nil
}
func (l *logged) Enabled(context.Context, slog.Level) bool { return true }

func (l *logged) count(text string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, x := range l.list {
		if strings.Contains(x, text) {
			n++
		}
	}
	return n
}

func (l *logged) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(strings.Join(l.list, "\n"), text)
}

// While Redis stands still nobody is given up, nor when it goes on, though its clock has gone on all the time.
func TestNobodyIsGoneWhileRedisStandsStill(t *testing.T) {
	t.Parallel()
	for name, cfg := range modes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			l := &logged{Handler: slog.DiscardHandler}
			cfg.Prefix, cfg.URL = unique(), s.URL()
			cfg.HeartbeatInterval, cfg.Stream, cfg.Logger = 300*time.Millisecond, cfg.Prefix, slog.New(l)
			var clusters []*redis.Cluster
			for range 3 {
				c, err := redis.New(cfg)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close(context.WithoutCancel(t.Context()))
				clusters = append(clusters, c)
			}
			ready(t, clusters...)
			s.Freeze()
			pass(t, 6*time.Second)
			s.Thaw()
			ready(t, clusters...)
			pass(t, 4*time.Second) // nothing tells that nothing happens
			ready(t, clusters...)
			if l.has("node gone") {
				t.Error("a node was given up")
			}
		})
	}
}

// A beat costs whoever may publish nothing, and must cost the cluster little.
func TestForgedBeatsMakeNoNodes(t *testing.T) {
	t.Parallel()
	for _, mode := range []redis.Mode{redis.PubSub, redis.Sharded} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			cfg := redis.Config{URL: shared.URL(), Mode: mode, Prefix: unique(), HeartbeatInterval: 300 * time.Millisecond}
			a, b := start(t, cfg), start(t, cfg)
			ready(t, a, b)
			client := shared.Client()
			for i := range 1000 {
				beat := fmt.Sprintf(`{"t":"beat","uid":"forged%d","n":1}`, i)
				publish := client.Publish
				if mode == redis.Sharded {
					publish = client.SPublish
				}
				if err := publish(t.Context(), cfg.Prefix+"-beanpole#", beat).Err(); err != nil {
					t.Fatal(err)
				}
			}
			if n := a.Status().Nodes; n > 100 {
				t.Errorf("%d nodes", n)
			}
			ready(t, a, b)
			if n, err := adaptertest.NewNode(t, "/", a.Adapter()).Servers(t.Context()); n != 1 || err != nil {
				t.Errorf("Servers = %d, %v", n, err)
			}
		})
	}
}

// elder speaks as servers do that know no roster: it says to everyone that it lives.
type elder struct {
	t      *testing.T
	client *goredis.Client
	prefix string

	mu    sync.Mutex
	heard map[string]string // by kind and sender: the last message
}

func newElder(t *testing.T, prefix string) *elder {
	e := &elder{t: t, client: shared.Client(), prefix: prefix, heard: map[string]string{}}
	sub := e.client.Subscribe(t.Context(), prefix+"-beanpole#", prefix+"-beanpole#/#", prefix+"-request#/#", prefix+"-response#/#",
		prefix+"-response#/#elder#", prefix+"#/#")
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sub.Close() })
	go func() { // ends with sub
		for m := range sub.Channel() {
			e.mu.Lock()
			for _, kind := range []string{"hello", "here", "beat", "add", "bye"} {
				if strings.Contains(m.Payload, `"t":"`+kind+`"`) {
					e.heard[kind] = m.Payload
				}
			}
			e.mu.Unlock()
			if strings.Contains(m.Payload, `"type":5`) { // a question for sockets
				id := m.Payload[strings.Index(m.Payload, `"requestId":"`)+13:]
				id = id[:strings.IndexByte(id, '"')]
				e.client.Publish(context.WithoutCancel(t.Context()), prefix+"-response#/#", `{"requestId":"`+id+`","uid":"elder","sockets":[{"id":"of the elder","handshake":{},"rooms":[],"data":{}}]}`)
			}
		}
	}()
	return e
}

func (e *elder) say(text string) {
	if err := e.client.Publish(e.t.Context(), e.prefix+"-beanpole#", text).Err(); err != nil {
		e.t.Error(err)
	}
}

// A server of a version before the roster is known by its beats, hears those of the others, and learns their
// namespaces, as long as it lives.
func TestNodeOfAVersionBeforeTheRoster(t *testing.T) {
	t.Parallel()
	prefix := unique()
	cfg := redis.Config{URL: shared.URL(), Prefix: prefix, HeartbeatInterval: 200 * time.Millisecond}
	a, b := start(t, cfg), start(t, cfg)
	n := adaptertest.NewNode(t, "/", a.Adapter())
	_ = adaptertest.NewNode(t, "/", b.Adapter())
	ready(t, a, b)
	e := newElder(t, prefix)
	e.say(`{"t":"hello","uid":"elder","v":1,"all":["/"]}`)
	hasNodes(t, a, 3)
	hasNodes(t, b, 3)
	adaptertest.Eventually(t, func() error {
		e.say(`{"t":"beat","uid":"elder","n":1,"v":1}`)
		e.mu.Lock()
		defer e.mu.Unlock()
		if !strings.Contains(e.heard["here"], `"all":["/"]`) || !strings.Contains(e.heard["beat"], `"v":1`) {
			return fmt.Errorf("the elder heard %v", e.heard)
		}
		return nil
	})
	list, err := n.Fetch(t.Context(), adapter.Target{})
	if err != nil || len(list) != 1 || list[0].ID != "of the elder" {
		t.Errorf("Fetch = %v, %v", list, err)
	}
	if n, err := n.Servers(t.Context()); n != 3 || err != nil {
		t.Errorf("Servers = %d, %v", n, err)
	}
	e.say(`{"t":"beat","uid":"elder","n":2,"v":1}`)
	_ = adaptertest.NewNode(t, "/late", a.Adapter())
	adaptertest.Eventually(t, func() error {
		e.say(`{"t":"beat","uid":"elder","n":3,"v":1}`)
		e.mu.Lock()
		defer e.mu.Unlock()
		if !strings.Contains(e.heard["add"], `"nsp":"/late"`) {
			return fmt.Errorf("the elder heard %v", e.heard)
		}
		return nil
	})
	e.say(`{"t":"bye","uid":"elder"}`)
	ready(t, a, b)
	e.say(`{"t":"beat","uid":"elder","n":3,"v":1}`) // which it sent before
	e.mu.Lock()
	e.heard = map[string]string{}
	e.mu.Unlock()
	ready(t, a, b)
}

// Redis may let the servers keep no list: they know each other all the same.
func TestWithoutRoster(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	admin := s.Client()
	if err := admin.Do(t.Context(), "acl", "setuser", "app", "on", ">secret", "~*", "&*", "+@all", "-@scripting").Err(); err != nil {
		t.Fatal(err)
	}
	l := &logged{Handler: slog.DiscardHandler}
	cfg := redis.Config{Prefix: unique(), HeartbeatInterval: 200 * time.Millisecond, Logger: slog.New(l)}
	cfg.URL = fmt.Sprintf("redis://app:secret@%s", s.Addr())
	var list []*redis.Cluster
	for range 2 {
		c, err := redis.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(context.WithoutCancel(t.Context()))
		list = append(list, c)
	}
	cfg.URL = s.URL() // one may
	list = append(list, start(t, cfg))
	ready(t, list...)
	adaptertest.Eventually(t, func() error {
		if !l.has("no list of servers in Redis") {
			return errors.New("nothing is said about it")
		}
		return nil
	})
	n := adaptertest.NewNode(t, "/", list[0].Adapter())
	for _, c := range list[1:] {
		adaptertest.NewNode(t, "/", c.Adapter())
	}
	for _, c := range list {
		if err := c.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := n.Servers(t.Context()); n != 3 || err != nil {
		t.Errorf("Servers = %d, %v", n, err)
	}
}

// The description of very many sockets comes whole, and cuts nobody off.
func TestFetchOfManySockets(t *testing.T) {
	for name, cfg := range modes() {
		t.Run(name, func(t *testing.T) {
			s := redistest.Start(t, "--client-output-buffer-limit", "pubsub 2mb 1mb 5")
			cfg.URL, cfg.Prefix, cfg.HeartbeatInterval = s.URL(), unique(), long
			cfg.Stream = cfg.Prefix
			var clusters []*redis.Cluster
			var nodes []*adaptertest.Node
			for range 3 {
				clusters = append(clusters, start(t, cfg))
				nodes = append(nodes, adaptertest.NewNode(t, "/", clusters[len(clusters)-1].Adapter()))
			}
			ready(t, clusters...)
			const each = 4000 // of 700 bytes: an answer whole is more than Redis would keep
			room := strings.Repeat("x", 500)
			want := 0
			for i, n := range nodes {
				for k := range each {
					n.Join(adaptertest.NewMember(fmt.Sprintf("%d-%018d", i, k)), room)
				}
				want += each
			}
			ctx, cancel := context.WithTimeout(t.Context(), 4*adaptertest.Patience)
			defer cancel()
			list, err := nodes[0].Fetch(ctx, adapter.Target{})
			ids := map[string]bool{}
			for _, d := range list {
				ids[d.ID] = true
			}
			if err != nil || len(ids) != want || len(list) != want {
				t.Errorf("%d descriptions of %d sockets of %d, %v", len(list), len(ids), want, err)
			}
			for i, c := range clusters {
				if s := c.Stats(); s.Reconnects > 0 || len(s.Lost) > 0 {
					t.Errorf("server %d: %+v", i, s)
				}
			}
		})
	}
}

// What Redis would cut subscribers off for is refused, and no client has got it, or been asked.
func TestTooLargeEventIsRefused(t *testing.T) {
	for name, cfg := range modes() {
		t.Run(name, func(t *testing.T) {
			f := pair(t, cfg, shared.URL(), shared.URL())
			large := adaptertest.Event(`["x","` + strings.Repeat("x", 40<<20) + `"]`)
			if err := f.nodes[0].Broadcast(large, adapter.Target{}); !errors.Is(err, redis.ErrTooLarge) {
				t.Errorf("Broadcast: %v", err)
			}
			err := f.nodes[0].Ask(t.Context(), large, adapter.Target{}, func(adapter.Message) { t.Error("an answer") })
			if !errors.Is(err, redis.ErrTooLarge) {
				t.Errorf("BroadcastWithAck: %v", err)
			}
			if err := f.nodes[0].SocketsJoin(adapter.Target{}, string(large.Data)); !errors.Is(err, redis.ErrTooLarge) || f.nodes[0].Members(adapter.Target{Rooms: []string{string(large.Data)}}) != nil {
				t.Errorf("SocketsJoin: %v", err)
			}
			if err := f.nodes[0].ServerSideEmit(large); !errors.Is(err, redis.ErrTooLarge) {
				t.Errorf("ServerSideEmit: %v", err)
			}
			if err := f.nodes[0].ServerSideEmitWithAck(t.Context(), large, func(adapter.Message) { t.Error("an answer") }); !errors.Is(err, redis.ErrTooLarge) {
				t.Errorf("ServerSideEmitWithAck: %v", err)
			}
			if err := f.nodes[0].Broadcast(adaptertest.Event(`["small"]`), adapter.Target{}); err != nil {
				t.Errorf("Broadcast: %v", err)
			}
			for _, m := range []*adaptertest.Member{f.here, f.there} {
				if got := m.Wait(t, 1); !strings.HasPrefix(got[0], `["small"`) {
					t.Errorf("a client got %.50s", got[0])
				}
			}
			if n := f.clusters[0].Stats().Lost["too large"]; n != 0 {
				t.Errorf("%d counted as lost, of which the caller has the error", n)
			}
		})
	}
}

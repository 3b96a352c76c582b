package redis_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
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

func TestRedisStopsAndStarts(t *testing.T) {
	t.Parallel()
	for name, cfg := range modes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
			f := pair(t, cfg, s.URL(), s.URL())
			f.flow()
			pass(t, 300*time.Millisecond)
			s.Stop()
			adaptertest.Eventually(t, func() error {
				if s := f.clusters[0].Status(); s.Up || s.Err == nil {
					return fmt.Errorf("status %+v while Redis is down", s)
				}
				return nil
			})
			// What is asked now ends at once, and says who is missing.
			_, err := f.nodes[0].Fetch(t.Context(), adapter.Target{})
			var p *adapter.PartialError
			if !errors.As(err, &p) || !errors.Is(err, adapter.ErrDegraded) || errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Fetch while Redis is down: %v", err)
			}
			pass(t, 500*time.Millisecond)
			s.Run()
			here, there := f.end()
			f.check(here, there)
		})
	}
}

func TestRedisIsFrozen(t *testing.T) {
	t.Parallel()
	for name, cfg := range modes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			f := pair(t, cfg, s.URL(), s.URL())
			f.flow()
			pass(t, 300*time.Millisecond)
			s.Freeze()
			pass(t, 10*time.Second)
			if s := f.clusters[0].Status(); s.Up {
				t.Errorf("status %+v while Redis is frozen", s)
			}
			// What is emitted now must come to the sender's own members now: beside the test, which would wait as long.
			returned := make(chan error, 1)
			go func() { returned <- f.nodes[0].Broadcast(adaptertest.Event(`["frozen"]`), adapter.Target{}) }()
			select {
			case err := <-returned:
				if err != nil || !slices.ContainsFunc(f.here.Got(), func(got string) bool { return strings.HasPrefix(got, `["frozen"`) }) {
					t.Errorf("an event emitted while Redis is frozen: %v, and the sender's own member has not got it", err)
				}
			case <-time.After(10 * time.Second):
				t.Error("an emit waits for a frozen Redis")
			}
			s.Thaw()
			here, there := f.end()
			f.check(here, there)
			adaptertest.Eventually(t, func() error {
				if s := f.clusters[0].Status(); s.Nodes != 2 {
					return fmt.Errorf("status %+v", s)
				}
				return nil
			})
		})
	}
}

func TestConnectionsAreKilled(t *testing.T) {
	t.Parallel()
	for name, cfg := range modes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			f := pair(t, cfg, s.URL(), s.URL())
			f.flow()
			admin := s.Client()
			for range 10 {
				pass(t, 150*time.Millisecond)
				for _, kind := range []string{"normal", "pubsub"} {
					if err := admin.Do(t.Context(), "client", "kill", "type", kind, "skipme", "yes").Err(); err != nil {
						t.Fatal(err)
					}
				}
			}
			here, there := f.end()
			f.check(here, there)
		})
	}
}

// All connections break, and the sender's are back before the other node has noticed: what it sends meanwhile
// waits for the other. The library makes the connection of the publisher anew in silence.
func TestSenderIsBackFirst(t *testing.T) {
	t.Parallel()
	for name, cfg := range modes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			p := redistest.NewProxy(t, s.Addr())
			f := pair(t, cfg, s.URL(), p.URL())
			p.Block()
			for _, kind := range []string{"normal", "pubsub"} {
				if err := s.Client().Do(t.Context(), "client", "kill", "type", kind, "skipme", "yes").Err(); err != nil {
					t.Fatal(err)
				}
			}
			f.flow()
			pass(t, 500*time.Millisecond)
			p.Unblock()
			here, there := f.end()
			f.check(here, there)
		})
	}
}

// One node is cut off, as if its process were killed, while it is asked.
func TestNodeDiesWhileItIsAsked(t *testing.T) {
	t.Parallel()
	for name, cfg := range modes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			p := redistest.NewProxy(t, s.Addr())
			f := pair(t, cfg, s.URL(), p.URL())
			asked := make(chan struct{})
			f.nodes[1].NS.Reply(func(adapter.Message) *adapter.Message { close(asked); return nil })
			ctx, cancel := context.WithTimeout(t.Context(), 3*adaptertest.Patience) // whose end is an error
			defer cancel()
			done := make(chan error, 1)
			go func() {
				done <- f.nodes[0].ServerSideEmitWithAck(ctx, adaptertest.Event(`["x"]`), func(adapter.Message) {})
			}()
			select {
			case <-asked:
			case <-ctx.Done():
				t.Fatal("the question never came")
			}
			p.Cut(true)
			start := time.Now()
			if err := <-done; err != nil {
				t.Errorf("ServerSideEmitWithAck: %v", err)
			}
			t.Logf("it was waited for %v", time.Since(start))
			if n, err := f.nodes[0].Servers(t.Context()); n != 1 || err != nil {
				t.Errorf("Servers = %d, %v", n, err)
			}
			p.Cut(false)
			ready(t, f.clusters...)
			if n, err := f.nodes[0].Servers(t.Context()); n != 2 || err != nil {
				t.Errorf("Servers = %d, %v", n, err)
			}
		})
	}
}

// A question ends with its time though Redis stands still, and another that counts the nodes for both has more.
func TestQuestionDoesNotWaitForAnother(t *testing.T) {
	t.Parallel()
	for name, cfg := range modes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			f := pair(t, cfg, s.URL()+"?read_timeout=5m", s.URL())
			asked := make(chan struct{}, 2)
			f.nodes[1].NS.Reply(func(adapter.Message) *adapter.Message { asked <- struct{}{}; return nil })
			ask := func(d time.Duration) (context.CancelFunc, chan error) {
				ctx, cancel := context.WithTimeout(t.Context(), d)
				done := make(chan error, 1)
				go func() {
					done <- f.nodes[0].ServerSideEmitWithAck(ctx, adaptertest.Event(`["x"]`), func(adapter.Message) {})
				}()
				return cancel, done
			}
			end, long := ask(2 * adaptertest.Patience)
			<-asked
			cancel, short := ask(2 * time.Second)
			defer cancel()
			<-asked
			s.Freeze()
			select {
			case err := <-short:
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("ServerSideEmitWithAck: %v", err)
				}
			case <-time.After(adaptertest.Patience):
				t.Error("the question did not end with its time")
			}
			s.Thaw()
			end()
			<-long
		})
	}
}

// One of three nodes hears and says everything late: the others notice nothing, and it gets everything.
func TestNodeIsSlow(t *testing.T) {
	t.Parallel()
	for name, cfg := range modes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			p := redistest.NewProxy(t, s.Addr())
			f := pair(t, cfg, s.URL(), s.URL(), p.URL())
			late := member(t, f.nodes[2])
			p.Slow(100 * time.Millisecond)
			f.flow()
			pass(t, 2*time.Second)
			if n, err := f.nodes[0].Count(t.Context(), adapter.Target{}); n != 3 || err != nil {
				t.Errorf("Count with a slow node = %d, %v", n, err)
			}
			here, there := f.end()
			f.check(here, there)
			adaptertest.Eventually(t, func() error {
				if got := numbers(late); len(got) != f.sent || !slices.IsSorted(got) {
					return fmt.Errorf("the slow node got %d of %d events", len(got), f.sent)
				}
				return nil
			})
		})
	}
}

// A node's network loses everything for a while.
func TestNodeIsPartitioned(t *testing.T) {
	t.Parallel()
	for name, cfg := range modes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			p := redistest.NewProxy(t, s.Addr())
			f := pair(t, cfg, p.URL(), s.URL())
			f.flow()
			pass(t, 200*time.Millisecond)
			p.Block()
			adaptertest.Eventually(t, func() error {
				if s := f.clusters[0].Status(); s.Up {
					return fmt.Errorf("status %+v of a partitioned node", s)
				}
				if s := f.clusters[1].Status(); s.Nodes != 1 || !s.Up {
					return fmt.Errorf("status of the other %+v", s)
				}
				return nil
			})
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			if n, err := f.nodes[1].Count(ctx, adapter.Target{}); n != 1 || err != nil {
				t.Errorf("Count without the partitioned node = %d, %v", n, err)
			}
			p.Unblock()
			here, there := f.end()
			f.check(here, there)
			ready(t, f.clusters...)
		})
	}
}

func TestGarbageIsCounted(t *testing.T) {
	for name, cfg := range modes() {
		t.Run(name, func(t *testing.T) {
			cfg.Prefix = unique()
			cfg.Stream, cfg.URL = cfg.Prefix, shared.URL()
			c := start(t, cfg)
			n := adaptertest.NewNode(t, "/g", c.Adapter())
			m := adaptertest.NewMember("member-0000000000001")
			n.Join(m, "room")
			ready(t, c)
			client := shared.Client()
			garbage := []string{"", "{", "{}", "[]", "null", "\x93", "\x93\xa1a\x80\x80", "\x82\xa3uid\x01", "\xdd\xff\xff\xff\xff", `{"type":7}`,
				`{"type":3,"nsp":"/g","data":{}}`, `{"uid":"x","nsp":"/g","type":8,"data":{"requestId":[]}}`, strings.Repeat("\x91", 100_000),
				strings.Repeat("[", 100_000), string(make([]byte, 10<<20))}
			for _, channel := range []string{"#/g#", "#/g#room#", "-request#/g#", "-response#/g#", "-beanpole#", "-beanpole#/g#"} {
				for _, x := range garbage {
					if cfg.Mode == redis.Sharded {
						client.SPublish(t.Context(), cfg.Prefix+channel, x)
					} else {
						client.Publish(t.Context(), cfg.Prefix+channel, x)
					}
				}
			}
			if cfg.Mode == redis.Streams {
				for _, x := range garbage {
					client.Do(t.Context(), "xadd", cfg.Stream, "*", "uid", "x", "nsp", "/g", "type", "3", "data", x)
					client.Do(t.Context(), "xadd", cfg.Stream, "*", "a", x)
				}
			}
			if err := n.Broadcast(adaptertest.Event(`["fine"]`), adapter.Target{}); err != nil {
				t.Fatal(err)
			}
			m.Wait(t, 1)
			adaptertest.Eventually(t, func() error {
				if s := c.Stats(); s.Malformed < 10 {
					return fmt.Errorf("stats %+v", s)
				}
				return nil
			})
			adaptertest.Eventually(t, func() error { // Redis cuts off who does not read 60 MB as fast as they come
				if s := c.Status(); !s.Up {
					return fmt.Errorf("status %+v", s)
				}
				return nil
			})
			if got := m.Got(); len(got) != 1 {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestOutboxIsBounded(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := start(t, redis.Config{URL: s.URL(), MaxOutboxMessages: 100, HeartbeatInterval: 100 * time.Millisecond, MaxOutboxAge: 2 * time.Second})
	n := adaptertest.NewNode(t, "/", c.Adapter())
	ready(t, c)
	s.Kill()
	adaptertest.Eventually(t, func() error {
		if c.Status().Up {
			return errors.New("up")
		}
		return nil
	})
	refused := 0
	for range 1000 {
		if err := n.Broadcast(adaptertest.Event(`["x"]`), adapter.Target{}); errors.Is(err, adapter.ErrDegraded) {
			refused++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if refused < 800 {
		t.Errorf("%d of 1000 refused", refused)
	}
	adaptertest.Eventually(t, func() error {
		s := c.Stats()
		if s.Waiting > 200 || s.Lost["too old"] < 50 || s.Lost["outbox full"] != uint64(refused) {
			return fmt.Errorf("stats %+v", s)
		}
		return nil
	})
}

// A node that was given the address of a replica says so: what it publishes does not reach the others.
func TestReplica(t *testing.T) {
	t.Parallel()
	main := redistest.Start(t)
	replica := redistest.Start(t, "--replicaof", "127.0.0.1 "+strconv.Itoa(main.Port))
	c := start(t, redis.Config{URL: replica.URL(), Prefix: unique()})
	adaptertest.Eventually(t, func() error {
		if s := c.Status(); s.Up || s.Err == nil || !strings.Contains(s.Err.Error(), "replica") {
			return fmt.Errorf("status %+v", s)
		}
		return nil
	})
}

// A user of Redis who may not have one channel: the rest goes on, and the complaint stays.
func TestForbiddenChannel(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	prefix := unique()
	if err := s.Client().Do(t.Context(), "acl", "setuser", "app", "on", ">secret", "+@all", "~*", "resetchannels", "&"+prefix+"-request*",
		"&"+prefix+"-response*", "&"+prefix+"-beanpole*").Err(); err != nil {
		t.Fatal(err)
	}
	l := &logged{Handler: slog.DiscardHandler}
	c := start(t, redis.Config{URL: fmt.Sprintf("redis://app:secret@%s", s.Addr()), Prefix: prefix, HeartbeatInterval: 50 * time.Millisecond,
		Logger: slog.New(l)})
	adaptertest.NewNode(t, "/", c.Adapter())
	adaptertest.Eventually(t, func() error {
		if s := c.Status(); s.Up || s.Err == nil || !strings.Contains(s.Err.Error(), "NOPERM") || s.Lag == 0 {
			return fmt.Errorf("status %+v", s)
		}
		return nil
	})
	since := c.Status().Since
	ups := l.count("cluster up") // at the start, if that was over before the node came
	pass(t, time.Second)
	if s := c.Status(); s.Up || !s.Since.Equal(since) || c.Stats().Reconnects > 0 {
		t.Errorf("status %+v, %+v, before since %v", s, c.Stats(), since)
	}
	// A connection that is made again changes nothing of it.
	if err := s.Client().Do(t.Context(), "client", "kill", "type", "pubsub").Err(); err != nil {
		t.Fatal(err)
	}
	adaptertest.Eventually(t, func() error {
		for _, p := range c.Status().Parts {
			if p.Kind == redis.PartListening && p.Err != nil || p.Kind == redis.PartChannels && p.Err == nil || c.Stats().Reconnects == 0 {
				return fmt.Errorf("%+v", c.Status())
			}
		}
		return nil
	})
	if s := c.Status(); !s.Since.Equal(since) {
		t.Errorf("status %+v, before since %v", s, since)
	}
	if n := l.count("cluster degraded"); n > 2 || l.count("cluster up") != ups {
		t.Errorf("%q", l.list) // the channel, and the connection
	}
	// It is asked for again.
	if err := s.Client().Do(t.Context(), "acl", "setuser", "app", "allchannels").Err(); err != nil {
		t.Fatal(err)
	}
	ready(t, c)
}

// written is what has been logged.
type written struct {
	mu sync.Mutex
	b  strings.Builder
}

func (w *written) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}

func (w *written) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

// What cannot be published any more when a node ends is said, with how much it is.
func TestCloseSaysWhatIsLost(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	var log written
	c, err := redis.New(redis.Config{URL: s.URL(), Prefix: unique(), Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	n := adaptertest.NewNode(t, "/", c.Adapter())
	ready(t, c)
	s.Kill()
	adaptertest.Eventually(t, func() error {
		if c.Status().Up {
			return errors.New("up")
		}
		return nil
	})
	for range 7 {
		if err := n.Broadcast(adaptertest.Event(`["x"]`), adapter.Target{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Close(t.Context()); err != nil {
		t.Errorf("Close: %v", err)
	}
	adaptertest.Eventually(t, func() error {
		lost := c.Stats().Lost["closed"] + c.Stats().Lost["unconfirmed"]
		if got := log.String(); lost < 7 || !strings.Contains(got, fmt.Sprintf("could not be published\" messages=%d", lost)) {
			return fmt.Errorf("%+v; the log says: %s", c.Stats(), got)
		}
		return nil
	})
}

// A Redis that is reached and says nothing, as behind a wrong port, holds up nobody who closes.
func TestCloseWhileTLSIsNotAnswered(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	for name, url := range map[string]string{"tls": "rediss://", "plain": "redis://", "tls cluster": "rediss://"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url += l.Addr().String()
			if name == "tls cluster" {
				url += "?cluster=true"
			}
			c, err := redis.New(redis.Config{URL: url, Mode: redis.PubSub})
			if err != nil {
				t.Fatal(err)
			}
			pass(t, 500*time.Millisecond)
			start := time.Now()
			_ = c.Close(context.WithoutCancel(t.Context()))
			// A second, and what a busy machine adds; the library's own time-outs are three seconds and five.
			if d := time.Since(start); d > 2500*time.Millisecond {
				t.Errorf("Close took %v", d)
			}
		})
	}
}

// TestQuestionEndsThoughAnotherCounts: while one question waits long for Redis to say who is there, another ends in time.
func TestQuestionEndsThoughAnotherCounts(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	p := redistest.NewProxy(t, s.Addr())
	f := pair(t, redis.Config{}, p.URL()+"?read_timeout=60s", s.URL())
	asked := make(chan struct{}, 2)
	f.nodes[1].NS.Reply(func(adapter.Message) *adapter.Message { asked <- struct{}{}; return nil })
	began := time.Now()
	long, short := 12*time.Second, 3*time.Second
	var wg sync.WaitGroup
	defer wg.Wait()
	ask := func(d time.Duration) {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), d)
			defer cancel()
			err := f.nodes[0].ServerSideEmitWithAck(ctx, adaptertest.Event(`["x"]`), func(adapter.Message) {})
			if took := time.Since(began); err == nil || d == short && took >= long {
				t.Errorf("a question for %v ended after %v: %v", d, took, err)
			}
		})
		<-asked
	}
	ask(long)
	ask(short)
	p.Block() // the question before counts first
	pass(t, short)
	wg.Wait()
}

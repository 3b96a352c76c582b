package redis_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// TestAnswersOfClientsAndServersAreBounded: what clients and handlers answer to many questions at once cuts nobody off, on a way that
// is slower than Redis, and all of it comes, binaries too.
func TestAnswersOfClientsAndServersAreBounded(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]redis.Config{"pubsub": {Mode: redis.PubSub}, "sharded": {Mode: redis.Sharded}, "streams": {Mode: redis.Streams}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t, "--client-output-buffer-limit", "pubsub 4mb 0 0")
			way := redistest.NewProxy(t, s.Addr())
			cfg.Prefix, cfg.RequestTimeout, cfg.HeartbeatInterval = unique(), 20*adaptertest.Patience, 5*time.Second
			cfg.URL, cfg.MaxOutboxBytes = s.URL(), 256<<20
			b := start(t, cfg)
			cfg.URL = way.URL()
			a := start(t, cfg)
			x, y := adaptertest.NewNode(t, "/", a.Adapter()), adaptertest.NewNode(t, "/", b.Adapter())
			const members, questions, size = 12, 4, 300_000
			large := bytes.Repeat([]byte("y"), size)
			for i := range members {
				m := adaptertest.NewMember(fmt.Sprintf("member-%013d", i))
				answer := adapter.Message{Data: fmt.Appendf(nil, "[%d,%q]", i, large)}
				if i%2 == 0 {
					answer = adapter.Message{Data: fmt.Appendf(nil, `[%d,{"_placeholder":true,"num":0}]`, i), Attachments: [][]byte{large}}
				}
				m.Answer(func(adapter.Message) *adapter.Message { return &answer })
				y.Join(m)
			}
			y.NS.Reply(func(adapter.Message) *adapter.Message { return &adapter.Message{Data: fmt.Appendf(nil, "%q", large)} })
			ready(t, a, b)
			before := a.Stats().Reconnects
			ctx, cancel := context.WithCancel(t.Context())
			largest := make(chan int)
			go func() { largest <- waits(ctx, t, s) }()
			way.Slow(time.Millisecond)
			var wg sync.WaitGroup
			for range questions {
				wg.Go(func() {
					got := map[string]int{}
					err := x.Ask(t.Context(), adaptertest.Event(`["x"]`), adapter.Target{}, func(m adapter.Message) {
						who, _, _ := strings.Cut(string(m.Data), ",")
						got[who] = len(m.Data)
						for _, b := range m.Attachments {
							got[who] += len(b)
						}
					})
					for who, n := range got {
						if n < size {
							t.Errorf("%s...: %d bytes", who, n)
						}
					}
					if len(got) != members || err != nil {
						t.Errorf("%d clients of %d, %v", len(got), members, err)
					}
				})
				for range members {
					wg.Go(func() {
						n := 0
						err := x.ServerSideEmitWithAck(t.Context(), adaptertest.Event(`["x"]`), func(m adapter.Message) { n += len(m.Data) })
						if n != size+2 || err != nil {
							t.Errorf("%d bytes of a server, %v", n, err)
						}
					})
				}
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

// TestSmallAnswersOfClientsAreGathered: those that come within a moment go together, and unasked.
func TestSmallAnswersOfClientsAreGathered(t *testing.T) {
	t.Parallel()
	for name, cfg := range modes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg.URL, cfg.Prefix = shared.URL(), unique()
			cfg.Stream = cfg.Prefix
			a, b := start(t, cfg), start(t, cfg)
			x, y := adaptertest.NewNode(t, "/", a.Adapter()), adaptertest.NewNode(t, "/", b.Adapter())
			const members = 200
			var all sync.WaitGroup // they answer together, however busy the machine is
			all.Add(members)
			for i := range members {
				m := adaptertest.NewMember(fmt.Sprintf("member-%013d", i))
				m.Answer(func(adapter.Message) *adapter.Message {
					all.Done()
					all.Wait()
					return &adapter.Message{Data: fmt.Appendf(nil, "[%d]", i)}
				})
				y.Join(m)
			}
			ready(t, a, b)
			published(t, b)
			asked, answered := a.Stats().Published, b.Stats().Published
			got := map[string]bool{}
			err := x.Ask(t.Context(), adaptertest.Event(`["x"]`), adapter.Target{}, func(m adapter.Message) { got[string(m.Data)] = true })
			if len(got) != members || err != nil {
				t.Errorf("%d of %d, %v", len(got), members, err)
			}
			published(t, b)
			if n := b.Stats().Published - answered; n > members/2 {
				t.Errorf("%d messages with %d answers", n, members)
			}
			if n := a.Stats().Published - asked; n > 10 { // heartbeats, too
				t.Errorf("%d messages to ask", n)
			}
		})
	}
}

// TestAnswersThatHaveNoRoom: a server holds no more of what is answered than it may; the rest is missing, which is said at once, and no event is
// lost for it.
func TestAnswersThatHaveNoRoom(t *testing.T) {
	t.Parallel()
	for name, cfg := range modes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg.URL, cfg.Prefix, cfg.MaxOutboxBytes = shared.URL(), unique(), 1<<20
			cfg.Stream, cfg.RequestTimeout = cfg.Prefix, 2*adaptertest.Patience
			way := redistest.NewProxy(t, shared.Addr())
			b := start(t, cfg)
			cfg.URL = way.URL()
			a := start(t, cfg)
			x, y := adaptertest.NewNode(t, "/", a.Adapter()), adaptertest.NewNode(t, "/", b.Adapter())
			const members = 8
			var all sync.WaitGroup
			all.Add(members)
			for i := range members {
				m := adaptertest.NewMember(fmt.Sprintf("member-%013d", i))
				m.Answer(func(adapter.Message) *adapter.Message {
					all.Done()
					all.Wait()
					return &adapter.Message{Data: fmt.Appendf(nil, "%q", strings.Repeat("y", 400_000))}
				})
				y.Join(m)
			}
			ready(t, a, b)
			way.Slow(20 * time.Millisecond) // what has come is not fetched before all have come
			began, n := time.Now(), 0
			err := x.Ask(t.Context(), adaptertest.Event(`["x"]`), adapter.Target{}, func(adapter.Message) { n++ })
			var p *adapter.PartialError
			if !errors.As(err, &p) || p.Clients != members-n || n < 2 || !errors.Is(err, redis.ErrTooLarge) || p.Clients != int(b.Stats().Lost["outbox full"]) {
				t.Errorf("%d of %d, %v; %v", n, members, err, b.Stats().Lost)
			}
			if d := time.Since(began); d > cfg.RequestTimeout/2 {
				t.Errorf("said after %v", d)
			}
			way.Slow(0)
			if err := y.Broadcast(adaptertest.Event(`["x"]`), adapter.Target{}); err != nil {
				t.Error(err)
			}
		})
	}
}

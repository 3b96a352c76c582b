package redis_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// TestQuestionsWhileAConnectionIsMadeAgain: a server whose connection has just broken is not taken for one that is not
// there, or does not have the namespace.
func TestQuestionsWhileAConnectionIsMadeAgain(t *testing.T) {
	t.Parallel()
	for name, cfg := range modes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			p := redistest.NewProxy(t, s.Addr())
			f := pair(t, cfg, s.URL(), p.URL())
			here, there := f.nodes[0], f.nodes[1]
			there.NS.Reply(func(adapter.Message) *adapter.Message { m := adaptertest.Event(`"here"`); return &m })
			p.Cut(true)
			adaptertest.Eventually(t, func() error { // or there is nothing to see
				list, err := s.Client().Do(t.Context(), "client", "list", "type", "pubsub").Text()
				if n := strings.Count(list, "\n"); err == nil && n != 1 {
					err = fmt.Errorf("%d subscriptions", n)
				}
				return err
			})
			var wg sync.WaitGroup
			wg.Go(func() {
				if n, err := here.Count(t.Context(), adapter.Target{}); n != 2 || err != nil {
					t.Errorf("Count = %d, %v", n, err)
				}
			})
			wg.Go(func() {
				if list, err := here.Fetch(t.Context(), adapter.Target{}); len(list) != 2 || err != nil {
					t.Errorf("Fetch = %d sockets, %v", len(list), err)
				}
			})
			wg.Go(func() {
				if n, err := here.Servers(t.Context()); n != 2 || err != nil {
					t.Errorf("Servers = %d, %v", n, err)
				}
			})
			wg.Go(func() {
				var answers atomic.Int32
				err := here.ServerSideEmitWithAck(t.Context(), adaptertest.Event(`["x"]`), func(adapter.Message) { answers.Add(1) })
				if n := answers.Load(); n != 1 || err != nil {
					t.Errorf("ServerSideEmitWithAck: %d answers, %v", n, err)
				}
			})
			pass(t, 150*time.Millisecond)
			p.Cut(false)
			wg.Wait()
		})
	}
}

// TestQuestionsWhileSubscriptionsAreKilled: at whatever moment all subscriptions break, who asks gets the whole answer, or
// an error.
func TestQuestionsWhileSubscriptionsAreKilled(t *testing.T) {
	t.Parallel()
	for name, cfg := range modes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			f := pair(t, cfg, s.URL(), s.URL())
			for i := range 20 {
				var wg sync.WaitGroup
				for k := range 8 {
					wg.Go(func() {
						pass(t, time.Duration(k*(i%4+1)/2)*time.Millisecond)
						began := time.Now()
						n, err := f.nodes[k%2].Count(t.Context(), adapter.Target{})
						if n != 2 && err == nil || err != nil && !errors.Is(err, adapter.ErrDegraded) {
							t.Errorf("Count = %d, %v after %v", n, err, time.Since(began))
						}
					})
				}
				if err := s.Client().Do(t.Context(), "client", "kill", "type", "pubsub").Err(); err != nil {
					t.Fatal(err)
				}
				wg.Wait()
			}
		})
	}
}

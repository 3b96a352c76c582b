package redis_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// A node that has closed the namespace before a question came, and has opened it again since, is not waited for: what was
// asked is what it was then.
func TestWhoHasOpenedTheNamespaceAgainWasNotAsked(t *testing.T) {
	t.Parallel()
	questions := map[string]func(context.Context, *adaptertest.Node) error{
		"Fetch": func(ctx context.Context, n *adaptertest.Node) error {
			_, err := n.Fetch(ctx, adapter.Target{})
			return err
		},
		"Count": func(ctx context.Context, n *adaptertest.Node) error {
			_, err := n.Count(ctx, adapter.Target{})
			return err
		},
		"BroadcastWithAck": func(ctx context.Context, n *adaptertest.Node) error {
			return n.Ask(ctx, adaptertest.Event(`["x"]`), adapter.Target{}, func(adapter.Message) {})
		},
		"ServerSideEmitWithAck": func(ctx context.Context, n *adaptertest.Node) error {
			return n.ServerSideEmitWithAck(ctx, adaptertest.Event(`["x"]`), func(adapter.Message) {})
		},
	}
	kinds := slices.Collect(maps.Keys(questions))
	for name, cfg := range modes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			p := redistest.NewProxy(t, s.Addr())
			f := pair(t, cfg, s.URL(), p.URL())
			here, there := f.clusters[0], f.clusters[1]
			for i := range 2 * len(questions) {
				what, broken := kinds[i/2], i%2 == 1
				ask, nsp := questions[what], fmt.Sprint("/moment-", what, broken)
				asks, first := adaptertest.NewNode(t, nsp, here.Adapter()), adaptertest.NewNode(t, nsp, there.Adapter())
				ready(t, here, there)
				adaptertest.Eventually(t, func() error {
					if n, err := asks.Servers(t.Context()); n != 2 || err != nil {
						return fmt.Errorf("%d servers, %v", n, err)
					}
					return nil
				})
				p.Block()
				if err := first.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
				before, done := here.Stats().Published, make(chan error, 1)
				ctx, cancel := context.WithTimeout(t.Context(), adaptertest.Patience)
				go func() { done <- ask(ctx, asks) }()
				adaptertest.Eventually(t, func() error {
					if here.Stats().Published == before {
						return errors.New("nothing is asked")
					}
					return nil
				})
				passed := len(f.nodes[1].NS.Events())
				if err := f.nodes[0].ServerSideEmit(adaptertest.Event(`["behind"]`)); err != nil {
					t.Fatal(err)
				}
				p.Unblock()
				adaptertest.Eventually(t, func() error {
					if len(f.nodes[1].NS.Events()) == passed {
						return errors.New("the question has not passed")
					}
					return nil
				})
				// What was published in the moment before may come to it nevertheless, and is answered.
				again := adaptertest.NewNamespace(nsp)
				again.Reply(func(adapter.Message) *adapter.Message { return &adapter.Message{Data: []byte("1")} })
				if _, err := there.Adapter()(again); err != nil {
					t.Fatal(err)
				}
				if broken { // what that loses is asked for, so that nothing of it is in doubt
					p.Cut(false)
				}
				if err := <-done; err != nil {
					t.Errorf("%s, broken %v: %v", what, broken, err)
				}
				cancel()
			}
		})
	}
}

package redis_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis"
)

// TestQuestionsWhileNamespacesAppear: a namespace is there on both nodes, but one of them is only just making that
// known. A question asked in that moment must not end without its answer.
func TestQuestionsWhileNamespacesAppear(t *testing.T) {
	t.Parallel()
	prefix := unique()
	var clusters []*redis.Cluster
	for range 2 {
		clusters = append(clusters, start(t, redis.Config{URL: shared.URL(), Prefix: prefix}))
	}
	ready(t, clusters...)
	for i := range 100 {
		nsp := fmt.Sprint("/new", i)
		here := adaptertest.NewNode(t, nsp, clusters[0].Adapter())
		if err := clusters[0].Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		there := adaptertest.NewNode(t, nsp, clusters[1].Adapter())
		there.Join(adaptertest.NewMember(fmt.Sprintf("member-%013d", i)))
		if err := clusters[1].Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		list, err := here.Fetch(ctx, adapter.Target{})
		cancel()
		if err != nil || len(list) != 1 {
			t.Fatalf("%s: %d sockets of 1, %v", nsp, len(list), err)
		}
	}
}

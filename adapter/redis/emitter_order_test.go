package redis_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// TestEmitterKeepsOrderWhenAMasterDies: what waits for a master of a Redis Cluster is not overtaken by what comes when its
// replica has taken over. An emitter has no numbers by which servers would put that right.
func TestEmitterKeepsOrderWhenAMasterDies(t *testing.T) {
	t.Parallel()
	list := redistest.ReplicatedCluster(t)
	cfg := redis.Config{URL: redistest.ClusterURL(list), Prefix: unique(), Mode: redis.Sharded}
	c := start(t, cfg)
	m := adaptertest.NewMember("member-0000000000001")
	adaptertest.NewNode(t, "/", c.Adapter()).Join(m, "room")
	ready(t, c)
	e, err := redis.NewEmitter(cfg)
	if err != nil {
		t.Fatal(err)
	}
	emitting, stop := context.WithCancel(t.Context())
	sent := 0
	var wg sync.WaitGroup
	wg.Go(func() {
		for emitting.Err() == nil {
			if err := e.To("room").Emit("n", sent); err != nil {
				t.Error(err)
			}
			sent++
			pass(t, time.Millisecond)
		}
	})
	m.Wait(t, 1)
	_, main := slot(t, list, cfg.Prefix+"#/#room#")
	heir := list[slices.IndexFunc(list, func(s *redistest.Server) bool {
		role, err := s.Client().Do(t.Context(), "role").Slice()
		return err == nil && role[0] == "slave" && role[2] == int64(main.Port)
	})]
	main.Kill()
	adaptertest.Eventually(t, func() error {
		if n := e.Stats().Waiting; n < 1000 { // by now it waits long between attempts
			return fmt.Errorf("%d wait", n)
		}
		return nil
	})
	if err := heir.Client().Do(t.Context(), "cluster", "failover", "takeover").Err(); err != nil {
		t.Fatal(err)
	}
	adaptertest.Eventually(t, func() error {
		if n := e.Stats().Waiting; n > 20 {
			return fmt.Errorf("%d wait", n)
		}
		return nil
	})
	stop()
	wg.Wait()
	main.Run()
	ctx, cancel := context.WithTimeout(t.Context(), adaptertest.Patience)
	defer cancel()
	_ = e.Close(ctx) // says what was on its way when the master died
	adaptertest.Eventually(t, func() error {
		if got := numbers(m); len(got) == 0 || got[len(got)-1] != sent-1 {
			return fmt.Errorf("got %d of %d, %+v", len(got), sent, e.Stats())
		}
		return nil
	})
	got := numbers(m)
	if len(got)+int(e.Stats().Lost["unconfirmed"]) != sent {
		t.Errorf("got %d of %d, %+v", len(got), sent, e.Stats())
	}
	for i := range len(got) - 1 {
		if got[i] > got[i+1] {
			t.Errorf("%d behind %d", got[i+1], got[i])
		}
	}
}

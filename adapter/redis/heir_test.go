package redis_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// heirOf returns the replica of a master of list.
func heirOf(t *testing.T, list []*redistest.Server, main *redistest.Server) *redistest.Server {
	t.Helper()
	i := slices.IndexFunc(list, func(s *redistest.Server) bool {
		role, err := s.Client().Do(t.Context(), "role").Slice()
		return err == nil && role[0] == "slave" && role[2] == int64(main.Port)
	})
	if i < 0 {
		t.Fatalf("%d has no replica", main.Port)
	}
	return list[i]
}

// takeOver makes a replica of a Redis Cluster a master, without asking the others.
func takeOver(t *testing.T, heir *redistest.Server) {
	t.Helper()
	if err := heir.Client().Do(t.Context(), "cluster", "failover", "takeover").Err(); err != nil {
		t.Fatal(err)
	}
}

// TestHeirIsAskedWhatIsInDoubt: a master dies before it has answered. What became of what it was sent the replica knows that
// has taken over, long before that is too old.
func TestHeirIsAskedWhatIsInDoubt(t *testing.T) {
	t.Parallel()
	list := redistest.ReplicatedCluster(t)
	prefix := unique()
	e, err := redis.NewEmitter(redis.Config{URL: redistest.ClusterURL(list), Prefix: prefix, Stream: prefix, Mode: redis.Streams,
		MaxOutboxAge: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	published := func(n uint64) {
		t.Helper()
		adaptertest.Eventually(t, func() error {
			if s := e.Stats(); s.Published != n || s.Waiting != 0 {
				return fmt.Errorf("%+v", s)
			}
			return nil
		})
	}
	if err := e.Emit("n", 0); err != nil {
		t.Fatal(err)
	}
	published(1)
	_, main := slot(t, list, prefix)
	heir := heirOf(t, list, main)
	main.Freeze()
	if err := e.Emit("n", 1); err != nil {
		t.Fatal(err)
	}
	takeOver(t, heir)
	main.Kill()
	published(2)
	main.Run()
	ctx, cancel := context.WithTimeout(t.Context(), adaptertest.Patience)
	defer cancel()
	if err := e.Close(ctx); err != nil {
		t.Error(err)
	}
}

// TestReplacedMasterIsMissedNoMore: what was for a master that has died is too old before its replica takes over, and nothing
// more is to be sent there. The servers are well again all the same.
func TestReplacedMasterIsMissedNoMore(t *testing.T) {
	t.Parallel()
	list := redistest.ReplicatedCluster(t)
	cfg := redis.Config{URL: redistest.ClusterURL(list), Prefix: unique(), Mode: redis.Sharded, MaxOutboxAge: time.Second,
		HeartbeatInterval: 200 * time.Millisecond}
	c := start(t, cfg)
	n := adaptertest.NewNode(t, "/", c.Adapter())
	ready(t, c)
	_, beats := slot(t, list, cfg.Prefix+"-beanpole#")
	room, main := "", beats
	for i := 0; main == beats; i++ {
		room = fmt.Sprint("room", i)
		_, main = slot(t, list, cfg.Prefix+"#/#"+room+"#")
	}
	heir := heirOf(t, list, main)
	main.Kill()
	addr := fmt.Sprintf("127.0.0.1:%d", main.Port)
	adaptertest.Eventually(t, func() error {
		s := c.Stats()
		if s.Lost["too old"] > 0 && s.Waiting == 0 && failure(c, redis.PartSending, addr) != nil {
			return nil
		}
		if s.Lost["too old"] == 0 && s.Waiting == 0 { // what is sent first may be in doubt, and not wait
			_ = n.Broadcast(adaptertest.Event(`["x"]`), adapter.Target{Rooms: []string{room}})
		}
		return fmt.Errorf("%+v, %+v", s, c.Status())
	})
	takeOver(t, heir)
	adaptertest.Eventually(t, func() error {
		if s := c.Status(); !s.Up {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
	main.Run()
}

// TestEmitterKeepsOrderWhenAMasterDies: what waits for a master of a Redis Cluster is not overtaken by what comes when its
// replica has taken over. An emitter has no numbers by which servers would put that right.
func TestEmitterKeepsOrderWhenAMasterDies(t *testing.T) {
	t.Parallel()
	list := redistest.ReplicatedCluster(t)
	cfg := redis.Config{URL: redistest.ClusterURL(list), Prefix: unique(), Mode: redis.Sharded, RequestTimeout: adaptertest.Patience}
	c := start(t, cfg)
	m := adaptertest.NewMember("member-0000000000001")
	adaptertest.NewNode(t, "/", c.Adapter()).Join(m, "room")
	ready(t, c)
	e, err := redis.NewEmitter(cfg)
	if err != nil {
		t.Fatal(err)
	}
	emitting, stop := context.WithCancel(t.Context())
	var sent atomic.Int64
	var wg sync.WaitGroup
	wg.Go(func() {
		for emitting.Err() == nil {
			if err := e.To("room").Emit("n", sent.Load()); err != nil {
				t.Error(err)
			}
			sent.Add(1)
			pass(t, time.Millisecond)
		}
	})
	m.Wait(t, 1)
	_, main := slot(t, list, cfg.Prefix+"#/#room#")
	heir := heirOf(t, list, main)
	main.Kill()
	dead := int(sent.Load()) + 1 // of what was emitted before, it may have answered for what it had not passed on
	adaptertest.Eventually(t, func() error {
		if n := e.Stats().Waiting; n < 1000 { // by now it waits long between attempts
			return fmt.Errorf("%d wait", n)
		}
		return nil
	})
	takeOver(t, heir)
	adaptertest.Eventually(t, func() error {
		if n := e.Stats().Waiting; n > 20 {
			return fmt.Errorf("%d wait", n)
		}
		return nil
	})
	stop()
	wg.Wait()
	main.Run()
	ctx, cancel := context.WithTimeout(t.Context(), 2*adaptertest.Patience)
	defer cancel()
	_ = e.Close(ctx) // says what was on its way when the master died; it waits until the server, which may be slow to come back, misses nothing
	adaptertest.Eventually(t, func() error {
		if got := numbers(m); len(got) == 0 || got[len(got)-1] != int(sent.Load())-1 {
			return fmt.Errorf("got %d of %d, %+v", len(got), sent.Load(), e.Stats())
		}
		return nil
	})
	got := numbers(m)
	since := slices.IndexFunc(got, func(k int) bool { return k >= dead })
	if missed := int(sent.Load()) - dead - len(got[since:]); missed > int(e.Stats().Lost["unconfirmed"]) { // which may have come
		t.Errorf("missed %d of %d, %+v", missed, sent.Load(), e.Stats())
	}
	for i := range len(got) - 1 {
		if got[i] >= got[i+1] {
			t.Errorf("%d behind %d", got[i+1], got[i])
		}
	}
}

// TestReaderLeavesAMasterThatHangs: the master of the stream stands still, and its replica takes over: the stream is read there,
// however long a read at the old one might take.
func TestReaderLeavesAMasterThatHangs(t *testing.T) {
	t.Parallel()
	list := redistest.ReplicatedCluster(t)
	url := redistest.ClusterURL(list)
	f := pair(t, redis.Config{Mode: redis.Streams, BlockTime: time.Hour, MaxOutboxAge: time.Hour}, url, url)
	f.storm(1)
	f.there.Wait(t, 1)
	_, main := slot(t, list, f.prefix)
	heir := heirOf(t, list, main)
	main.Freeze()
	defer main.Thaw()
	takeOver(t, heir)
	f.burst(20)
	f.there.Wait(t, 21)
}

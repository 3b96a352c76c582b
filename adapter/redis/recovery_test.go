package redis_test

import (
	"fmt"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// behind returns nodes that are behind a proxy each, and share a stream which holds an entry already.
func behind(cfg redis.Config, proxies ...*redistest.Proxy) adaptertest.Cluster {
	return func(t *testing.T, nsp string, n int) (list []*adaptertest.Node) {
		t.Helper()
		cfg := cfg
		cfg.Mode, cfg.Recovery = redis.Streams, &adapter.Recovery{}
		cfg.Prefix = unique()
		cfg.Stream = cfg.Prefix
		cfg.SessionPrefix = cfg.Prefix + ":session:"
		add := &goredis.XAddArgs{Stream: cfg.Stream, Values: []string{"uid", "another", "nsp", "/another", "type", "3", "data", `{"packet":{"data":["x"]},"opts":{"rooms":[],"except":[],"flags":{}}}`}}
		if err := shared.Client().XAdd(t.Context(), add).Err(); err != nil {
			t.Fatal(err)
		}
		var clusters []*redis.Cluster
		for i := range n {
			cfg.URL = proxies[i].URL()
			c := start(t, cfg)
			clusters = append(clusters, c)
			node := adaptertest.NewNode(t, nsp, c.Adapter())
			node.Ready = c.Ready
			list = append(list, node)
		}
		ready(t, clusters...)
		return list
	}
}

func proxies(t *testing.T, n int) (list []*redistest.Proxy) {
	for range n {
		list = append(list, redistest.NewProxy(t, shared.Addr()))
	}
	return list
}

// TestRecoveryWithSlowRedis: Redis takes longer than OffsetWait, so most events reach the clients of their node
// ahead of the stream. They must not come again when a client recovers.
func TestRecoveryWithSlowRedis(t *testing.T) {
	list := proxies(t, 3)
	for _, p := range list {
		p.Slow(3 * time.Millisecond)
	}
	adaptertest.RunExact(t, 3, behind(redis.Config{OffsetWait: 2 * time.Millisecond}, list...))
}

// TestEarlyEventIsNotRepeated: an event that Redis did not answer for in time is with a client of its node; the
// client then moves to another node.
func TestEarlyEventIsNotRepeated(t *testing.T) {
	list := proxies(t, 2)
	nodes := behind(redis.Config{OffsetWait: 20 * time.Millisecond}, list...)(t, "/early", 2)
	here, there := nodes[0], nodes[1]
	m, w := adaptertest.NewMember("member-000000000001"), adaptertest.NewMember("member-000000000002")
	here.Join(m)
	there.Join(w)
	list[0].Block()
	for i := range 3 {
		if err := here.Broadcast(adaptertest.Event(fmt.Sprintf(`["e",%d]`, i)), adapter.Target{}); err != nil {
			t.Fatal(err)
		}
	}
	got := m.Wait(t, 3)
	list[0].Unblock()
	w.Wait(t, 3)
	m.SetGone()
	for have := 1; have <= 3; have++ {
		pid := fmt.Sprint("pid", have)
		s := adapter.Session{SID: m.ID(), PID: pid, Rooms: here.Remove(m)}
		if have > 1 {
			s.Rooms = []string{m.ID()}
		}
		if err := here.Save(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		restored, err := there.Restore(t.Context(), pid, adaptertest.Offset(t, got[have-1]))
		if err != nil {
			t.Fatal(err)
		}
		again := adaptertest.NewMember(m.ID())
		var replayed []string
		if err := there.Resume(t.Context(), again, restored, func(x adapter.Message) { replayed = append(replayed, string(x.Data)) }); err != nil {
			t.Fatal(err)
		}
		if len(replayed) != 3-have {
			t.Errorf("who had %d of 3 got %q", have, replayed)
		}
		there.Remove(again)
	}
}

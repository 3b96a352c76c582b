package redis_test

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// sharded are the modes of a Redis Cluster.
func sharded() map[string]redis.Config {
	return map[string]redis.Config{
		"static":  {Mode: redis.Sharded, Subscriptions: redis.Static},
		"dynamic": {Mode: redis.Sharded},
	}
}

// slot returns the slot of a channel, and which of list serves it.
func slot(t *testing.T, list []*redistest.Server, channel string) (n int64, owner *redistest.Server) {
	t.Helper()
	c := list[0].Client()
	n, err := c.ClusterKeySlot(t.Context(), channel).Result()
	if err != nil {
		t.Fatal(err)
	}
	slots, err := c.ClusterSlots(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range slots {
		for _, x := range list {
			if int64(s.Start) <= n && n <= int64(s.End) && strings.HasSuffix(s.Nodes[0].Addr, fmt.Sprintf(":%d", x.Port)) {
				return n, x
			}
		}
	}
	t.Fatalf("nobody serves slot %d", n)
	return 0, nil
}

// owners waits until all of list agree that to has a slot.
func owners(t *testing.T, list []*redistest.Server, n int64, to *redistest.Server) {
	t.Helper()
	adaptertest.Eventually(t, func() error {
		for _, x := range list {
			slots, err := x.Client().ClusterSlots(t.Context()).Result()
			if err != nil {
				return err
			}
			for _, s := range slots {
				if int64(s.Start) <= n && n <= int64(s.End) && !strings.HasSuffix(s.Nodes[0].Addr, fmt.Sprintf(":%d", to.Port)) {
					return fmt.Errorf("for %d slot %d is of %s", x.Port, n, s.Nodes[0].Addr)
				}
			}
		}
		return nil
	})
}

// A slot moves to another master, and back, while events flow through it.
func TestNothingIsMissedWhileSlotsMove(t *testing.T) {
	t.Parallel()
	list := redistest.Cluster(t)
	url := redistest.ClusterURL(list)
	for name, cfg := range sharded() {
		t.Run(name, func(t *testing.T) {
			f := pair(t, cfg, url, url)
			f.pace = 200 * time.Millisecond
			n, _ := slot(t, list, f.prefix+"#/fault#")
			storm(t, f, func(ctx context.Context) {
				for i := 0; ctx.Err() == nil && i < 6; i++ {
					_, from := slot(t, list, f.prefix+"#/fault#")
					to := list[0]
					if to == from {
						to = list[1]
					}
					move(t, list, n, from, to)
					pass(t, 300*time.Millisecond)
				}
			})
		})
	}
}

// The state of a session moves to another master while its client comes back: for a moment its slot is on two.
func TestRecoveryWhileSlotsMove(t *testing.T) {
	t.Parallel()
	list := redistest.Cluster(t)
	url := redistest.ClusterURL(list)
	f := pair(t, redis.Config{Mode: redis.Streams, Recovery: &adapter.Recovery{}}, url, url)
	f.storm(1)
	last := adaptertest.Offset(t, f.here.Wait(t, 1)[0])
	s := f.here.Leave(f.nodes[0], "pid")
	if err := f.nodes[0].Save(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	f.storm(1)
	// The session, and the stream.
	ends := []func(){moving(t, list, f.prefix+"pid"), moving(t, list, f.prefix)}
	f.wg.Go(func() {
		pass(t, 500*time.Millisecond)
		for _, end := range ends { // one by one: two masters that take a slot at a time may take it with one epoch
			end()
		}
	})
	back := resume(t, f.nodes[1], s, last)
	f.wg.Wait()
	if got := numbers(back); len(back.Wait(t, 1)) != 1 || len(got) != 1 || got[0] != 1 {
		t.Errorf("replayed %v", got)
	}
	f.storm(10)
	f.there.Wait(t, 12)
	back.Wait(t, 11)
}

// moving has the slot of a key on its way to another master, with all its keys there already, until end.
func moving(t *testing.T, list []*redistest.Server, key string) (end func()) {
	t.Helper()
	n, from := slot(t, list, key)
	to := list[0]
	if to == from {
		to = list[1]
	}
	id := func(s *redistest.Server) string {
		id, err := s.Client().Do(t.Context(), "cluster", "myid").Text()
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	do := func(s *redistest.Server, args ...any) {
		t.Helper()
		if err := s.Client().Do(t.Context(), args...).Err(); err != nil {
			t.Errorf("%v: %v", args, err)
		}
	}
	do(to, "cluster", "setslot", n, "importing", id(from))
	do(from, "cluster", "setslot", n, "migrating", id(to))
	keys, err := from.Client().ClusterGetKeysInSlot(t.Context(), int(n), 100).Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		do(from, "migrate", "127.0.0.1", to.Port, key, 0, 5000)
	}
	return func() {
		for _, x := range []*redistest.Server{to, from, list[0], list[1], list[2]} {
			do(x, "cluster", "setslot", n, "node", id(to))
		}
		owners(t, list, n, to)
	}
}

// The stream moves to another master while events flow: the one before refuses them for a moment, and is well again when
// they are not for it any more, for those of other slots of its own that it has taken all the time.
func TestStreamMoves(t *testing.T) {
	t.Parallel()
	list := redistest.Cluster(t)
	url := redistest.ClusterURL(list)
	f := pair(t, redis.Config{Mode: redis.Streams, BlockTime: time.Second}, url, url)
	f.storm(1)
	f.there.Wait(t, 1)
	end := moving(t, list, f.prefix)
	f.burst(20)
	adaptertest.Eventually(t, func() error {
		if s := f.clusters[0].Status(); s.Up {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
	end()
	f.storm(20)
	f.there.Wait(t, 41)
	for _, c := range f.clusters {
		adaptertest.Eventually(t, func() error {
			if s := c.Status(); !s.Up {
				return fmt.Errorf("%+v", s)
			}
			return nil
		})
	}
}

// One master of three is dead: what goes through the others goes on.
func TestOneMasterIsDead(t *testing.T) {
	t.Parallel()
	list := redistest.Cluster(t, "--cluster-require-full-coverage", "no")
	for _, s := range list {
		// Three masters without replicas: the two that live must not wait for anybody.
		if out, err := exec.Command("redis-cli", "-p", fmt.Sprint(s.Port), "config", "set", "cluster-allow-pubsubshard-when-down", "yes").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	cfg := redis.Config{Mode: redis.Sharded}
	f := pair(t, cfg, redistest.ClusterURL(list), redistest.ClusterURL(list))
	// A room on each master, and beats on one that lives.
	_, beats := slot(t, list, f.prefix+"-beanpole#")
	_, main := slot(t, list, f.prefix+"#/fault#")
	rooms := map[*redistest.Server]string{}
	for i := 0; len(rooms) < 3; i++ {
		room := fmt.Sprint("room", i)
		_, s := slot(t, list, f.prefix+"#/fault#"+room+"#")
		if rooms[s] == "" {
			rooms[s] = room
		}
	}
	var dead *redistest.Server
	for _, s := range list {
		if s != beats && s != main {
			dead = s
		}
	}
	members := map[*redistest.Server]*adaptertest.Member{}
	for s, room := range rooms {
		m := adaptertest.NewMember("member-of-" + room + strings.Repeat("0", 20-len("member-of-"+room)))
		f.nodes[1].Join(m, room)
		members[s] = m
	}
	ready(t, f.clusters...)
	dead.Kill()
	const events = 500
	for i := range events {
		for _, room := range rooms {
			say(t, f.nodes[0], i, room)
		}
	}
	for s, m := range members {
		if s != dead {
			m.Wait(t, events)
		}
	}
	dead.Run()
	members[dead].Wait(t, events)
	for s, m := range members {
		if got := numbers(m); len(got) != events {
			t.Errorf("%d of %d events by way of %d", len(got), events, s.Port)
		}
	}
}

// TestMasterThatWasKilledIsListenedToAgain: a master of a Redis Cluster ends, and is back some moments later: every server
// subscribes there again to all that it wants.
func TestMasterThatWasKilledIsListenedToAgain(t *testing.T) {
	t.Parallel()
	list := redistest.Cluster(t, "--cluster-require-full-coverage", "no")
	f := pair(t, redis.Config{Mode: redis.Sharded}, redistest.ClusterURL(list), redistest.ClusterURL(list))
	const rooms = 12
	for i, n := range f.nodes {
		for k := range rooms {
			n.Join(adaptertest.NewMember(fmt.Sprintf("member-%d-%011d", i, k)), fmt.Sprint("room", k))
		}
	}
	ready(t, f.clusters...)
	for range 4 {
		_, dead := slot(t, list, f.prefix+"#/fault#room0#")
		before := [2]uint64{f.clusters[0].Stats().Reconnects, f.clusters[1].Stats().Reconnects}
		dead.Kill()
		for i, c := range f.clusters { // it is tried more than once in vain
			adaptertest.Eventually(t, func() error {
				if n := c.Stats().Reconnects - before[i]; n < 6 {
					return fmt.Errorf("connected %d times", n)
				}
				return nil
			})
		}
		dead.Run()
		for k := range rooms {
			channel := fmt.Sprint(f.prefix, "#/fault#room", k, "#")
			_, at := slot(t, list, channel)
			adaptertest.Eventually(t, func() error {
				if n, err := at.Client().PubSubShardNumSub(t.Context(), channel).Result(); n[channel] != 2 || err != nil {
					return fmt.Errorf("%d servers subscribe to %s, %v", n[channel], channel, err)
				}
				return nil
			})
		}
		ready(t, f.clusters...)
	}
}

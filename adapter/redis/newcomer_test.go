package redis_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// A server stands still, and Redis ends its subscription. Meanwhile another one starts and publishes, of which the first has
// heard nothing: when it goes on it reads what had come before, then learns that its connection is gone, and misses nothing,
// whether or not there is more.
func TestNewcomerIsNotMissedByOneThatStoodStill(t *testing.T) {
	t.Parallel()
	for name, cfg := range channels() {
		for then, more := range map[string]int{"goes on": 1, "is silent": 0} {
			t.Run(name+" "+then, func(t *testing.T) {
				t.Parallel()
				standsStill(t, cfg, more)
			})
		}
	}
}

// begin starts a node at an address of Redis.
func begin(t *testing.T, cfg redis.Config, url string) (*redis.Cluster, *adaptertest.Node) {
	t.Helper()
	cfg.URL = url
	c := start(t, cfg)
	return c, adaptertest.NewNode(t, "/", c.Adapter())
}

// hasBoth returns an error unless a member has n of the even numbers that are said to all, in order, and of the odd ones that are said
// to a room.
func hasBoth(m *adaptertest.Member, c *redis.Cluster, n int) error {
	got := slices.DeleteFunc(numbers(m), func(k int) bool { return k < 0 })
	all := slices.DeleteFunc(slices.Clone(got), func(k int) bool { return k%2 != 0 })
	room := slices.DeleteFunc(slices.Clone(got), func(k int) bool { return k%2 == 0 })
	if len(all) != n || len(room) != n || !slices.IsSorted(all) || !slices.IsSorted(room) {
		return fmt.Errorf("got %v; %+v", got, c.Stats())
	}
	return nil
}

func standsStill(t *testing.T, cfg redis.Config, more int) {
	s := redistest.Start(t)
	p := redistest.NewProxy(t, s.Addr())
	cfg.Prefix = unique()
	cfg.HeartbeatInterval = 10 * time.Second // the newcomer is not in the list of servers yet when the subscription is back
	old, oldNode := begin(t, cfg, s.URL())
	still, stillNode := begin(t, cfg, p.URL())
	m := adaptertest.NewMember("member-0000000000000")
	stillNode.Join(m, "room")
	ready(t, old, still)
	p.Block()
	say(t, oldNode, -1) // what had come
	adaptertest.Eventually(t, func() error {
		if p.Held() == 0 {
			return fmt.Errorf("nothing is on its way")
		}
		return nil
	})
	if err := s.Client().Do(t.Context(), "CLIENT", "KILL", "TYPE", "pubsub").Err(); err != nil {
		t.Fatal(err)
	}
	newcomer, newNode := begin(t, cfg, s.URL())
	if err := newcomer.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	const count = 100
	for k := range count {
		say(t, newNode, 2*k)
		say(t, newNode, 2*k+1, "room")
	}
	pass(t, 3*time.Second) // longer than what is asked for beyond the last message
	p.Unblock()
	for k := range more {
		say(t, newNode, 2*(count+k))
		say(t, newNode, 2*(count+k)+1, "room")
	}
	adaptertest.Eventually(t, func() error {
		return hasBoth(m, still, count+more)
	})
}

// TestNewcomerIsNotMissedOverOneConnectionOfTwo: what a server publishes and where that ends come over the connections to two
// masters of a Redis Cluster. One of them stands still, and breaks: that the other has brought the end says nothing of what
// the first has.
func TestNewcomerIsNotMissedOverOneConnectionOfTwo(t *testing.T) {
	t.Parallel()
	list := redistest.Cluster(t)
	url := redistest.ClusterURL(list)
	cfg := redis.Config{Mode: redis.Sharded, URL: url}
	var dark *redistest.Server
	for bright := dark; dark == bright; {
		cfg.Prefix = unique()
		_, bright = slot(t, list, cfg.Prefix+"-beanpole#tails")
		_, dark = slot(t, list, cfg.Prefix+"#/#")
	}
	room := ""
	for i, at := 0, (*redistest.Server)(nil); at != dark; i++ {
		room = fmt.Sprint("room", i)
		_, at = slot(t, list, cfg.Prefix+"#/#"+room+"#")
	}
	p := redistest.NewProxy(t, dark.Addr())
	through := goredis.NewClusterClient(&goredis.ClusterOptions{Addrs: []string{list[0].Addr()},
		Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if addr == dark.Addr() {
				addr = p.Addr
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		}})
	defer through.Close()
	other := cfg
	other.Client, other.URL = through, ""
	still := start(t, other)
	node := adaptertest.NewNode(t, "/", still.Adapter())
	m := adaptertest.NewMember("member-0000000000000")
	node.Join(m, room)
	ready(t, still)
	pass(t, 5*time.Second) // a subscription that is younger is not trusted anyway
	p.Block()
	newcomer := start(t, cfg)
	from := adaptertest.NewNode(t, "/", newcomer.Adapter())
	if err := newcomer.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	const count = 50
	for k := range count {
		for i, rooms := range [][]string{nil, {room}} {
			say(t, from, 2*k+i, rooms...)
		}
	}
	pass(t, 3*time.Second) // the ends are said, and what is asked for beyond the last message is passed
	p.Cut(false)
	p.Unblock()
	m.Wait(t, 2*count)
}

// TestQuestionThatComesLate: a server learns of a newcomer when its subscription is back, and asks it for what it has published
// meanwhile; the question takes longer than that is ago.
func TestQuestionThatComesLate(t *testing.T) {
	t.Parallel()
	for name, cfg := range channels() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			p, q := redistest.NewProxy(t, s.Addr()), redistest.NewProxy(t, s.Addr())
			cfg.Prefix = unique()
			cfg.HeartbeatInterval, cfg.HeartbeatMisses = time.Second, 30 // who says nothing for some seconds is not gone
			still, stillNode := begin(t, cfg, p.URL())
			m := adaptertest.NewMember("member-0000000000000")
			stillNode.Join(m, "room")
			ready(t, still)
			p.Block()
			if err := s.Client().Do(t.Context(), "CLIENT", "KILL", "TYPE", "pubsub").Err(); err != nil {
				t.Fatal(err)
			}
			newcomer, newNode := begin(t, cfg, q.URL())
			if err := newcomer.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
			const count = 100
			for k := range count {
				say(t, newNode, 2*k)
				say(t, newNode, 2*k+1, "room")
			}
			published(t, newcomer)
			q.Block()
			p.Unblock()
			pass(t, 4*time.Second) // longer than all of that has taken
			q.Unblock()
			adaptertest.Eventually(t, func() error {
				return hasBoth(m, still, count)
			})
		})
	}
}

package redis_test

import (
	"context"
	"errors"
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

// audience is a server whose connections go through a proxy, and an emitter whose own hold.
type audience struct {
	c *redis.Cluster
	m *adaptertest.Member // of the room "room"
	p *redistest.Proxy
	e *redis.Emitter

	s      *redistest.Server
	prefix string
}

func newAudience(t *testing.T, cfg redis.Config) *audience {
	t.Helper()
	cfg.Prefix, cfg.HeartbeatInterval, cfg.RequestTimeout = unique(), 200*time.Millisecond, adaptertest.Patience
	s := redistest.Start(t)
	a := newAudienceOf(t, s, cfg, s.URL())
	a.s, a.prefix = s, cfg.Prefix
	return a
}

// newAudienceOf is newAudience on s, to which the emitter goes by another URL.
func newAudienceOf(t *testing.T, s *redistest.Server, cfg redis.Config, url string) *audience {
	t.Helper()
	a := &audience{p: redistest.NewProxy(t, s.Addr()), m: adaptertest.NewMember("member-0000000000001")}
	cfg.URL, cfg.Stream = a.p.URL(), cfg.Prefix
	a.c = start(t, cfg)
	adaptertest.NewNode(t, "/", a.c.Adapter()).Join(a.m, "room")
	ready(t, a.c)
	cfg.URL = url
	var err error
	if a.e, err = redis.NewEmitter(cfg); err != nil {
		t.Fatal(err)
	}
	return a
}

// emit emits the numbers from one on to a room, and waits until Redis has them.
func (a *audience) emit(t *testing.T, from, to int) {
	t.Helper()
	for k := from; k < to; k++ {
		if err := a.e.To("room").Emit("n", k); err != nil {
			t.Fatal(err)
		}
	}
	adaptertest.Eventually(t, func() error {
		if s := a.e.Stats(); s.Waiting > 0 {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
}

// listed waits until the list of servers has n: whoever closes asks those.
func listed(t *testing.T, c goredis.Cmdable, prefix string, n int) {
	t.Helper()
	adaptertest.Eventually(t, func() error {
		uids, err := c.ZRange(t.Context(), prefix+"-beanpole:{"+prefix+"}:nodes", 0, -1).Result()
		if err == nil && len(uids) != n {
			err = fmt.Errorf("the list has %q", uids)
		}
		return err
	})
}

// inChannels runs fn in each mode in which an emitter publishes on channels.
func inChannels(t *testing.T, fn func(*testing.T, redis.Config)) {
	t.Helper()
	t.Parallel()
	for name, cfg := range channels() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fn(t, cfg)
		})
	}
}

// has waits until the member has got all numbers below one, in order.
func (a *audience) has(t *testing.T, n int) {
	t.Helper()
	adaptertest.Eventually(t, func() error {
		if got := numbers(a.m); len(got) < n {
			return fmt.Errorf("got %v; %+v", got, a.c.Stats())
		}
		return nil
	})
	if got := numbers(a.m); len(got) != n || !slices.IsSorted(got) {
		t.Errorf("got %v", got)
	}
}

// TestEmitterIsAskedForWhatAServerMissed: the connections of a server break while those of the emitter hold, with something
// behind what it has missed and without.
func TestEmitterIsAskedForWhatAServerMissed(t *testing.T) {
	inChannels(t, func(t *testing.T, cfg redis.Config) {
		a := newAudience(t, cfg)
		a.emit(t, 0, 10)
		a.has(t, 10)
		a.p.Cut(true)
		a.emit(t, 10, 30)
		a.p.Cut(false)
		a.has(t, 30)
		a.p.Cut(true)
		a.emit(t, 30, 50)
		a.p.Cut(false)
		a.emit(t, 50, 60)
		a.has(t, 60)
		if err := a.e.Close(t.Context()); err != nil || len(a.c.Stats().Lost) > 0 {
			t.Errorf("Close: %v; %+v", err, a.c.Stats())
		}
	})
}

// TestClosedEmitterAnswersWhoIsAway: an emitter of which a server has heard nothing is closed while that server is away.
func TestClosedEmitterAnswersWhoIsAway(t *testing.T) {
	inChannels(t, func(t *testing.T, cfg redis.Config) {
		a := newAudience(t, cfg)
		a.p.Cut(true)
		a.emit(t, 0, 20)
		closed := make(chan error, 1)
		go func() { closed <- a.e.Close(t.Context()) }()
		adaptertest.Eventually(t, func() error { // it has been told to
			if err := a.e.To("elsewhere").Emit("n", 20); err == nil {
				return errors.New("it takes events")
			}
			return nil
		})
		a.p.Cut(false)
		a.has(t, 20)
		if err := <-closed; err != nil {
			t.Errorf("Close: %v", err)
		}
	})
}

// TestClosedEmitterAnswersWhoIsNotInTheList: a server that was cut off for so long that it is not in the list any more is back
// while an emitter closes.
func TestClosedEmitterAnswersWhoIsNotInTheList(t *testing.T) {
	inChannels(t, func(t *testing.T, cfg redis.Config) {
		a := newAudience(t, cfg)
		cfg.Prefix, cfg.URL, cfg.HeartbeatInterval = a.prefix, a.s.URL(), 200*time.Millisecond
		// The list has a clock only while somebody renews an entry.
		if err := start(t, cfg).Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		a.emit(t, 0, 10)
		a.has(t, 10)
		pass(t, 500*time.Millisecond) // in which the emitter reads the list
		a.p.Cut(true)
		a.emit(t, 10, 20)
		listed(t, a.s.Client(), a.prefix, 1)
		closed := make(chan error, 1)
		go func() { closed <- a.e.Close(t.Context()) }()
		pass(t, 500*time.Millisecond)
		a.p.Cut(false)
		a.has(t, 20)
		if err := <-closed; err != nil {
			t.Errorf("Close: %v", err)
		}
	})
}

// TestClosedEmitterAnswersWhoMissesAMaster: an emitter is closed while a server does not reach one master of a Redis Cluster, and
// is well at the one by which it is known to be there.
func TestClosedEmitterAnswersWhoMissesAMaster(t *testing.T) {
	t.Parallel()
	list := redistest.Cluster(t)
	ways := map[string]*redistest.Proxy{}
	for _, s := range list {
		ways[s.Addr()] = redistest.NewProxy(t, s.Addr())
	}
	through := goredis.NewClusterClient(&goredis.ClusterOptions{Addrs: []string{list[0].Addr()},
		Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, ways[addr].Addr)
		}})
	defer through.Close()
	cfg := redis.Config{Mode: redis.Sharded, Client: through, Prefix: unique(), RequestTimeout: adaptertest.Patience}
	a := &audience{c: start(t, cfg), m: adaptertest.NewMember("member-0000000000001")}
	n := adaptertest.NewNode(t, "/", a.c.Adapter())
	_, there := slot(t, list, cfg.Prefix+"-beanpole#self#"+a.c.UID()+"#")
	room := ""
	dark := there
	for i := 0; dark == there; i++ {
		room = fmt.Sprint("room", i)
		_, dark = slot(t, list, cfg.Prefix+"#/#"+room+"#")
	}
	n.Join(a.m, room)
	ready(t, a.c)
	cfg.Client, cfg.URL = nil, redistest.ClusterURL(list)
	var err error
	if a.e, err = redis.NewEmitter(cfg); err != nil {
		t.Fatal(err)
	}
	ways[dark.Addr()].Cut(true)
	for k := range 20 {
		if err := a.e.To(room).Emit("n", k); err != nil {
			t.Fatal(err)
		}
	}
	closed := make(chan error, 1)
	go func() { closed <- a.e.Close(t.Context()) }()
	adaptertest.Eventually(t, func() error { // what it has published is out, and it looks who has it
		if s := a.e.Stats(); s.Published < 20 {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
	pass(t, 500*time.Millisecond)
	ways[dark.Addr()].Cut(false)
	a.has(t, 20)
	if err := <-closed; err != nil {
		t.Errorf("Close: %v", err)
	}
}

// TestIdleEmitterIsAskedByWhoComesBack: nobody tells a server that was away of an emitter that has published meanwhile, and does
// so no more.
func TestIdleEmitterIsAskedByWhoComesBack(t *testing.T) {
	inChannels(t, func(t *testing.T, cfg redis.Config) {
		s := redistest.Start(t)
		cfg.Prefix, cfg.HeartbeatInterval, cfg.RequestTimeout = unique(), 200*time.Millisecond, adaptertest.Patience
		if err := s.Client().Do(t.Context(), "acl", "setuser", "mute", "on", ">secret", "+@all", "~*", "&"+cfg.Prefix+"#*",
			"&"+cfg.Prefix+"-beanpole#[0-9a-f]*").Err(); err != nil { // not the channel on which ends are said
			t.Fatal(err)
		}
		a := newAudienceOf(t, s, cfg, "redis://mute:secret@"+s.Addr())
		a.p.Cut(true)
		a.emit(t, 0, 20)
		a.p.Cut(false)
		a.has(t, 20)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second) // it cannot hear that nobody misses anything
		defer cancel()
		if err := a.e.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
}

// TestWhatAnEmitterThatEndedHadIsCounted: it has ended before the server that missed its events could ask for them.
func TestWhatAnEmitterThatEndedHadIsCounted(t *testing.T) {
	inChannels(t, func(t *testing.T, cfg redis.Config) {
		a := newAudience(t, cfg)
		a.emit(t, 0, 10)
		a.has(t, 10)
		a.p.Cut(true)
		a.emit(t, 10, 30)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := a.e.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
		a.p.Cut(false)
		adaptertest.Eventually(t, func() error {
			if s := a.c.Stats(); len(numbers(a.m)) != 10 || s.Lost["sender gone"] != 20 {
				return fmt.Errorf("got %v; %+v", numbers(a.m), s)
			}
			return nil
		})
	})
}

// TestEmitterDoesNotWaitForADeadMaster: what goes through a master that is well arrives while another is dead, and what that
// had to bring waits.
func TestEmitterDoesNotWaitForADeadMaster(t *testing.T) {
	t.Parallel()
	list := redistest.Cluster(t, "--cluster-require-full-coverage", "no")
	cfg := redis.Config{Mode: redis.Sharded, URL: redistest.ClusterURL(list), Prefix: unique()}
	_, dead := slot(t, list, cfg.Prefix+"#/#")
	room := ""
	for i, at := 0, dead; at == dead; i++ {
		room = fmt.Sprint("room", i)
		_, at = slot(t, list, cfg.Prefix+"#/#"+room+"#")
	}
	c := start(t, cfg)
	m := adaptertest.NewMember("member-0000000000001")
	adaptertest.NewNode(t, "/", c.Adapter()).Join(m, room)
	ready(t, c)
	e, err := redis.NewEmitter(cfg)
	if err != nil {
		t.Fatal(err)
	}
	emit := func(from, to int) {
		t.Helper()
		for k := from; k < to; k++ {
			if err := errors.Join(e.Emit("n", 2*k), e.To(room).Emit("n", 2*k+1)); err != nil {
				t.Fatal(err)
			}
		}
	}
	of := func(odd int) []int {
		return slices.DeleteFunc(numbers(m), func(k int) bool { return k%2 != odd })
	}
	const count = 50
	emit(0, count)
	m.Wait(t, 2*count)
	dead.Kill()
	emit(count, 2*count)
	adaptertest.Eventually(t, func() error {
		if all, room := of(0), of(1); len(room) < 2*count || len(all) > count {
			return fmt.Errorf("%d to all, %d to the room; %+v", len(all), len(room), e.Stats())
		}
		return nil
	})
	dead.Run()
	adaptertest.Eventually(t, func() error {
		if all, room := of(0), of(1); len(room) != 2*count || len(all) != 2*count || !slices.IsSorted(all) || !slices.IsSorted(room) {
			return fmt.Errorf("%v to all, %v to the room; %+v", all, room, e.Stats())
		}
		return nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), adaptertest.Patience)
	defer cancel()
	if err := e.Close(ctx); err != nil {
		t.Error(err)
	}
}

// TestEmitterIsAskedForWhatTheStreamLost: a replica takes over that has not got the last events of an emitter, and no server had
// read them. What comes next says so; with nothing behind, the emitter does.
func TestEmitterIsAskedForWhatTheStreamLost(t *testing.T) {
	t.Parallel()
	for name, more := range map[string]int{"more": 5, "nothing": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			list := redistest.ReplicatedCluster(t)
			cfg := redis.Config{Mode: redis.Streams, BlockTime: time.Second, URL: redistest.ClusterURL(list), Prefix: unique()}
			cfg.Stream = cfg.Prefix
			_, main := slot(t, list, cfg.Stream)
			heir := heirOf(t, list, main)
			p := redistest.NewProxy(t, main.Addr())
			through := goredis.NewClusterClient(&goredis.ClusterOptions{Addrs: []string{list[0].Addr()},
				Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
					if addr == main.Addr() {
						addr = p.Addr
					}
					return new(net.Dialer).DialContext(ctx, network, addr)
				}})
			defer through.Close()
			other := cfg
			other.Client, other.URL = through, ""
			a := &audience{c: start(t, other), m: adaptertest.NewMember("member-0000000000001")}
			adaptertest.NewNode(t, "/", a.c.Adapter()).Join(a.m, "room")
			ready(t, a.c)
			var err error
			if a.e, err = redis.NewEmitter(cfg); err != nil {
				t.Fatal(err)
			}
			a.emit(t, 0, 10)
			a.has(t, 10)
			p.Block()
			heir.Freeze()
			if err := main.Client().Do(t.Context(), "client", "kill", "type", "replica").Err(); err != nil {
				t.Fatal(err)
			}
			a.emit(t, 10, 20)
			main.Kill()
			heir.Thaw()
			takeOver(t, heir)
			p.Cut(true)
			p.Unblock()
			a.emit(t, 20, 20+more)
			a.has(t, 20+more)
			main.Run()
			ctx, cancel := context.WithTimeout(t.Context(), adaptertest.Patience)
			defer cancel()
			if err := a.e.Close(ctx); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
}

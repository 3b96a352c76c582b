package redis_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// usage is what a Redis server has done: commands that clients sent, without those inside scripts, bytes in and out,
// its processor time, and that of this process.
type usage struct {
	commands, in, out int64
	redis, ours       time.Duration
}

func (u usage) minus(v usage) usage {
	return usage{u.commands - v.commands, u.in - v.in, u.out - v.out, u.redis - v.redis, u.ours - v.ours}
}

// inside are the commands that only the script of the roster uses.
var inside = map[string]bool{"time": true, "hmget": true, "hset": true, "zadd": true, "zrem": true, "zremrangebyscore": true,
	"zrange": true, "pexpire": true}

// used asks a server what it has done.
func used(t *testing.T, s *redistest.Server) (u usage) {
	t.Helper()
	text, err := s.Client().Info(t.Context(), "everything").Result()
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		name, value, _ := strings.Cut(strings.TrimSpace(lines.Text()), ":")
		n, _ := strconv.ParseInt(value, 10, 64)
		f, _ := strconv.ParseFloat(value, 64)
		switch name {
		case "total_net_input_bytes":
			u.in = n
		case "total_net_output_bytes":
			u.out = n
		case "used_cpu_sys", "used_cpu_user":
			u.redis += time.Duration(f * float64(time.Second))
		}
		if command, ok := strings.CutPrefix(name, "cmdstat_"); ok && !inside[command] {
			calls, _, _ := strings.Cut(strings.TrimPrefix(value, "calls="), ",")
			n, _ = strconv.ParseInt(calls, 10, 64)
			u.commands += n
		}
	}
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		t.Fatal(err)
	}
	u.ours = time.Duration(r.Utime.Nano() + r.Stime.Nano())
	return u
}

// figures has the tests of capacity measure what docs/scale.md says, which takes minutes. Else they see to it that all of it works.
var figures = flag.Bool("figures", false, "measure capacity at length")

// beside lets a test of what things cost run beside others, unless its figures are wanted, which are then its own alone.
func beside(t *testing.T) {
	if !*figures {
		t.Parallel()
	}
}

// TestCapacityOfMembership: what many servers cost when they start together, when they are idle, and when one asks
// the others. With -figures of 200 servers.
func TestCapacityOfMembership(t *testing.T) {
	beside(t)
	count, idle := 50, 3*time.Second
	if *figures {
		count, idle = 200, 10*time.Second
	}
	s := redistest.Start(t)
	prefix := unique()
	var clusters []*redis.Cluster
	var nodes []*adaptertest.Node
	before, began := used(t, s), time.Now()
	for range count {
		c, err := redis.New(redis.Config{URL: s.URL(), Prefix: prefix, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), adaptertest.Patience)
			defer cancel()
			_ = c.Close(ctx)
		})
		clusters = append(clusters, c)
		nodes = append(nodes, adaptertest.NewNode(t, "/", c.Adapter()))
	}
	for i, c := range clusters {
		adaptertest.Eventually(t, func() error {
			if s := c.Status(); !s.Up || s.Nodes != count {
				return fmt.Errorf("server %d: status %+v", i, s)
			}
			return nil
		})
	}
	u := used(t, s).minus(before)
	t.Logf("%d servers know each other after %v: %d commands, %d KB in, %d KB out", count, time.Since(began).Round(time.Millisecond),
		u.commands, u.in>>10, u.out>>10)

	pass(t, 3*time.Second) // what comes behind a start is no rest
	before, began = used(t, s), time.Now()
	pass(t, idle)
	u = used(t, s).minus(before)
	idle = time.Since(began)
	rate := float64(u.commands) / idle.Seconds() / float64(count)
	if rate > 3 { // 1.8 where servers get the processor in time: who does not is looked for
		t.Errorf("%.2f commands a second and server at rest", rate)
	}
	t.Logf("at rest: %.2f commands, %.0f bytes in and %.0f out, a second and server", rate,
		float64(u.in)/idle.Seconds()/float64(count), float64(u.out)/idle.Seconds()/float64(count))

	for _, n := range nodes {
		n.Join(adaptertest.NewMember(fmt.Sprintf("member-%013d", 0)))
	}
	before, began = used(t, s), time.Now()
	if n, err := nodes[0].Count(t.Context(), adapter.Target{}); n != count || err != nil {
		t.Errorf("Count = %d, %v", n, err)
	}
	took := time.Since(began)
	u = used(t, s).minus(before)
	t.Logf("a question: %v, %d commands, %d KB in, %d KB out", took.Round(time.Millisecond), u.commands, u.in>>10, u.out>>10)
}

// capacityModes are the modes whose cost is measured.
func capacityModes() []redis.Config {
	return []redis.Config{
		{Mode: redis.PubSub}, {Mode: redis.PubSub, Subscriptions: redis.Dynamic},
		{Mode: redis.Sharded, Subscriptions: redis.Static}, {Mode: redis.Sharded},
		{Mode: redis.Streams, BlockTime: time.Second}, {Mode: redis.Streams, BlockTime: time.Second, Recovery: &adapter.Recovery{}},
	}
}

// TestCapacityOfEvents: what one broadcast, join, connection and question costs, in each mode, with few servers and
// with more; and what follows for many. docs/scale.md has those of one run with -figures.
func TestCapacityOfEvents(t *testing.T) {
	beside(t)
	times := 200
	if *figures {
		times = 5000
	}
	for _, cfg := range capacityModes() {
		t.Run(modeName(&cfg), func(t *testing.T) {
			var all, elsewhere [2]usage
			sizes := [2]int{2, 8}
			for i, n := range sizes {
				f := newFleet(t, redistest.Start(t), cfg, n, false)
				all[i] = f.measure("event for all", times, func(k int) {
					f.emit(adapter.Target{}, k)
				}, func() { f.arrived(times) })
				elsewhere[i] = f.measure("event for a room on the next server", times, func(k int) {
					f.emit(adapter.Target{Rooms: []string{"next"}}, k)
				}, func() { f.members[1].Wait(t, 2*times) })
				f.measure("connection", times, func(k int) {
					f.nodes[0].Join(adaptertest.NewMember(fmt.Sprintf("new-%016d", k)))
				}, f.ready)
				f.measure("join of a room that is new here", times, func(k int) {
					f.nodes[0].Join(f.members[0], fmt.Sprintf("room-%d", k))
				}, f.ready)
				f.measure("count", times/10, func(int) {
					if _, err := f.nodes[0].Count(t.Context(), adapter.Target{}); err != nil {
						t.Error(err)
					}
				}, func() {})
			}
			// Redis: what an event costs and what each server that gets it adds. Servers: what each does for one.
			per := (all[1].redis - all[0].redis).Seconds() / float64(sizes[1]-sizes[0]) / float64(times)
			base := max(0, all[0].redis.Seconds()/float64(times)-per*float64(sizes[0]))
			wanted := all[1].ours.Seconds() / float64(times*sizes[1])
			unwanted := (elsewhere[1].ours - elsewhere[0].ours).Seconds() / float64(times*(sizes[1]-sizes[0]))
			t.Logf("an event for all: Redis %.1f us and %.2f us a server; a server %.1f us for one it wants, %.1f us for one it does not",
				base*1e6, per*1e6, wanted*1e6, unwanted*1e6)
			for _, n := range []float64{10, 100, 1000} {
				t.Logf("%4.0f servers: one Redis is busy at %.0f events a second in all; one core of a server at %.0f it wants, %.0f it does not",
					n, 1/(base+per*n), 1/wanted, 1/max(unwanted, 1e-8))
			}
		})
	}
}

// fleet is some servers on a Redis of their own, each with a member; that of the second is in the room next.
type fleet struct {
	t        *testing.T
	s        *redistest.Server
	clusters []*redis.Cluster
	nodes    []*adaptertest.Node
	members  []*adaptertest.Member
	alone    bool // each is a cluster of its own
}

func newFleet(t *testing.T, s *redistest.Server, cfg redis.Config, n int, alone bool) *fleet {
	f := &fleet{t: t, s: s, alone: alone}
	cfg.URL, cfg.MaxStreamLen, cfg.Logger = f.s.URL(), 1_000_000, slog.New(slog.DiscardHandler)
	for i := range n {
		if i == 0 || alone {
			cfg.Prefix = unique()
			cfg.Stream = cfg.Prefix
		}
		c, err := redis.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close(context.WithoutCancel(t.Context())) })
		node := adaptertest.NewNode(t, "/", c.Adapter())
		m := adaptertest.NewMember(fmt.Sprintf("member-%013d", i))
		node.Join(m)
		if i == 1 {
			node.Join(m, "next")
		}
		f.clusters, f.nodes, f.members = append(f.clusters, c), append(f.nodes, node), append(f.members, m)
	}
	if !alone {
		ready(t, f.clusters...)
	}
	f.ready()
	return f
}

// ready waits until everything is subscribed to.
func (f *fleet) ready() {
	f.t.Helper()
	for _, c := range f.clusters {
		if err := c.Ready(f.t.Context()); err != nil {
			f.t.Fatal(err)
		}
	}
}

var payload = strings.Repeat("x", 100)

func (f *fleet) emit(to adapter.Target, k int) {
	if err := f.nodes[0].Broadcast(adaptertest.Event(fmt.Sprintf(`["event",%d,"%s"]`, k, payload)), to); err != nil {
		f.t.Error(err)
	}
}

// arrived waits until every member has some events.
func (f *fleet) arrived(times int) {
	f.t.Helper()
	for _, m := range f.members {
		adaptertest.Eventually(f.t, func() error { // Wait would quote all of them, again and again
			if n := m.Count(); n < times {
				return fmt.Errorf("%d events of %d", n, times)
			}
			return nil
		})
	}
}

// measure does something some times, waits until it is done, and says what one of it cost.
func (f *fleet) measure(what string, times int, do func(k int), done func()) usage {
	f.t.Helper()
	before := used(f.t, f.s)
	for k := range times {
		do(k)
	}
	done()
	u := used(f.t, f.s).minus(before)
	n := float64(times)
	f.t.Logf("%d servers, one %s: %.2f commands, %.0f bytes in, %.0f out, %.1f us of Redis, %.1f us of all servers", len(f.nodes), what,
		float64(u.commands)/n, float64(u.in)/n, float64(u.out)/n, float64(u.redis.Nanoseconds())/n/1e3, float64(u.ours.Nanoseconds())/n/1e3)
	return u
}

// TestCapacityOfRooms: what servers cost that share a cluster and nothing else, beside what the same servers cost
// alone: each sends events to rooms whose members are its own. In modes in which each listens to its rooms only the
// two should hardly differ.
func TestCapacityOfRooms(t *testing.T) {
	beside(t)
	const n = 8
	rooms, times := 100, 100
	if *figures {
		rooms, times = 1000, 2000
	}
	for _, cfg := range capacityModes() {
		t.Run(modeName(&cfg), func(t *testing.T) {
			s := redistest.Start(t)
			alone := newFleet(t, s, cfg, n, true)
			one := alone.local(rooms, times)
			together := newFleet(t, s, cfg, n, false)
			all := together.local(rooms, times)
			per := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 / float64(n*times) }
			t.Logf("%d servers, each with %d rooms of its own: an event costs %.2f us alone, %.2f us together: %.2f times; one server that "+
				"does not want it %.2f us; Redis %.2f us alone, %.2f us together, %.2f and %.2f commands", n, rooms, per(one.ours), per(all.ours),
				per(all.ours)/per(one.ours), (per(all.ours)-per(one.ours))/(n-1), per(one.redis), per(all.redis),
				float64(one.commands)/float64(n*times), float64(all.commands)/float64(n*times))
		})
	}
}

// local has every server send events to rooms of which it has the only members, and returns what all of that cost.
func (f *fleet) local(rooms, times int) usage {
	f.t.Helper()
	for i, n := range f.nodes {
		for k := range rooms {
			n.Join(f.members[i], fmt.Sprintf("room-%d-of-%d", k, i))
		}
	}
	f.ready()
	pass(f.t, time.Second) // what comes behind the joins
	before := used(f.t, f.s)
	for k := range times {
		for i, n := range f.nodes {
			to := adapter.Target{Rooms: []string{fmt.Sprintf("room-%d-of-%d", k%rooms, i)}}
			if err := n.Broadcast(adaptertest.Event(fmt.Sprintf(`["event",%d,"%s"]`, k, payload)), to); err != nil {
				f.t.Error(err)
			}
		}
	}
	last := times + 1
	if !f.alone {
		last = times + len(f.nodes)
	}
	for _, n := range f.nodes { // behind which all of a server has come
		if err := n.Broadcast(adaptertest.Event(`["last"]`), adapter.Target{}); err != nil {
			f.t.Error(err)
		}
	}
	f.arrived(last)
	if f.alone { // or nobody waits until it is published
		adaptertest.Eventually(f.t, func() error {
			for _, c := range f.clusters {
				if s := c.Stats(); s.Waiting > 0 {
					return fmt.Errorf("%d commands wait", s.Waiting)
				}
			}
			return nil
		})
	}
	if *figures {
		pass(f.t, 2*time.Second) // what servers say to each other behind it
	}
	return used(f.t, f.s).minus(before)
}

// modeName is what a configuration is called.
func modeName(cfg *redis.Config) string {
	name := strings.TrimSuffix(string(cfg.Mode)+" "+string(cfg.Subscriptions), " ")
	if cfg.Recovery != nil {
		name += " with recovery"
	}
	return name
}

// TestCapacityOfDistance: how fast a stream is read by a server that is far from Redis, and whether all of a burst
// arrives there. With -figures; docs/scale.md has those of one run.
func TestCapacityOfDistance(t *testing.T) {
	if !*figures {
		t.Skip("measures only, for a minute: with -figures")
	}
	s := redistest.Start(t)
	for _, cfg := range capacityModes() {
		if cfg.Mode != redis.Streams {
			continue
		}
		for _, delay := range []time.Duration{0, 20 * time.Millisecond} {
			t.Run(fmt.Sprintf("%s at %v", modeName(&cfg), delay), func(t *testing.T) {
				cfg := cfg
				cfg.Prefix, cfg.MaxStreamLen, cfg.Logger = unique(), 1_000_000, slog.New(slog.DiscardHandler)
				cfg.Stream, cfg.URL = cfg.Prefix, s.URL()
				near := start(t, cfg)
				cfg.URL = "redis://" + distant(t, strings.TrimPrefix(s.URL(), "redis://"), delay)
				far := start(t, cfg)
				from, to := adaptertest.NewNode(t, "/", near.Adapter()), adaptertest.NewNode(t, "/", far.Adapter())
				m := adaptertest.NewMember("member-0000000000000")
				to.Join(m)
				ready(t, near, far)
				for _, n := range []int{5000, 90_000} {
					had, begun := m.Count(), time.Now()
					for k := range n {
						if err := from.Broadcast(adaptertest.Event(fmt.Sprintf(`["event",%d,"%s"]`, k, payload)), adapter.Target{}); err != nil {
							t.Fatal(err)
						}
					}
					adaptertest.Eventually(t, func() error {
						if got := m.Count() - had; got < n {
							return fmt.Errorf("%d events of %d; lost %v, %v", got, n, near.Stats().Lost, far.Stats().Lost)
						}
						return nil
					})
					took := time.Since(begun)
					t.Logf("%d events at once: there after %v, %.0f a second", n, took.Round(time.Millisecond), float64(n)/took.Seconds())
				}
				had, sent, begun := m.Count(), 0, time.Now()
				for time.Since(begun) < 2*time.Second {
					for range 20 {
						if err := from.Broadcast(adaptertest.Event(fmt.Sprintf(`["event",%d,"%s"]`, sent, payload)), adapter.Target{}); err != nil {
							t.Fatal(err)
						}
						sent++
					}
					pass(t, time.Millisecond)
				}
				t.Logf("%d events in two seconds, 20 at a time: %d were there by then", sent, m.Count()-had)
			})
		}
	}
}

// distant makes a way to a server on which everything takes a time in each direction, whatever its size.
func distant(t *testing.T, target string, delay time.Duration) (addr string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	type piece struct {
		at time.Time
		b  []byte
	}
	go func() { // ends with the listener
		for {
			a, err := l.Accept()
			if err != nil {
				return
			}
			b, err := net.Dial("tcp", target)
			if err != nil {
				_ = a.Close()
				continue
			}
			for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
				pieces := make(chan piece, 1<<16)
				go func() {
					defer close(pieces)
					for {
						b := make([]byte, 64<<10)
						n, err := way[0].Read(b)
						if n > 0 {
							pieces <- piece{time.Now(), b[:n]}
						}
						if err != nil {
							return
						}
					}
				}()
				go func() {
					defer func() { _ = way[0].Close(); _ = way[1].Close() }()
					for p := range pieces {
						time.Sleep(time.Until(p.at.Add(delay)))
						if _, err := way[1].Write(p.b); err != nil {
							return
						}
					}
				}()
			}
		}
	}()
	return l.Addr().String()
}

package redis_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// channels are the modes without a stream.
func channels() map[string]redis.Config {
	return map[string]redis.Config{
		"static":  {},
		"dynamic": {Subscriptions: redis.Dynamic},
		"sharded": {Mode: redis.Sharded},
	}
}

// Redis closes all connections, again and again.
func TestNothingIsMissedWhileConnectionsAreKilled(t *testing.T) {
	t.Parallel()
	for name, cfg := range storms() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			f := pair(t, cfg, s.URL(), s.URL())
			admin := s.Client()
			storm(t, f, func(ctx context.Context) {
				for ctx.Err() == nil {
					for _, kind := range []string{"normal", "pubsub"} {
						_ = admin.Do(ctx, "client", "kill", "type", kind, "skipme", "yes").Err()
					}
					select {
					case <-time.After(200 * time.Millisecond):
					case <-ctx.Done():
					}
				}
			})
		})
	}
}

// Redis restarts and forgets everything.
func TestNothingIsMissedWhileRedisRestarts(t *testing.T) {
	t.Parallel()
	for name, cfg := range storms() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			f := pair(t, cfg, s.URL(), s.URL())
			f.lossy = cfg.Mode == redis.Streams // what was not read is forgotten with the rest
			storm(t, f, func(ctx context.Context) {
				for range 3 {
					select {
					case <-time.After(100 * time.Millisecond):
					case <-ctx.Done():
					}
					s.Kill()
					s.Run()
				}
			})
		})
	}
}

// Redis cuts a subscriber off that is too slow for it.
func TestNothingIsMissedBySlowSubscribers(t *testing.T) {
	t.Parallel()
	for name, cfg := range channels() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t, "--client-output-buffer-limit", "pubsub 512kb 0 0")
			p := redistest.NewProxy(t, s.Addr())
			f := pair(t, cfg, s.URL(), p.URL())
			f.pad = strings.Repeat("x", 1000)
			if million() {
				f.pad += f.pad
			}
			admin := s.Client()
			storm(t, f, func(ctx context.Context) {
				for ctx.Err() == nil {
					p.Block() // until Redis has lost patience
					// A storm that waits for the subscriber, as one of a million does, fills no buffer.
					for n, end := 2, time.Now().Add(5*time.Second); n > 1 && ctx.Err() == nil && (!million() || time.Now().Before(end)); {
						list, _ := admin.Do(ctx, "client", "list", "type", "pubsub").Text()
						n = strings.Count(list, "\n")
						pass(t, 20*time.Millisecond)
					}
					p.Unblock()
					pass(t, 300*time.Millisecond)
				}
			})
			if f.clusters[1].Stats().Reconnects == 0 {
				t.Error("the subscriber was never cut off")
			}
		})
	}
}

// What a node no longer keeps is lost, and counted by whoever misses it, to the number.
func TestWhatIsNotKeptIsCounted(t *testing.T) {
	t.Parallel()
	for name, cfg := range channels() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			p := redistest.NewProxy(t, s.Addr())
			cfg.MaxResendBytes = 20_000
			f := pair(t, cfg, s.URL(), p.URL())
			send := func(n int) {
				for range n {
					say(t, f.nodes[0], f.sent)
					f.sent++
				}
			}
			send(10)
			f.there.Wait(t, 10)
			p.Cut(true)
			send(1000)
			published(t, f.clusters[0])
			p.Cut(false)
			adaptertest.Eventually(t, func() error {
				s := f.clusters[1].Stats()
				got := numbers(f.there)
				lost := int(s.Lost["not kept"])
				if lost == 0 || len(got)+lost != f.sent || !slices.IsSorted(got) || s.LostOf[f.clusters[0].UID()] != uint64(lost) {
					return fmt.Errorf("%d of %d events arrived: %+v", len(got), f.sent, s)
				}
				return nil
			})
		})
	}
}

// Whoever is put into a room by another node gets what that sends there next, though this node does not listen to
// the room yet.
func TestJoinedByAnotherAndSentTo(t *testing.T) {
	t.Parallel()
	for name, cfg := range channels() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			f := pair(t, cfg, s.URL(), s.URL())
			for i := range 200 {
				room := fmt.Sprint("room", i)
				if err := f.nodes[0].SocketsJoin(adapter.Target{}, room); err != nil {
					t.Fatal(err)
				}
				say(t, f.nodes[0], i, room)
			}
			f.there.Wait(t, 200)
			if got := numbers(f.there); len(slices.Compact(slices.Sorted(slices.Values(got)))) != 200 || len(got) != 200 {
				t.Errorf("got %d events", len(got))
			}
		})
	}
}

// What servers say to each other is not missed either, in no mode.
func TestEventsBetweenServersAreNotMissed(t *testing.T) {
	t.Parallel()
	for name, cfg := range modes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			f := pair(t, cfg, s.URL(), s.URL())
			admin := s.Client()
			const events = 2000
			for i := range events {
				if i%200 == 100 {
					for _, kind := range []string{"normal", "pubsub"} {
						if err := admin.Do(t.Context(), "client", "kill", "type", kind, "skipme", "yes").Err(); err != nil {
							t.Fatal(err)
						}
					}
					pass(t, 50*time.Millisecond)
				}
				if err := f.nodes[0].ServerSideEmit(adaptertest.Event(fmt.Sprintf(`["n",%d]`, i))); err != nil {
					t.Fatal(err)
				}
			}
			adaptertest.Eventually(t, func() error {
				if n := len(f.nodes[1].NS.Events()); n < events {
					return fmt.Errorf("%d of %d events: %+v", n, events, f.clusters[1].Stats())
				}
				return nil
			})
			for i, data := range f.nodes[1].NS.Events() {
				if want := fmt.Sprintf(`["n",%d]`, i); data != want {
					t.Fatalf("event %d is %s", i, data)
				}
			}
		})
	}
}

// The first that a node is to hear of another is lost on the way there, with the connection: by the next it finds out,
// though its own subscription held.
func TestFirstOfALaneIsLost(t *testing.T) {
	t.Parallel()
	for name, cfg := range channels() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			firstIsLost(t, cfg, 0)
		})
	}
}

// So does a node that has been in the room for long: who cannot know whether Redis has passed something on says of which lanes.
func TestFirstOfAnOldRoomIsLost(t *testing.T) {
	t.Parallel()
	for name, cfg := range channels() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			firstIsLost(t, cfg, 6*time.Second)
		})
	}
}

func firstIsLost(t *testing.T, cfg redis.Config, age time.Duration) {
	s := redistest.Start(t)
	p := redistest.NewProxy(t, s.Addr())
	// A beat in between would have the connection break first.
	cfg.HeartbeatInterval, cfg.Prefix = time.Minute, unique()
	var list []*adaptertest.Node
	var clusters []*redis.Cluster
	for _, url := range []string{p.URL(), s.URL()} {
		cfg.URL = url
		c := start(t, cfg)
		list, clusters = append(list, adaptertest.NewNode(t, "/", c.Adapter())), append(clusters, c)
	}
	m := adaptertest.NewMember("member-0000000000001")
	list[1].Join(m, "room")
	ready(t, clusters...)
	emit := func(k int) {
		t.Helper()
		say(t, list[0], k, "room")
	}
	want := []int{0, 1}
	if age > 0 {
		pass(t, age)
		say(t, list[0], -1)
		m.Wait(t, 1)
		want = []int{-1, 0, 1}
	}
	p.Block()
	emit(0)
	adaptertest.Eventually(t, func() error { // it is on its way
		if p.Held() == 0 {
			return fmt.Errorf("nothing is held back")
		}
		return nil
	})
	p.Cut(false)
	p.Unblock()
	ready(t, clusters...)
	emit(1)
	m.Wait(t, len(want))
	if got := numbers(m); !slices.Equal(got, want) {
		t.Errorf("got %v; %+v", got, clusters[1].Stats())
	}
}

// Of rooms in which a node has heard nothing yet, what their sender keeps no more is counted, too.
func TestWhatIsNotKeptOfUnknownRoomsIsCounted(t *testing.T) {
	t.Parallel()
	for name, cfg := range channels() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			p := redistest.NewProxy(t, s.Addr())
			cfg.MaxResendBytes = 20_000
			f := pair(t, cfg, s.URL(), p.URL())
			m := adaptertest.NewMember("member-0000000000009")
			for i := range 10 {
				f.nodes[1].Join(m, fmt.Sprint("room", i))
			}
			ready(t, f.clusters...)
			p.Cut(true)
			const events = 1000
			for i := range events {
				say(t, f.nodes[0], i, fmt.Sprint("room", 9*i/events))
			}
			published(t, f.clusters[0])
			p.Cut(false)
			adaptertest.Eventually(t, func() error {
				s := f.clusters[1].Stats()
				if got := len(numbers(m)); got == 0 || got+int(s.Lost["not kept"]) != events {
					return fmt.Errorf("%d of %d events arrived: %+v", got, events, s)
				}
				return nil
			})
		})
	}
}

// The channels of a server's user are restricted while it runs, so that it may subscribe to no pattern any more: nothing
// comes twice, or late, or not at all.
func TestPatternsAreForbidden(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	admin := s.Client()
	do := func(args ...any) {
		t.Helper()
		if err := admin.Do(t.Context(), args...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	do("acl", "setuser", "app", "on", ">secret", "+@all", "~*", "allchannels")
	f := pair(t, redis.Config{}, s.URL(), fmt.Sprintf("redis://app:secret@%s", s.Addr()))
	rooms := []*adaptertest.Member{}
	for i := range 4 {
		m := adaptertest.NewMember(fmt.Sprintf("member-000000000001%d", i))
		f.nodes[1].Join(m, fmt.Sprint("room", i))
		rooms = append(rooms, m)
	}
	const events = 4000
	for i := range events {
		if i == events/2 {
			do("acl", "setuser", "app", "resetchannels", "&"+f.prefix+"*")
		}
		if i%100 == 0 {
			pass(t, 10*time.Millisecond)
		}
		target := adapter.Target{}
		if i%5 > 0 {
			target.Rooms = []string{fmt.Sprint("room", i%5-1)}
		}
		if err := f.nodes[0].Broadcast(adaptertest.Event(fmt.Sprintf(`["n",%d]`, i)), target); err != nil {
			t.Fatal(err)
		}
	}
	for i, m := range rooms {
		m.Wait(t, 2*events/5)
		for of := range 5 { // of the namespace, and of each room
			list := slices.DeleteFunc(numbers(m), func(k int) bool { return k%5 != of })
			want := []int{}
			for k := of; k < events && (of == 0 || of == i+1); k += 5 {
				want = append(want, k)
			}
			if !slices.Equal(list, want) {
				t.Errorf("member %d got %d of %d events to %d, in order: %v", i, len(list), len(want), of, slices.IsSorted(list))
			}
		}
	}
	if x := f.clusters[1].Stats(); len(x.Lost) > 0 || x.Reconnects == 0 {
		t.Errorf("%+v", x)
	}
}

// Who has joined a room gets what another server sends to it from then on, though Redis has not taken the subscription
// yet, whether something follows or not.
func TestEventsToARoomJustJoinedAreNotMissed(t *testing.T) {
	t.Parallel()
	for name, cfg := range channels() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			cfg.Prefix, cfg.URL = unique(), s.URL()
			a, b := start(t, cfg), start(t, cfg)
			from, to := adaptertest.NewNode(t, "/", a.Adapter()), adaptertest.NewNode(t, "/", b.Adapter())
			ready(t, a, b)
			const rooms, perRoom = 300, 2
			emit := func(room string, k int) {
				say(t, from, k, room)
			}
			members := make([]*adaptertest.Member, rooms)
			for i := range members {
				m, room := adaptertest.NewMember(fmt.Sprintf("member-%013d", i)), fmt.Sprint("room", i)
				members[i] = m
				emit(room, -1) // before it comes: the room is not new to the sender
				pass(t, time.Millisecond)
				to.Join(m, room)
				for k := range 1 + i%perRoom {
					emit(room, k)
				}
			}
			for i, m := range members {
				want := []int{0, 1}[:1+i%perRoom]
				adaptertest.Eventually(t, func() error {
					got := numbers(m)
					if len(got) > 0 && got[0] == -1 { // it was on its way
						got = got[1:]
					}
					if !slices.Equal(got, want) {
						return fmt.Errorf("member %d got %v, want %v; %+v", i, got, want, b.Stats())
					}
					return nil
				})
			}
		})
	}
}

// That another server puts sockets into a room hides nothing of what it has sent there before, to one that had joined already
// though Redis has not taken the subscription yet.
func TestJoinedByAnotherAfterEventsToTheRoom(t *testing.T) {
	t.Parallel()
	for name, cfg := range channels() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			p := redistest.NewProxy(t, s.Addr())
			f := pair(t, cfg, s.URL(), p.URL())
			emit := func(k int) {
				t.Helper()
				say(t, f.nodes[0], k, "room")
			}
			emit(-1) // before it comes: the room is not new to the sender
			published(t, f.clusters[0])
			p.Block()
			f.nodes[1].Join(f.there, "room")
			emit(0)
			if err := f.nodes[0].SocketsJoin(adapter.Target{}, "room"); err != nil {
				t.Fatal(err)
			}
			published(t, f.clusters[0])
			p.Unblock()
			for k := range 2 {
				adaptertest.Eventually(t, func() error {
					got := slices.DeleteFunc(numbers(f.there), func(n int) bool { return n < 0 }) // it was on its way
					if !slices.Equal(got, []int{0, 1}[:k+1]) {
						return fmt.Errorf("got %v; %+v", got, f.clusters[1].Stats())
					}
					return nil
				})
				if k == 0 {
					emit(1)
				}
			}
		})
	}
}

// What was sent to a room into which its sender has just put somebody, and is kept no more when that server listens to it, is
// counted.
func TestWhatIsNotKeptOfARoomJustJoinedIsCounted(t *testing.T) {
	t.Parallel()
	for name, cfg := range channels() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			p := redistest.NewProxy(t, s.Addr())
			cfg.MaxResendBytes = 20_000
			f := pair(t, cfg, s.URL(), p.URL())
			p.Block()
			if err := f.nodes[0].SocketsJoin(adapter.Target{}, "room"); err != nil {
				t.Fatal(err)
			}
			for i := range 1000 {
				room := "room"
				if i > 0 {
					room = "of nobody there"
				}
				say(t, f.nodes[0], i, room)
			}
			published(t, f.clusters[0])
			p.Unblock()
			adaptertest.Eventually(t, func() error {
				s := f.clusters[1].Stats()
				if got := len(numbers(f.there)); got+int(s.Lost["not kept"]) != 1 {
					return fmt.Errorf("%d events of 1 arrived: %+v", got, s)
				}
				return nil
			})
		})
	}
}

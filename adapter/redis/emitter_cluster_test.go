package redis_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// tide is an emitter that emits all the time, to all and to some rooms, and servers with a member in each of these.
type tide struct {
	t        *testing.T
	cfg      redis.Config
	e        *redis.Emitter
	rooms    []string // "" is all
	clusters []*redis.Cluster
	members  []*adaptertest.Member
	stop     context.CancelFunc
	wg       sync.WaitGroup
	sent     int // to each
}

// rise begins a tide, each of whose rooms has its channel at another master of list if there are several.
func rise(t *testing.T, cfg redis.Config, list []*redistest.Server, urls ...string) *tide {
	t.Helper()
	cfg.Prefix, cfg.HeartbeatInterval = unique(), 200*time.Millisecond
	cfg.Stream = cfg.Prefix
	f := &tide{t: t, cfg: cfg, rooms: []string{""}}
	used := map[int]bool{}
	for i := 0; len(list) > 0 && len(used) < 3; i++ {
		room := fmt.Sprint("room", i)
		if _, s := slot(t, list, f.channel(room)); !used[s.Port] {
			used[s.Port] = true
			f.rooms = append(f.rooms, room)
		}
	}
	for i, url := range urls {
		cfg.URL = url
		c := start(t, cfg)
		m := adaptertest.NewMember(fmt.Sprintf("member-%013d", i))
		adaptertest.NewNode(t, "/", c.Adapter()).Join(m, f.rooms[1:]...)
		f.clusters, f.members = append(f.clusters, c), append(f.members, m)
	}
	ready(t, f.clusters...)
	var err error
	if f.e, err = redis.NewEmitter(f.cfg); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	f.stop = stop
	f.wg.Go(func() {
		for ctx.Err() == nil {
			f.emit()
			pass(t, 2*time.Millisecond)
		}
	})
	for _, m := range f.members {
		m.Wait(t, 20*len(f.rooms))
	}
	return f
}

// channel returns the channel of a room in sharded mode.
func (f *tide) channel(room string) string { return f.cfg.Prefix + "#/#" + room + "#" }

// emit emits once to all and to each room.
func (f *tide) emit() {
	for _, room := range f.rooms {
		to := f.e
		if room != "" {
			to = to.To(room)
		}
		if err := to.Emit("n", fmt.Sprint(room, ":", f.sent)); err != nil {
			f.t.Errorf("Emit: %v", err)
		}
	}
	f.sent++
}

// got returns which events to a room a member has got, in that order.
func (f *tide) got(m *adaptertest.Member, room string) (list []int) {
	for _, data := range m.Got() {
		var n int
		if rest, ok := strings.CutPrefix(data, `["n","`+room+":"); ok {
			if _, err := fmt.Sscanf(rest, "%d", &n); err == nil {
				list = append(list, n)
			}
		}
	}
	return list
}

// ebb ends the tide, and wants each member to have had every event once and in order, or it to be counted.
func (f *tide) ebb() {
	f.t.Helper()
	f.stop()
	f.wg.Wait()
	last := func(m *adaptertest.Member, room string) bool {
		list := f.got(m, room)
		return len(list) > 0 && list[len(list)-1] == f.sent-1
	}
	f.t.Logf("%d to each of %q, %+v", f.sent, f.rooms, f.e.Stats())
	adaptertest.Eventually(f.t, func() error {
		for i, m := range f.members {
			for _, room := range f.rooms {
				if !last(m, room) {
					return fmt.Errorf("member %d has %d of %d to %q", i, len(f.got(m, room)), f.sent, room)
				}
			}
		}
		return nil
	})
	ctx, cancel := context.WithTimeout(f.t.Context(), adaptertest.Patience)
	defer cancel()
	var said *redis.LostError
	if err := f.e.Close(ctx); err != nil && !errors.As(err, &said) {
		f.t.Errorf("Close: %v", err)
	}
	for i, m := range f.members {
		counted := 0
		for _, n := range f.clusters[i].Stats().Lost {
			counted += int(n)
		}
		if said != nil {
			counted += int(said.Messages)
		}
		missed := 0
		for _, room := range f.rooms {
			got := f.got(m, room)
			missed += f.sent - len(got)
			if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
				f.t.Errorf("member %d got events to %q out of order or twice: %v", i, room, disorder(got))
			}
		}
		f.t.Logf("member %d missed %d, %d counted, %+v", i, missed, counted, f.clusters[i].Stats())
		if missed > counted {
			f.t.Errorf("member %d missed %d events, and %d are counted", i, missed, counted)
		}
	}
}

// disorder returns what of list is not larger than what was before it.
func disorder(list []int) (bad []int) {
	for i := 1; i < len(list); i++ {
		if list[i] <= list[i-1] {
			bad = append(bad, list[i])
		}
	}
	return bad
}

// restart kills a server, and starts it again a moment later.
func restart(t *testing.T, s *redistest.Server) {
	t.Helper()
	s.Kill()
	pass(t, 500*time.Millisecond)
	s.Run()
}

// What an emitter publishes every server has once and in order, or it is counted, whatever becomes of the masters of a Redis
// Cluster. Of the kinds of trouble each mode has those in which events were lost before.
func TestEmitterOnARedisCluster(t *testing.T) {
	t.Parallel()
	faults := map[string]func(t *testing.T, f *tide, list []*redistest.Server){
		"restart": func(t *testing.T, f *tide, list []*redistest.Server) {
			_, main := slot(t, list, f.channel(""))
			for range 2 {
				restart(t, main)
				pass(t, 3*time.Second)
			}
		},
		"hand over": func(t *testing.T, _ *tide, list []*redistest.Server) { handOver(t, list) },
		"take over": func(t *testing.T, f *tide, list []*redistest.Server) {
			for range 2 {
				_, main := slot(t, list, f.cfg.Stream)
				takeOver(t, heirOf(t, list, main))
				adaptertest.Eventually(t, func() error {
					role, err := main.Client().Do(t.Context(), "role").Slice()
					if err == nil && (role[0] != "slave" || role[3] != "connected") {
						err = fmt.Errorf("role %v", role)
					}
					return err
				})
				pass(t, time.Second)
			}
		},
		"hang": func(t *testing.T, f *tide, list []*redistest.Server) {
			_, main := slot(t, list, f.cfg.Stream)
			main.Freeze()
			takeOver(t, heirOf(t, list, main))
			pass(t, 4*time.Second)
			main.Thaw()
			pass(t, time.Second)
		},
		"cut off": func(t *testing.T, _ *tide, list []*redistest.Server) {
			for range 10 {
				for _, s := range list {
					for _, kind := range []string{"normal", "pubsub"} {
						_ = s.Client().Do(t.Context(), "client", "kill", "type", kind, "skipme", "yes").Err()
					}
				}
				pass(t, 200*time.Millisecond)
			}
		},
	}
	for _, x := range []struct {
		mode   redis.Mode
		faults []string
	}{
		{redis.Sharded, []string{"restart", "hand over", "take over", "hang", "cut off"}},
		{redis.PubSub, []string{"take over", "cut off"}},
		{redis.Streams, []string{"take over", "hang"}},
	} {
		for _, fault := range x.faults {
			t.Run(string(x.mode)+" "+fault, func(t *testing.T) {
				t.Parallel()
				list := redistest.ReplicatedCluster(t)
				cfg := redis.Config{Mode: x.mode, BlockTime: time.Second, URL: redistest.ClusterURL(list)}
				f := rise(t, cfg, list, cfg.URL, cfg.URL)
				faults[fault](t, f, list)
				f.ebb()
			})
		}
	}
}

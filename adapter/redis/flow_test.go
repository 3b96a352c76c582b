package redis_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis"
)

// flow is a cluster of two nodes with events flowing from the first to a member on each.
type flow struct {
	t           *testing.T
	nodes       []*adaptertest.Node
	clusters    []*redis.Cluster
	here, there *adaptertest.Member
	stop        chan struct{}
	wg          sync.WaitGroup
	sent        int
	prefix      string
	pace        time.Duration // between some thousand events of a storm
	lossy       bool          // Redis may lose what must then be counted
	pad         string        // makes the events of a storm larger
	slowest     time.Duration // of all calls of Broadcast
}

// modes are the modes that faults are tried in.
func modes() map[string]redis.Config {
	return map[string]redis.Config{
		"pubsub":   {},
		"sharded":  {Mode: redis.Sharded},
		"streams":  {Mode: redis.Streams, BlockTime: time.Second},
		"recovery": {Mode: redis.Streams, BlockTime: time.Second, Recovery: &adapter.Recovery{}},
	}
}

// pair starts a cluster of two nodes on Redis at the URLs.
func pair(t *testing.T, cfg redis.Config, urls ...string) *flow {
	t.Helper()
	f := &flow{t: t, stop: make(chan struct{})}
	cfg.Prefix = unique()
	f.prefix = cfg.Prefix
	cfg.Stream, cfg.SessionPrefix = cfg.Prefix, cfg.Prefix
	cfg.HeartbeatInterval = 200 * time.Millisecond
	for i, url := range urls {
		cfg.URL = url
		c := start(t, cfg)
		n := adaptertest.NewNode(t, "/fault", c.Adapter())
		m := adaptertest.NewMember(fmt.Sprintf("member-%013d", i))
		n.Join(m)
		f.nodes, f.clusters = append(f.nodes, n), append(f.clusters, c)
	}
	ready(t, f.clusters...)
	for _, n := range f.nodes { // a node that is known may not have said yet which namespaces it has
		adaptertest.Eventually(t, func() error {
			if got, err := n.Servers(t.Context()); got != len(urls) || err != nil {
				return fmt.Errorf("%d servers, %v; want %d", got, err, len(urls))
			}
			return nil
		})
	}
	f.here, f.there = member(t, f.nodes[0]), member(t, f.nodes[1])
	return f
}

func member(t *testing.T, n *adaptertest.Node) *adaptertest.Member {
	t.Helper()
	m := n.Members(adapter.Target{})
	return m[0].(*adaptertest.Member)
}

// say sends the event that numbers reads as k, to rooms or to all.
func say(t *testing.T, n *adaptertest.Node, k int, rooms ...string) {
	t.Helper()
	if err := n.Broadcast(adaptertest.Event(fmt.Sprintf(`["n",%d]`, k)), adapter.Target{Rooms: rooms}); err != nil {
		t.Fatal(err)
	}
}

// flow sends an event every two milliseconds until end is called.
func (f *flow) flow() {
	f.wg.Go(func() {
		t := time.NewTicker(2 * time.Millisecond)
		defer t.Stop()
		for {
			select {
			case <-f.stop:
				return
			case <-t.C:
			}
			start := time.Now()
			if err := f.nodes[0].Broadcast(adaptertest.Event(fmt.Sprintf(`["n",%d]`, f.sent)), adapter.Target{}); err != nil {
				f.t.Errorf("Broadcast: %v", err)
			}
			f.slowest = max(f.slowest, time.Since(start))
			f.sent++
		}
	})
}

// rest ends the flow until it is begun again, and waits until everything sent has arrived.
func (f *flow) rest() {
	f.t.Helper()
	close(f.stop)
	f.wg.Wait()
	f.stop = make(chan struct{})
	adaptertest.Eventually(f.t, func() error {
		if here, there := len(numbers(f.here)), len(numbers(f.there)); here < f.sent || there < f.sent {
			return fmt.Errorf("%d and %d of %d events arrived", here, there, f.sent)
		}
		return nil
	})
}

// end ends the flow, waits until an event sent after it arrives, and returns what each got.
func (f *flow) end() (here, there []int) {
	f.t.Helper()
	close(f.stop)
	f.wg.Wait()
	for _, c := range f.clusters {
		adaptertest.Eventually(f.t, func() error {
			if s := c.Status(); !s.Up {
				return fmt.Errorf("status %+v", s)
			}
			return nil
		})
	}
	adaptertest.Eventually(f.t, func() error {
		_ = f.nodes[0].Broadcast(adaptertest.Event(`["end"]`), adapter.Target{})
		if got := strings.Join(f.there.Got(), " "); !strings.Contains(got, "end") {
			return errors.New("nothing arrives")
		}
		if got := strings.Join(f.here.Got(), " "); !strings.Contains(got, "end") {
			return errors.New("nothing arrives here")
		}
		return nil
	})
	// Far below what Redis was away for where it was away for long, far above what a busy machine takes.
	if f.slowest > 5*time.Second {
		f.t.Errorf("a Broadcast took %v", f.slowest)
	}
	return numbers(f.here), numbers(f.there)
}

func numbers(m *adaptertest.Member) (list []int) {
	for _, data := range m.Got() {
		var i int
		if n, _ := fmt.Sscanf(data, `["n",%d`, &i); n == 1 {
			list = append(list, i)
		}
	}
	return list
}

// check wants everything here and there, in order and once.
func (f *flow) check(here, there []int) {
	f.t.Helper()
	if len(here) != f.sent || !slices.IsSorted(here) {
		f.t.Errorf("%d of %d events delivered on the sender's node", len(here), f.sent)
	}
	if !slices.IsSorted(there) || len(slices.Compact(slices.Clone(there))) != len(there) {
		f.t.Errorf("events out of order or doubled: %v", there)
	}
	f.t.Logf("sent %d, arrived %d; sender %+v; receiver %+v", f.sent, len(there), f.clusters[0].Stats(), f.clusters[1].Stats())
	if len(there) != f.sent {
		f.t.Errorf("%d of %d events arrived, lost %v", len(there), f.sent, f.clusters[1].Stats().Lost)
	}
	for _, c := range f.clusters {
		if lost := c.Stats().Lost; len(lost) > 0 {
			f.t.Errorf("lost %v", lost)
		}
	}
}

func pass(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d): // events flow meanwhile
	case <-t.Context().Done():
	}
}

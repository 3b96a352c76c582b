package redis

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// emits has r number n messages, each to a room of its own from a number on, which Redis takes at once, and returns how long
// that took.
func emits(r *ring, from, n int) time.Duration {
	start := time.Now()
	for i := range n {
		room := "socket.io#/#" + strconv.Itoa(from+i) + "#"
		c := &command{op: opPublish, key: room, nsp: "/", lane: room, numbered: true, at: start, data: []byte{0x93, 0xa1, 'u', 0x80, 0x80}}
		r.stamp(c)
		r.handed(c)
	}
	return time.Since(start)
}

// However many rooms a node has published to, a message costs it the same, and what is remembered of them has a bound.
func TestManyRoomsCostNoMoreThanFew(t *testing.T) {
	const rooms = maxLaneBytes / laneCost
	few, many := newRing(64<<20, time.Hour), newRing(64<<20, time.Hour)
	emits(few, 0, 1000)
	emits(many, 0, rooms+500)
	least := func(r *ring, from int) time.Duration {
		d := time.Hour
		for i := range 5 {
			d = min(d, emits(r, from+i*100, 100))
		}
		return d
	}
	if a, b := least(few, 1000), least(many, rooms+500); b > 30*a {
		t.Fatalf("100 messages with few rooms take %v, with many %v", a, b)
	}
	for i := range 2 {
		emits(many, 200_000+i*50_000, 50_000)
		if cost := many.bytes + max(0, many.weight-maxLaneBytes); cost > many.maxBytes || many.order.Len() != len(many.lanes) {
			t.Fatalf("%d lanes, %d in order, and messages of %d bytes: %d in all", len(many.lanes), many.order.Len(), many.bytes, cost)
		}
	}
	// Those that are kept are those used last.
	old, last := laneKey{"/", "socket.io#/#0#"}, laneKey{"/", "socket.io#/#299999#"}
	if _, ok := many.lanes[old]; ok || many.lanes[last] == nil || many.lanes[laneKey{"/", wholeLane}] == nil {
		t.Error("not the oldest lanes were forgotten")
	}
	many.trim(time.Now().Add(2 * many.maxAge))
	if len(many.entries) > 0 || many.weight > maxLaneBytes || many.weight < maxLaneBytes-1000 {
		t.Errorf("%d messages and lanes of %d bytes when all is too old", len(many.entries), many.weight)
	}
}

// What is remembered of lanes has its bound whatever their names are.
func TestNamesOfLanesAreWeighed(t *testing.T) {
	r := newRing(1<<20, time.Hour)
	name := strings.Repeat("n", 480)
	for i := range 50_000 {
		nsp := name + strconv.Itoa(i)
		c := &command{op: opPublish, key: nsp, nsp: nsp, numbered: true, at: time.Now(), data: []byte{0x93, 0xa1, 'u', 0x80, 0x80}}
		r.stamp(c)
		r.handed(c)
	}
	held := r.bytes
	for key := range r.lanes {
		held += key.cost()
	}
	if held > maxLaneBytes+1<<20 || len(r.lanes) < maxLaneBytes/1000 {
		t.Errorf("%d lanes and %d messages have %d bytes", len(r.lanes), len(r.entries), held)
	}
}

// What is too old goes though nothing is published any more.
func TestWhatIsTooOldGoesInSilence(t *testing.T) {
	t.Parallel()
	c, err := New(Config{URL: redistest.Start(t).URL(), Logger: slog.New(slog.DiscardHandler), Mode: PubSub,
		MaxResendAge: 100 * time.Millisecond, HeartbeatInterval: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	n := adaptertest.NewNode(t, "/", c.Adapter())
	defer c.Close(t.Context())
	if err := n.Broadcast(adaptertest.Event(`["event"]`), adapter.Target{}); err != nil {
		t.Fatal(err)
	}
	r := c.inbox.rings[""]
	adaptertest.Eventually(t, func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.n == 0 || len(r.entries) > 0 || r.bytes > 0 {
			return fmt.Errorf("%d of %d messages are kept, %d bytes", len(r.entries), r.n, r.bytes)
		}
		return nil
	})
}

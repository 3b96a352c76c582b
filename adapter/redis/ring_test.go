package redis

import (
	"strconv"
	"testing"
	"time"
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
	few, many := newRing(64<<20, time.Hour), newRing(64<<20, time.Hour)
	emits(few, 0, 1000)
	emits(many, 0, maxLanes+500)
	least := func(r *ring, from int) time.Duration {
		d := time.Hour
		for i := range 5 {
			d = min(d, emits(r, from+i*100, 100))
		}
		return d
	}
	if a, b := least(few, 1000), least(many, maxLanes+500); b > 30*a {
		t.Fatalf("100 messages with few rooms take %v, with many %v", a, b)
	}
	for i := range 2 {
		emits(many, 200_000+i*50_000, 50_000)
		if cost := many.bytes + laneCost*max(0, len(many.lanes)-maxLanes); cost > many.maxBytes || many.order.Len() != len(many.lanes) {
			t.Fatalf("%d lanes, %d in order, and messages of %d bytes: %d in all", len(many.lanes), many.order.Len(), many.bytes, cost)
		}
	}
	// Those that are kept are those used last.
	old, last := laneKey{"/", "socket.io#/#0#"}, laneKey{"/", "socket.io#/#299999#"}
	if _, ok := many.lanes[old]; ok || many.lanes[last] == nil || many.lanes[laneKey{"/", wholeLane}] == nil {
		t.Error("not the oldest lanes were forgotten")
	}
	many.trim(time.Now().Add(2 * many.maxAge))
	if len(many.entries) > 0 || len(many.lanes) != maxLanes {
		t.Errorf("%d messages and %d lanes when all is too old", len(many.entries), len(many.lanes))
	}
}

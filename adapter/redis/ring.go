package redis

import (
	"container/list"
	"slices"
	"sync"
	"time"
	"unsafe"

	"github.com/beanpole/beanpole/internal/shrink"
)

// ring numbers what a node publishes and keeps it for a while, bounded in bytes and age, for nodes that
// missed it.
type ring struct {
	maxBytes int
	maxAge   time.Duration
	wake     func() // is told when something was published; under mu, must not block
	emitter  string // the name of the emitter whose it is; empty of a server

	mu      sync.Mutex
	n       uint64 // of the last message
	done    uint64 // how many messages have been handed to Redis, or given up
	past    []past // of messages that are kept no more, the numbers of the latest
	entries []*kept
	bytes   int
	lanes   map[laneKey]*laneEnd
	weight  int                  // bytes of lanes
	order   list.List            // of *laneEnd, all of lanes, by when they were used
	quiet   map[laneKey]*laneEnd // those whose end is to be said
	doubts  map[laneKey]uint64   // from which number on messages may not have been passed on, until that is said
	moved   map[laneKey]*laneEnd // those whose end has not been recorded

	hadLanes, hadQuiet, hadMoved shrink.Map[laneKey, *laneEnd]
}

// past is what is remembered of a message.
type past struct {
	serial
	at  time.Time
	key laneKey // its own lane
}

// kept is a message that is kept.
type kept struct {
	past
	channel string
	data    []byte // nil for what is not sent again
}

// laneEnd is the end of a lane.
type laneEnd struct {
	key         laneKey
	at          *list.Element // in ring.order
	last, count uint64        // of what has been numbered
	out, outs   uint64        // of what has been handed to Redis
	first, late time.Time     // when that was first, and last
	said        int           // how often that has been said
	used        time.Time
}

// keptCost is about what a kept message costs in memory besides its payload and the name of its channel, in bytes.
const keptCost = 240

// maxPast is how many messages at least are remembered that are kept no more, so that who missed them knows.
const maxPast = 8192

// maxLaneBytes bounds what lanes cost, laneCost each besides their names, that are remembered when nothing is kept of
// them any more. What more of them cost is of the bytes that messages may have.
const (
	maxLaneBytes = 40_000_000
	laneCost     = 400
)

// cost is about what a lane costs in memory, in bytes.
func (k laneKey) cost() int { return laneCost + len(k.nsp) + len(k.lane) }

// cost is about what a message costs while it is kept, in bytes.
func (x *kept) cost() int { return keptCost + len(x.channel) + len(x.data) }

func newRing(maxBytes int, maxAge time.Duration) *ring {
	return &ring{maxBytes: maxBytes, maxAge: maxAge, wake: func() {}, lanes: map[laneKey]*laneEnd{}, quiet: map[laneKey]*laneEnd{},
		doubts: map[laneKey]uint64{}, moved: map[laneKey]*laneEnd{}}
}

func (r *ring) end(key laneKey) *laneEnd {
	e := r.lanes[key]
	if e == nil {
		e = &laneEnd{key: key}
		e.at = r.order.PushBack(e)
		r.lanes[key] = e
		r.weight += key.cost()
	}
	return e
}

// stamp gives c its number. Called in the order of the queue.
func (r *ring) stamp(c *command) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.n++
	x := &kept{past: past{serial{n: r.n}, c.at, laneKey{c.nsp, c.lane}}, channel: c.key}
	for _, key := range x.key.both() {
		e, spot := r.end(key), x.in(key.lane)
		if key == x.key {
			x.key = e.key // the names are kept once
		}
		spot.prev, spot.count = e.last, e.count+1
		e.last, e.count, e.used = r.n, e.count+1, c.at
		r.order.MoveToBack(e.at)
	}
	c.data = appendNumber(c.data, &x.serial, r.emitter)
	c.number = x.n
	switch {
	case c.fleeting:
	case c.xadd != nil:
		x.channel, x.data = c.xadd.name(), unsafe.Slice(unsafe.StringData(c.xadd.data), len(c.xadd.data))
	default:
		x.data = c.data
	}
	r.entries = append(r.entries, x)
	r.bytes += x.cost()
	r.trim(c.at)
}

// tick forgets what is too old, though nothing is published.
func (r *ring) tick(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trim(now)
}

// trim forgets what is too old or too much: messages, and lanes of which it has none any more, those first that were
// used longest ago. Called with mu held.
func (r *ring) trim(now time.Time) {
	k := 0
	for ; k < len(r.entries); k++ {
		x := r.entries[k]
		r.forget(x.n)
		if r.bytes+max(0, r.weight-maxLaneBytes) <= r.maxBytes && now.Sub(x.at) <= r.maxAge {
			break
		}
		r.bytes -= x.cost()
		r.past = append(r.past, x.past)
	}
	if len(r.past) > 2*maxPast {
		r.past = append(r.past[:0], r.past[len(r.past)-maxPast:]...)
	}
	clear(r.entries[:k])
	if r.entries = r.entries[k:]; len(r.entries) == 0 {
		r.entries = nil
		r.forget(r.n + 1)
	}
}

// forget forgets lanes beyond maxLaneBytes of which nothing is kept from a number on. Called with mu held.
func (r *ring) forget(kept uint64) {
	for r.weight > maxLaneBytes {
		e := r.order.Front().Value.(*laneEnd)
		if e.last >= kept || e.out < e.last {
			return
		}
		r.order.Remove(e.at)
		r.weight -= e.key.cost()
		r.lanes = r.hadLanes.Delete(r.lanes, e.key)
		r.quiet = r.hadQuiet.Delete(r.quiet, e.key)
		r.moved = r.hadMoved.Delete(r.moved, e.key)
		delete(r.doubts, e.key)
	}
}

// find returns the index of the first message with a number above n. Called with mu held.
func (r *ring) find(n uint64) int {
	i, _ := slices.BinarySearchFunc(r.entries, n+1, func(e *kept, n uint64) int {
		if e.n < n {
			return -1
		}
		return b2i(e.n > n)
	})
	return i
}

func (r *ring) handed(c *command) {
	r.mu.Lock()
	r.out(c)
	r.mu.Unlock()
	r.wake()
}

// out moves the ends of the lanes of c. Called with mu held.
func (r *ring) out(c *command) {
	r.done++
	x := r.recall(c.number)
	for _, key := range (laneKey{c.nsp, c.lane}).both() {
		e := r.lanes[key]
		switch {
		case e == nil, c.number <= e.out:
			continue
		case x != nil:
			e.outs = x.in(key.lane).count
		case c.number == e.last:
			e.outs = e.count
		default:
			continue // then later ones say so
		}
		e.out, e.late, e.said = c.number, time.Now(), 0
		if e.first.IsZero() {
			e.first = c.at
		}
		r.quiet[key], r.moved[key] = e, e
	}
}

// recall returns what is remembered of a message, nil if nothing is. Called with mu held.
func (r *ring) recall(n uint64) *past {
	if i := r.find(n - 1); i < len(r.entries) && r.entries[i].n == n {
		return &r.entries[i].past
	}
	if len(r.past) > 0 && n >= r.past[0].n && n-r.past[0].n < uint64(len(r.past)) {
		return &r.past[n-r.past[0].n]
	}
	return nil
}

func (r *ring) drop(c *command) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := r.find(c.number - 1); i < len(r.entries) && r.entries[i].n == c.number {
		r.bytes -= len(r.entries[i].data)
		r.entries[i].data = nil
	}
	r.out(c)
}

// ends returns the ends of lanes that are to be said now, at most n, and whether there will be more.
func (r *ring) ends(now time.Time, rooms bool, n int) (list []ending, more bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trim(now)
	for key, e := range r.quiet {
		room := key.room()
		if room && (!rooms || e.said >= 2) || e.said >= sayTimes {
			r.quiet = r.hadQuiet.Delete(r.quiet, key)
			continue
		}
		if more = true; len(list) >= n {
			break
		}
		if now.Sub(e.late) < sayAfter<<e.said {
			continue
		}
		e.said++
		list = append(list, ending{key: key, n: e.out, count: e.outs})
	}
	return list, more
}

// again has the ends of lanes said again in which something was published since a time.
func (r *ring) again(since time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, e := range r.lanes {
		if e.late.After(since) {
			e.said, r.quiet[key] = 0, e
		}
	}
	r.wake()
}

// lanesSince returns the ends of the lanes of rooms of a namespace in which something was published since a time. Of one
// that is not remembered so far back it says that there was one message at least.
func (r *ring) lanesSince(nsp string, since time.Time) (list []ending) {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := map[string]struct{}{}
	look := func(x *past) {
		if _, ok := seen[x.key.lane]; ok || x.at.Before(since) || x.key.nsp != nsp || x.key.lane == mainLane {
			return
		}
		seen[x.key.lane] = struct{}{}
		if e := r.lanes[x.key]; e != nil && e.out >= x.n {
			list = append(list, ending{key: x.key, n: e.out, count: e.outs, base: x.own.prev, bases: x.own.count - 1})
		}
	}
	for i := range r.past {
		look(&r.past[i])
	}
	for _, x := range r.entries {
		look(&x.past)
	}
	for key, e := range r.lanes {
		if _, ok := seen[key.lane]; !ok && key.nsp == nsp && key.room() && e.out == e.last && !e.used.Before(since) {
			list = append(list, ending{key: key, n: e.out, count: e.outs, base: e.out - 1, bases: e.outs - 1})
		}
	}
	return list
}

// doubt notes that c may not have been passed on.
func (r *ring) doubt(c *command) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, key := range (laneKey{c.nsp, c.lane}).both() {
		r.doubted(key, c.number)
	}
}

// doubted has a lane in doubt from a number on. Called with mu held.
func (r *ring) doubted(key laneKey, from uint64) {
	if n, ok := r.doubts[key]; !ok || from < n {
		r.doubts[key] = from
	}
}

// doubtful returns the ends of lanes in doubt, which are no more then. base is the number from which on they were.
func (r *ring) doubtful() (list []ending) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, from := range r.doubts {
		if e := r.lanes[key]; e != nil {
			list = append(list, ending{key: key, n: e.out, count: e.outs, base: from})
		}
	}
	clear(r.doubts)
	return list
}

// piece is what one answer brings of a lane.
type piece struct {
	ending              // the end of the lane; base is the number behind which it begins
	floor, below uint64 // what is not kept any more: up to this number, and how many the lane had had by then
	list         []*kept
}

// after returns what a lane has after a number, or since a time if there is one, of at most size bytes but one
// message at least.
func (r *ring) after(key laneKey, n uint64, since time.Time, size int) (p piece) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p.key = key
	e := r.lanes[key]
	if e == nil {
		p.base = n
		return p
	}
	p.n, p.count = e.out, e.outs
	if !since.IsZero() {
		i, _ := slices.BinarySearchFunc(r.past, since, func(x past, t time.Time) int { return x.at.Compare(t) })
		for _, x := range r.past[i:] {
			if at := x.in(key.lane); x.n <= e.out && x.key.in(key) { // it begins there: what is kept no more is asked for behind that
				p.base, p.floor, p.below = at.prev, at.prev, at.count-1
				return p
			}
		}
	}
	i := 0
	if since.IsZero() {
		i = r.find(n)
	} else {
		i, _ = slices.BinarySearchFunc(r.entries, since, func(x *kept, t time.Time) int { return x.at.Compare(t) })
		n = 0
		if i < len(r.entries) {
			n = r.entries[i].n - 1
		}
	}
	p.base, p.floor, p.below = n, e.out, e.outs // if nothing is kept
	for _, x := range r.entries[i:] {
		if x.n > e.out {
			break
		}
		if !x.key.in(key) {
			continue
		}
		if len(p.list) == 0 {
			at := x.in(key.lane)
			p.floor, p.below = at.prev, at.count-1
			if !since.IsZero() {
				p.base = at.prev
			}
		}
		if size -= len(x.data) + len(x.channel) + keptCost/8; size < 0 && len(p.list) > 0 {
			break
		}
		p.list = append(p.list, x)
	}
	if len(p.list) == 0 && !since.IsZero() {
		p.base = e.out
	}
	return p
}

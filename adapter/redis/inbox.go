package redis

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/beanpole/beanpole/internal/shrink"
)

// inbox takes the numbered messages of other nodes: it hands them on in order and once, sees what is missing,
// and asks their senders for it.
type inbox struct {
	*keeper
	c     *Cluster
	tails subscription // on which is said where lanes end
	asked atomic.Uint64

	mu       sync.RWMutex
	sources  map[string]*source
	breaks   map[string]silence // by namespace: when some of it was not heard, lately
	lost     map[string]uint64  // by node
	caution  caution
	settles  time.Time // when is to be looked what was missed of nodes that have ended; zero if that is not to be
	resettle bool      // and once more then

	behind atomic.Int64 // for how long something has been missing, in nanoseconds, when it was last looked
}

// source is another node as a sender.
type source struct {
	uid string
	// order is held while something of it is delivered. It is taken before every other lock.
	order sync.Mutex
	gaps  map[laneKey]*gap // guarded by order
	had   shrink.Map[laneKey, *gap]
	said  time.Time  // guarded by order; when a loss was last logged
	asked time.Time  // guarded by order; when suspect last asked it
	marks []bookmark // guarded by order
	nsps  sync.Map   // namespaces in which it has sent something
	// ending is guarded by order: it has ended, and what is missing is being settled.
	ending bool
	member bool      // guarded by order; it was in the list of servers, or has left a record
	lost   time.Time // guarded by inbox.mu; when something of it was last counted as lost
}

const (
	// maxPiece bounds an answer, in bytes; minPiece is asked for when larger ones do not come.
	maxPiece = 256 << 10
	minPiece = 16 << 10
	// sweepEvery is how often is looked for what is to be asked again, or said.
	sweepEvery = 250 * time.Millisecond
	// maxTries is how many questions that Redis took may bring nothing before a gap is given up.
	maxTries = 20
	// forgetAfter is how long what is known of a lane is remembered.
	forgetAfter = 10 * time.Minute
	// maxTails bounds how many lanes are said at a time.
	maxTails = 2000
)

func newInbox(c *Cluster) *inbox {
	b := &inbox{keeper: newKeeper(c.ctx, &c.cfg, c.uid, c.wire, c.box, c.bus), c: c,
		sources: map[string]*source{}, breaks: map[string]silence{}, caution: caution{piece: maxPiece, top: maxPiece}, lost: map[string]uint64{}}
	b.tails = subscription{b.letters.kind, b.channel + "tails"}
	b.servers = b.away
	b.keeper.ended = func(t ending) { // of a stream: this node reads it, too
		if t.key.nsp == "" {
			c.readers[t.key.lane].tail(c.uid, t.n)
		}
	}
	return b
}

// start listens to letters, and sees to it that numbered messages arrive.
func (b *inbox) start() {
	b.c.bus.add(b.tails, receiverFunc(b.letter))
	b.c.bus.add(b.letters, receiverFunc(b.letter))
	b.c.wg.Go(func() { b.run(b.sweep) })
}

func (b *inbox) source(uid []byte) *source {
	b.mu.RLock()
	s := b.sources[string(uid)]
	b.mu.RUnlock()
	if s != nil {
		return s
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if s = b.sources[string(uid)]; s == nil {
		s = &source{uid: string(uid), gaps: map[laneKey]*gap{}}
		b.sources[s.uid] = s
	}
	return s
}

// gap returns what is known of a lane, under a subscription of some epoch. Called with order held.
func (s *source) gap(key laneKey, epoch uint64) *gap {
	g := s.gaps[key]
	if g == nil || g.epoch != epoch {
		old := []*gap{g, s.gaps[laneKey{key.nsp, wholeLane}]} // it may have come by a pattern
		g = &gap{epoch: epoch}
		for _, x := range old {
			if x != nil {
				g.had = max(g.had, x.had, x.last)
			}
		}
		s.gaps[key] = g
		s.nsps.Store(key.nsp, true)
	}
	g.used = time.Now()
	return g
}

func (s *source) has(nsp string) bool {
	_, ok := s.nsps.Load(nsp)
	return ok
}

// silence is a time in which a subscription may have brought nothing.
type silence struct{ from, to time.Time }

const (
	// young is how long after a subscription was asked for something of its lane may be found missing, from before Redis took it:
	// what came behind says so, or the end of the lane.
	young = 5 * time.Second
	// margin is how long a question may take whose answer has all since a time; it is asked for that much more.
	margin = 100 * time.Millisecond
)

// begin has a lane of n that nothing is known of in doubt, if something up to a number may have been missed, or its sender
// says so. Called with order held.
func (b *inbox) begin(s *source, n *namespace, key laneKey, g *gap, number uint64, said bool) {
	if g.known || g.open() {
		return
	}
	if since, ok := b.missedSince(n, key); ok {
		g.begins(since, slack, b.asked.Load())
		return
	}
	// Perhaps it was sent since this node listens.
	if at := b.c.bus.since(n.sub(key)); said || (key.lane == wholeLane || time.Since(at) < young) && number > s.by(at) {
		g.begins(at.Add(-margin), margin, b.asked.Load())
	}
}

// missedSince returns since when something of a lane of n may have been missed, too early by slack.
func (b *inbox) missedSince(n *namespace, key laneKey) (since time.Time, ok bool) {
	b.mu.RLock()
	x, ok := b.breaks[key.nsp]
	b.mu.RUnlock()
	since = x.from
	list := n.subs()
	if key.room() {
		list = []subscription{n.sub(key)}
		if at := b.c.bus.since(list[0]); ok && at.After(since) { // before, nobody here was in the room
			since, ok = at.Add(-slack), at.Before(x.to)
		}
	}
	if at, now := b.c.bus.brokenSince(list); now && (!ok || at.Before(since)) {
		since, ok = at, true
	}
	return since, ok
}

// sub returns the subscription of a lane.
func (n *namespace) sub(key laneKey) subscription {
	if key.room() {
		return subscription{n.first.kind, key.lane}
	}
	return n.subs()[0]
}

// take takes a numbered message that came on a channel of n.
func (b *inbox) take(n *namespace, channel string, uid []byte, x *serial, payload []byte) {
	key := laneKey{n.name, n.c.wire.lane(n.name, channel)}
	epoch := b.epoch(n, key)
	s := b.source(uid)
	s.order.Lock()
	defer s.order.Unlock()
	g := s.gap(key, epoch)
	a := arrival{x.n, *x.in(key.lane), channel, payload}
	if a.spot.count > 1 {
		b.begin(s, n, key, g, a.spot.prev, false)
	}
	s.mark(x.n, time.Now())
	asked := !g.asked.IsZero() && g.open()
	if !g.accept(a, n.arrived) {
		b.c.stats.skipped.Add(1)
		b.check(s, key, g)
	}
	if g.open() && !asked {
		b.ask(s, key)
	}
}

// joined asks whoever has put members of this node into rooms for what it has sent to these before Redis had taken
// the subscriptions. number is that of its message, which this
// node began to follow at a time. Called with order held.
func (b *inbox) joined(n *namespace, uid []byte, rooms []string, number uint64, begun time.Time) {
	s := b.source(uid)
	for _, room := range rooms {
		sub, ok := n.c.wire.room(n.name, room, false)
		if !ok || !n.Has(room) || b.c.bus.since(sub).Before(begun) {
			continue
		}
		key := laneKey{n.name, sub.name}
		g := s.gap(key, b.epoch(n, key))
		if g.known || g.open() {
			continue
		}
		g.known, g.last, g.count = true, number, uncounted
		g.doubts(b.asked.Load())
		b.c.wg.Go(func() {
			ctx, cancel := context.WithTimeout(b.c.ctx, b.c.cfg.RequestTimeout)
			defer cancel()
			_ = b.c.bus.wait(ctx, sub) // without it, it is asked again until it is there
			s.order.Lock()
			defer s.order.Unlock()
			if g := s.gaps[key]; g != nil {
				g.doubts(b.asked.Load())
				b.ask(s, key)
			}
		})
	}
}

// arrived opens a message whose turn it is.
func (n *namespace) arrived(a arrival) { n.open(a.channel, a.payload, a.n) }

// regained has in doubt what was published on subscriptions while they were not there.
func (b *inbox) regained(list []regained) {
	lanes := map[laneKey]time.Time{} // since when
	for _, x := range list {
		for _, r := range x.to {
			n, ok := r.(*namespace)
			if !ok {
				continue
			}
			key := laneKey{n.name, roomLanes}
			if slices.Contains(n.subs(), x.sub) {
				key.lane = n.c.wire.lane(n.name, n.first.name)
			}
			if at, ok := lanes[key]; !ok || x.since.Before(at) {
				lanes[key] = x.since
			}
		}
	}
	b.mu.Lock()
	for key, since := range lanes {
		x, ok := b.breaks[key.nsp]
		if !ok || since.Before(x.from) {
			x.from = since
		}
		x.to = time.Now()
		b.breaks[key.nsp] = x
	}
	ask := map[string][]laneKey{}
	for uid, s := range b.sources {
		for key := range lanes {
			if s.has(key.nsp) {
				ask[uid] = append(ask[uid], key)
			}
		}
	}
	b.mu.Unlock()
	b.look()
	live, _ := b.c.members.names() // behind breaks, of which who comes from now on learns
	for _, uid := range live {
		ask[uid] = slices.Collect(maps.Keys(lanes))
	}
	for uid, keys := range ask {
		b.suspect(uid, keys, lanes)
	}
}

// came has in doubt what a node may have published, of which nothing was known yet, while subscriptions were not there.
func (b *inbox) came(uid string) {
	lanes := map[laneKey]time.Time{}
	b.mu.RLock()
	for nsp, x := range b.breaks {
		if n := b.c.namespace(nsp); n != nil {
			lanes[laneKey{nsp, n.c.wire.lane(nsp, n.first.name)}] = x.from
			if dynamic(b.wire) {
				lanes[laneKey{nsp, roomLanes}] = x.from
			}
		}
	}
	b.mu.RUnlock()
	if len(lanes) > 0 {
		b.suspect(uid, slices.Collect(maps.Keys(lanes)), lanes)
	}
}

// suspect asks a node for what it may have published in lanes since a time. What Redis subscribes to late comes one by one:
// what follows soon is asked for together, and in doubt until then.
func (b *inbox) suspect(uid string, keys []laneKey, since map[laneKey]time.Time) {
	s := b.source([]byte(uid))
	s.order.Lock()
	defer s.order.Unlock()
	asked := b.asked.Load()
	keys = slices.DeleteFunc(keys, func(key laneKey) bool {
		n := b.c.namespace(key.nsp)
		if n == nil {
			return true
		}
		g := s.gap(key, n.epoch)
		if at := since[key]; g.doubt == 0 || at.Before(g.since) {
			g.begins(at, slack, asked)
		} else {
			g.doubts(asked)
		}
		return false
	})
	switch now := time.Now(); {
	case len(keys) == 0:
	case now.Sub(s.asked) < sweepEvery:
		b.wake()
	default:
		s.asked = now
		b.ask(s, keys...)
	}
}

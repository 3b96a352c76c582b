package redis

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

// Redis closes a subscription on which more waits than client-output-buffer-limit allows, and an answer may be more:
// then the connection breaks whenever it is sent. So answers begin small after a break. What was on its way when
// the connection broke is asked for by itself, one lane at a time, one message at a time, each behind a question
// for its size; a large one that has broken the connection maxCuts times, while its size came through, is given up.
const (
	maxCuts = 5
	// large is what such a message has at least, in bytes: no limit of Redis is so low.
	large = 8 << 10
	// calmAfter is how long after a break answers may be of any size again.
	calmAfter = 10 * time.Second
	// turnLasts is how long a lane that is asked by itself keeps others like it waiting.
	turnLasts = time.Second
	// hopelessFor is how long what was too large once is taken for too large when it breaks the connection again.
	hopelessFor = time.Minute
)

// caution is how large answers may be. Guarded by inbox.mu.
type caution struct {
	piece, top int // bytes asked for, and up to where that grows
	cut        time.Time
	turn       *gap // the one asked by itself
	turned     time.Time
	hopeless   uint64 // bytes that were given up last
	given      time.Time
}

// suspect reports whether what g misses next has broken the connection, perhaps.
func (g *gap) suspect() bool { return g.cuts > 0 && g.stuck == g.last }

// room returns how many bytes may be asked for.
func (b *inbox) room(now time.Time) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c := &b.caution; now.Sub(c.cut) > calmAfter {
		c.piece, c.top = maxPiece, maxPiece
	}
	return b.caution.piece
}

// turn reports whether g may be asked now. Called with order held.
func (b *inbox) turn(g *gap, now time.Time) bool {
	if !g.suspect() {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	c := &b.caution
	if c.turn != nil && c.turn != g && now.Sub(c.turned) < turnLasts {
		return false
	}
	if c.turn != g { // one that asks again and again, as nobody answers, has no other turn before the others
		c.turn, c.turned = g, now
	}
	return true
}

// heard notes that an answer has come for g. Called with order held.
func (b *inbox) heard(g *gap) {
	g.waits = false
	b.mu.Lock()
	defer b.mu.Unlock()
	c := &b.caution
	c.piece = min(2*c.piece, c.top)
	if c.turn == g {
		c.turn = nil
	}
}

// ask asks s for what is missing in lanes. Called with order held.
func (b *inbox) ask(s *source, keys ...laneKey) {
	now := time.Now()
	b.wake()
	s.member = s.member || b.c.members.knows(s.uid)
	keys = slices.DeleteFunc(slices.Clone(keys), func(key laneKey) bool { return !b.turn(s.gaps[key], now) })
	if len(keys) == 0 {
		return // asked by and by
	}
	size := max(1, b.room(now)/len(keys))
	for part := range lettersOf(keys, func(k laneKey) laneKey { return k }) {
		b.question(s, now, size, part)
	}
}

// question asks for what is missing of lanes, at most size bytes of each. Called with order held.
func (b *inbox) question(s *source, now time.Time, size int, keys []laneKey) {
	list := make([]wanted, 0, len(keys))
	taken := new(atomic.Int32)
	id := b.asked.Add(1)
	for _, key := range keys {
		g := s.gaps[key]
		w := wanted{key: key, after: g.last, size: min(size, max(minPiece, size>>g.tries))}
		if g.probe = g.suspect() && g.probe != !g.waits; g.suspect() {
			w.size = b2i(!g.probe)
		}
		if !g.known || key.lane == roomLanes {
			w.ago = max(now.Sub(g.since), time.Millisecond)
		}
		if g.posed.IsZero() {
			g.posed = now
		}
		g.asked, g.taken, g.id, g.waits = now, taken, id, true
		if g.begun.IsZero() {
			g.begun = now
		}
		list = append(list, w)
	}
	l := newLetter(tellQuestion, b.c.uid)
	l.uint(id)
	l.wants(list)
	b.send(s.uid+"#", l, func(got string, err error) {
		switch {
		case err != nil:
		case got == "0" && b.c.exact() && !b.c.members.answers(s.uid):
			taken.Store(4)
		default: // if nobody got it but the node lives, its connection is being made again
			taken.Store(1)
		}
	})
}

// cut takes in that a link has broken, and returns why, as far as is known.
func (b *inbox) cut(l *link, cause error) error {
	if !b.c.bus.wanted(l, b.letters) {
		return cause
	}
	b.mu.Lock()
	sources := make([]*source, 0, len(b.sources))
	for _, s := range b.sources {
		sources = append(sources, s)
	}
	b.mu.Unlock()
	hit, often := false, false
	for _, s := range sources {
		s.order.Lock()
		for key, g := range s.gaps {
			if !g.waits || key.lane == roomLanes {
				continue
			}
			g.waits = false
			if g.probe || g.taken.Load() != 1 {
				g.probe = false
				continue
			}
			if hit = true; !g.suspect() {
				g.stuck, g.cuts = g.last, 0
			}
			g.cuts++
			often = often || g.cuts > 1
		}
		s.order.Unlock()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	c := &b.caution
	if hit {
		c.top = max(minPiece, c.piece/2)
	}
	c.piece, c.cut, c.turn = minPiece, time.Now(), nil
	if often {
		return fmt.Errorf("%w: %w", errCutOff, cause)
	}
	return cause
}

// sized takes in what a lane of another node has next, and how large that is.
func (b *inbox) sized(uid string, id uint64, next ending, size uint64) {
	n, epoch := b.listens(next.key)
	if n == nil || id == ofCheck {
		return
	}
	s := b.source([]byte(uid))
	s.order.Lock()
	defer s.order.Unlock()
	g := s.gap(next.key, epoch)
	if !g.probe {
		return // of a question that was asked again
	}
	b.heard(g)
	g.tries = 0
	switch {
	case !g.known:
		if g.doubt > 0 && id < g.doubt || b.late(s, next.key, g) {
			return
		}
		g.know(next.base, next.bases, n.arrived)
		g.stuck = g.last
	case g.count == uncounted:
		g.count = next.bases
	case next.base > g.last:
		b.count(s, lostForgotten, g.skip(next.base, next.bases, n.arrived))
	}
	if g.suspect() && size >= large && g.cuts >= b.patience(size) {
		b.count(s, lostOutput, g.skip(next.n, next.count, n.arrived))
		b.mu.Lock()
		b.caution.hopeless, b.caution.given = size, time.Now()
		b.mu.Unlock()
	}
	if g.open() {
		b.ask(s, next.key)
	}
}

// patience returns how often a message may break the connection.
func (b *inbox) patience(size uint64) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c := &b.caution; size >= c.hopeless && time.Since(c.given) < hopelessFor {
		return 2
	}
	return maxCuts
}

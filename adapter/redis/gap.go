package redis

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/beanpole/beanpole/internal/shrink"
)

// gap is what a node knows of a lane of another: up to where it has all, and, while something is missing, what
// came behind it and waits.
type gap struct {
	known       bool
	last, count uint64 // everything up to this number has been had
	want, wants uint64 // the lane is known to have more, up to this number
	held        []arrival
	bytes       int
	used        time.Time
	epoch       uint64 // of the subscription
	had         uint64 // up to which number everything was had under one before

	before, counted uint64    // last and count before the last message
	checked         time.Time // when its sender was last asked whether it has given last and want

	doubt  uint64        // the first question whose answer settles that nothing is missing; 0 if that is known
	posed  time.Time     // when that was asked; zero if it was not yet
	since  time.Time     // of an unknown lane: what was published before does not concern this node
	heard  time.Time     // of an unknown lane: when its end was first said on another connection
	margin time.Duration // by how much since is too early
	lates  int           // how often in a row an answer has taken longer
	asked  time.Time
	begun  time.Time     // when something began to be missing; zero if nothing is
	id     uint64        // of the last question
	taken  *atomic.Int32 // what became of the last question: 1 Redis has taken it, 4 and nobody got it
	waits  bool          // an answer to it is waited for, on a connection that has not broken since
	empty  int           // answers in a row that brought nothing
	probe  bool          // it asked for the size only
	cuts   int           // how often in a row the connection broke while what follows stuck was on its way
	stuck  uint64
	tries  int // questions Redis took, in a row, that brought nothing
}

// arrival is a message of a lane.
type arrival struct {
	n       uint64
	spot    spot
	channel string
	payload []byte // nil for one that its sender does not send again
}

// uncounted is the count of a lane of which only the numbers are known.
const uncounted = 1 << 62

// maxHeld bounds what waits behind a gap, in bytes. What is beyond is asked for again.
const maxHeld = 4 << 20

// open reports whether something is missing, or may be.
func (g *gap) open() bool { return g.doubt > 0 || g.last < g.want }

// doubts has g in doubt until a question is answered that is asked after one.
func (g *gap) doubts(asked uint64) { g.doubt, g.posed = asked+1, time.Time{} }

// begins has g in doubt since a time, which is too early by a margin.
func (g *gap) begins(since time.Time, margin time.Duration, asked uint64) {
	g.since, g.margin, g.lates = since, margin, 0
	g.doubts(asked)
}

// late reports whether the answer that has come may be of a later time than it should: its sender reckons back from when it got the
// question, which may have waited. Then another is to be asked: of the same time, and if its answer takes as long again, of an
// earlier one.
func (g *gap) late(now time.Time) bool {
	took := now.Sub(g.posed)
	if took <= g.margin {
		return false
	}
	if g.lates++; g.lates > 1 {
		g.since, g.margin = g.since.Add(-took), g.margin+took
	}
	return true
}

// accept takes a message and returns what is to be delivered now. again is false for one that was had before.
func (g *gap) accept(a arrival, deliver func(arrival)) (fresh bool) {
	switch {
	case !g.known:
		if g.open() {
			break
		}
		g.known, g.since = true, time.Now().Add(-slack)
		g.reach(a, deliver)
		return true
	case a.n <= g.last:
		return false
	case a.spot.prev <= g.last:
		g.reach(a, deliver)
		g.drain(deliver)
		return true
	}
	if a.n > g.want {
		g.want, g.wants = a.n, a.spot.count
	}
	i, dup := slices.BinarySearchFunc(g.held, a.n, func(x arrival, n uint64) int {
		if x.n < n {
			return -1
		}
		return b2i(x.n > n)
	})
	if !dup && g.bytes < maxHeld {
		g.held = slices.Insert(g.held, i, a)
		g.bytes += len(a.payload) + keptCost
	}
	return !dup
}

func (g *gap) reach(a arrival, deliver func(arrival)) {
	g.before, g.counted = g.last, g.count
	g.last, g.count, g.tries = a.n, a.spot.count, 0
	if a.payload != nil && a.n > g.had {
		deliver(a)
	}
}

// drain delivers what has waited and misses nothing before it any more.
func (g *gap) drain(deliver func(arrival)) {
	k := 0
	for k < len(g.held) && g.held[k].spot.prev <= g.last {
		if a := g.held[k]; a.n > g.last {
			g.reach(a, deliver)
		}
		g.bytes -= len(g.held[k].payload) + keptCost
		k++
	}
	clear(g.held[:k])
	if g.held = g.held[k:]; len(g.held) == 0 {
		g.held = nil
	}
}

// skip gives up what is missing up to a number, by which the lane has had so many, and returns how many that are.
func (g *gap) skip(n, count uint64, deliver func(arrival)) (lost uint64) {
	if n <= g.last {
		return 0
	}
	for len(g.held) > 0 && g.held[0].n <= n {
		a := shrink.First(&g.held)
		g.bytes -= len(a.payload) + keptCost
		if a.spot.count > g.count+1 {
			lost += a.spot.count - g.count - 1
		}
		g.reach(a, deliver)
	}
	switch {
	case g.last >= n:
	case g.count == uncounted:
		g.count = count
		lost++ // at least
	case count > g.count:
		lost += count - g.count
	}
	g.last, g.count = max(n, g.last), max(count, g.count)
	g.drain(deliver)
	if n <= g.had {
		return 0
	}
	return lost
}

// end takes in that a lane reaches up to a number, by which it has had so many.
func (g *gap) end(n, count uint64) {
	if n > g.want && n > g.last {
		g.want, g.wants = n, count
	}
}

// know has an unknown lane begin behind a number, by which it has had so many, but not behind what has come of it: its
// sender reckons from when it put something into its queue, where that may have waited until this node listened.
func (g *gap) know(n, count uint64, deliver func(arrival)) {
	if g.known {
		return
	}
	g.known, g.last, g.count = true, n, count
	if len(g.held) > 0 && g.held[0].spot.prev < n {
		g.last, g.count = g.held[0].spot.prev, g.held[0].spot.count-1
	}
	g.drain(deliver)
}

// back forgets whatever has a number above one, and reports whether it is known where that began.
func (g *gap) back(n uint64) (sure bool) {
	for k := len(g.held); k > 0 && g.held[k-1].n > n; k-- {
		g.bytes -= len(g.held[k-1].payload) + keptCost
		g.held = g.held[:k-1]
	}
	if sure = g.last <= n; !sure {
		g.last, g.count = n, uncounted
		if sure = g.before <= n; sure {
			g.last, g.count, g.known = g.before, g.counted, g.before > 0 // else it begins when that came
		}
	}
	g.had = min(g.had, g.last)
	g.want, g.wants = g.last, g.count
	if k := len(g.held); k > 0 {
		g.end(g.held[k-1].n, g.held[k-1].spot.count)
	}
	return sure
}

// answered takes what the sender has sent again, and returns how many messages that brought and how many are lost.
func (g *gap) answered(p *piece, list []arrival, deliver func(arrival)) (fetched, lost uint64) {
	g.know(p.base, p.below, deliver)
	if p.base <= g.last && p.floor > g.last { // what is before base was not asked for, and may still be there
		lost = g.skip(p.floor, p.below, deliver)
	}
	for _, a := range list {
		if g.accept(a, deliver) && a.payload != nil { // without one its sender has given it up, or it was volatile
			fetched++
		}
	}
	g.end(p.n, p.count)
	return fetched, lost
}

// abandon gives up whatever is missing, and returns how many messages that are.
func (g *gap) abandon(deliver func(arrival)) (lost uint64) {
	g.know(g.want, g.wants, deliver)
	lost = g.skip(g.want, g.wants, deliver)
	g.doubt, g.tries = 0, 0
	return lost
}

// leave forgets what is missing, as nobody here is to have it any more.
func (g *gap) leave() {
	g.want, g.wants, g.doubt, g.tries = g.last, g.count, 0, 0
	g.held, g.bytes = nil, 0
}

// bookmark says up to which number another node had been heard by a time.
type bookmark struct {
	at time.Time
	n  uint64
}

// maxMarks bounds how many are kept, one for each second in which the node was heard.
const maxMarks = 64

// mark notes that a message with a number has come. Called with order held.
func (s *source) mark(n uint64, now time.Time) {
	k := len(s.marks)
	switch {
	case k > 0 && n <= s.marks[k-1].n:
		return
	case k > 1 && now.Sub(s.marks[k-2].at) < time.Second:
		s.marks[k-1] = bookmark{now, n}
		return
	case k == maxMarks:
		s.marks = slices.Delete(s.marks, 0, 1)
	}
	s.marks = append(s.marks, bookmark{now, n})
}

// by returns the highest number that is known to have been sent by a time. Called with order held.
func (s *source) by(at time.Time) (n uint64) {
	for _, m := range s.marks {
		if m.at.After(at) {
			break
		}
		n = m.n
	}
	return n
}

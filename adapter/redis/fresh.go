package redis

import (
	"slices"
	"time"
)

// A node that listens to the channels of its rooms hears a room some moments after its first member has joined, and
// Redis keeps nothing of what is published there meanwhile. So when Redis has taken the subscription the others are
// asked, all at once, for all rooms of some milliseconds: who has sent something to one of them since says so, and is
// asked for it. What of such a lane comes before, behind something else, waits (inbox.begin). That nothing was sent to
// a room, which is usual, costs no answer.

const (
	// gatherMin and gatherMax bound how long rooms are gathered for one letter: a millisecond for each node that is to
	// hear it, as there are as many that write them.
	gatherMin = 10 * time.Millisecond
	gatherMax = time.Second
	// newFor is how long a room is new: an answer that takes longer does not come.
	newFor = 10 * time.Second
	// tooLate is when a subscription that is new comes too late for that: Redis is in trouble, and others may not have
	// heard the letter.
	tooLate = 3 * time.Second
	// late is the same for what all of a namespace get.
	late = 250 * time.Millisecond
)

// infant is the lane of a room that is new here.
type infant struct {
	lane  string
	since time.Time
	ago   time.Duration // in a letter, in place of since
}

// overlap is how much further back than it wants something a node asks: the letter takes its time to the others.
func (b *inbox) overlap() time.Duration {
	return min(slack, 250*time.Millisecond+2*b.c.members.delay())
}

// fresh takes in that Redis has taken a subscription that is new.
func (b *inbox) fresh(x regained) {
	for _, r := range x.to {
		n, ok := r.(*namespace)
		if !ok {
			continue
		}
		took := time.Since(x.since)
		if room := !slices.Contains(n.subs(), x.sub); took > tooLate || !room && took > late {
			b.regained([]regained{{x.sub, x.to, x.since.Add(-slack)}})
		} else if room {
			gather := min(gatherMax, max(gatherMin, time.Duration(b.c.members.count())*time.Millisecond))
			b.mu.Lock()
			if len(b.young) == 0 {
				time.AfterFunc(gather, b.inquire)
			}
			b.young[n.name] = append(b.young[n.name], infant{lane: x.sub.name, since: x.since})
			b.mu.Unlock()
		}
	}
}

// inquire asks all others for what they have sent to rooms that are new here.
func (b *inbox) inquire() {
	b.mu.Lock()
	young := b.young
	b.young = map[string][]infant{}
	b.mu.Unlock()
	overlap := b.overlap()
	for nsp, list := range young {
		for part := range slices.Chunk(list, maxTails) {
			l := newLetter(tellFresh, b.c.uid)
			l.text(nsp)
			l.fresh(part, overlap)
			b.send("tails", l, nil)
		}
	}
}

// newcomer tells another node which of the rooms that are new there this one has sent something to since.
func (b *inbox) newcomer(uid, nsp string, list []infant) {
	ends := b.rings[""].recent(nsp, list, time.Now().Add(-b.c.members.delay()))
	if len(ends) == 0 {
		return
	}
	l := newLetter(tellRooms, b.c.uid)
	l.uint(0)
	l.text(nsp)
	l.tails(ends)
	b.send(uid+"#", l, nil)
}

// recent returns the ends of those lanes of a namespace in which something was published within the ago of each before
// now. What is on its way to Redis is said when Redis has it.
func (r *ring) recent(nsp string, list []infant, now time.Time) (ends []ending) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var of map[string]time.Time
	first := now
	for _, x := range list {
		e, since := r.lanes[laneKey{nsp, x.lane}], now.Add(-x.ago)
		if e == nil {
			continue
		}
		e.aloud()
		if e.used.Before(since) {
			continue
		}
		if of == nil {
			of = map[string]time.Time{}
		}
		of[x.lane] = since
		if since.Before(first) {
			first = since
		}
	}
	if of == nil {
		return nil
	}
	i, _ := slices.BinarySearchFunc(r.entries, first, func(x *kept, t time.Time) int { return x.at.Compare(t) })
	for _, x := range r.entries[i:] {
		since, ok := of[x.key.lane]
		if !ok || x.key.nsp != nsp || x.at.Before(since) {
			continue
		}
		delete(of, x.key.lane)
		if e := r.lanes[x.key]; e != nil && e.out >= x.n {
			ends = append(ends, ending{key: x.key, n: e.out, count: e.outs, base: x.own.prev, bases: x.own.count - 1})
		}
		if len(of) == 0 {
			break
		}
	}
	return ends
}

// again has the ends of lanes of rooms said in which something was published since a time: what others asked meanwhile
// was not heard.
func (r *ring) again(since time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := len(r.entries) - 1; i >= 0 && !r.entries[i].at.Before(since); i-- {
		if e := r.lanes[r.entries[i].key]; e != nil && r.entries[i].key.room() {
			e.said, r.quiet[r.entries[i].key] = 0, e
		}
	}
	r.wake()
}

// fresh writes lanes, and readFresh reads them.
func (l *letter) fresh(list []infant, overlap time.Duration) {
	for _, x := range list {
		l.text(x.lane)
		l.uint(uint64((time.Since(x.since) + overlap).Milliseconds()))
	}
}

func (l *letter) readFresh() (list []infant) {
	for len(l.b) > 0 {
		x := infant{lane: l.readText()}
		x.ago = time.Duration(min(l.readUint(), 1<<40)) * time.Millisecond
		if l.bad {
			return nil
		}
		list = append(list, x)
	}
	return list
}

package redis

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/beanpole/beanpole/adapter"
)

// What Redis has lost of a stream, servers fetch from its sender, unless they had read it before. A client that comes
// back is given what the stream has, and would miss it. So each reader remembers where something is missing.

// errTorn refuses a recovery over a hole in the stream.
var errTorn = fmt.Errorf("%w: events missing in the stream", adapter.ErrNoRecovery)

// errTrimmed refuses one for which the stream has dropped what the client has of it, and perhaps what came behind.
var errTrimmed = fmt.Errorf("%w: events trimmed", adapter.ErrNoRecovery)

// maxPlaces is how many places are remembered.
const maxPlaces = 10_000

// places are entries of a stream that are not what they seem to who reads them later, for a recovery.
type places struct {
	keep time.Duration // how old a state can be that a client comes back with

	mu     sync.Mutex
	torn   map[streamID]bool    // entries: whether something of their sender is missing before them. Others repeat one
	open   map[*window]streamID // what is missing of senders of which nothing has come since: who has less may miss it
	before streamID             // where more are than are remembered, or what this node knows to be lost
}

// note notes an entry before which something of its sender is missing, or that repeats one.
func (p *places) note(id streamID, torn bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bound(id)
	if p.torn == nil {
		p.torn = map[streamID]bool{}
	}
	p.torn[id] = torn
}

// bound makes room for a place: of what nobody can come back for any more, or of all. Called with mu held.
func (p *places) bound(id streamID) {
	most := func() int { return max(len(p.torn), len(p.open)) }
	if most() < maxPlaces {
		return
	}
	old := streamID{ms: id.ms - min(id.ms, uint64((p.keep+time.Minute).Milliseconds()))}
	maps.DeleteFunc(p.torn, func(id streamID, _ bool) bool { return id.less(old) })
	maps.DeleteFunc(p.open, func(_ *window, id streamID) bool { return id.less(old) })
	if most() >= maxPlaces/2 {
		clear(p.torn)
		clear(p.open)
		p.before = id
	}
}

// lost notes that an entry, of this node, is not in the stream any more, in which nothing need tell of it.
func (p *places) lost(id streamID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.before.less(id) {
		p.before = id
	}
}

// at reports what is known of an entry.
func (p *places) at(id streamID) (torn, repeats bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	torn, noted := p.torn[id]
	return torn, noted && !torn
}

// miss reports whether who has the stream up to an entry may miss something of which no entry tells.
func (p *places) miss(id streamID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if id.less(p.before) {
		return true
	}
	for _, upto := range p.open {
		if !upto.less(id) {
			return true
		}
	}
	return false
}

// tear notes that something of a sender is missing in the stream behind what it has there. Another server may come further
// before it notices that. Called by run.
func (r *reader) tear(w *window) {
	pos, _ := r.where()
	pos.ms += uint64((r.c.cfg.BlockTime + r.c.cfg.HeartbeatInterval + maxTries*askTimeout).Milliseconds())
	w.torn = true
	p := &r.places
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bound(pos)
	if p.open == nil {
		p.open = map[*window]streamID{}
	}
	p.open[w] = pos
}

// mend ends tear. Called by run.
func (r *reader) mend(w *window) {
	w.torn = false
	r.places.mu.Lock()
	defer r.places.mu.Unlock()
	delete(r.places.open, w)
}

// remember remembers an entry that was read, of the sender with a window. Called by run.
func (r *reader) remember(id streamID, w *window) {
	if len(r.recent) < maxRecent {
		r.recent = append(r.recent, readEntry{id, w})
		return
	}
	r.recent[r.next] = readEntry{id, w}
	r.next = (r.next + 1) % maxRecent
}

// anew finds out, on the connection on which it will be read, and which may lead to another Redis, what the stream has of
// what was read: two may be its masters for a moment. One that took over may have less: then what comes next is new, and
// what it has not is missing. Else it has been emptied, and is read from its start.
func (r *reader) anew(ctx context.Context) error {
	pos, _ := r.where()
	if pos == (streamID{}) {
		return nil
	}
	at := r.feed.only
	x, err := r.extentAt(ctx, at)
	if answer := redis.Error(nil); errors.As(err, &answer) {
		return r.refused(ctx, err, pos)
	}
	if err != nil || pos == x.last || pos.less(x.first) { // trimmed: numbers tell what is missing
		return err
	}
	read := slices.Concat(r.recent[r.next:], r.recent[:r.next]) // from the oldest
	read = slices.DeleteFunc(read, func(e readEntry) bool { return e.id.less(x.first) })
	kept, lost := 0, len(read) // what Redis has lost came last
	for i := lost - 1; kept < lost; i = (kept + lost) / 2 {
		entries, err := at.XRangeN(ctx, r.stream, read[i].id.String(), read[i].id.String(), 1).Result()
		switch {
		case err != nil:
			return err
		case len(entries) > 0:
			kept = i + 1
		default:
			lost = i
		}
	}
	if kept == len(read) && kept > 0 {
		return nil
	}
	for _, e := range read[kept:] {
		if e.w != nil {
			r.tear(e.w)
		}
	}
	last := streamID{}
	if kept > 0 {
		last = read[kept-1].id
	} else {
		for _, w := range r.windows {
			r.tear(w)
		}
	}
	r.stretches.drop()
	r.recent, r.next, r.end = read[:kept], 0, streamID{}
	r.moveTo(last)
	return nil
}

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

// What Redis has lost of a stream, servers fetch from its sender, unless they had read it before. So an offset says what a
// client has only if the server that gave it has had all of the stream up to there, and what the client misses is what the
// stream has behind only if the server to which it comes has had all, and no more. Each reader knows when that is in doubt: it has had
// something that is not in the stream, may have missed something that was, or what it reads does not hang together with what
// it read before, as the stream has been emptied or trimmed meanwhile. Until others know of it, too, nobody recovers there, and what
// a server in doubt has saved nobody is given. A server that is in no doubt may have missed something all the same, and then so
// has every other that is in none.

// errTorn refuses a recovery over a hole in the stream.
var errTorn = fmt.Errorf("%w: events missing in the stream", adapter.ErrNoRecovery)

// errTrimmed refuses one for which the stream has dropped what the client has of it, and perhaps what came behind.
var errTrimmed = fmt.Errorf("%w: events trimmed", adapter.ErrNoRecovery)

// maxPlaces is how many places are remembered.
const maxPlaces = 10_000

// places are what a reader knows of a stream that is not as it seems to who reads it later, for a recovery.
type places struct {
	keep time.Duration // how old a state can be that a client comes back with

	mu      sync.Mutex
	repeats map[streamID]struct{} // entries that repeat one
	open    map[*window]time.Time // of whom something may be missing, and until when others may not know it; nil is anyone
	before  streamID              // who has less of the stream may miss something that it has not
	reading bool                  // what is being read may not hang together with what was read before
	known   chan struct{}         // closed when that is known; nil if nobody waits for it
}

// repeat notes an entry that repeats one. Of too many, those are forgotten for which nobody can come back any more, or all.
func (p *places) repeat(id streamID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.repeats) >= maxPlaces {
		old := streamID{ms: id.ms - min(id.ms, uint64((p.keep+time.Minute).Milliseconds()))}
		maps.DeleteFunc(p.repeats, func(id streamID, _ struct{}) bool { return id.less(old) })
		if len(p.repeats) >= maxPlaces/2 {
			clear(p.repeats)
			p.lost(id)
		}
	}
	if p.repeats == nil {
		p.repeats = map[streamID]struct{}{}
	}
	p.repeats[id] = struct{}{}
}

// repeated reports whether an entry repeats one.
func (p *places) repeated(id streamID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.repeats[id]
	return ok
}

// lost notes that who has the stream up to before an entry may miss something. Called with mu held.
func (p *places) lost(id streamID) {
	if p.before.less(id) {
		p.before = id
	}
}

// begin notes that entries are about to be handed on of which it is not known whether they hang together with those before.
func (p *places) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reading = true
}

// end notes that that is known: what is in doubt has been noted.
func (p *places) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reading = false
	p.tell()
}

// tell has those go on that wait. Called with mu held.
func (p *places) tell() {
	if p.known != nil {
		close(p.known)
		p.known = nil
	}
}

// whole returns from where on this server has had all of the stream, and what is in it only, as far as it has handed it on by now, or
// why that is not known.
func (p *places) whole(ctx context.Context) (from streamID, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reading && len(p.open) == 0 {
		if p.known == nil {
			p.known = make(chan struct{})
		}
		known := p.known
		p.mu.Unlock()
		select {
		case <-known:
		case <-ctx.Done():
			err = fmt.Errorf("%w: %w", adapter.ErrNoRecovery, ctx.Err())
		}
		p.mu.Lock()
	}
	if len(p.open) > 0 {
		err = errTorn
	}
	return p.before, err
}

// doubted is Trail.Forgot of a session whose server did not know what it had given its client of the stream.
const doubted = "18446744073709551615-0"

// vouch says in the trail of a session that is to be saved up to where its client must have the stream to come back.
func (p *places) vouch(ctx context.Context, t *adapter.Trail) {
	if from, err := p.whole(ctx); err != nil {
		t.Forgot = doubted
	} else if o, _ := parseOffset(t.Forgot); o.id.less(from) {
		t.Forgot = from.String()
	}
}

// tear notes that something of a sender is missing in the stream, or of anyone, which others may not know yet.
func (r *reader) tear(w *window) {
	until := time.Now().Add(r.doubtful())
	p := &r.places
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.open) >= maxPlaces {
		clear(p.open)
		w = nil
	}
	if p.open == nil {
		p.open = map[*window]time.Time{}
	}
	if p.open[w] = until; w != nil {
		w.torn.Store(true)
	}
	p.tell()
}

// doubtful is how long others may take to notice.
func (r *reader) doubtful() time.Duration {
	return r.c.cfg.BlockTime + r.c.cfg.HeartbeatInterval + maxTries*askTimeout
}

const (
	// maxMark is how large an entry is, in bytes, that is asked for only to see whether it is there, unless maxApart others have
	// come behind the last that was.
	maxMark  = 4096
	maxApart = 100
)

// joined reads whether the stream has an entry still that was read before the last n: else it has lost what was read since, and
// perhaps what was not. next is one of these n that will do the next time, or zero. Called by run.
func (r *reader) joined(mark, next streamID, n int) error {
	has := true
	if mark != (streamID{}) {
		var err error
		if has, err = r.feed.has(); err != nil {
			return err
		}
	}
	if !has {
		r.tear(nil)
		if now := time.Now(); now.Sub(r.emptied) > time.Minute {
			r.emptied = now
			r.c.cfg.Logger.Warn("a stream has lost what was read of it: nobody recovers from or to this server until all must have noticed",
				"stream", r.stream, "for", r.doubtful(), "advice", lostAdvice[lostStream])
		}
		if next == (streamID{}) && n > 0 {
			next, _ = r.where()
		}
	}
	if next != (streamID{}) {
		r.mark = next
	}
	r.places.end()
	return nil
}

// mend ends tear, with an entry of the sender: whoever has that knows what is missing before it. Called by run.
func (r *reader) mend(w *window, id streamID) {
	w.torn.Store(false)
	r.places.mu.Lock()
	defer r.places.mu.Unlock()
	delete(r.places.open, w)
	r.places.lost(id)
}

// expire ends tear where everybody has had the time to notice, as the reader has come to the end of the stream.
func (p *places) expire(pos streamID, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.open)
	maps.DeleteFunc(p.open, func(_ *window, until time.Time) bool { return until.Before(now) })
	if len(p.open) < n {
		p.lost(pos)
	}
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
		if last.less(r.mark) {
			r.mark = last
		}
	} else {
		r.tear(nil)
	}
	r.stretches.drop()
	r.recent, r.next, r.end = read[:kept], 0, streamID{}
	r.moveTo(last)
	return nil
}

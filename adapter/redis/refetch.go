package redis

import (
	"context"
	"maps"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// What is missing of a stream was trimmed before it was read, or Redis has lost it: it was emptied, started without
// its data, or failed over. A reader sees that by the numbers of what comes behind, or by what their node says is its
// last, and asks that node, which keeps what it has added for a while. Until the answers are there it stands still, so
// that nothing overtakes them.

// reply is an answer of another node.
type reply struct {
	uid string
	id  uint64
	piece
	list  []arrival
	never bool // it has not added so many
}

const (
	// maxAsks is how many questions that Redis took may bring nothing, to who is no server that is known to live; to those
	// it is maxTries. askTimeout is how long each is waited for.
	maxAsks    = 5
	askTimeout = time.Second
	// lookEvery is how often a reader that is behind looks how far.
	lookEvery = time.Second
)

// answered takes a reply. There may be no such reader.
func (r *reader) answered(a reply) {
	if r == nil {
		return
	}
	select {
	case r.replies <- a:
	default: // asked again
	}
}

// tail takes in the number of the last entry that a node has added.
func (r *reader) tail(uid string, n uint64) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tails[uid] = max(n, r.tails[uid])
}

// told returns what nodes have said to be their last entries.
func (r *reader) told() map[string]uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.tails)
}

// atEnd notes that a read that began when nodes had said tails has come to the end of the stream.
func (r *reader) atEnd(ctx context.Context, tails map[string]uint64) {
	r.mu.Lock()
	r.lag = 0
	pos := r.pos
	maps.DeleteFunc(r.tails, func(uid string, n uint64) bool { return n == tails[uid] })
	r.mu.Unlock()
	r.places.expire(pos, time.Now())
	for uid, n := range tails {
		w := r.window([]byte(uid))
		if uid == r.c.uid {
			if w.begins() && w.max < n { // delivered here, and missing in the stream
				r.tear(w)
				w.max = n
			}
			continue
		}
		if (w.begins() || r.begin(ctx, uid, w, n+1)) && w.max < n {
			r.fetch(ctx, uid, true, w, n)
		}
	}
}

// begin finds out where the entries of a node begin for this reader, which has had none of it, before one with a number. It
// reports whether there may be any. There are none, unless the stream has dropped something since it was read from. Of a
// node that does not answer one at least is taken for lost.
func (r *reader) begin(ctx context.Context, uid string, w *window, seq uint64) bool {
	if now := time.Now(); now.Sub(r.checked) > lookEvery {
		x, err := r.extent(ctx)
		if r.dropped = err != nil || r.start.less(x.first) || x.length == 0; err == nil {
			r.checked = now
		}
	}
	if !r.dropped {
		return false
	}
	r.tear(w)
	early := margin // as in gap.late
	for t := (tries{since: time.Now()}); r.asks(ctx, uid, &t); {
		asked := time.Now()
		a := r.ask(ctx, uid, 0, time.Since(r.since)+early, &t)
		switch took := time.Since(asked); {
		case a == nil:
			continue
		case took > early:
			early = 2 * took
			continue
		case a.n == 0 || a.base >= seq:
			r.mend(w, streamID{})
			return false
		}
		w.max, w.begun = a.base, true
		return true
	}
	if ctx.Err() != nil {
		return false
	}
	w.deaf = true
	r.count(uid, r.silence(uid), 1)
	w.max, w.begun = seq-1, true
	return true
}

// silence says why a node does not answer.
func (r *reader) silence(uid string) (cause int) {
	if r.c.members.knows(uid) {
		return lostUnanswered
	}
	return lostGone
}

// fetch hands on the entries of a node up to a number, as far as it still has them; emitters of versions before cannot be asked. It reports
// false if the node has not added so many.
func (r *reader) fetch(ctx context.Context, uid string, asks bool, w *window, upto uint64) (given bool) {
	if asks {
		r.tear(w)
	}
	t := tries{since: time.Now()}
	for asks && w.max < upto && !(w.deaf && t.n > 0) && r.asks(ctx, uid, &t) { // the stream waits, too
		before := w.max
		a := r.ask(ctx, uid, w.max, 0, &t)
		if a != nil && w.deaf {
			w.deaf, t.n = false, 0
		}
		switch {
		case a == nil:
			continue
		case a.n == 0: // of a version that does not keep entries
			asks = false
			continue
		case a.floor > w.max:
			r.lose(ctx, uid, w, min(a.floor, upto), true)
		}
		for _, x := range a.list {
			if x.n > w.max && x.n <= upto {
				w.take(x.n)
				r.refetched(uid, x)
			}
		}
		if w.max == before { // it does not know yet that Redis has them
			if a := r.ask(ctx, uid, upto, 0, &t); a != nil && a.never {
				return false
			}
			t.n++
			pause(ctx, 1)
		}
	}
	switch {
	case w.max >= upto || ctx.Err() != nil:
	case asks:
		w.deaf = true
		r.count(uid, r.silence(uid), upto-w.max)
		w.max = upto
	default:
		r.lose(ctx, uid, w, upto, false)
	}
	return true
}

// refetched hands on an entry that was missing. Its place in the stream is not known: behind what was read.
func (r *reader) refetched(uid string, x arrival) {
	if x.payload == nil {
		return // given up, and counted, by its node; or volatile
	}
	r.c.stats.fetched.Add(1)
	e := named(x.channel)
	e.uid, e.data, e.seq = uid, string(x.payload), x.n
	if isEmitter(uid) {
		e.uid, e.instance = emitterUID, uid
	}
	id, _ := r.where()
	id.seq++
	r.hand(e, id, nothing)
}

// tries are the questions to a node that have brought nothing.
type tries struct {
	n     int // which Redis took
	since time.Time
}

// asks reports whether a node is to be asked again. Who lives may be out of reach while Redis is in trouble, as this node
// may be, and keeps what it has added.
func (r *reader) asks(ctx context.Context, uid string, t *tries) bool {
	most := maxAsks
	if r.c.members.knows(uid) {
		most = maxTries
	}
	return t.n < most && time.Since(t.since) < r.c.cfg.MaxResendAge && ctx.Err() == nil
}

// ask asks a node for its entries behind a number, or of some time, if that is not zero. It returns nil, and counts that in t,
// if no answer has come.
func (r *reader) ask(ctx context.Context, uid string, after uint64, ago time.Duration, t *tries) *reply {
	b := r.c.inbox
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if b.c.bus.wait(ctx, b.letters) != nil {
		return nil
	}
	id := b.asked.Add(1)
	l := newLetter(tellQuestion, r.c.uid)
	l.uint(id)
	l.wants([]wanted{{key: laneKey{lane: r.stream}, after: after, ago: ago, size: maxPiece}})
	var took atomic.Bool
	b.send(uid+"#", l, func(got string, err error) {
		took.Store(err == nil)
		if err == nil && got == "0" && r.c.exact() && !r.c.members.answers(uid) {
			cancel() // nobody got it
		}
	})
	defer func() { t.n += b2i(took.Load()) }()
	for {
		select {
		case a := <-r.replies:
			if a.uid == uid && a.id == id {
				took.Store(false)
				return &a
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// lose counts the entries of a node up to a number as lost. If that is not sure, only where the stream has dropped any:
// others are on their way again, or have been given up and counted by whoever sent them.
func (r *reader) lose(ctx context.Context, uid string, w *window, upto uint64, sure bool) {
	pos, _ := r.where()
	x, err := r.extent(ctx)
	dropped := err == nil && pos.less(x.first)
	if !dropped && !sure {
		return
	}
	cause := lostStream
	if dropped && x.length >= r.maxLen() {
		cause = lostTrimmed
	}
	r.tear(w)
	r.count(uid, cause, upto-w.max)
	w.max = upto
}

func (r *reader) count(uid string, cause int, n uint64) {
	s := r.c.inbox.source([]byte(uid))
	s.order.Lock()
	defer s.order.Unlock()
	r.c.inbox.count(s, cause, n)
}

// extent is what a stream holds.
type extent struct {
	first, last streamID
	length      int64
}

func (r *reader) extent(ctx context.Context) (x extent, err error) {
	err = again(ctx, func() error {
		x, err = r.extentAt(ctx, r.c.client)
		return err
	})
	return x, err
}

func (r *reader) extentAt(ctx context.Context, at interface {
	Pipelined(context.Context, func(redis.Pipeliner) error) ([]redis.Cmder, error)
}) (x extent, err error) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	var first, last *redis.XMessageSliceCmd
	var length *redis.IntCmd
	_, err = at.Pipelined(ctx, func(p redis.Pipeliner) error {
		first, last = p.XRangeN(ctx, r.stream, "-", "+", 1), p.XRevRangeN(ctx, r.stream, "+", "-", 1)
		length = p.XLen(ctx, r.stream)
		return nil
	})
	if err != nil {
		return x, err
	}
	if len(first.Val()) > 0 && len(last.Val()) > 0 {
		x.first, _ = parseStreamID(first.Val()[0].ID)
		x.last, _ = parseStreamID(last.Val()[0].ID)
	}
	x.length = length.Val()
	return x, nil
}

// behind looks how far the reader is behind, now and then, and says so before the stream is trimmed under it. n is how
// many entries it has just read. It is far when half of what the stream holds came later than these, or when as many
// entries as half of it were there already when it was looked: those of a burst are all of one moment.
func (r *reader) behind(ctx context.Context, n int64) {
	pos, _ := r.where()
	if r.caught += n; r.end.less(pos) {
		r.caught = 0
	}
	far := r.caught >= r.maxLen()/2
	if time.Since(r.looked) >= lookEvery {
		x, err := r.extent(ctx)
		r.looked = time.Now()
		if err != nil {
			return // the next read says why
		}
		if r.seen = x; r.end.less(pos) {
			r.end = x.last
		}
		lag := time.Duration(max(x.last.ms, pos.ms)-pos.ms) * time.Millisecond
		r.mu.Lock()
		r.lag = lag
		r.mu.Unlock()
		far = far || lag > r.seen.holds()/2
	}
	if far && r.seen.length >= r.maxLen() && time.Since(r.warned) > time.Minute {
		r.warned = time.Now()
		r.c.cfg.Logger.Warn("a stream is read more slowly than it is written, and will be trimmed before it was read", "stream", r.stream,
			"behind", r.lag, "holds", r.seen.holds(), "advice", lostAdvice[lostTrimmed])
	}
}

// holds returns of how long a time the entries are.
func (x *extent) holds() time.Duration {
	return time.Duration(x.last.ms-x.first.ms) * time.Millisecond
}

// window knows which entries of a stream a source has had there, by their numbers. They rise, but for those that
// Redis refused at first and their source has sent again behind later ones.
type window struct {
	max     uint64
	begun   bool                // everything behind max concerns the reader, though it has had nothing
	missing map[uint64]struct{} // below max
	deaf    bool                // it has not answered
	torn    atomic.Bool         // some up to max may not be in the stream, and nothing behind them is yet
	checked time.Time           // when its node was last asked whether it has added max
}

// window returns that of a source.
func (r *reader) window(source []byte) *window {
	if string(source) == r.c.uid {
		return &r.own
	}
	w := r.windows[string(source)]
	if w == nil {
		if len(r.windows) > 10_000 { // of nodes long gone
			clear(r.windows)
		}
		w = &window{}
		r.windows[string(source)] = w
	}
	return w
}

// begins reports whether it is known where the entries of the source begin.
func (w *window) begins() bool { return w.max > 0 || w.begun }

// maxMissing bounds how many missing numbers are remembered of a source: more than its outbox holds do not come.
const maxMissing = DefaultMaxOutboxMessages

// take notes a number and reports whether it is new.
func (w *window) take(seq uint64) (fresh bool) {
	if seq <= w.max {
		_, fresh = w.missing[seq]
		delete(w.missing, seq)
		return fresh
	}
	if w.max > 0 && seq > w.max+1 {
		if len(w.missing) > maxMissing || w.missing == nil {
			w.missing = map[uint64]struct{}{}
		}
		for n := max(w.max+1, seq-min(seq, maxMissing)); n < seq; n++ {
			w.missing[n] = struct{}{}
		}
	}
	w.max = seq
	return true
}

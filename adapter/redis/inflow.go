package redis

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/beanpole/beanpole/adapter"
)

// What other nodes answer waits in Redis until this one has read it, and then here until the answer is complete. Redis cuts
// a subscription off on which more than some megabytes wait. So both are bounded for all questions of a node together:
// one is asked, and a piece of an answer is asked for, when there is room for what will come. Those who wait are served in
// the order of their questions, so that the oldest is complete soon.
const (
	// maxComing is how many bytes of answers may be on their way, a quarter of what Redis keeps for a subscriber for a while.
	// Heartbeats come behind them, so a slow way must not take seconds for it. One that is larger comes alone.
	maxComing = 2 << 20
	// maxFetching is how many questions fetch pieces at a time: two of them keep this process busy while the other waits for Redis,
	// and with more, each takes longer than it may.
	maxFetching = 3
	// maxGathered is how many bytes of answers that are not complete may be here, besides those of the oldest question.
	maxGathered = 32 << 20
	// maxUnasked is how many bytes of answers of clients and handlers may come unasked in all, as far as minUnasked for each node
	// and question, which is no more than to be told of them, allows.
	maxUnasked = 1 << 20
	minUnasked = 256
	// countBytes is more than an answer has that is a number.
	countBytes = 256
	// lostAfter is how long a node is silent when the first of what it was asked for is taken for lost, and half of it how much later
	// something else was asked of it that has come, or this node has sent itself: what comes slowly is not asked for twice, as it would
	// come slower then, and both be on their way.
	lostAfter = 2 * time.Second
	// relook is how often it is looked at most what is lost.
	relook = 100 * time.Millisecond
)

// inflow is what this node has asked others for. A question for sockets, or for how many there are, waits until there is room for the
// first pieces of its answer: their nodes answer at once. One to clients or handlers does not wait, as these may take long: it
// says how many bytes may come unasked, and nodes that have more say so. So does what such a question has got not count, as
// it is handed on.
type inflow struct {
	mu       sync.Mutex
	asked    uint64              // questions so far
	open     map[*request]uint64 // with their numbers
	loans    map[loanKey]loan    // what is on its way
	heard    map[string]heard    // by node
	coming   int                 // bytes of these
	fetching map[string]int      // by question: how many of these are pieces behind the first
	gathered int                 // bytes that open questions have
	unasked  int                 // bytes that may come of itself
	waiting  []*turn             // by the numbers of their questions
	looked   time.Time
	proven   func() time.Time // when this node last sent itself something that has come
}

// loanKey is what is on its way: a piece of the answer of a node to a question.
type loanKey struct {
	request, uid string
	piece        int
}

// loan is the room for it, which is given back when it has come, or is lost.
type loan struct {
	bytes int
	at    time.Time
}

// heard is what has come of a node: when that was last, and when the last of it that has come had been asked for.
type heard struct{ at, asked time.Time }

// turn is what waits for room: a question, or that a piece is asked for.
type turn struct {
	r     *request
	nodes []string // who answers
	piece int      // of their answers
	bytes int      // that each of them is expected to send
	take  func()   // is called when there is room, without a lock
}

func newInflow(proven func() time.Time) *inflow {
	return &inflow{proven: proven, open: map[*request]uint64{}, loans: map[loanKey]loan{}, fetching: map[string]int{}, heard: map[string]heard{}}
}

// enter waits until r may be asked of nodes, and reports whether that took any time. end is called in any case.
func (f *inflow) enter(ctx context.Context, r *request, nodes []string, bytes int) (waited bool, err error) {
	ready := make(chan struct{})
	f.mu.Lock()
	f.asked++
	f.open[r] = f.asked
	f.mu.Unlock()
	f.wait(&turn{r, nodes, 0, bytes, func() { close(ready) }})
	select {
	case <-ready:
		return false, nil
	default:
	}
	t := time.NewTicker(firstCount)
	defer t.Stop()
	for {
		select {
		case <-ready:
			return true, nil
		case <-t.C:
			f.serve()
		case <-ctx.Done():
			return true, adapter.Ended(ctx)
		}
	}
}

// allow returns how many bytes of the answer to r may come unasked of each of some nodes, and not ok when r is over. end is
// called in any case.
func (f *inflow) allow(r *request, nodes int) (free int, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if nodes == 0 || r.over {
		return 0, !r.over
	}
	f.asked++
	f.open[r] = f.asked
	free = max(minUnasked, min(firstPiece, (maxUnasked-f.unasked)/(16*nodes)))
	r.unasked = free * nodes
	f.unasked += r.unasked
	return free, true
}

// wait has turns of open questions wait, and serves those for which there is room.
func (f *inflow) wait(turns ...*turn) {
	f.mu.Lock()
	for _, t := range turns {
		if number, ok := f.open[t.r]; ok {
			at, _ := slices.BinarySearchFunc(f.waiting, number+1, func(t *turn, n uint64) int { return int(int64(f.open[t.r] - n)) })
			f.waiting = slices.Insert(f.waiting, at, t)
		}
	}
	f.mu.Unlock()
	f.serve()
}

// serve lets those go for whom there is room, in order. Only pieces of a question that has to wait for others to be
// fetched are passed by.
func (f *inflow) serve() {
	now := time.Now()
	var served []*turn
	f.mu.Lock()
	if len(f.waiting) > 0 {
		f.forget(now)
	}
	full := f.gathered > maxGathered
	for i := 0; i < len(f.waiting); {
		t := f.waiting[i]
		if full && !f.oldest(t.r) || f.coming > 0 && f.coming+len(t.nodes)*t.bytes > maxComing {
			break
		}
		if t.piece > 0 && f.fetching[t.r.id] == 0 && len(f.fetching) >= maxFetching {
			i++
			continue
		}
		f.waiting = slices.Delete(f.waiting, i, i+1)
		f.lend(t, now)
		served = append(served, t)
	}
	f.mu.Unlock()
	for _, t := range served {
		t.take()
	}
}

// oldest reports whether none of the open questions for sockets was asked before r: others gather nothing, and may wait for
// clients. Called with mu held.
func (f *inflow) oldest(r *request) bool {
	for x, number := range f.open {
		if x.kind == kindFetch && number < f.open[r] {
			return false
		}
	}
	return true
}

// lend gives t its room. Called with mu held.
func (f *inflow) lend(t *turn, now time.Time) {
	for _, uid := range t.nodes {
		key := loanKey{t.r.id, uid, t.piece}
		f.settle(key)
		f.loans[key] = loan{t.bytes, now}
		f.coming += t.bytes
		if t.piece > 0 {
			f.fetching[key.request]++
		}
	}
}

// forget gives back the room of what is lost. Of a node that is silent that is one piece, and the next when it has been silent as long
// again: it may be slow, and all of them come. Called with mu held.
func (f *inflow) forget(now time.Time) {
	if now.Sub(f.looked) < relook {
		return
	}
	f.looked = now
	proven := f.proven()
	silent := map[string]loanKey{}
	for key, l := range f.loans {
		h := f.heard[key.uid]
		if h.asked.Sub(l.at) >= lostAfter/2 {
			f.settle(key)
		} else if now.Sub(l.at) >= lostAfter && now.Sub(h.at) >= lostAfter && proven.Sub(l.at) >= lostAfter/2 {
			if first, ok := silent[key.uid]; !ok || l.at.Before(f.loans[first].at) {
				silent[key.uid] = key
			}
		}
	}
	maps.DeleteFunc(f.heard, func(_ string, h heard) bool { return now.Sub(h.at) >= lostAfter })
	for uid, key := range silent {
		f.settle(key)
		f.heard[uid] = heard{at: now}
	}
}

// expects reports whether something is on its way.
func (f *inflow) expects(key loanKey) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forget(time.Now())
	_, ok := f.loans[key]
	return ok
}

// tick forgets by and by what is not looked at any more.
func (f *inflow) tick() {
	f.mu.Lock()
	f.forget(time.Now())
	f.mu.Unlock()
	f.serve()
}

// settle gives a loan back, if there is one. Called with mu held.
func (f *inflow) settle(key loanKey) {
	l, ok := f.loans[key]
	if !ok {
		return
	}
	f.coming -= l.bytes
	delete(f.loans, key)
	if key.piece == 0 {
		return
	}
	if f.fetching[key.request]--; f.fetching[key.request] == 0 {
		delete(f.fetching, key.request)
	}
}

// gather notes that bytes of an answer are here.
func (f *inflow) gather(r *request, bytes int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.open[r]; ok {
		r.gathered += bytes
		f.gathered += bytes
	}
}

// came notes that something has come.
func (f *inflow) came(key loanKey) {
	f.mu.Lock()
	if l, ok := f.loans[key]; ok {
		h := heard{time.Now(), f.heard[key.uid].asked}
		if l.at.After(h.asked) {
			h.asked = l.at
		}
		f.heard[key.uid] = h
		f.settle(key)
	}
	f.mu.Unlock()
	f.serve()
}

// end notes that a question is over, and has its whole answer or not. What is on its way for it still has its room.
func (f *inflow) end(r *request, whole bool) {
	f.mu.Lock()
	r.over = true
	f.gathered -= r.gathered
	if delete(f.open, r); whole {
		f.unasked -= r.unasked
	} else if r.unasked > 0 { // it may be on its way
		time.AfterFunc(lostAfter, func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.unasked -= r.unasked
		})
	}
	f.waiting = slices.DeleteFunc(f.waiting, func(t *turn) bool { return t.r == r })
	f.mu.Unlock()
	f.serve()
}

package redis

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/beanpole/beanpole/adapter"
)

const (
	// firstCount is how long after a question the nodes are counted whose answers are missing: the connections of one
	// whose process was killed are gone at once. Then it is twice as long, and so on.
	firstCount = 250 * time.Millisecond
	// recountEvery is how often they are counted at last, and how long there must be fewer Node peers: those that end
	// say nothing, and have no name.
	recountEvery = time.Second
	// awayFor is how long a node must not have the namespace: its connection may be being made again.
	awayFor = recountEvery / 2
)

// errNodeGone says that a node went away whose answer may or may not be among those that came.
var errNodeGone = errors.New("a node went away while it was asked")

// request is one question to the other nodes. Beanpole peers are known by name. Of Node peers only
// the number is known, and in pubsub mode their answers have no name either.
type request struct {
	kind    kind
	id      string // set by start
	answers *adapter.Answers
	begun   time.Time // before the others were counted: what breaks from then on may keep answers from coming

	mu       sync.Mutex
	waiting  map[string]int // named node -> answers of clients that are due, unheard before the first
	heard    map[string]bool
	named    []string             // nodes asked by name
	unnamed  int                  // nodes without names that have not answered
	total    int                  // of them asked
	lost     int                  // of them given up although it is not clear which of them went
	silent   int                  // nodes given up that still listened then
	fetching map[string]*fetching // by node, while pieces of its answer are to come
	absent   map[string]time.Time // named node -> the first of the rounds in a row that do not have it
	fewer    time.Time            // the first of those in a row that have fewer unnamed ones than were asked
	details  []adapter.Details
	count    int
	omitted  int    // sockets that their nodes could not describe
	enough   func() // of kindTakeOver: ends it

	gathered int // guarded by inflow.mu; bytes of its answer
	unasked  int // guarded by inflow.mu; bytes of it that may come unasked
}

const unheard = -1

func newRequest(k kind, answer func(adapter.Message)) *request {
	r := &request{kind: k, answers: adapter.NewAnswers(answer), begun: time.Now(), waiting: map[string]int{}, heard: map[string]bool{},
		absent: map[string]time.Time{}, fetching: map[string]*fetching{}}
	r.answers.Ask() // until everyone has been asked
	return r
}

// ask says whom the question goes to.
func (r *request) ask(named []string, unnamed int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, uid := range named {
		if !r.heard[uid] {
			r.waiting[uid] = unheard
			r.answers.Ask()
		}
	}
	r.named, r.unnamed, r.total = named, unnamed, unnamed
	for range unnamed {
		r.answers.Ask()
	}
}

// answered notes the first answer of a node, after which n clients of it are to answer. It reports
// false when the node has answered before.
func (r *request) answered(uid string, n int) bool {
	n = max(n, 0)
	r.mu.Lock()
	defer r.mu.Unlock()
	if uid != "" {
		if r.heard[uid] {
			return false
		}
		r.heard[uid] = true
	}
	if _, ok := r.waiting[uid]; !ok {
		if r.unnamed > 0 {
			r.unnamed--
		} else {
			r.answers.Ask() // one more than was counted
		}
	}
	delete(r.waiting, uid)
	if uid != "" && n > 0 {
		r.waiting[uid] = n
	}
	r.answers.Expect(n)
	return true
}

// put hands on the answer of a client, or notes that it will not come.
func (r *request) put(uid string, m adapter.Message, gone bool) {
	r.mu.Lock()
	if n := r.waiting[uid]; n > 1 {
		r.waiting[uid] = n - 1
	} else if n == 1 {
		delete(r.waiting, uid)
	}
	r.mu.Unlock()
	if gone {
		r.answers.Less(1)
		return
	}
	r.answers.Put(m)
}

// drop gives up a node that is gone.
func (r *request) drop(uid string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, ok := r.waiting[uid]
	if !ok {
		return
	}
	delete(r.waiting, uid)
	delete(r.fetching, uid)
	r.heard[uid] = true
	if n == unheard {
		r.answers.Expect(0)
	} else {
		r.answers.Less(n)
	}
}

// recount gives up nodes without names when there are fewer of them than were asked.
func (r *request) recount(now int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := min(r.unnamed, r.total-now)
	if n <= 0 {
		return
	}
	if r.unnamed < r.total {
		r.lost += n
	}
	r.unnamed -= n
	r.total -= n
	for range n {
		r.answers.Expect(0)
	}
}

// known returns how many of the nodes were not known by name when the question was asked: they may be among
// those that were counted then. Called with mu held.
func (r *request) known(named []string) (n int) {
	for _, uid := range named {
		if !slices.Contains(r.named, uid) {
			n++
		}
	}
	return n
}

// partial returns the error that says what is missing because of err, nil if nothing is.
func (r *request) partial(err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil && r.lost > 0 {
		return &adapter.PartialError{Nodes: r.lost, Clients: r.omitted, Err: errNodeGone}
	}
	if err == nil && r.omitted > 0 {
		return &adapter.PartialError{Clients: r.omitted, Err: r.leftOut()}
	}
	if err == nil {
		return nil
	}
	p := &adapter.PartialError{Err: err, Clients: r.answers.Missing() + r.omitted, Nodes: r.unnamed + r.lost}
	for uid, n := range r.waiting {
		if n == unheard {
			p.Missing = append(p.Missing, uid)
			p.Nodes++
		}
	}
	return p
}

// leftOut says why something was left out of an answer.
func (r *request) leftOut() error {
	if r.kind == kindFetch {
		return fmt.Errorf("%w: descriptions of sockets", ErrTooLarge)
	}
	return fmt.Errorf("%w, or their server had no room for more: answers", ErrTooLarge)
}

func newID() string {
	b := make([]byte, 8)
	rand.Read(b)
	return hex.EncodeToString(b)
}

// start registers a question, and asks it of the nodes there are. m gets its id.
func (n *namespace) start(ctx context.Context, m *message, r *request) error {
	m.request, m.own = newID(), true
	r.id = m.request
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return ErrClosed
	}
	n.requests[m.request] = r
	n.mu.Unlock()
	live, _ := n.c.members.names()
	if !n.c.state.works() {
		r.ask(live, 0)
		return adapter.ErrDegraded
	}
	p, err := n.present(ctx)
	if m.kind == kindTakeOver {
		p.strangers = 0 // they do not know the question
	}
	var late error
	if m.kind == kindFetch && err == nil {
		size := firstPiece
		if m.counted {
			size = countBytes
		}
		var waited bool
		if waited, late = n.c.inflow.enter(ctx, r, p.named, size); waited && late == nil {
			p, err = n.present(ctx) // others may have come
		}
	}
	named := slices.Concat(p.named, p.away)
	r.ask(named, p.strangers+p.unheard)
	r.mu.Lock()
	r.silent = p.silent
	r.mu.Unlock()
	if err != nil {
		return errors.Join(adapter.ErrDegraded, err)
	}
	if late != nil {
		return late
	}
	if len(named)+p.strangers+p.unheard+p.silent == 0 {
		return nil
	}
	if m.kind == kindBroadcast || m.kind == kindServerSideEmit {
		m.free = n.c.inflow.allow(r, len(named)+p.unheard)
	}
	if d, ok := ctx.Deadline(); ok && (m.kind == kindBroadcast || m.kind == kindFetch) {
		m.timeoutMS = max(1, time.Until(d).Milliseconds())
	}
	return n.publish(m, "")
}

// finish waits for the answers to a question and ends it. err is what start returned.
func (n *namespace) finish(ctx context.Context, m *message, r *request, err error) (e error) {
	defer func() {
		n.mu.Lock()
		delete(n.requests, m.request)
		n.mu.Unlock()
		n.enough(r)
		n.c.inflow.end(r, e == nil)
	}()
	r.answers.Expect(0)
	if err != nil {
		// Those that could not be asked will not answer; but clients here may.
		r.mu.Lock()
		asked := len(r.waiting) + r.unnamed
		r.mu.Unlock()
		for range asked {
			r.answers.Expect(0)
		}
		if e := n.await(ctx, r, m, false); e != nil && r.kind == kindBroadcast {
			err = errors.Join(err, e)
		}
		return r.partial(err)
	}
	return r.partial(n.await(ctx, r, m, true))
}

// await returns nil when all answers to a question are in, the error of ctx otherwise.
func (n *namespace) await(ctx context.Context, r *request, m *message, recount bool) error {
	if !recount {
		return r.answers.Wait(ctx)
	}
	began, asked := time.Now(), r.begun
	last, every := (*round)(nil), firstCount
	for ; ; every = min(2*every, recountEvery) {
		tctx, cancel := context.WithTimeout(ctx, every)
		err := r.answers.Poll(tctx)
		cancel()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return r.answers.Wait(ctx)
		}
		n.fetchMore(r)
		now := n.count(ctx, every/2)
		if now == nil {
			continue
		}
		if (m.kind == kindFetch || m.kind == kindTakeOver) && n.c.bus.broke().After(asked) { // perhaps with answers to what may be asked twice
			asked = time.Now()
			_ = n.publish(m, "") // or it is waited for in vain
		}
		if now != last && now.at.After(began) {
			r.compare(now)
			n.remind(r, m.request, now)
			last = now
		}
	}
}

// round is one count of the other nodes, for all questions that wait then.
type round struct {
	present
	at time.Time
}

// count counts the other nodes, or returns a count that is not older than some time, for all questions that wait. It is
// nil when that was not possible.
func (n *namespace) count(ctx context.Context, old time.Duration) *round {
	select {
	case n.counting <- struct{}{}:
	case <-ctx.Done(): // who counts may have more time, and Redis may stand still
		return nil
	}
	defer func() { <-n.counting }()
	if n.counted != nil && time.Since(n.counted.at) < old {
		return n.counted
	}
	p, err := n.others(ctx)
	if err != nil {
		return nil
	}
	n.counted = &round{p, time.Now()}
	return n.counted
}

// compare gives up nodes asked by name that rounds in a row do not have for long enough: one alone may have met a connection
// being made again. Who has no connection at all is waited for as long as the roster has it. Node peers have no name to be
// counted by, though they answer with one: those that have are waited for until their clients have.
func (r *request) compare(x *round) {
	r.mu.Lock()
	var gone []string
	for uid := range r.waiting {
		switch since, ok := r.absent[uid]; {
		case !slices.Contains(r.named, uid):
		case slices.Contains(x.named, uid), slices.Contains(x.away, uid):
			delete(r.absent, uid)
		case !ok:
			r.absent[uid] = x.at
		case x.at.Sub(since) >= awayFor:
			gone = append(gone, uid)
		}
	}
	now := x.strangers + x.unheard + r.known(x.named)
	recount := false
	switch {
	case r.unnamed == 0 || now >= r.total:
		r.fewer = time.Time{}
	case r.fewer.IsZero():
		r.fewer = x.at
	default:
		recount = x.at.Sub(r.fewer) >= recountEvery
	}
	r.mu.Unlock()
	for _, uid := range gone {
		r.drop(uid)
	}
	if recount {
		r.recount(now)
	}
}

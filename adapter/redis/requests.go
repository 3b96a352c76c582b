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
	failed   error          // why it could not be asked
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

	due   time.Time     // guarded by namespace.mu; when it is looked after next
	every time.Duration // guarded by namespace.mu

	over     bool // guarded by inflow.mu
	gathered int  // guarded by inflow.mu; bytes of its answer
	unasked  int  // guarded by inflow.mu; bytes of it that may come unasked
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
	r.answers.Put(m, false)
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
	if r.answers.GivenUp() > 0 {
		err = errors.Join(err, adapter.ErrQueueFull)
	}
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
	return fmt.Errorf("%w, or their server had no room for more, or their clients leave too much unanswered: answers", ErrTooLarge)
}

func newID() string {
	b := make([]byte, 8)
	rand.Read(b)
	return hex.EncodeToString(b)
}

// start registers a question, and asks it of the nodes there are. m gets its id.
func (n *namespace) start(ctx context.Context, m *message, r *request) error {
	if err := n.enlist(m, r); err != nil {
		return err
	}
	p, err := n.whom(ctx)
	return n.pose(ctx, m, r, p, err)
}

// enlist registers a question. m gets its id.
func (n *namespace) enlist(m *message, r *request) error {
	m.request, m.own = newID(), true
	r.id = m.request
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return ErrClosed
	}
	n.requests[m.request] = r
	return nil
}

// whom is present, if Redis works: else it names those that are known, with an error.
func (n *namespace) whom(ctx context.Context) (present, error) {
	if !n.c.state.works() {
		live, _ := n.c.members.names()
		return present{named: live}, adapter.ErrDegraded
	}
	p, err := n.present(ctx)
	if err != nil {
		err = errors.Join(adapter.ErrDegraded, err)
	}
	return p, err
}

// pose asks a question of the nodes that are present, or, with an error, of none.
func (n *namespace) pose(ctx context.Context, m *message, r *request, p present, err error) error {
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
			p, err = n.whom(ctx) // others may have come
		}
	}
	named := slices.Concat(p.named, p.away)
	r.ask(named, p.strangers+p.unheard)
	r.mu.Lock()
	r.silent = p.silent
	r.mu.Unlock()
	if err != nil {
		return err
	}
	if late != nil {
		return late
	}
	if len(named)+p.strangers+p.unheard+p.silent == 0 {
		return nil
	}
	if m.kind == kindBroadcast || m.kind == kindServerSideEmit {
		var ok bool
		if m.free, ok = n.c.inflow.allow(r, len(named)+p.unheard); !ok {
			return nil
		}
	}
	if d, ok := ctx.Deadline(); ok && (m.kind == kindBroadcast || m.kind == kindFetch) {
		m.timeoutMS = max(1, time.Until(d).Milliseconds())
	}
	return n.publish(m, "")
}

// finish waits for the answers to a question and ends it. err is what start returned.
func (n *namespace) finish(ctx context.Context, m *message, r *request, err error) error {
	n.posed(r, err)
	return n.conclude(r, n.await(ctx, r, m, err == nil))
}

// posed notes that a question has been asked of other nodes, or could not be.
func (n *namespace) posed(r *request, err error) {
	r.mu.Lock()
	r.failed = err
	asked := len(r.waiting) + r.unnamed
	r.mu.Unlock()
	if err != nil { // those that could not be asked will not answer; but clients here may
		for range asked {
			r.answers.Expect(0)
		}
	}
	r.answers.Expect(0)
}

// conclude ends a question, the wait for which has ended with err, and returns what is missing.
func (n *namespace) conclude(r *request, err error) (e error) {
	n.mu.Lock()
	delete(n.requests, r.id)
	n.mu.Unlock()
	n.enough(r)
	defer func() { n.c.inflow.end(r, e == nil) }()
	r.mu.Lock()
	failed := r.failed
	r.mu.Unlock()
	switch {
	case errors.Is(failed, errNotAsked):
		live, _ := n.c.members.names()
		r.ask(live, 0)
		err = errors.Join(adapter.ErrDegraded, err)
	case failed != nil && r.kind == kindBroadcast:
		err = errors.Join(failed, err)
	case failed != nil:
		err = failed
	}
	return r.partial(err)
}

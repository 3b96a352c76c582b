package redis

import (
	"sync"
	"time"

	"github.com/beanpole/beanpole/adapter"
)

// The description of many sockets is longer than what may wait in Redis for a subscriber, which is cut off then. So
// Beanpole nodes describe theirs in pieces: the first is short, as all nodes answer at the same time, and whoever has
// asked fetches the others, as fast as it reads them (inflow.go).
const (
	firstPiece = 16 << 10 // bytes, about
	nextPiece  = 256 << 10
	// maxParcelled is of how many members, and keepParcel how long at most, something is kept for nodes that may fetch more.
	maxParcelled = 2 << 20
	keepParcel   = time.Minute
)

// parcel is an answer that is fetched in pieces: the members it describes, when they are asked for.
type parcel struct {
	timer *time.Timer

	mu      sync.Mutex
	members []adapter.Member
	starts  []int // where each piece begins, as far as they were asked for
}

// describe answers a question for the members that q selects.
func (n *namespace) describe(q *message) {
	if !q.own {
		m := &message{kind: kindFetchResponse}
		n.packAll(m, n.Members(q.target))
		n.respond(q, m)
		return
	}
	id := q.uid + " " + q.request
	n.mu.Lock()
	p := n.parcels[id] // asked again, and perhaps fetched already
	n.mu.Unlock()
	if p == nil {
		p = &parcel{members: n.Members(q.target), starts: []int{0}}
	}
	m := n.piece(p, 0)
	if m.more {
		n.keep(id, p, min(keepParcel, q.lasts(keepParcel)))
	}
	n.respond(q, m)
}

// keep keeps p for as long as its question lasts.
func (n *namespace) keep(id string, p *parcel, lasts time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return
	}
	n.unparcel(id)
	for old := range n.parcels {
		if n.parcelled+p.cost() <= maxParcelled {
			break
		}
		n.unparcel(old)
	}
	p.timer = time.AfterFunc(lasts, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.parcels[id] == p {
			n.unparcel(id)
		}
	})
	n.parcels[id] = p
	n.parcelled += p.cost()
}

// unparcel keeps an answer no longer. Called with mu held.
func (n *namespace) unparcel(id string) {
	if p := n.parcels[id]; p != nil {
		p.timer.Stop()
		delete(n.parcels, id)
		n.parcelled -= p.cost()
	}
}

// cost is what a parcel counts for, in members.
func (p *parcel) cost() int { return len(p.members) + 16 }

// more answers kindPiece.
func (n *namespace) more(q *message) {
	n.mu.Lock()
	p := n.parcels[q.uid+" "+q.request]
	n.mu.Unlock()
	if p == nil {
		return // too late
	}
	if m := n.piece(p, q.piece); m != nil {
		n.respond(q, m)
	}
}

// piece makes one piece, nil if it is none of those that can be next.
func (n *namespace) piece(p *parcel, i int) *message {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i < 0 || i >= len(p.starts) {
		return nil
	}
	m := &message{kind: kindFetchResponse, own: true, piece: i}
	room := nextPiece
	if i == 0 {
		room = firstPiece
	}
	at := p.starts[i]
	done, next := n.pack(m, p.members[at:], min(room, n.most()), i == 0)
	at += done
	if m.more = at < len(p.members); m.more && next > nextPiece {
		m.next = next
	}
	if m.more && i+1 == len(p.starts) {
		p.starts = append(p.starts, at)
	}
	return m
}

// most is how many bytes the descriptions in one message may have.
func (n *namespace) most() int { return n.c.cfg.MaxMessageBytes - 1024 - 2*len(n.name) }

// pack describes members in m, up to some bytes, and returns how many of them it has done with, and how many bytes the next
// has. There is one at least, unless strict; one whose description is longer than a message may be is left out.
func (n *namespace) pack(m *message, members []adapter.Member, room int, strict bool) (done, next int) {
	for i, x := range members {
		b := n.about(members[i : i+1])
		switch size := len(m.described) + len(b); {
		case len(b) > n.most():
			m.omitted++
			n.omit(x.ID(), len(b))
		case size > room && (strict || len(m.described) > 0):
			return i, len(b)
		default:
			m.describe(b)
		}
	}
	return len(members), 0
}

// packAll describes members in m, for a server of Node, which takes no pieces: what does not fit is left out.
func (n *namespace) packAll(m *message, members []adapter.Member) {
	for i, x := range members {
		if b := n.about(members[i : i+1]); len(m.described)+len(b) > n.most() {
			m.omitted++
			n.omit(x.ID(), len(b))
		} else {
			m.describe(b)
		}
	}
}

// about returns the array of the description of one member, which is empty when it has left meanwhile.
func (n *namespace) about(one []adapter.Member) []byte {
	if !n.IsMember(one[0].ID()) {
		return nil
	}
	return appendDetails(nil, n.Namespace.Describe(one))
}

// describe adds the array of a description.
func (m *message) describe(b []byte) {
	switch {
	case len(b) <= len("[]"):
	case len(m.described) == 0:
		m.described = b
	default:
		m.described[len(m.described)-1] = ','
		m.described = append(m.described, b[1:]...)
	}
}

// omit says, once, that a socket cannot be described to other servers.
func (n *namespace) omit(id string, bytes int) {
	n.c.stats.lost[lostLarge].Add(1)
	n.mu.Lock()
	_, said := n.omitted[id]
	if len(n.omitted) >= maxOmitted {
		clear(n.omitted)
	}
	n.omitted[id] = struct{}{}
	n.mu.Unlock()
	if !said {
		n.c.cfg.Logger.Warn("a socket is left out of what other servers are told: its description is too long", "namespace", n.name,
			"socket", id, "bytes", bytes, "advice", "let clients join fewer rooms and keep less in Data, or raise MaxMessageBytes")
	}
}

// maxOmitted bounds of how many sockets it is remembered that this has been said.
const maxOmitted = 1000

// fetching is what a question fetches of one node.
type fetching struct {
	next  int  // number of the piece that comes next
	bytes int  // that it is expected to have
	asked bool // for it
	waits bool // until there is room for it
}

// fetched takes the description of a node's sockets, or a piece of it, and fetches more. It is read here and no
// sooner: every server hears the answers to every other, its own too. Measured, to leave one be takes 0.12 of the
// time that reading it does.
func (n *namespace) fetched(r *request, m *message) {
	var sockets []adapter.Details
	if !m.counted {
		var err error
		if sockets, err = parseDetails(m.described); err != nil {
			return // the answer to the old request for ids, which this node never asks
		}
	}
	r.mu.Lock()
	f := r.fetching[m.uid]
	if f == nil {
		f = &fetching{}
	}
	if m.uid != "" && (r.heard[m.uid] || m.piece != f.next) {
		r.mu.Unlock()
		return // it came twice
	}
	r.details = append(r.details, sockets...)
	r.count += m.count
	r.omitted += m.omitted
	f.next, f.waits, f.bytes = m.piece+1, false, max(nextPiece, min(m.next, n.c.cfg.MaxMessageBytes))
	if m.more {
		r.fetching[m.uid] = f
	} else {
		delete(r.fetching, m.uid)
	}
	r.mu.Unlock()
	n.c.inflow.gather(r, len(m.described))
	if m.more {
		n.fetchNext(r, m.uid)
	} else {
		r.answered(m.uid, 0)
	}
}

// fetchMore asks once more for pieces that are lost, when there is room for them.
func (n *namespace) fetchMore(r *request) {
	r.mu.Lock()
	due := map[string]int{}
	for uid, f := range r.fetching {
		if !f.waits {
			due[uid] = f.next
		}
	}
	r.mu.Unlock()
	for uid, piece := range due {
		if !n.c.inflow.expects(loanKey{r.id, uid, piece}) {
			n.fetchNext(r, uid)
		}
	}
	n.c.inflow.serve()
}

// fetchNext asks a node for the piece that comes next, when there is room for it.
func (n *namespace) fetchNext(r *request, uid string) {
	r.mu.Lock()
	f := r.fetching[uid]
	if f == nil || f.waits {
		r.mu.Unlock()
		return
	}
	f.waits = true
	t := &turn{r: r, nodes: []string{uid}, piece: f.next, bytes: f.bytes}
	r.mu.Unlock()
	t.take = func() {
		r.mu.Lock()
		due := r.fetching[uid] == f && f.next == t.piece
		f.waits = f.waits && !due
		r.mu.Unlock()
		if !due {
			n.c.inflow.came(loanKey{r.id, uid, t.piece})
			return
		}
		_ = n.publish(&message{kind: kindPiece, own: true, request: r.id, piece: t.piece}, uid) // or it is asked for again
	}
	n.c.inflow.wait(t)
}

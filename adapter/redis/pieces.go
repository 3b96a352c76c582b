package redis

import (
	"sync"
	"time"

	"github.com/beanpole/beanpole/adapter"
)

// The description of many sockets is longer than what may wait in Redis for a subscriber, which is cut off then. So
// Beanpole nodes describe theirs in pieces: the first is short, as all nodes answer at the same time, and whoever has
// asked fetches the others, a few at a time and as fast as it reads them.
const (
	firstPiece = 16 << 10 // bytes, about
	nextPiece  = 256 << 10
	// maxFetching is how many pieces one question waits for at a time.
	maxFetching = 8
	// refetch is when a piece that has not come is asked for once more: Redis may have lost it.
	refetch = 2 * time.Second
	// maxParcels and keepParcel bound what is kept for nodes that may fetch more.
	maxParcels = 256
	keepParcel = time.Minute
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
		n.pack(m, n.Members(q.target), n.most(), true)
		n.respond(q, m)
		return
	}
	p := &parcel{members: n.Members(q.target), starts: []int{0}}
	m := n.piece(p, 0)
	if m.more {
		n.keep(q.uid+" "+q.request, p)
	}
	n.respond(q, m)
}

// keep keeps p for a while.
func (n *namespace) keep(id string, p *parcel) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return
	}
	for old, x := range n.parcels {
		if len(n.parcels) < maxParcels {
			break
		}
		x.timer.Stop()
		delete(n.parcels, old)
	}
	p.timer = time.AfterFunc(keepParcel, func() {
		n.mu.Lock()
		delete(n.parcels, id)
		n.mu.Unlock()
	})
	n.parcels[id] = p
}

// more answers kindPiece.
func (n *namespace) more(q *message) {
	n.mu.Lock()
	p := n.parcels[q.uid+" "+q.request]
	n.mu.Unlock()
	if p == nil {
		return // too late
	}
	p.timer.Reset(keepParcel)
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
	at += n.pack(m, p.members[at:], min(room, n.most()), false)
	m.more = at < len(p.members)
	if m.more && i+1 == len(p.starts) {
		p.starts = append(p.starts, at)
	}
	return m
}

// most is how many bytes the descriptions in one message may have.
func (n *namespace) most() int { return n.c.cfg.MaxMessageBytes - 1024 - 2*len(n.name) }

// pack describes members in m, up to some bytes but one at least, and returns how many of them it has done with. One whose
// description is longer than a message may be is left out, and so is what does not fit if all are to be in this one.
func (n *namespace) pack(m *message, members []adapter.Member, room int, all bool) (done int) {
	for i, x := range members {
		if !n.IsMember(x.ID()) {
			continue // it has left meanwhile
		}
		b := appendDetails(nil, n.Namespace.Describe(members[i:i+1]))
		switch size := len(m.described) + len(b); {
		case len(b) == len("[]"):
		case len(b) > n.most(), all && size > room:
			m.omitted++
			n.omit(x.ID(), len(b))
		case len(m.described) == 0:
			m.described = b
		case size > room:
			return i
		default:
			m.described[len(m.described)-1] = ','
			m.described = append(m.described, b[1:]...)
		}
	}
	return len(members)
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
	next int       // number of the piece that comes next
	at   time.Time // when it was asked for; zero when it has not been
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
	f.next, f.at = m.piece+1, time.Time{}
	if m.more {
		r.fetching[m.uid] = f
	} else {
		delete(r.fetching, m.uid)
	}
	r.mu.Unlock()
	if !m.more {
		r.answered(m.uid, 0)
	}
	n.fetchMore(r, m.request)
}

// fetchMore asks for pieces that are to come, and once more for those that should have come.
func (n *namespace) fetchMore(r *request, id string) {
	due := map[string]int{}
	r.mu.Lock()
	open := 0
	for _, f := range r.fetching {
		if time.Since(f.at) < refetch {
			open++
		}
	}
	for uid, f := range r.fetching {
		if open < maxFetching && time.Since(f.at) >= refetch {
			open++
			f.at = time.Now()
			due[uid] = f.next
		}
	}
	r.mu.Unlock()
	for uid, i := range due {
		_ = n.publish(&message{kind: kindPiece, own: true, request: id, piece: i}, uid) // or it is asked for again
	}
}

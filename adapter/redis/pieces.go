package redis

import (
	"sync"
	"time"

	"github.com/beanpole/beanpole/adapter"
)

// The answers to a question may be more than what may wait in Redis for a subscriber, which is cut off then. So
// Beanpole nodes give theirs in pieces: the first is short, as all nodes answer at the same time, and whoever has
// asked fetches the others, as fast as it reads them (inflow.go). Sockets are described when they are asked for; what clients
// and handlers answer is kept until then (replies.go).
const (
	firstPiece = 16 << 10 // bytes, about
	nextPiece  = 256 << 10
	// maxParcelled is of how many members, and keepParcel how long at most, something is kept for nodes that may fetch more.
	maxParcelled = 2 << 20
	keepParcel   = time.Minute
)

// over is the number of the piece that is asked for when nothing more is wanted.
const over = -1

// answer is one that is fetched in pieces.
type answer interface {
	// piece makes a piece, nil if it is none of those that can be next.
	piece(i int) *message
	// end is called when it is kept no longer, with no lock held.
	end()
}

// parcel is an answer that is kept.
type parcel struct {
	answer
	timer *time.Timer
	cost  int
}

// parcel returns the key by which the answer to m, or to what m asks more of, is kept.
func (m *message) parcel() string { return m.uid + " " + m.request }

// described are members of a node that are described when they are asked for.
type described struct {
	n *namespace

	mu      sync.Mutex
	members []adapter.Member
	starts  []int // where each piece begins, as far as they were asked for
}

func (*described) end() {}

// describe answers a question for the members that q selects.
func (n *namespace) describe(q *message) {
	if !q.own {
		m := &message{kind: kindFetchResponse}
		n.packAll(m, n.Members(q.target))
		n.respond(q, m)
		return
	}
	n.mu.Lock()
	p := n.parcels[q.parcel()] // asked again, and perhaps fetched already
	n.mu.Unlock()
	if p == nil {
		d := &described{n: n, members: n.Members(q.target), starts: []int{0}}
		p = &parcel{answer: d, cost: len(d.members) + 16}
	}
	m := p.piece(0)
	if m == nil {
		return
	}
	if m.more {
		n.keep(q.parcel(), p.answer, p.cost, q.lasts(keepParcel))
	}
	n.respond(q, m)
}

// keep keeps an answer for as long as its question lasts. What costs something may go before.
func (n *namespace) keep(key string, a answer, cost int, lasts time.Duration) {
	var ended []answer
	n.mu.Lock()
	switch p := n.parcels[key]; {
	case n.closed:
		ended = append(ended, a)
	case p != nil && p.answer == a: // it is kept since it was asked for first
	default:
		ended = n.unlist(ended, key)
		for old, p := range n.parcels {
			if n.parcelled+cost <= maxParcelled {
				break
			}
			if p.cost > 0 {
				ended = n.unlist(ended, old)
			}
		}
		n.parcels[key] = &parcel{a, time.AfterFunc(lasts, func() { n.unkeep(key) }), cost}
		n.parcelled += cost
	}
	n.mu.Unlock()
	for _, a := range ended {
		a.end()
	}
}

// unkeep keeps an answer no longer.
func (n *namespace) unkeep(key string) {
	n.mu.Lock()
	ended := n.unlist(nil, key)
	n.mu.Unlock()
	for _, a := range ended {
		a.end()
	}
}

// unlist takes out what is kept, if there is something, and adds it to what is to be ended. Called with mu held.
func (n *namespace) unlist(ended []answer, key string) []answer {
	p := n.parcels[key]
	if p == nil {
		return ended
	}
	p.timer.Stop()
	delete(n.parcels, key)
	n.parcelled -= p.cost
	return append(ended, p.answer)
}

// more answers kindPiece.
func (n *namespace) more(q *message) {
	if q.piece == over {
		n.unkeep(q.parcel())
		return
	}
	n.mu.Lock()
	p := n.parcels[q.parcel()]
	n.mu.Unlock()
	if p == nil {
		return // too late
	}
	if m := p.piece(q.piece); m != nil {
		n.respond(q, m)
	}
}

// piece makes one piece, nil if it is none of those that can be next.
func (p *described) piece(i int) *message {
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
	done, next := p.n.pack(m, p.members[at:], min(room, p.n.most()), i == 0)
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

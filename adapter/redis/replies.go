package redis

import (
	"bytes"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/beanpole/beanpole/adapter"
)

// What clients or handlers answer to a question of another node waits at their own node, and goes in pieces: as many bytes as who
// asks has said may come unasked (inflow.go), and what is more when that one fetches it. So it is gathered, too: what
// comes within a moment goes together. Nodes that say nothing of this, as those of Node, get each answer at once.

// moment is how long what has come waits for what comes behind it, when something has just gone unasked.
const moment = 10 * time.Millisecond

// replies are the answers to one question.
type replies struct {
	n   *namespace
	q   *message
	key string // of parcels

	mu      sync.Mutex
	forget  func() // of the clients that were asked; nil before and after
	open    bool   // who asks knows how many there will be, or is told now
	over    bool
	due     int // answers still to come
	free    int // bytes that may still go unasked
	queue   []adapter.Message
	held    int // bytes of these, and of last
	gone    int // answers that will not come, and have not been told of
	omitted int // those of them that had no room
	made    int // pieces so far
	more    bool
	last    *message    // the piece that was asked for last: it may be lost
	went    time.Time   // when something last went unasked
	timer   *time.Timer // until what has come has been gathered
}

func (n *namespace) newReplies(q *message, due int) *replies {
	return &replies{n: n, q: q, key: q.parcel(), due: due, free: q.free}
}

// add takes an answer; without data it will not come, and with missing although its client is there.
func (a *replies) add(v adapter.Message, missing bool) {
	a.mu.Lock()
	a.due--
	switch size := weight(v); {
	case a.over:
	case a.q.free == 0:
		// A Node peer cannot be told that a client is gone.
		if gone := v.Data == nil; !gone || a.n.c.members.knows(a.q.uid) {
			a.n.respond(a.q, &message{kind: kindAck, event: v, gone: gone})
		}
	case v.Data == nil:
		a.gone++
		a.omitted += b2i(missing)
	case size > a.n.most():
		a.omit(lostLarge)
	case a.n.c.held.Add(int64(size)) > int64(a.n.c.cfg.MaxOutboxBytes):
		a.n.c.held.Add(-int64(size))
		a.omit(lostFull)
	default:
		a.held += size
		a.queue = append(a.queue, v)
	}
	a.flush()
	over := a.complete()
	a.mu.Unlock()
	if over {
		a.n.unkeep(a.key)
	}
}

// weight is what an answer counts for, in bytes.
func weight(v adapter.Message) int {
	n := len(v.Data) + 16
	for _, b := range v.Attachments {
		n += len(b) + 16
	}
	return n
}

// omit notes that an answer is left out. Called with mu held.
func (a *replies) omit(cause int) {
	a.n.c.stats.lost[cause].Add(1)
	a.gone++
	a.omitted++
}

// say tells who asks how many answers there will be; they may go from now on.
func (a *replies) say(count int, forget func()) {
	a.mu.Lock()
	a.n.respond(a.q, &message{kind: kindClientCount, count: count})
	a.due += count
	a.open, a.forget = true, forget
	a.flush()
	over := a.complete()
	a.mu.Unlock()
	if over {
		a.n.unkeep(a.key)
		a.end()
	}
}

// complete reports whether all is said, and need not be said again. Called with mu held.
func (a *replies) complete() bool {
	return a.over || a.open && a.due <= 0 && !a.more && a.last == nil && len(a.queue)+a.gone == 0
}

// flush sends what may go unasked, or says that there is more. Called with mu held.
func (a *replies) flush() {
	if a.over || !a.open || a.more || len(a.queue)+a.gone == 0 {
		return
	}
	if wait := moment - time.Since(a.went); a.due > 0 && wait > 0 {
		if a.timer == nil {
			a.timer = time.AfterFunc(wait, func() {
				a.mu.Lock()
				defer a.mu.Unlock()
				a.timer = nil
				a.flush()
			})
		}
		return
	}
	a.went = time.Now()
	a.release(a.last)
	m := a.take(a.free, false)
	if a.release(m); a.more {
		a.free = 0 // it goes on being asked for
	}
	a.n.respond(a.q, m)
}

// take makes the next piece, of some bytes or, if there is none of so few, of one answer alone. Called with mu held.
func (a *replies) take(room int, alone bool) *message {
	m := &message{kind: kindReplies, piece: a.made, left: a.gone, omitted: a.omitted}
	a.made++
	a.gone, a.omitted, a.last = 0, 0, nil
	k := 0
	for ; k < len(a.queue); k++ {
		size := weight(a.queue[k])
		if m.weight+size > room && (k > 0 || !alone) {
			break
		}
		m.weight += size
	}
	a.free -= m.weight
	m.event = together(a.queue[:k])
	clear(a.queue[:k])
	if a.queue = a.queue[k:]; len(a.queue) == 0 {
		a.queue = nil
	} else if next := weight(a.queue[0]); next > nextPiece {
		m.next = next
	}
	a.more = len(a.queue) > 0
	m.more = a.more
	return m
}

// release gives the room of a piece back. Called with mu held.
func (a *replies) release(m *message) {
	if m != nil {
		a.held -= m.weight
		a.n.c.held.Add(-int64(m.weight))
	}
}

// piece makes the next piece, or the last one again; nil if it is none of these.
func (a *replies) piece(i int) *message {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.over:
		return nil
	case a.last == nil || i != a.made-1:
		if i != a.made || !a.more {
			return nil
		}
		a.release(a.last)
		a.last = a.take(min(nextPiece, a.n.most()), true)
	}
	again := *a.last
	return &again
}

// end ends the question: nobody waits for what there is.
func (a *replies) end() {
	a.mu.Lock()
	forget := a.forget
	a.forget, a.over = nil, true
	a.n.c.held.Add(-int64(a.held))
	a.queue, a.last, a.held = nil, nil, 0
	if a.timer != nil {
		a.timer.Stop()
	}
	a.mu.Unlock()
	if forget != nil {
		forget()
	}
}

// together puts answers into one message: an array or, with binaries, MessagePack one behind the other, so that nobody's
// placeholders are those of others.
func together(list []adapter.Message) (m adapter.Message) {
	packed := false
	for _, v := range list {
		packed = packed || len(v.Attachments) > 0
	}
	m.Data = []byte{'['}
	var all []byte
	for i, v := range list {
		if packed {
			b, err := toMsgpack(all, v.Data, v.Attachments)
			if err != nil {
				b = append(all, 0xc0)
			}
			all = b
			continue
		}
		if i > 0 {
			m.Data = append(m.Data, ',')
		}
		m.Data = append(m.Data, v.Data...)
	}
	m.Data = append(m.Data, ']')
	if packed {
		m.Data, m.Attachments = []byte(`{"_placeholder":true,"num":0}`), [][]byte{all}
	}
	return m
}

// apart is the other way round.
func apart(m adapter.Message) (list []adapter.Message, err error) {
	if len(m.Attachments) > 0 {
		for b := m.Attachments[0]; len(b) > 0 && err == nil; {
			var v adapter.Message
			v.Data, v.Attachments, b, err = fromMsgpackRest(b)
			list = append(list, v)
		}
		return list, err
	}
	var values []jsontext.Value
	if err := json.Unmarshal(m.Data, &values, lenient); err != nil {
		return nil, err
	}
	for _, v := range values {
		list = append(list, adapter.Message{Data: bytes.TrimSpace(v)})
	}
	return list, nil
}

// replied hands on answers that came in a piece.
func (r *request) replied(m *message, list []adapter.Message) {
	if r.kind == kindServerSideEmit {
		if len(list)+m.left == 0 { // it is to come
			return
		}
		if r.answered(m.uid, len(list)) {
			for _, v := range list {
				r.put(m.uid, v, false)
			}
		}
		return
	}
	for _, v := range list {
		r.put(m.uid, v, false)
	}
	r.mu.Lock()
	n := max(0, min(m.left, r.waiting[m.uid]))
	if r.waiting[m.uid] -= n; r.waiting[m.uid] == 0 {
		delete(r.waiting, m.uid)
	}
	r.mu.Unlock()
	r.answers.Less(n)
}

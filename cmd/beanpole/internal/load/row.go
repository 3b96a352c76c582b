package load

import (
	"slices"
	"time"
)

// row is the broadcasts of one room, or those to all: they have one sender, and so an order.
type row struct {
	sent  uint32 // number of the last
	heard uint32 // the highest that anybody has heard
	void  []span // those that may never have reached the server
}

type span struct{ from, to uint32 }

func (r *row) isVoid(n uint32) bool {
	return slices.ContainsFunc(r.void, func(s span) bool { return n >= s.from && n <= s.to })
}

// broadcast numbers a broadcast.
func (b *book) broadcast(row int, due time.Time) word {
	b.mu.Lock()
	defer b.mu.Unlock()
	record(b.late, time.Since(due))
	b.broadcasts.Sent++
	r := &b.rows[row]
	r.sent++
	return word{uint32(row), r.sent, due.Sub(b.began)}
}

// heard takes an event of the server. One without a word, or with that of an event that its session wants acknowledged, is no broadcast
// of the load.
func (b *book) heard(e *entry, data []byte) {
	w, ok := find(data, b.prefix)
	if !ok || w.row&ofSession != 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over || e.gone {
		return
	}
	t := &b.broadcasts
	if int64(w.row) != int64(e.row) || w.seq == 0 || w.seq > b.rows[w.row].sent {
		t.Wrong++
		return
	}
	r := &b.rows[w.row]
	r.heard = max(r.heard, w.seq)
	_, missed := e.missing[w.seq]
	switch {
	case w.seq > e.last:
		b.miss(e, w.seq)
		e.last = w.seq
	case missed:
		delete(e.missing, w.seq)
		b.missing--
		t.Reordered++
	default:
		t.Doubled++
		return
	}
	t.arrived(time.Since(b.began) - w.due)
}

// miss notes what a session should have heard before a number. Called with mu held.
func (b *book) miss(e *entry, before uint32) {
	from := e.must
	if from == 0 || from > before {
		from = before
	}
	switch {
	case from <= e.last:
		from = e.last + 1
	case e.last > 0:
		b.broadcasts.Cut += uint64(from - e.last - 1) // it was away
	}
	r := &b.rows[e.row]
	for n := from; n < before; n++ {
		switch {
		case r.isVoid(n):
		case b.missing < maxMissing:
			e.missing[n] = struct{}{}
			b.missing++
		case !e.sender:
			b.broadcasts.Lost++
		}
	}
}

// tail reports whether the last broadcast is still to be heard. Called with mu held.
func (b *book) tail(e *entry) bool {
	if e.row < 0 {
		return false
	}
	r := &b.rows[e.row]
	return max(e.last+1, e.must) <= r.sent && !r.isVoid(r.sent)
}

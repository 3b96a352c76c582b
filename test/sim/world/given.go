package main

import (
	"fmt"
	"slices"
	"time"
)

// orderSome puts the sockets that are in a room, and not in another, into a new one, and those of a third out of it again.
// When that must have come everywhere it looks who is there.
func (d *driver) orderSome(n *node, nsp string) {
	w, in, out := d.w, d.pick(2), d.pick(1)
	if d.rng.IntN(2) == 0 {
		in = in[:1]
	}
	gap := between(d.rng, 0, time.Second) * time.Duration(d.rng.IntN(2))
	w.load.Go(func() {
		room := fmt.Sprintf("x%d", w.now())
		put := w.orderSome(n, nsp, in[:1], in[1:], room, true)
		if !w.pause(gap) {
			return
		}
		taken := w.orderSome(n, nsp, out, nil, room, false)
		if w.pause(time.Duration(reach + second/2)) {
			w.given(n, nsp, room, put, taken)
		}
	})
}

// order is one that was given: to the sockets in some rooms but those excepted.
type order struct {
	rooms, except []string
	from, to      int64 // the call
}

func (w *world) orderSome(n *node, nsp string, rooms, except []string, room string, in bool) order {
	w.mu.Lock()
	o := order{rooms: rooms, except: except, from: w.now()}
	w.line(n.name, fmt.Sprintf("orders %s %v except %v: %s %v", nsp, rooms, except, room, in))
	w.counts["orders to some"]++
	w.mu.Unlock()
	err := n.io.order(nsp, rooms, except, room, in)
	o.to = w.now()
	w.returned(call{n, room, "SocketsJoin or SocketsLeave", nil}, o.from, o.to, err)
	return o
}

// meets reports whether an order must have come to a life until a moment, which was steady until then, and whether it may
// have come. Called with mu held.
func (o *order) meets(l *life, now int64) (must, may bool) {
	until := o.to + reach
	any := func(is func(string, int64, int64) bool, list []string, to int64) bool {
		return slices.ContainsFunc(list, func(r string) bool { return is(r, o.from, to) })
	}
	return any(l.certainly, o.rooms, until) && !any(l.possibly, o.except, until),
		any(l.possibly, o.rooms, now) && !any(l.certainly, o.except, now)
}

// given checks who is in a room into which sockets were put, and taken out again.
func (w *world) given(n *node, nsp, room string, put, taken order) {
	got := map[string]bool{}
	w.mu.Lock()
	nodes := slices.Clone(w.all)
	w.mu.Unlock()
	for _, o := range nodes {
		for _, s := range o.io.members(nsp) {
			if slices.Contains(s.rooms(), room) {
				got[s.id()] = true
			}
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	unwell := w.model.unwell(put.from-settle-2*second, now) || n.dead || n.young(put.from)
	for _, l := range w.model.births {
		if l.nsp != nsp {
			continue
		}
		steady := l.steady(put.from, now) && !l.conn().node.young(put.from) && !unwell
		mustIn, mayIn := put.meets(l, now)
		mustOut, mayOut := taken.meets(l, now)
		must, mustNot := steady && mustIn && !mayOut, !mayIn || steady && mustOut
		switch {
		case must && !got[l.sid]:
			w.violate("rooms", l.client.name, "%s is not in %s, into which those of %v but of %v were put, and out of it those of %v", l.sid, room, put.rooms, put.except, taken.rooms)
		case mustNot && got[l.sid]:
			w.violate("rooms", l.client.name, "%s is in %s, into which only those of %v but of %v were put, and out of it those of %v", l.sid, room, put.rooms, put.except, taken.rooms)
		}
		switch {
		case must:
			w.counts["put into rooms"]++
		case mustNot && steady && mustIn:
			w.counts["taken out of rooms"]++
		}
	}
}

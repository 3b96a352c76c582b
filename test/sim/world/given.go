package main

import (
	"fmt"
	"slices"
	"time"
)

// orderSome puts the sockets of a room into another, which has none yet, takes those of a second room out of it again,
// and looks each time, when that must have come everywhere, who is in it.
func (d *driver) orderSome(n *node, nsp string) {
	in, out := d.pick(2), d.pick(1)
	if d.rng.IntN(2) == 0 {
		in = in[:1]
	}
	w := d.w
	w.load.Go(func() {
		room := fmt.Sprintf("x%d", w.now())
		nobody := map[*life]bool{}
		there := d.give(n, nsp, in[:1], in[1:], room, true, nobody)
		if there != nil {
			d.give(n, nsp, out, nil, room, false, there)
		}
	})
}

// give puts the sockets of nsp that are in rooms and in none of those excepted into a room, or takes them out of it, and
// returns who is in it then, or nil when the load has ended. before has who was in it, true, and of whom that is not
// known, false.
func (d *driver) give(n *node, nsp string, rooms, except []string, room string, in bool, before map[*life]bool) map[*life]bool {
	w := d.w
	w.mu.Lock()
	from := w.now()
	w.line(n.name, fmt.Sprintf("orders %s %v except %v: %s %v", nsp, rooms, except, room, in))
	w.counts["orders to some"]++
	w.mu.Unlock()
	err := n.io.order(nsp, rooms, except, room, in)
	done := w.now()
	w.returned(call{n, room, "SocketsJoin or SocketsLeave", nil}, from, done, err)
	if !w.pause(time.Duration(settle + second)) {
		return nil
	}
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
	unwell := w.model.unwell(from-settle-2*second, now) || n.dead || n.young(from)
	after := map[*life]bool{}
	for _, l := range w.model.births {
		if l.nsp != nsp {
			continue
		}
		k := l.conn()
		steady := l.steady(from, now) && !k.node.young(from)
		any := func(is func(string, int64, int64) bool, list []string, b int64) bool {
			return slices.ContainsFunc(list, func(r string) bool { return is(r, from, b) })
		}
		certain := steady && any(l.certainly, rooms, done+settle) && !any(l.possibly, except, done+settle)
		possible := any(l.possibly, rooms, now) && !any(l.certainly, except, now)
		was, known := before[l]
		must, mustNot := certain && in && !unwell, !possible && in && !was && (known || len(before) == 0)
		if !in {
			must, mustNot = steady && was && !possible, certain && !unwell
		}
		is := got[l.sid]
		switch {
		case must && !is:
			w.violate("rooms", l.client.name, "%s is not in %s, in which a server has put, or left, those of %v but of %v", l.sid, room, rooms, except)
		case mustNot && is:
			w.violate("rooms", l.client.name, "%s is in %s, though a server has put there those of %v but of %v only, or has taken it out (%v)", l.sid, room, rooms, except, in)
		}
		if must || mustNot {
			w.counts["orders to some, seen"]++
		}
		after[l] = is && steady // who comes back may be put there meanwhile
	}
	return after
}

package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/beanpole/beanpole/test/sim/plan"
)

// early is the room that middlewares of package server put sockets into.
const early = "early"

// early is what a middleware does with a socket: it is in a room, and is told something, once it is connected.
func (n *node) early(s nativeSocket) {
	s.join(early)
	x := n.w.emit(fmt.Sprintf("%s.%s.1", n.name, s.id()), n, emission{nsp: s.nsp(), kind: "early", only: s.id(), early: true, event: "e", args: []any{1}})
	n.w.emitted(x, s.emit(x.event, x.id(), 1))
}

// orderSome puts the sockets that are in a room, and not in another, into a new one, and those of a third out of it again.
// When that must have come everywhere it looks who is there.
func (d *driver) orderSome(n *node, nsp string) {
	w, in, out := d.w, d.pick(2), d.pick(1)
	if d.rng.IntN(2) == 0 {
		in = in[:1]
	}
	gap := between(d.rng, 0, time.Second) * time.Duration(d.rng.IntN(2))
	expels := w.plan.Does(plan.Leaving) && d.rng.IntN(2) == 0
	if d.rng.IntN(3) == 0 { // all of package server, who stay
		in[0], expels = early, false
	}
	w.load.Go(func() {
		room := fmt.Sprintf("x%d", w.now())
		put := w.orderSome(n, nsp, in[:1], in[1:], room, true)
		w.greet(n, nsp, room, &put)
		if !w.pause(gap) {
			return
		}
		taken := w.orderSome(n, nsp, out, nil, room, false)
		if !w.pause(time.Duration(reach + second/2)) {
			return
		}
		known := w.given(n, nsp, room, &put, &taken)
		if !w.pause(time.Duration(settle)) {
			return
		}
		w.greeted(n, &put)
		if known && expels && n.live() {
			w.expel(n, nsp, room)
		}
	})
}

// order is one that was given: to the sockets in some rooms but those excepted.
type order struct {
	n             *node // who gave it
	nsp, room     string
	rooms, except []string
	from, to      int64     // the call
	err           error     // that it has returned: who gave it was told that it is not done
	first         *emission // to the room, by who gave the order
	due           []*life   // who must get that
}

// greet emits to those who have just been put into a room, whoever has heard of that by now.
func (w *world) greet(n *node, nsp, room string, put *order) {
	put.first = w.emit(n.name+"+"+room, n, emission{nsp: nsp, kind: "to a new room", rooms: []string{room}, event: "e", args: []any{1}})
	err := n.io.send(put.first, []any{put.first.id(), 1})
	w.emitted(put.first, err)
	w.mu.Lock()
	w.model.puts = append(w.model.puts, put)
	w.mu.Unlock()
	w.returned(call{n, put.first.id(), "Emit", nil}, put.first.from, put.first.to, err)
}

// greeted checks that it has come to them.
func (w *world) greeted(n *node, put *order) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	if busy || w.model.unwell(put.from-settle-2*second, now) || n.dead || put.first.err != nil {
		return
	}
	for _, l := range put.due {
		if l.steady(put.from, now) && !l.seen[put.first] && !l.conn().node.lacks(n) {
			w.violate("delivery", put.first.id(), "%s (%s) never got it, and had been put into the room before: %s", l.client.name, l.sid, put.first)
		}
	}
}

// stayed notes who is in the rooms that servers have given when something was not well, or the load ended: where they are is
// seen in the end. What put them there was said before all that its server has sent there, which they have got as well then,
// unless it is counted.
func (w *world) stayed() {
	in := map[string][]string{} // sockets by room
	for _, n := range w.slots {
		for _, nsp := range namespaces {
			for _, s := range n.io.members(nsp) {
				for _, room := range s.rooms() {
					in[room] = append(in[room], s.id())
				}
			}
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, o := range w.model.puts {
		if o.err != nil || w.model.isLent(o.nsp, o.room) {
			continue
		}
		for _, sid := range in[o.room] {
			if l := w.model.lives[sid]; l != nil && l.steady(o.from, w.now()) {
				w.counts["put into rooms in trouble"]++
				l.stays = append(l.stays, &stay{room: o.room, in0: o.from, in1: o.to})
			}
		}
	}
}

func (w *world) orderSome(n *node, nsp string, rooms, except []string, room string, in bool) order {
	w.mu.Lock()
	o := order{n: n, nsp: nsp, room: room, rooms: rooms, except: except, from: w.now()}
	w.line(n.name, fmt.Sprintf("orders %s %v except %v: %s %v", nsp, rooms, except, room, in))
	w.counts["orders to some"]++
	w.mu.Unlock()
	o.err = n.io.order(nsp, rooms, except, room, in)
	o.to = w.now()
	w.returned(call{n, room, "SocketsJoin or SocketsLeave", nil}, o.from, o.to, o.err)
	return o
}

// meets reports whether an order must have come to a life until a moment, which was steady until then, and whether it may
// have come. Called with mu held.
func (o *order) meets(l *life, now int64) (must, may bool) {
	until := o.to + reach
	any := func(is func(string, int64, int64) bool, list []string, to int64) bool {
		return slices.ContainsFunc(list, func(r string) bool { return is(r, o.from, to) })
	}
	return o.err == nil && any(l.certainly, o.rooms, until) && !any(l.possibly, o.except, until),
		any(l.possibly, o.rooms, now) && !any(l.certainly, o.except, now)
}

// given checks who is in a room into which sockets were put, and taken out again, and reports whether that is known: then
// it is a room like others.
func (w *world) given(n *node, nsp, room string, put, taken *order) (known bool) {
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
			put.due = append(put.due, l)
			w.counts["put into rooms"]++
		case mustNot && steady && mustIn:
			w.counts["taken out of rooms"]++
		}
		switch {
		case unwell || !mayIn:
		case mustNot || steady && !got[l.sid]: // it may have been in between, and gets late what was sent then
			l.stays = append(l.stays, &stay{room: room, in0: put.from, out1: now})
		case steady:
			l.stays = append(l.stays, &stay{room: room, in0: put.from, in1: now})
		default:
			l.stays = append(l.stays, &stay{room: room, in0: put.from})
		}
	}
	if !unwell {
		w.model.lent = append(w.model.lent, [2]string{nsp, room})
	}
	return !unwell
}

// ofServer reports whether a room is one into which servers put sockets: clients join others.
func ofServer(room string) bool { return strings.HasPrefix(room, "x") }

// isLent reports whether it is known who is in a room that a server has given. Called with world.mu held.
func (m *model) isLent(nsp, room string) bool {
	return slices.Contains(m.lent, [2]string{nsp, room})
}

// lent returns one of the rooms that servers have given in a namespace, "" if there is none.
func (w *world) lent(nsp string, k int) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []string
	for _, x := range w.model.lent {
		if x[0] == nsp {
			list = append(list, x[1])
		}
	}
	if len(list) == 0 {
		return ""
	}
	return list[k%len(list)]
}

// expel disconnects the sockets in a room that servers have given, and checks that it has come to them. That nobody else
// is disconnected his client checks.
func (w *world) expel(n *node, nsp, room string) {
	w.mu.Lock()
	from := w.now()
	var due []*conn
	for _, l := range w.model.births {
		k := l.conn()
		if l.nsp != nsp || k == nil || !l.possibly(room, from, from) {
			continue
		}
		if l.certainly(room, from, from) && l.steady(from, from) && !k.node.young(from) {
			due = append(due, k)
		}
		k.kicked, l.putOut = true, from
		l.unsettle(from)
	}
	w.line(n.name, fmt.Sprintf("disconnects those in %s of %s, %d at least", room, nsp, len(due)))
	w.counts["disconnected by their rooms"] += len(due)
	w.mu.Unlock()
	err := n.io.expel(nsp, []string{room}, nil)
	w.returned(call{n, room, "DisconnectSockets", nil}, from, w.now(), err)
	if !w.pause(time.Duration(reach + second/2)) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.model.unwell(from-settle-2*second, w.now()) || n.dead || err != nil {
		return
	}
	for _, k := range due {
		if !k.node.dead && k.sock.connected() {
			w.violate("rooms", room, "%s is connected, and those in %s were disconnected", k.sock.id(), room)
		}
	}
}

// rooms are those it is certainly in now, and those it may be in.
func (l *life) rooms() (certain, possible []string) {
	for _, s := range l.stays {
		if s.in1 != 0 && s.out0 == 0 {
			certain = append(certain, s.room)
		}
		if s.out1 == 0 {
			possible = append(possible, s.room)
		}
	}
	return certain, possible
}

// fits reports whether the rooms that a server says it is in are those of the model.
func (l *life) fits(got []string) bool {
	certain, possible := l.rooms()
	for _, room := range got {
		if room != l.sid && !ofServer(room) && !slices.Contains(possible, room) {
			return false
		}
	}
	return !slices.ContainsFunc(certain, func(room string) bool { return !slices.Contains(got, room) })
}

// join and leave note a call on the socket's own node; the second is called when it has returned. On a socket
// that has just been disconnected they have no effect, and nobody knows when that was.
func (w *world) join(l *life, k *conn, room string) (joined func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.line(l.client.name, "joins "+room)
	if slices.ContainsFunc(l.stays, func(s *stay) bool { return s.room == room && s.in1 != 0 && s.out0 == 0 }) {
		return func() {}
	}
	s := &stay{room: room, in0: w.now()}
	l.stays = append(l.stays, s)
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if k.obeys() {
			s.in1 = w.now()
		}
	}
}

func (w *world) leave(l *life, k *conn, room string) (left func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var gone []*stay
	for _, s := range l.stays {
		if s.room == room && s.out1 == 0 {
			if s.out0 == 0 {
				s.out0 = w.now()
			}
			gone = append(gone, s)
		}
	}
	w.line(l.client.name, "leaves "+room)
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if !k.obeys() {
			return
		}
		for _, s := range gone {
			s.out1 = w.now()
		}
	}
}

package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/beanpole/beanpole/test/sim/plan"
)

// rooms are those that clients join by themselves; those that begin with x are given by servers.
// The name of the last is longer than those that get a channel of their own in Redis. Source: docs/limits.md.
var rooms = []string{"a", "b", "c", "d", "e", "f", "g", "long" + strings.Repeat("g", 300)}

// namespaces are those that clients connect to. The others of the pattern come and go.
var namespaces = []string{"/", "/game-1", "/game-2"}

// closed is one of the pattern whose middleware lets nobody in.
const closed = "/game-9"

// asked are those that clients ask for.
var asked = append(slices.Clone(namespaces), closed)

// driver is what a slot's servers do on their own account.
type driver struct {
	w    *world
	slot int
	rng  *rand.Rand
}

// drive acts for the node of a slot until the load ends.
func (w *world) drive(slot int) {
	d := &driver{w: w, slot: slot, rng: w.rng(fmt.Sprintf("load %d", slot))}
	for w.pause(between(d.rng, 10*time.Millisecond, 250*time.Millisecond)) {
		if n := w.node(slot); n.live() {
			d.act(n)
		}
	}
}

// node is the node of a slot now.
func (w *world) node(slot int) *node {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.slots[slot]
}

// stood reports whether a node stood still at any time from a to b.
func (w *world) stood(n *node, a, b int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return n.stood(a, b)
}

// named finds a node by its name.
func (w *world) named(name string) *node {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range w.all {
		if n.name == name {
			return n
		}
	}
	return nil
}

// act does one thing. What waits for others does so beside the rest.
func (d *driver) act(n *node) {
	p := &d.w.plan
	nsp := "/"
	if p.Does(plan.Namespaces) && d.rng.IntN(4) == 0 {
		nsp = namespaces[1+d.rng.IntN(2)]
	}
	switch d.rng.IntN(16) {
	case 0, 1, 2, 3, 4, 5, 6:
		if p.Does(plan.Broadcasts) {
			d.broadcast(n, nsp)
		}
	case 7:
		if p.Does(plan.Volatile) {
			d.send(n, d.some(emission{nsp: nsp, kind: "volatile", volatile: true}))
		}
	case 8:
		if p.Does(plan.Broadcasts) {
			d.send(n, d.some(emission{nsp: nsp, kind: "local", local: true}))
		}
	case 9, 10:
		if p.Does(plan.Acks) {
			x := d.some(emission{})
			if n.library {
				x.except = nil
			}
			d.w.load.Go(func() { d.askAll(n, nsp, x.rooms, x.except) })
		}
	case 11, 12:
		if p.Does(plan.Servers) {
			d.servers(n)
		}
	case 13, 14:
		if p.Does(plan.Queries) {
			x, ask := d.some(emission{}), d.query
			if d.rng.IntN(3) == 0 {
				ask = d.tally
			}
			d.w.load.Go(func() { ask(n, nsp, x.rooms, x.except) })
		}
	case 15:
		switch {
		case !p.Does(plan.Rooms):
		case d.slot == 0 && d.rng.IntN(2) == 0: // one gives the orders, so that the last is known
			d.order(n)
		default:
			d.orderSome(n, nsp)
		}
	}
}

func (d *driver) pick(k int) []string {
	order := d.rng.Perm(len(rooms))
	var out []string
	for _, i := range order[:k] {
		out = append(out, rooms[i])
	}
	return out
}

// some adds to a selection none to two rooms, of those that servers gave too, and in half of the cases exceptions; now
// and then many of them.
func (d *driver) some(e emission) emission {
	picked := d.pick(len(rooms))
	if x := d.w.lent(e.nsp, d.rng.IntN(1<<16)); x != "" && d.rng.IntN(3) == 0 {
		picked[d.rng.IntN(4)] = x
	}
	if d.rng.IntN(4) == 0 {
		picked[d.rng.IntN(4)] = early
	}
	in, out := d.rng.IntN(3), 1+d.rng.IntN(2)
	switch d.rng.IntN(6) {
	case 0:
		in = 5 + d.rng.IntN(2)
	case 1:
		out = 5 + d.rng.IntN(2)
	}
	e.rooms = picked[:in]
	if d.rng.IntN(2) == 0 {
		e.except = picked[in : in+out]
	}
	return e
}

// broadcast emits to rooms, to all, or to one socket.
func (d *driver) broadcast(n *node, nsp string) {
	switch d.rng.IntN(6) {
	case 0:
		d.send(n, emission{nsp: nsp, kind: "all"})
	case 1:
		d.send(n, d.some(emission{nsp: nsp, kind: "except"}))
	case 2:
		if d.rng.IntN(2) == 0 {
			if l := d.socket(nsp, n); l != nil {
				d.send(n, emission{nsp: nsp, kind: "direct", only: l.sid, direct: true})
			}
		} else if l := d.socket(nsp, nil); l != nil {
			d.send(n, emission{nsp: nsp, kind: "socket", only: l.sid})
		}
	case 3:
		if l := d.socket(nsp, n); l != nil {
			d.send(n, d.some(emission{nsp: nsp, kind: "others", skip: l.sid}))
		}
	default:
		picked := d.pick(1 + d.rng.IntN(2))
		d.send(n, emission{nsp: nsp, kind: "rooms", rooms: picked})
	}
}

// socket draws one that is connected, of a node if that is not nil.
func (d *driver) socket(nsp string, n *node) *life {
	d.w.mu.Lock()
	defer d.w.mu.Unlock()
	var list []*life
	for _, l := range d.w.model.births {
		if c := l.conn(); c != nil && l.nsp == nsp && l.over == 0 && c.closed == 0 && (n == nil || c.node == n) {
			list = append(list, l)
		}
	}
	if len(list) == 0 {
		return nil
	}
	return list[d.rng.IntN(len(list))]
}

// send emits.
func (d *driver) send(n *node, e emission) {
	text := strings.Repeat([]string{"x", "x", "x", "\u00e9\U0001f600"}[d.rng.IntN(4)], d.rng.IntN(8)*d.rng.IntN(200))
	if d.rng.IntN(60) == 0 {
		text = strings.Repeat("large", 1<<14) // its frame has a length of eight bytes
	}
	k := d.rng.IntN(100)
	if d.w.plan.Does(plan.Binary) && k%4 == 0 {
		k = -k - 1
	}
	d.w.send(n, n.name, e, text, k)
}

// send emits, as an event of a source, with a text and a number; if that is below zero with binaries.
func (w *world) send(n *node, src string, e emission, text string, k int) {
	e.event, e.args = "e", []any{text, k}
	if k < 0 {
		e.args = append([]any{map[string]any{"b": []byte(text), "c": []byte{}}}, e.args...)
	}
	x := w.emit(src, n, e)
	err := n.io.send(x, append([]any{x.id()}, x.args...))
	w.emitted(x, err)
	w.returned(call{n, x.id(), "Emit", w.life(x.only + x.skip)}, x.from, x.to, err)
}

// orders are the rooms that servers give: what was ordered last.
type orders struct {
	at  int64
	in  bool
	err error // that it has returned
}

// order puts all sockets of the cluster into a room, or out of it.
func (d *driver) order(n *node) {
	w := d.w
	room := []string{"x1", "x2"}[d.rng.IntN(2)]
	in := d.rng.IntN(2) == 0
	w.mu.Lock()
	o := &orders{at: w.now(), in: in}
	w.model.given[room] = o
	w.line(n.name, fmt.Sprintf("orders all: %s %v", room, in))
	w.counts["orders"]++
	w.mu.Unlock()
	from := w.now()
	o.err = n.io.order("/", nil, nil, room, in)
	w.returned(call{n, room, "SocketsJoin", nil}, from, w.now(), o.err)
}

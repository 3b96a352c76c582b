package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/test/sim/plan"
)

// rooms are those that clients join by themselves; those that begin with x are given by servers.
var rooms = []string{"a", "b", "c", "d"}

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
			picked := d.pick(1)
			d.send(n, emission{nsp: nsp, kind: "volatile", volatile: true, rooms: picked})
		}
	case 8:
		if p.Does(plan.Broadcasts) {
			d.send(n, emission{nsp: nsp, kind: "local", local: true})
		}
	case 9, 10:
		if p.Does(plan.Acks) {
			room := d.pick(1)
			d.w.load.Go(func() { d.askAll(n, nsp, room) })
		}
	case 11, 12:
		if p.Does(plan.Servers) {
			d.servers(n)
		}
	case 13, 14:
		if p.Does(plan.Queries) {
			picked := d.pick(2)
			in, out := d.rng.IntN(2), 1+d.rng.IntN(2)
			d.w.load.Go(func() { d.query(n, nsp, picked[:in], picked[out:]) })
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

// broadcast emits to rooms, to all, or to one socket.
func (d *driver) broadcast(n *node, nsp string) {
	switch d.rng.IntN(6) {
	case 0:
		d.send(n, emission{nsp: nsp, kind: "all"})
	case 1:
		picked := d.pick(3)
		d.send(n, emission{nsp: nsp, kind: "except", rooms: picked[:2], except: picked[2:]})
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
			d.send(n, emission{nsp: nsp, kind: "others", skip: l.sid, rooms: d.pick(1)})
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
	k := d.rng.IntN(100)
	if d.w.plan.Does(plan.Binary) && k%4 == 0 {
		k = -k - 1
	}
	d.w.send(n, n.name, e, text, k)
}

// send emits, as an event of a source, with a text and a number; if that is below zero with binaries.
func (w *world) send(n *node, src string, e emission, text string, k int) {
	e.text = &text
	x := w.emit(src, n, e)
	args := []any{x.id()}
	if k < 0 {
		args = append(args, map[string]any{"b": []byte(x.id()), "c": []byte{}})
	}
	err := n.io.send(x, append(args, text, k))
	w.emitted(x, err)
	w.returned(call{n, x.id(), "Emit", w.life(x.only + x.skip)}, x.from, x.to, err)
}

// askAll broadcasts and waits for the acknowledgements.
func (d *driver) askAll(n *node, nsp string, picked []string) {
	w := d.w
	// Each is a source of its own: the calls wait beside each other, so there is no order between them.
	e := w.emit(fmt.Sprintf("%s?%d", n.name, w.now()/1000), n, emission{nsp: nsp, kind: "ask all", rooms: picked, ack: true})
	answers, err := n.io.askAll(nsp, picked, e.id())
	w.emitted(e, err)
	if took := e.to - e.from; took > int64(askTimeout+slack) && !w.stood(n, e.from, e.to) {
		w.violated("wait-ends", e.id(), "the wait for acknowledgements took %s", time.Duration(took))
	}
	got := map[string]int{}
	for _, text := range answers {
		if !strings.HasPrefix(text, e.id()+"|") {
			w.violated("ack-match", e.id(), "one acknowledgement is %s", text)
			continue
		}
		got[strings.TrimPrefix(text, e.id()+"|")]++
	}
	d.compare(n, "acks", e.id(), got, nsp, picked, nil, e.from, e.to, err)
}

// compare checks the answers of sockets, by their ids: those that must be among them when there is no error,
// and those that cannot be.
func (d *driver) compare(n *node, what, about string, got map[string]int, nsp string, picked, except []string, from, to int64, err error) {
	w := d.w
	w.mu.Lock()
	var missing, wrong []string
	for _, l := range w.model.births {
		if l.nsp != nsp {
			continue
		}
		certain, times := l.steady(from, to), 0 // one that recovers elsewhere meanwhile may be described by both
		for _, k := range l.conns {
			if k.from <= to && (k.closed == 0 || k.closed >= from) {
				times++
			}
		}
		possible := times > 0
		if len(picked) > 0 {
			certain = certain && slices.ContainsFunc(picked, func(r string) bool { return l.certainly(r, from, to) })
			possible = possible && slices.ContainsFunc(picked, func(r string) bool { return l.possibly(r, from, to) })
		}
		certain = certain && !slices.ContainsFunc(except, func(r string) bool { return l.possibly(r, from, to) })
		possible = possible && !slices.ContainsFunc(except, func(r string) bool { return l.certainly(r, from, to) })
		switch k := got[l.sid]; {
		case k > 1 && k > times:
			wrong = append(wrong, fmt.Sprintf("%s %d times", l.sid, k))
		case k == 1 && !possible:
			wrong = append(wrong, l.sid+" which cannot be")
		case k == 0 && certain && err == nil && !l.conn().node.young(from) && !n.young(from):
			missing = append(missing, l.sid+" of "+l.client.name)
		}
		delete(got, l.sid)
	}
	for sid := range got {
		wrong = append(wrong, sid+" which nobody knows")
	}
	// While nodes do not hear each other, who asks may not know that there is another.
	excused := w.model.unwell(from-settle-2*second, to)
	w.counts[what]++
	if err != nil {
		w.counts[what+" with an error"]++
	}
	w.mu.Unlock()
	slices.Sort(wrong)
	if len(wrong) > 0 {
		w.violated(what+"-right", about, "answers of %s", strings.Join(wrong, ", "))
	}
	if len(missing) > 0 && !excused {
		w.violated(what+"-complete", about, "no answer of %s, and no error", strings.Join(missing, ", "))
	}
	if partial, ok := errors.AsType[*adapter.PartialError](err); err != nil && (!ok || partial.Nodes == 0 && partial.Clients == 0 && partial.Err == nil) && n.live() {
		w.violated(what+"-error", about, "the error is %v", err)
	}
}

// query asks the cluster who is there.
func (d *driver) query(n *node, nsp string, picked, except []string) {
	w := d.w
	w.mu.Lock()
	from := w.now()
	w.counts["query"]++
	about := fmt.Sprintf("%s fetch %d", n.name, from)
	w.line(n.name, fmt.Sprintf("fetch %d %s %v except %v", from, nsp, picked, except))
	w.mu.Unlock()
	list, err := n.io.fetch(nsp, picked, except)
	w.mu.Lock()
	to := w.now()
	w.line(n.name, fmt.Sprintf("fetch %d has %d err=%v", from, len(list), err))
	w.mu.Unlock()
	if took := to - from; took > int64(fetchTimeout+slack) && !w.stood(n, from, to) {
		w.violated("wait-ends", about, "FetchSockets took %s", time.Duration(took))
	}
	got := map[string]int{}
	for _, id := range list {
		got[id]++
	}
	d.compare(n, "queries", about, got, nsp, picked, except, from, to, err)
}

// servers emits to the other servers.
func (d *driver) servers(n *node) {
	w := d.w
	if d.rng.IntN(2) == 0 {
		w.load.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
			defer cancel()
			_ = d.askServers(ctx, n)
		})
		return
	}
	id, from := w.tell(n, "")
	err := n.io.say(id)
	w.returned(call{n, id, "ServerSideEmit", nil}, from, w.now(), err)
	w.load.Go(func() {
		time.Sleep(time.Duration(2 * settle))
		d.heard(n, id, from, from+2*settle)
	})
}

// tell returns the id of an event to the other servers, which ends in a mark.
func (w *world) tell(n *node, mark string) (id string, from int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	from = w.now()
	id = fmt.Sprintf("%s|%d%s", n.name, from, mark)
	w.line(n.name, "server-side emit "+id)
	w.counts["server-side"]++
	return id, from
}

// askServers asks the other servers for their names.
func (d *driver) askServers(ctx context.Context, n *node) error {
	w := d.w
	id, from := w.tell(n, "?")
	end, _ := ctx.Deadline()
	answers, err := n.io.sayAsk(ctx, id)
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	to := w.now()
	w.note(n.name, "server-side %s has %d answers err=%v", id, len(answers), err)
	if time.Since(end) > slack && !w.stood(n, from, to) {
		w.violated("wait-ends", id, "ServerSideEmitWithAck took %s", time.Duration(to-from))
	}
	names := map[string]bool{}
	for _, name := range answers {
		if w.named(name) == nil || names[name] || name == n.name {
			w.violated("server-side", id, "answer %s", name)
		}
		names[name] = true
	}
	if err == nil {
		d.heard(n, id, from, to)
	}
	return err
}

// heard checks that the servers that were well all the time have got an event of n.
func (d *driver) heard(n *node, id string, from, to int64) {
	w := d.w
	w.mu.Lock()
	var deaf []string
	if !w.model.unwell(from-settle-2*second, to) && !n.dead && !n.young(from) {
		for _, o := range w.all {
			if o != n && !o.dead && !o.draining && !o.closed && o.from < from && !o.young(from) && o.sse[id] == 0 {
				deaf = append(deaf, o.name)
			}
		}
	}
	w.mu.Unlock()
	if len(deaf) > 0 {
		w.violated("server-side", id, "%v did not get it", deaf)
	}
}

// orders are the rooms that servers give: what was ordered last.
type orders struct {
	at int64
	in bool
}

// order puts all sockets of the cluster into a room, or out of it.
func (d *driver) order(n *node) {
	w := d.w
	room := []string{"x1", "x2"}[d.rng.IntN(2)]
	in := d.rng.IntN(2) == 0
	w.mu.Lock()
	w.model.given[room] = &orders{at: w.now(), in: in}
	w.line(n.name, fmt.Sprintf("orders all: %s %v", room, in))
	w.counts["orders"]++
	w.mu.Unlock()
	from := w.now()
	err := n.io.order("/", nil, nil, room, in)
	w.returned(call{n, room, "SocketsJoin", nil}, from, w.now(), err)
}

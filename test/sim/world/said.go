package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/beanpole/beanpole/adapter"
)

// side is a namespace of servers alone, beside "/": clients do not ask for it.
const side = "/side"

// told is what a server tells the others.
type told struct {
	n       *node
	id, nsp string
	what    any
	asks    bool // for an answer
	from    int64
}

// hears is what a server has heard of another in a namespace.
type hears struct {
	said int64          // when the last event that asks nothing was emitted
	came map[string]int // the numbers in which all came to the server, by their ids
	last int            // the highest of which a handler has begun
	busy bool           // a handler of one that asks nothing runs
}

// servers emits to the other servers, now and then several things in a row.
func (d *driver) servers(n *node) {
	nsp := []string{"/", side}[d.rng.IntN(2)]
	for range 1 + d.rng.IntN(4)*d.rng.IntN(2) {
		x := &told{n: n, nsp: nsp, asks: d.rng.IntN(2) == 0}
		d.w.telling(d.rng, x)
		if x.asks {
			d.w.load.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
				defer cancel()
				_ = d.w.askServers(ctx, x)
			})
		} else {
			d.say(n, x)
		}
		if !d.w.pause(between(d.rng, callLimit, 3*callLimit)) {
			return
		}
	}
}

// say tells the others something that asks nothing.
func (d *driver) say(n *node, x *told) {
	w := d.w
	w.tell(x)
	err := n.io.say(x.nsp, x.id, x.what)
	w.returned(call{n, x.id, "ServerSideEmit", nil}, x.from, w.now(), err)
	w.load.Go(func() {
		time.Sleep(time.Duration(2 * settle))
		w.heard(x, x.from+2*settle)
	})
}

// telling draws what is said to the other servers.
func (w *world) telling(rng *rand.Rand, x *told) {
	b := make([]byte, rng.IntN(300))
	for i := range b {
		b[i] = byte(rng.IntN(256))
	}
	x.what = []any{b, map[string]any{"b": b, "l": []any{-1.5, nil, []byte{}, "\u2028"}}, "text", -5}[rng.IntN(4)]
}

// tell notes that something is about to be said to the other servers. The id of a question ends in a mark.
func (w *world) tell(x *told) {
	w.mu.Lock()
	defer w.mu.Unlock()
	x.from = w.now()
	x.id = fmt.Sprintf("%s|%d", x.n.name, x.from)
	if x.asks {
		x.id += "?"
	}
	w.model.said[x.id] = x
	w.line(x.n.name, "server-side emit "+x.id+" "+x.nsp)
	w.counts["server-side"]++
}

// askServers asks the other servers for their names.
func (w *world) askServers(ctx context.Context, x *told) error {
	n, end := x.n, time.Time{}
	end, _ = ctx.Deadline()
	if n.library { // whose calls have no time-out of their own
		end = time.Now().Add(fetchTimeout)
	}
	w.tell(x)
	answers, err := n.io.sayAsk(ctx, x.nsp, x.id, x.what)
	to := w.now()
	w.note(n.name, "server-side %s has %d answers err=%v", x.id, len(answers), err)
	if time.Since(end) > slack && !w.stood(n, x.from, to) {
		w.violated("wait-ends", x.id, "ServerSideEmitWithAck took %s", time.Duration(to-x.from))
	}
	names := map[string]bool{}
	for _, name := range answers {
		if w.named(name) == nil || names[name] || name == n.name {
			w.violated("server-side", x.id, "answer %s", name)
		}
		names[name] = true
	}
	if err == nil {
		w.heard(x, to)
		if silent := w.hearers(x, to, func(o *node) bool { return !names[o.name] }); len(silent) > 0 {
			w.violated("server-side", x.id, "no answer of %v, and no error: only of %v", silent, slices.Sorted(maps.Keys(names)))
		}
		return nil
	}
	w.mu.Lock()
	excused := busy || n.overflowed(err) || n.gone != 0 || w.model.unwell(x.from-settle-2*second, to) || w.changing(x.from, to)
	w.mu.Unlock()
	if !excused {
		w.violated("server-side", x.id, "the error is %v, and nothing is missing", err)
	}
	return err
}

// heard checks that the servers that were well all the time have got what was said.
func (w *world) heard(x *told, to int64) {
	if deaf := w.hearers(x, to, func(o *node) bool { return o.sse[x.id] == 0 }); len(deaf) > 0 {
		w.violated("server-side", x.id, "%v did not get it", deaf)
	}
}

// hearers are those of the servers that must have got what was said by a moment, that do not have it.
func (w *world) hearers(x *told, to int64, lacks func(*node) bool) (out []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.model.unwell(x.from-settle-2*second, to) || x.n.dead || x.n.young(x.from) {
		return nil
	}
	for _, o := range w.all {
		if o != x.n && !o.dead && !o.draining && !o.closed && o.from < x.from && !o.young(x.from) && lacks(o) {
			out = append(out, o.name)
		}
	}
	return out
}

// heard takes what another server says. Now and then that takes a while.
func (n *node) heard(nsp, id string, what any) string {
	n.w.mu.Lock()
	n.sse[id]++
	again, own, x := n.sse[id] > 1, strings.HasPrefix(id, n.name+"|"), n.w.model.said[id]
	n.w.line(n.name, "server-side "+id)
	if x == nil {
		n.w.mu.Unlock()
		n.w.violated("server-side", id, "%s got it, and nobody has said it", n.name)
		return n.name
	}
	h := n.hearing(x)
	behind, beside := h.behind(x), h.busy
	h.busy = h.busy || !x.asks
	n.w.mu.Unlock()
	if !x.asks {
		defer func() {
			n.w.mu.Lock()
			defer n.w.mu.Unlock()
			h.busy = false
		}()
	}
	if beside {
		n.w.violated("server-side", id, "%s got it while a handler of another one ran", n.name)
	}
	if again {
		n.w.violated("server-side", id, "%s got it twice", n.name)
	}
	if own {
		n.w.violated("server-side", id, "%s got its own", n.name)
	}
	if behind != "" && !again {
		n.w.violated("server-side", id, "%s got it behind one %s", n.name, behind)
	}
	if x.nsp != nsp || !same(x.what, what) {
		n.w.violated("content", id, "%s got %.200q in %s, and it was said otherwise", n.name, what, nsp)
	}
	if rng := n.w.rng("hears " + id + n.name); rng.IntN(3) == 0 {
		time.Sleep(between(rng, 0, 200*time.Millisecond))
	}
	return n.name
}

// arrivals is a namespace of a node, and notes in which order it is told what others say.
type arrivals struct {
	adapter.Namespace
	n *node
}

func (a arrivals) ServerEvent(m adapter.Message, reply func(adapter.Message)) {
	var list []any
	if json.Unmarshal(m.Data, &list) == nil && len(list) > 1 {
		id, _ := list[1].(string)
		a.n.w.mu.Lock()
		if x := a.n.w.model.said[id]; x != nil {
			h := a.n.hearing(x)
			h.came[id] = len(h.came) + 1
		}
		a.n.w.mu.Unlock()
	}
	a.Namespace.ServerEvent(m, reply)
}

// hearing is what the node has heard of who said x, in its namespace. Called with mu held.
func (n *node) hearing(x *told) *hears {
	key := x.n.name + x.nsp
	if n.heardOf[key] == nil {
		n.heardOf[key] = &hears{came: map[string]int{}}
	}
	return n.heardOf[key]
}

// behind says which one x comes behind though it is to come before it: of those that ask nothing one that was emitted later,
// and of all one that came to the server later. A question is published when the servers are counted that it goes to, and
// again when a connection has broken, so it has no place among the emits. Called with mu held.
func (h *hears) behind(x *told) string {
	said, last := h.said, h.last
	h.last = max(last, h.came[x.id])
	if !x.asks {
		h.said = max(said, x.from)
	}
	switch {
	case !x.asks && x.from < said:
		return fmt.Sprintf("emitted at %d", said)
	case h.came[x.id] < last:
		return "that came later"
	}
	return ""
}

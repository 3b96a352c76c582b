package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// side is a namespace of servers alone, beside "/": clients do not ask for it.
const side = "/side"

// told is what a server tells the others.
type told struct {
	n       *node
	id, nsp string
	what    any
	from    int64
}

// servers emits to the other servers.
func (d *driver) servers(n *node) {
	w := d.w
	if d.rng.IntN(2) == 0 {
		x := w.tell(n, d.rng, "?")
		w.load.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
			defer cancel()
			_ = w.askServers(ctx, x)
		})
		return
	}
	x := w.tell(n, d.rng, "")
	err := n.io.say(x.nsp, x.id, x.what)
	w.returned(call{n, x.id, "ServerSideEmit", nil}, x.from, w.now(), err)
	w.load.Go(func() {
		time.Sleep(time.Duration(2 * settle))
		w.heard(x, x.from+2*settle)
	})
}

// tell draws where something is said to the other servers, and what, and notes it. Its id ends in a mark.
func (w *world) tell(n *node, rng *rand.Rand, mark string) *told {
	b := make([]byte, rng.IntN(300))
	for i := range b {
		b[i] = byte(rng.IntN(256))
	}
	x := &told{n: n, nsp: []string{"/", side}[rng.IntN(2)],
		what: []any{b, map[string]any{"b": b, "l": []any{-1.5, nil, []byte{}, "\u2028"}}, "text", -5}[rng.IntN(4)]}
	w.mu.Lock()
	defer w.mu.Unlock()
	x.from = w.now()
	x.id = fmt.Sprintf("%s|%d%s", n.name, x.from, mark)
	w.model.said[x.id] = x
	w.line(n.name, "server-side emit "+x.id+" "+x.nsp)
	w.counts["server-side"]++
	return x
}

// askServers asks the other servers for their names.
func (w *world) askServers(ctx context.Context, x *told) error {
	n, end := x.n, time.Time{}
	end, _ = ctx.Deadline()
	answers, err := n.io.sayAsk(ctx, x.nsp, x.id, x.what)
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
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

// heard takes what another server says.
func (n *node) heard(nsp, id string, what any) string {
	n.w.mu.Lock()
	n.sse[id]++
	again, own, x := n.sse[id] > 1, strings.HasPrefix(id, n.name+"|"), n.w.model.said[id]
	from, late := n.lateServerSide(nsp, id)
	n.w.line(n.name, "server-side "+id)
	n.w.mu.Unlock()
	if again {
		n.w.violated("server-side", id, "%s got it twice", n.name)
	}
	if own {
		n.w.violated("server-side", id, "%s got its own", n.name)
	}
	if late && !again {
		n.w.violated("server-side", id, "%s got it after that of %d", n.name, from)
	}
	if x == nil || x.nsp != nsp || !same(x.what, what) {
		n.w.violated("content", id, "%s got %.200q in %s, and it was said otherwise", n.name, what, nsp)
	}
	return n.name
}

// lateServerSide reports whether an event of another server, unless it is a question, comes after a later one of the
// namespace, and of when that is. Called with mu held.
func (n *node) lateServerSide(nsp, id string) (from int64, late bool) {
	of, at, _ := strings.Cut(id, "|")
	t, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return 0, false
	}
	from = n.sseFrom[of+nsp]
	n.sseFrom[of+nsp] = max(from, t)
	return from, t < from
}

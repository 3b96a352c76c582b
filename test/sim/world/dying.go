package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// gone is how long a question waits at most for a server that was killed. Source: docs/adapters.md.
const gone = 2500 * time.Millisecond

// dying has another server ask n, and all others, just before n is killed.
func (w *world) dying(n *node, rng *rand.Rand) {
	var list []*node
	for slot := range w.plan.Nodes {
		if o := w.node(slot); o != n && o.live() && w.redis != nil {
			list = append(list, o)
		}
	}
	if len(list) == 0 {
		return
	}
	by := list[rng.IntN(len(list))]
	d := &driver{w: w, slot: by.slot, rng: rng}
	w.count("questions to a dying server")
	x := &told{n: by, nsp: []string{"/", side}[rng.IntN(2)], asks: true}
	w.telling(rng, x)
	w.load.Go(func() { d.askAll(by, "/", nil, nil) })
	w.load.Go(func() { d.waits(by, n, "FetchSockets", func() { d.query(by, "/", nil, nil) }) })
	w.load.Go(func() {
		d.waits(by, n, "ServerSideEmitWithAck", func() {
			ctx, cancel := context.WithTimeout(context.Background(), 2*askTimeout)
			defer cancel()
			if err := w.askServers(ctx, x); errors.Is(err, context.DeadlineExceeded) {
				w.note(by.name, "was not answered: %v", err)
			}
		})
	})
	time.Sleep(between(rng, 0, 4*time.Millisecond))
}

// waits checks that a question ends soon though a server that it went to is killed meanwhile.
func (d *driver) waits(by, n *node, what string, ask func()) {
	w := d.w
	from := w.now()
	ask()
	to := w.now()
	w.mu.Lock()
	excused := w.model.unwell(from-settle-2*second, to) || by.dead || by.draining || by.closed
	for _, o := range w.all {
		excused = excused || o != n && o.from < from && (o.young(from) || o.dead || o.draining) && o.from > from-int64(20*time.Second)
	}
	w.mu.Unlock()
	if took := time.Duration(to - from); took > gone && !excused {
		w.violated("wait-ends", by.name, "%s took %s though nothing is missing but %s, which was killed", what, took, n.name)
	}
}

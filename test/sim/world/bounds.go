package main

import (
	"slices"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/test/sim/plan"
)

// bounds are what servers keep at most for clients, in some runs so little that it does not suffice.
type bounds struct {
	backlog  int   // bytes that wait for a client
	events   int   // for those that come back, of a namespace; 0 for the default
	sessions int   // that may come back, in memory
	bytes    int   // of these
	stream   int64 // entries
}

// sessionBytes is what the state of a session costs at most in the world.
const sessionBytes = 3 << 10

// draw draws them.
func (b *bounds) draw(w *world) {
	rng := w.rng("small bounds")
	*b = bounds{backlog: 128 << 10}
	if !w.plan.Does(plan.Bounds) || rng.IntN(3) > 0 {
		return
	}
	b.backlog = 4<<10 + rng.IntN(8<<10)
	b.events, b.sessions, b.bytes = 8+rng.IntN(30), 4+rng.IntN(8), 8*sessionBytes
	if !slices.ContainsFunc(w.plan.Faults, func(f string) bool { return ofRedis(f) || f == plan.Pause || f == plan.Delay }) {
		b.stream = int64(30 + rng.IntN(100)) // what is sent while a server does not read must fit. Source: docs/limits.md
	}
	w.note("WORLD", "small bounds: %+v", *b)
	w.counts["runs with small bounds"]++
}

// recovery is what is kept for those that come back.
func (b *bounds) recovery(w *world) *adapter.Recovery {
	return &adapter.Recovery{MaxDisconnection: w.maxAway(), MaxEvents: b.events, MaxSessions: b.sessions, MaxSessionBytes: b.bytes}
}

// weight is what an event is for the bounds of what waits for a client, with what one costs at most beside its text.
func (e *emission) weight() int {
	n := 320
	for _, x := range e.args {
		n += len(encode(x))
	}
	return n
}

// crowded reports whether more was sent to the client within the last moments than may wait for it, beside the largest.
// What it could not be sent while a server or Redis was not well comes at once.
func (c *client) crowded() bool {
	w := c.w
	c.mu.Lock()
	asked := slices.Clone(c.asked)
	c.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	since := now - 2*second
	all, largest := 0, 0
	add := func(n int) { all, largest = all+n, max(largest, n) }
	for _, l := range w.model.births {
		if l.client != c || l.over != 0 && l.over < since {
			continue
		}
		for _, s := range w.model.order {
			for _, e := range slices.Backward(s.events) {
				if e.from < since {
					break
				}
				if l.may(e, now) == "" {
					add(e.weight())
				}
			}
		}
	}
	for _, x := range asked {
		if x.at >= since {
			add(x.bytes)
		}
	}
	return all-largest > w.bounds.backlog || w.bounds.events > 0 && w.model.unwell(now-patience, now)
}

// owed is the acknowledgement of an event of a client: when that was sent, and how many bytes it has at most.
type owed struct {
	at    int64
	bytes int
}

// beyond names the bound for which what a life missed, or its state, may be kept no more, "" if none was reached. Called
// with mu held.
func (w *world) beyond(l *life, n *node, now int64) string {
	b := &w.bounds
	k := l.conn()
	if b.events == 0 || k == nil {
		return ""
	}
	from := l.conns[0].from // of the last event that the client can name
	for _, list := range l.got {
		for _, x := range slices.Backward(list) {
			if x.e.kept() {
				from = max(from, x.e.from)
				break
			}
		}
	}
	here, all := 0, 0
	for _, s := range w.model.order {
		for _, e := range slices.Backward(s.events) {
			if e.from < from-second/10 {
				break
			}
			if all++; e.nsp == l.nsp {
				here++
			}
		}
	}
	for _, x := range w.model.said {
		if x.from > from {
			all++
		}
	}
	later := 0 // saved
	gone := k.closed
	if gone == 0 {
		gone = now
	}
	for _, o := range w.model.births {
		for _, x := range o.conns {
			if o != l && x.node == n && x.closed >= gone-second {
				later++
			}
		}
	}
	switch {
	case here >= b.events:
		return "more was sent than is kept"
	case b.stream > 0 && w.plan.Streams() && int64(all) >= b.stream/2: // for each entry there may be another, of a server's
		return "more was sent than the stream holds"
	case !w.plan.Redis() && later >= min(b.sessions, b.bytes/sessionBytes):
		return "newer states are kept"
	}
	return ""
}

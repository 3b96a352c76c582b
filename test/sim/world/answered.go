package main

import (
	"fmt"
	"maps"
	"slices"
)

// Handlers of a connection run one after the other, so acknowledgements come in the order of the events: one that comes
// says that those before it have been lost. Where none comes any more, time says it.

// skipped names the acknowledgements that must have come before the one with an id. Called with mu held.
func (s *sock) skipped(id int) (out []string) {
	for _, k := range slices.Sorted(maps.Keys(s.acks)) {
		if x := s.acks[k]; k < id && !x.missed && x.event != "later" {
			x.missed = true // once
			s.acks[k] = x
			out = append(out, fmt.Sprintf("%s %s %d (%s %d), though that of %d has come", s.nsp, s.life.sid, k, x.event, x.n, id))
		}
	}
	return out
}

// overdue checks, when a connection of the client to a namespace ends, that it has had the acknowledgements that were due.
// Called with client.mu held.
func (s *sock) overdue() {
	if s.state != "connected" || s.life == nil {
		return
	}
	w, at, astray := s.c.w, s.c.w.now(), s.c.engine.astray()
	w.mu.Lock()
	defer w.mu.Unlock()
	k := s.life.conn()
	if k == nil || k.number != s.number || k.told == 0 || k.running > 0 {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(s.acks)) {
		x := s.acks[id]
		due := max(x.from, k.told, k.ran) + int64(ackLimit)
		if due > at || !k.held(due) || k.node.dead || k.node.stood(x.from, due) || s.c.met(x.from, due) ||
			astray && w.model.unwell(x.from-settle, at) { // who has a poll asks Redis whose it is
			continue
		}
		w.violate("ack-answered", s.c.name, "no acknowledgement of %s %s %d (%s %d) for %.1f s, in which no handler ran", s.nsp, s.life.sid, id,
			x.event, x.n, float64(at-max(x.from, k.ran))/float64(second))
	}
}

// met is troubled, called with mu held.
func (c *client) met(a, b int64) bool {
	return slices.ContainsFunc(c.faults, func(x window) bool { return x.overlaps(a, b) })
}

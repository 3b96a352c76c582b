package server

import (
	"errors"
	"maps"
	"sync"
	"sync/atomic"

	"github.com/beanpole/beanpole/adapter"
)

// counters count what a server has done since New.
type counters struct {
	connected, disconnected, recovered     atomic.Uint64
	eventsIn, eventsOut, unhandled         atomic.Uint64
	refusedPackets, rateLimited, queueFull atomic.Uint64
	rateLimitedAddr, rateLimitedIdentity   atomic.Uint64
	connectsDelayed, readsHeld             atomic.Uint64
	eventsDropped, handlerErrors, panics   atomic.Uint64

	refused, notRecovered tally
}

// tally counts by cause. The causes are the program's own, and few.
type tally struct {
	mu sync.Mutex
	by map[string]uint64 // guarded by mu
}

func (t *tally) add(cause string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.by == nil {
		t.by = make(map[string]uint64)
	}
	t.by[cause]++
}

// read returns the counts and their sum.
func (t *tally) read() (by map[string]uint64, sum uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, n := range t.by {
		sum += n
	}
	return maps.Clone(t.by), sum
}

// connect counts a socket that has connected, which has r or nil.
func (c *counters) connect(r *recovery) {
	c.connected.Add(1)
	switch {
	case r == nil:
	case r.recovered:
		c.recovered.Add(1)
	case r.err != nil:
		c.notRecovered.add(recoveryCause(r.err))
	}
}

// The causes for which a connection state could not be recovered, the keys of Stats.NotRecoveredBy.
const (
	NotRecoveredFull  = "given up for newer ones" // see adapter.Recovery.MaxSessions
	NotRecoveredOther = "unknown"                 // or expired, or its events are no longer held
)

// recoveryCause returns the cause for which a recovery failed with err.
func recoveryCause(err error) string {
	if errors.Is(err, adapter.ErrSessionsFull) {
		return NotRecoveredFull
	}
	return NotRecoveredOther
}

// Stats are the counters of a Server since New.
type Stats struct {
	Connected, Disconnected uint64            // sockets
	RefusedConnects         uint64            // sockets that were refused
	RefusedBy               map[string]uint64 // the same by cause: RefusedNamespace and so on
	Recovered, NotRecovered uint64            // sockets that connected and had asked for a connection state
	NotRecoveredBy          map[string]uint64 // the latter by cause: NotRecoveredFull and so on
	EventsIn, EventsOut     uint64
	Unhandled               uint64 // events of clients that had no handler, whatever OnAny and middlewares did with them, and of other servers
	RefusedPackets          uint64 // sessions closed for breaking the protocol or a limit, those below included
	RateLimited, QueueFull  uint64
	// RateLimitedAddr and RateLimitedIdentity are those of RateLimited that were beyond the limit of their
	// address or identity.
	RateLimitedAddr, RateLimitedIdentity uint64
	ConnectsDelayed                      uint64 // CONNECTs that had to wait for others of their session
	ReadsHeld                            uint64 // times that a client was not read while its handlers caught up
	// EventsDropped are the events received that came to no handler: their socket had left ten seconds before, or had
	// been disconnected by the server, or the server stopped; and events of other servers for which handlers are too slow.
	EventsDropped uint64
	// HandlerErrors are the errors of handlers and of middlewares of events, panics included, whatever became of answers.
	HandlerErrors, Panics uint64
}

// Stats returns the server's counters. Those of the sessions beneath are in Engine().Stats().
func (s *Server) Stats() Stats {
	c := &s.stats
	st := Stats{
		Connected: c.connected.Load(), Disconnected: c.disconnected.Load(),
		Recovered: c.recovered.Load(),
		EventsIn:  c.eventsIn.Load(), EventsOut: c.eventsOut.Load(), Unhandled: c.unhandled.Load(),
		RefusedPackets: c.refusedPackets.Load(), RateLimited: c.rateLimited.Load(), QueueFull: c.queueFull.Load(),
		RateLimitedAddr: c.rateLimitedAddr.Load(), RateLimitedIdentity: c.rateLimitedIdentity.Load(),
		ConnectsDelayed: c.connectsDelayed.Load(), ReadsHeld: c.readsHeld.Load(),
		EventsDropped: c.eventsDropped.Load(), HandlerErrors: c.handlerErrors.Load(), Panics: c.panics.Load(),
	}
	st.RefusedBy, st.RefusedConnects = c.refused.read()
	st.NotRecoveredBy, st.NotRecovered = c.notRecovered.read()
	return st
}

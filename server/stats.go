package server

import (
	"maps"
	"sync"
	"sync/atomic"
)

// counters count what a server has done since New.
type counters struct {
	connected, disconnected, recovered, notRecovered atomic.Uint64
	eventsIn, eventsOut                              atomic.Uint64
	refusedPackets, rateLimited, queueFull           atomic.Uint64
	rateLimitedAddr, rateLimitedIdentity             atomic.Uint64
	connectsDelayed, readsHeld                       atomic.Uint64
	handlerErrors, panics                            atomic.Uint64

	mu        sync.Mutex
	refusedBy map[string]uint64 // guarded by mu; sockets, by cause
}

// refuse counts a refused socket.
func (c *counters) refuse(cause string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refusedBy == nil {
		c.refusedBy = make(map[string]uint64)
	}
	c.refusedBy[cause]++
}

// Stats are the counters of a Server since New.
type Stats struct {
	Connected, Disconnected uint64            // sockets
	RefusedConnects         uint64            // sockets that were refused
	RefusedBy               map[string]uint64 // the same by cause: RefusedNamespace and so on
	Recovered, NotRecovered uint64            // connection states asked for
	EventsIn, EventsOut     uint64
	RefusedPackets          uint64 // sessions closed for breaking the protocol or a limit, those below included
	RateLimited, QueueFull  uint64
	// RateLimitedAddr and RateLimitedIdentity are those of RateLimited that were beyond the limit of their
	// address or identity.
	RateLimitedAddr, RateLimitedIdentity uint64
	ConnectsDelayed                      uint64 // CONNECTs that had to wait for others of their session
	ReadsHeld                            uint64 // times that a client was not read while its handlers caught up
	HandlerErrors, Panics                uint64
}

// Stats returns the server's counters. Those of the sessions beneath are in Engine().Stats().
func (s *Server) Stats() Stats {
	c := &s.stats
	st := Stats{
		Connected: c.connected.Load(), Disconnected: c.disconnected.Load(),
		Recovered: c.recovered.Load(), NotRecovered: c.notRecovered.Load(),
		EventsIn: c.eventsIn.Load(), EventsOut: c.eventsOut.Load(),
		RefusedPackets: c.refusedPackets.Load(), RateLimited: c.rateLimited.Load(), QueueFull: c.queueFull.Load(),
		RateLimitedAddr: c.rateLimitedAddr.Load(), RateLimitedIdentity: c.rateLimitedIdentity.Load(),
		ConnectsDelayed: c.connectsDelayed.Load(), ReadsHeld: c.readsHeld.Load(),
		HandlerErrors: c.handlerErrors.Load(), Panics: c.panics.Load(),
	}
	c.mu.Lock()
	st.RefusedBy = maps.Clone(c.refusedBy)
	c.mu.Unlock()
	for _, n := range st.RefusedBy {
		st.RefusedConnects += n
	}
	return st
}

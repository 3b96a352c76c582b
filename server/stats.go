package server

import "sync/atomic"

// counters count what a server has done since New.
type counters struct {
	connected, disconnected, refusedConnects atomic.Uint64
	recovered, notRecovered                  atomic.Uint64
	eventsIn, eventsOut                      atomic.Uint64
	refusedPackets, rateLimited, queueFull   atomic.Uint64
	handlerErrors, panics                    atomic.Uint64
}

// Stats are the counters of a Server since New.
type Stats struct {
	Connected, Disconnected uint64 // sockets
	RefusedConnects         uint64 // sockets refused by a middleware or for their namespace
	Recovered, NotRecovered uint64 // connection states asked for
	EventsIn, EventsOut     uint64
	RefusedPackets          uint64 // sessions closed for breaking the protocol or a limit, those below included
	RateLimited, QueueFull  uint64
	HandlerErrors, Panics   uint64
}

// Stats returns the server's counters. Those of the sessions beneath are in Engine().Stats().
func (s *Server) Stats() Stats {
	c := &s.stats
	return Stats{
		Connected: c.connected.Load(), Disconnected: c.disconnected.Load(), RefusedConnects: c.refusedConnects.Load(),
		Recovered: c.recovered.Load(), NotRecovered: c.notRecovered.Load(),
		EventsIn: c.eventsIn.Load(), EventsOut: c.eventsOut.Load(),
		RefusedPackets: c.refusedPackets.Load(), RateLimited: c.rateLimited.Load(), QueueFull: c.queueFull.Load(),
		HandlerErrors: c.handlerErrors.Load(), Panics: c.panics.Load(),
	}
}

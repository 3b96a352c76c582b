package zishang

import "sync/atomic"

// counters count what a Handler has done since New.
type counters struct {
	connected, disconnected, refusedConnects atomic.Uint64
	recovered, notRecovered                  atomic.Uint64
	eventsIn, eventsOut                      atomic.Uint64
	refusedPackets, rateLimited, queueFull   atomic.Uint64
	handlerErrors, panics, degraded          atomic.Uint64
}

// Stats are the counters of a Handler since New.
type Stats struct {
	Connected, Disconnected uint64 // sockets
	RefusedConnects         uint64 // sockets refused by a middleware or for their namespace
	Recovered, NotRecovered uint64 // connection states asked for
	EventsIn                uint64
	EventsOut               uint64 // of broadcasts, one for each receiver on this server
	RefusedPackets          uint64 // sessions closed for breaking the protocol or a limit, those below included
	RateLimited, QueueFull  uint64
	HandlerErrors           uint64 // errors returned to On and OnAck
	Panics                  uint64
	Degraded                uint64 // operations done on this server only, as the others were out of reach
}

// Stats returns the counters. Those of the sessions beneath are in Engine().Stats().
func (h *Handler) Stats() Stats {
	c := &h.stats
	return Stats{
		Connected: c.connected.Load(), Disconnected: c.disconnected.Load(), RefusedConnects: c.refusedConnects.Load(),
		Recovered: c.recovered.Load(), NotRecovered: c.notRecovered.Load(),
		EventsIn: c.eventsIn.Load(), EventsOut: c.eventsOut.Load(),
		RefusedPackets: c.refusedPackets.Load(), RateLimited: c.rateLimited.Load(), QueueFull: c.queueFull.Load(),
		HandlerErrors: c.handlerErrors.Load(), Panics: c.panics.Load(), Degraded: c.degraded.Load(),
	}
}

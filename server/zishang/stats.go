package zishang

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server"
)

// counters count what a Handler has done since New.
type counters struct {
	connected, disconnected, recovered, notRecovered atomic.Uint64
	eventsIn, eventsOut                              atomic.Uint64
	refusedPackets, rateLimited, queueFull           atomic.Uint64
	rateLimitedAddr, rateLimitedIdentity             atomic.Uint64
	handlerErrors, panics, degraded                  atomic.Uint64

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

// Stats returns the counters since New. Those of the sessions beneath are in Engine().Stats(). EventsOut are
// those of broadcasts, one for each receiver on this server; HandlerErrors are errors returned to On and
// OnAck.
func (h *Handler) Stats() server.Stats {
	c := &h.stats
	st := server.Stats{
		Connected: c.connected.Load(), Disconnected: c.disconnected.Load(),
		Recovered: c.recovered.Load(), NotRecovered: c.notRecovered.Load(),
		EventsIn: c.eventsIn.Load(), EventsOut: c.eventsOut.Load(),
		RefusedPackets: c.refusedPackets.Load(), RateLimited: c.rateLimited.Load(), QueueFull: c.queueFull.Load(),
		RateLimitedAddr: c.rateLimitedAddr.Load(), RateLimitedIdentity: c.rateLimitedIdentity.Load(),
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

// SocketCounts returns how many sockets of this server are connected, by namespace.
func (h *Handler) SocketCounts() map[string]int {
	out := make(map[string]int)
	for _, n := range h.all() {
		out[n.name] = len(n.adapter.Members(adapter.Target{}))
	}
	return out
}

// Degraded returns how many operations were done on this server only, as the others were out of reach.
func (h *Handler) Degraded() uint64 { return h.stats.degraded.Load() }

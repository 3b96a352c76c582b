package transport

import (
	"maps"
	"sync"
	"sync/atomic"
)

// Stats are counters of a Server since New.
type Stats struct {
	Sessions       int64                  // open now
	Opened         map[Name]uint64        // by transport of the handshake
	Closed         map[CloseReason]uint64 // by reason
	Refused        map[string]uint64      // requests, by cause
	Upgrades       uint64                 // completed
	UpgradesFailed map[string]uint64      // by cause
	PacketsIn      uint64                 // Engine.IO packets, heartbeats included
	PacketsOut     uint64
	BytesIn        uint64 // bodies, and on WebSocket all bytes after the handshake
	BytesOut       uint64 // bodies before compression, and frames
	// VolatileDropped counts volatile sends dropped, and volatile packets dropped from a full outbox.
	VolatileDropped uint64
	// Panics counts panics of a session's Receiver, which are recovered.
	Panics uint64
}

// counters are what Stats is made of.
type counters struct {
	packetsIn, packetsOut, bytesIn, bytesOut, volatileDropped, upgrades, panics atomic.Uint64

	mu sync.Mutex
	// Guarded by mu.
	opened         map[Name]uint64
	closed         map[CloseReason]uint64
	refused        map[string]uint64
	upgradesFailed map[string]uint64
}

func (c *counters) init() {
	c.opened = make(map[Name]uint64)
	c.closed = make(map[CloseReason]uint64)
	c.refused = make(map[string]uint64)
	c.upgradesFailed = make(map[string]uint64)
}

// count adds one to key of the counters' map m.
func count[K comparable](c *counters, m map[K]uint64, key K) {
	c.mu.Lock()
	m[key]++
	c.mu.Unlock()
}

// Stats returns the server's counters since New. The maps are copies.
func (s *Server) Stats() Stats {
	c := &s.counters
	st := Stats{
		Sessions:        int64(s.Sessions()),
		Upgrades:        c.upgrades.Load(),
		PacketsIn:       c.packetsIn.Load(),
		PacketsOut:      c.packetsOut.Load(),
		BytesIn:         c.bytesIn.Load(),
		BytesOut:        c.bytesOut.Load(),
		VolatileDropped: c.volatileDropped.Load(),
		Panics:          c.panics.Load(),
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	st.Opened = maps.Clone(c.opened)
	st.Closed = maps.Clone(c.closed)
	st.Refused = maps.Clone(c.refused)
	st.UpgradesFailed = maps.Clone(c.upgradesFailed)
	return st
}

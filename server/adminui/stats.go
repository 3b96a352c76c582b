package adminui

import (
	"cmp"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/beanpole/beanpole/transport"
)

// maxNamespaces is how many namespaces the page is told of, those with the most sockets.
const maxNamespaces = 1000

// deltas are the counters of the transport, of which the page wants what was added.
type deltas struct {
	opened, packetsIn, packetsOut, bytesIn, bytesOut uint64
	closed                                           map[transport.CloseReason]uint64
}

func (u *UI) read() deltas {
	st := u.io.Engine().Stats()
	d := deltas{
		packetsIn: st.PacketsIn, packetsOut: st.PacketsOut, bytesIn: st.BytesIn, bytesOut: st.BytesOut,
		closed: maps.Clone(st.Closed),
	}
	for _, n := range st.Opened {
		d.opened += n
	}
	return d
}

// emitStats tells what was added since the last time.
func (u *UI) emitStats() {
	last, now := u.stats, u.read()
	u.stats = now
	u.emit("server_stats", u.describe(now, &last))
}

// describe is what the page is told; without last nothing was added.
func (u *UI) describe(now deltas, last *deltas) serverStats {
	st := serverStats{
		ServerID: u.cfg.ServerID, Hostname: u.hostname, PID: os.Getpid(), Uptime: time.Since(u.started).Seconds(),
		AggregatedEvents: []aggregate{}, Namespaces: []namespace{},
	}
	u.io.Engine().Each(func(s *transport.Session) bool {
		st.Clients++
		if s.Transport() == transport.Polling {
			st.PollingClients++
		}
		return true
	})
	for _, n := range u.io.Namespaces() {
		if name := n.Name(); len(name) <= maxName { // of a pattern's, clients choose the names
			st.Namespaces = append(st.Namespaces, namespace{name, n.LocalCount()})
		}
	}
	slices.SortFunc(st.Namespaces, func(a, b namespace) int {
		return cmp.Or(cmp.Compare(b.Sockets, a.Sockets), cmp.Compare(a.Name, b.Name))
	})
	st.Namespaces = st.Namespaces[:min(len(st.Namespaces), maxNamespaces)]
	if last == nil {
		return st
	}
	at := time.Now().Truncate(time.Second).UnixMilli()
	add := func(kind, sub string, n uint64) {
		if n > 0 {
			st.AggregatedEvents = append(st.AggregatedEvents, aggregate{at, kind, sub, n})
		}
	}
	add("rawConnection", "", now.opened-last.opened)
	for _, reason := range slices.Sorted(maps.Keys(now.closed)) {
		add("rawDisconnection", string(reason), now.closed[reason]-last.closed[reason])
	}
	add("packetsIn", "", now.packetsIn-last.packetsIn)
	add("packetsOut", "", now.packetsOut-last.packetsOut)
	add("bytesIn", "", now.bytesIn-last.bytesIn)
	add("bytesOut", "", now.bytesOut-last.bytesOut)
	return st
}

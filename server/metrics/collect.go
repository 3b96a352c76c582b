package metrics

import (
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/transport"
)

// collector reads the counters of a server when Prometheus asks.
type collector struct {
	s Source
	m *Metrics
}

// Describe sends nothing: some labels are not known before they are counted.
func (collector) Describe(chan<- *prometheus.Desc) {}

// sink makes metrics of plain numbers.
type sink chan<- prometheus.Metric

func (out sink) send(t prometheus.ValueType, name, help string, v float64, labels ...string) {
	keys, values := make([]string, 0, 2), make([]string, 0, 2)
	for i := 0; i+1 < len(labels); i += 2 {
		keys, values = append(keys, labels[i]), append(values, labels[i+1])
	}
	out <- prometheus.MustNewConstMetric(prometheus.NewDesc("beanpole_"+name, help, keys, nil), t, v, values...)
}

func (out sink) count(name, help string, v uint64, labels ...string) {
	out.send(prometheus.CounterValue, name, help, float64(v), labels...)
}

func (out sink) gauge(name, help string, v int, labels ...string) {
	out.send(prometheus.GaugeValue, name, help, float64(v), labels...)
}

// countEach sends one counter for each key of m.
func countEach[K ~string](out sink, name, help, label string, m map[K]uint64) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out.count(name, help, m[k], label, string(k))
	}
}

// Collect sends everything.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	out := sink(ch)
	c.sessions(out)
	c.engine(out)
	c.sockets(out)
}

// sessions walks over the open sessions.
func (c collector) sessions(out sink) {
	var open struct{ polling, websocket int }
	var packets, bytes, most, waiting int
	c.s.Engine().Each(func(s *transport.Session) bool {
		if s.Transport() == transport.WebSocket {
			open.websocket++
		} else {
			open.polling++
		}
		p, b := s.Backlog()
		packets, bytes, most = packets+p, bytes+b, max(most, b)
		if p > 0 {
			waiting++
		}
		return true
	})
	const sessions = "Open sessions, by transport."
	out.gauge("sessions", sessions, open.polling, "transport", string(transport.Polling))
	out.gauge("sessions", sessions, open.websocket, "transport", string(transport.WebSocket))
	out.gauge("outbox_packets", "Packets that wait for slow clients.", packets)
	out.gauge("outbox_bytes", "Bytes that wait for slow clients.", bytes)
	out.gauge("outbox_bytes_max", "Bytes that wait for the slowest client.", most)
	out.gauge("outbox_sessions", "Sessions with something that waits.", waiting)
}

func (c collector) engine(out sink) {
	st := c.s.Engine().Stats()
	countEach(out, "handshakes_total", "Sessions opened, by transport.", "transport", st.Opened)
	countEach(out, "refused_total", "Requests refused, by cause.", "cause", st.Refused)
	countEach(out, "sessions_closed_total", "Sessions closed, by reason; slow consumers among them.", "reason", st.Closed)
	out.count("upgrades_total", "Upgrades from polling to WebSocket, by outcome.", st.Upgrades, "outcome", "completed")
	countEach(out, "upgrades_total", "Upgrades from polling to WebSocket, by outcome.", "outcome", st.UpgradesFailed)
	const packets, bytes = "Engine.IO packets, heartbeats included.", "Bytes of polling bodies and WebSocket frames."
	out.count("packets_total", packets, st.PacketsIn, "direction", "in")
	out.count("packets_total", packets, st.PacketsOut, "direction", "out")
	out.count("bytes_total", bytes, st.BytesIn, "direction", "in")
	out.count("bytes_total", bytes, st.BytesOut, "direction", "out")
	out.count("volatile_dropped_total", "Volatile packets dropped for clients that could not take them.", st.VolatileDropped)
}

func (c collector) sockets(out sink) {
	st := c.s.Stats()
	c.m.sayUntold(st.Disconnected)
	out.count("sockets_connected_total", "Sockets that joined a namespace.", st.Connected)
	out.count("sockets_disconnected_total", "Sockets that left a namespace.", st.Disconnected)
	countEach(out, "sockets_refused_total", "Sockets refused, by cause.", "cause", st.RefusedBy)
	const recoveries = "Sockets that connected and had asked for their connection state, by outcome."
	out.count("recoveries_total", recoveries, st.Recovered, "outcome", "recovered")
	full := st.NotRecoveredBy[server.NotRecoveredFull]
	out.count("recoveries_total", recoveries, full, "outcome", "not recovered, "+server.NotRecoveredFull)
	out.count("recoveries_total", recoveries, st.NotRecovered-full, "outcome", "not recovered")
	const events = "Socket.IO events."
	out.count("events_total", events, st.EventsIn, "direction", "in")
	out.count("events_total", events, st.EventsOut, "direction", "out")
	const broke = "Sessions closed for breaking the protocol or a limit, by cause."
	out.count("violations_total", broke, st.RateLimited-st.RateLimitedAddr-st.RateLimitedIdentity, "cause", "rate limited")
	out.count("violations_total", broke, st.RateLimitedAddr, "cause", "rate limited, address")
	out.count("violations_total", broke, st.RateLimitedIdentity, "cause", "rate limited, identity")
	out.count("violations_total", broke, st.QueueFull, "cause", "event queue full")
	out.count("violations_total", broke, st.RefusedPackets-st.RateLimited-st.QueueFull, "cause", "protocol")
	out.count("connects_delayed_total", "CONNECTs that had to wait for others of their session.", st.ConnectsDelayed)
	out.count("events_dropped_total", "Events received that came to no handler, as their socket had left, the server stopped, or too many of other servers waited.", st.EventsDropped)
	out.count("events_unhandled_total", "Events of clients and of other servers that had no handler.", st.Unhandled)
	out.count("reads_held_total", "Times a client was not read while its handlers caught up.", st.ReadsHeld)
	out.count("panics_total", "Panics of handlers, recovered.", st.Panics+c.s.Engine().Stats().Panics)
	out.count("handler_errors_total", "Errors of handlers and middlewares of events, panics included.", st.HandlerErrors)
	namespaces := c.s.SocketCounts()
	for _, name := range slices.Sorted(maps.Keys(namespaces)) {
		if name == "/" || len(namespaces) <= maxEvents { // else clients could make labels without end
			out.gauge("sockets", "Connected sockets of this server, by namespace.", namespaces[name], "namespace", name)
		}
	}
}

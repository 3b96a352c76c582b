// Package metrics shows a server to Prometheus: sessions by transport, refusals and closes by cause,
// packets and bytes, what waits for slow clients, and how long the handlers of each event take.
//
//	m := metrics.New()
//	io, err := server.New(server.Config{Observers: []server.Observer{m}})
//	m.Watch(io)
//	http.Handle("/metrics", m.Handler()) // or prometheus.MustRegister(m), for a registry of one's own
//
// The files: metrics.go (Metrics: the handler times, measured as they happen), collect.go (everything
// else, read from the server's counters when Prometheus asks).
//
// # Decisions
//
// 2026-11: Counters live in transport and server as plain atomics, and are turned into metrics only when
// they are asked for, so that a server without Prometheus pays nothing for it and the packages beneath
// do not know of it.
//
// 2026-11: An event's name becomes a label only if the event has a handler, and only the first hundred
// names do: names are the clients' to make up, and each label is kept for ever.
package metrics

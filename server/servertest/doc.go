// Package servertest tests the handlers of a Socket.IO server without a port, a browser or a sleep.
//
//	func TestOrder(t *testing.T) {
//		synctest.Test(t, func(t *testing.T) {
//			io := servertest.Server(t, server.Config{})
//			shop(io) // registers the handlers
//			ada, bob := servertest.Connect(t, io), servertest.Connect(t, io)
//			receipt := servertest.Ask[Receipt](ada, "order", Line{Item: "beans"})
//			…
//			news := servertest.Expect[News](bob, "news")
//			ada.ExpectNothing("news")
//		})
//	}
//
// Client, server, HTTP and WebSocket are the real ones; only the connections between them are of memory. In a bubble of
// testing/synctest time passes when nothing else goes on, so that heartbeats, time-outs and what an application puts off
// for minutes take none, and ExpectNothing knows when nothing more can come. All but that works outside too.
//
// # Files
//
//	server.go  a server for a test
//	client.go  a client of it, and what it expects
//	ask.go     the generic part of that
//	fault.go   connections that break, clients that do not read, servers that are cut off
//	line.go    what lies between a client and its server
//	wire.go    a connection in memory
//
// # Decisions
//
//   - 2026-11: A net.Conn is what is replaced, and nothing above it: what the test sees, net/http, the transport and the
//     client have done as they do it in production.
//   - 2026-11: Connections keep some bytes under way, where those of net.Pipe keep none: two ends that write at the
//     same time would wait for each other.
//   - 2026-11: Each client has an http.Server of its own, so that its line can break, or lead to another server of a
//     cluster, without a registry of servers.
package servertest

// Package load drives a Socket.IO server with many clients from one thread and counts what it does.
//
// It is built to be cheaper than any server it measures: one goroutine locked to its thread, epoll,
// non-blocking sockets without net.Conn, frames that are built once and patched, no JSON. Nothing is
// taken on trust all the same: every acknowledgement is compared byte by byte and must come in order,
// every broadcast is checked by its length, its text and its number, so that a message lost, doubled or
// out of order is an error with a name.
//
//	swarm.go      Swarm: the thread, its clients, what all scenarios share
//	poller.go     epoll and raw system calls
//	conn.go       one TCP connection: bytes in, bytes out
//	frame.go      WebSocket frames from the server, and masked ones to it
//	response.go   HTTP responses
//	client.go     one Socket.IO client from the handshake to its close
//	connect.go    Connect, Hold
//	echo.go       Echo: acknowledgements, closed loop or paced
//	broadcast.go  Broadcast: to all or to rooms, closed loop or paced
//	cycles.go     Cycles: connect, echo, disconnect
//	storm.go      Storm, Block, Enter: too many clients, handlers that block, many rooms
//	histogram.go  latencies
//
// # Decisions
//
// 2026-11-23: a closed loop measures what a server can do, and its latencies say no more than its
// throughput; latencies to read come from the paced form, where a message counts from the moment it was
// due, whether or not the generator was in time (no coordinated omission).
//
// 2026-11-23: what one read of a client brings is answered in one write, as a client's own event loop
// would do it.
package load

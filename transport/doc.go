// Package transport is an Engine.IO server: one http.Handler that carries sessions over HTTP
// long-polling and WebSocket, upgrades the first to the second and keeps their heartbeat. It speaks
// protocol 4 and, if asked to, 3. It knows nothing of Socket.IO, which package server puts on top.
//
// # The way in
//
//	srv, err := transport.New(transport.Config{Accept: func(s *transport.Session) transport.Receiver {
//		return &echo{session: s}
//	}})
//	http.Handle("/socket.io/", srv)
//
// A Receiver gets the messages of one session in order; Session.Send answers. A message passes
//
//	server.go     ServeHTTP finds what a request is for: a handshake, a session's poll, an upgrade
//	listener.go   has new connections wait behind what open sessions have to do
//	verify.go     refuses what Node refuses, in Node's order, with Node's codes
//	origin.go     refuses pages that may not connect
//	admission.go  refuses what would be too much: sessions, sessions of one address, handshakes
//	handshake.go  opens a session, and what it keeps of the request
//	session.go    Session: its state, and how it ends exactly once
//	receive.go    what a packet from the client does
//	guard.go      calls the Receiver, whose code may fail
//	send.go       Send, SendPrepared, what Writable means and how to wait with Ready
//	backlog.go    what waits for a poll, bounded
//	prepared.go   messages encoded once for many sessions
//	heartbeat.go  the one timer of a session
//	polling.go    GET, which waits
//	post.go       POST, which brings packets
//	pollpark.go   how a GET that waits, and a connection, leave net/http
//	pollconn.go   the life of such a connection
//	pollserve.go  reads the requests on it, and calls the handler with them
//	pollparse.go  which of them it takes
//	pollrequest.go, pollwriter.go  the context, the body and the ResponseWriter of those
//	returns.go    how all others go back to net/http
//	upgrade.go    from polling to WebSocket without losing or doubling anything
//	websocket.go  the reader of a WebSocket
//	park*.go      where silent WebSockets wait without one
//	wsclose.go    how a WebSocket ends
//	gather.go     how frames are sent, and gathered during a turn
//	burst.go      how broadcasts at once leave together
//	turn.go       how a reader runs the application and is replaced when that blocks
//	outbox.go     what waits for a WebSocket's kernel buffer, bounded
//	accept.go     the WebSocket handshake (RFC 6455, section 4)
//	stream*.go    bytes in and out: of a socket without a buffer while idle, or of any net.Conn
//	packet.go payload*.go frame.go deflate.go jsonp.go   the wire's forms
//	compress.go cors.go cookie.go sid.go    the HTTP around them
//
// # Decisions
//
// 2026-11-23: one mutex per session. Everything of a session but the reader's own state is guarded by
// Session.mu, the non-blocking write to its socket included: the write takes about as long as a second
// lock's hand-over would, and the order of packets follows from the order of the lock. No Receiver,
// hook or blocking call runs under it, and Server.mu is never taken under it.
//
// 2026-11-29: the first broadcast is written by who sends it, and those of a burst by a flusher. A flusher for all, tried
// first, cost a broadcast that is alone 7 % with 1,000 sessions and 17 % with 10,000.
//
// 2026-11-23: one reader. Only the goroutine that reads a WebSocket closes its connection; others set
// a deadline in the past to wake it. A file descriptor can so never be closed, and reused, under a
// write, and TLS's closing alert blocks nobody else.
//
// 2026-11-23: a silent WebSocket has no reader. On Linux an epoll instance of the server's own, beside
// Go's poller, waits for it. Reading everything from epoll was not chosen: it costs those who talk a
// fifth more processor time a message.
//
// 2026-11-23: a connection that left net/http goes back by way of a listener of its own,
// Server.Returns, and not of one around the real listener: that would cost every new connection a
// hand-over between goroutines, and hide the socket from who looks for it.
//
// 2026-11-29: a GET leaves net/http only if its ResponseWriter is net/http's own, or gin's around that. The
// answer is written by hand then, and what middleware adds in a WriteHeader of its own would be missing;
// to call that before Hijack sends the head at once.
//
// 2026-11-30: the requests of sessions on a connection that left net/http are read here, and their handler is the
// http.Server's, with a Request and a ResponseWriter of our own: middleware sees every request, and what it does to
// the answer is in it. A way past the handlers was not built: half of what is left of a poll's cost is system calls,
// and it would have been an option, which each program has to weigh. What is no plain request of polling net/http judges, from its first byte.
//
// 2026-11-23: a poll is told that there is something and takes what waits when it runs, rather than
// being handed packets: what is sent in between leaves in the same body.
//
// 2026-11-29: what an answer has taken waits until it is written, and a GET that comes meanwhile waits too. Node takes
// a poll for answered when it has handed the answer to the kernel's queue and its own; a client that reads none of its
// answers then holds as many as it asks for, and no limit knows of them.
//
// 2026-11-29: the limits of what waits do not count the largest message of it. One larger than they are has to
// reach the client somehow, at any time, and a client is not slow because it is sent much; who is slow shows
// by taking nothing for WriteTimeout. MaxSendBytes keeps the sum bounded.
//
// 2026-11-23: a server that shuts down, or gives up a client that answers no pings, closes the WebSocket with
// code 1001 (going away), where Node gives none. To the clients in JavaScript it is the same; the one in C++
// takes a close without a code for a normal one and does not reconnect, so a deployment would have lost its
// users.
//
// 2026-11-29: a list of origins is who may connect, where Node's only adds headers to answers. Whoever writes one
// means that; and browsers ask no list before they open a WebSocket, send a form or load a script. For the
// latter Node's JSONP is open to everybody; here it is off, and has the type of a script where it is on.
//
// 2026-11-29: a Host without port has the default port of the scheme, never any port. Proxies that drop the port are
// common, and browsers leave default ports out: the two look the same, and the pages of every other port of a name,
// which get its cookies, would be the server's own. Where a proxy drops one, the list has to name the origin.
package transport

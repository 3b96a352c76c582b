// Package server is a Socket.IO server: namespaces, rooms, events with acknowledgements and
// broadcasts, for the clients of Socket.IO 3 and 4, and 2 on request.
//
// A Server is an http.Handler. What a Go developer needs most:
//
//	io, err := server.New(server.Config{})
//	io.OnConnection(func(s *server.Socket) {
//		s.On("message", func(m Message) (Receipt, error) { … }) // typed; the result is the acknowledgement
//		s.Join("lobby")
//		s.To("lobby").Emit("joined", s.ID())
//	})
//	http.Handle("/socket.io/", io)
//
// The files: server.go (Server), namespace.go (Namespace, and Dynamic for names by pattern), socket.go
// (Socket), run.go (what a socket does, in its turn), queue.go (the turn), handler.go (typed handlers),
// event.go and args.go (their raw form), emit.go and ack.go (to one socket), broadcast.go and remote.go
// (to many, anywhere in the cluster), local.go (what the adapter sees), client.go (one session and its
// sockets), data.go, config.go, errors.go, stats.go.
//
// # Guarantees
//
// Events of one socket reach its handlers in the order they were sent, one at a time, and the first one
// not before the connection handlers have returned. Packets leave in the order they were emitted.
// Acknowledgements overtake events, so a handler may wait for an answer of its own client. The
// disconnect handlers come last, once. A handler that blocks or panics harms nothing but its socket or
// its event. No emit waits for a client or for the network.
//
// # Decisions
//
// 2026-11: Handlers run on the goroutine that read their packets, which the transport replaces as
// reader when they take long: an event and its acknowledgement cost no change of goroutine, and the
// answers to everything that one read brought leave in one write.
//
// 2026-11: Events of a namespace that the server has just disconnected the client from are dropped
// where Node closes the whole session: they were on their way, and the client did nothing wrong.
//
// 2026-11: Namespaces made by a pattern close when their last socket leaves, where Node keeps them by
// default: their names are the clients' choice, and so would be the memory.
package server

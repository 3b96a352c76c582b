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
// The files: server.go (Server), names.go (whose a name is, and how a namespace comes and goes), namespace.go
// (Namespace), dynamic.go (Dynamic, for names by pattern or function), socket.go (Socket), handshake.go, run.go (what a
// socket does, in its turn), connect.go (what stands before its first event), hold.go (what waits for the
// answer to CONNECT), recover.go (connection state recovery), queue.go (the turn), handler.go and signature.go
// (typed handlers), guard.go (the one recovery point), event.go and args.go (their raw form), everyone.go (what sees the events of all sockets), seen.go (what clients see of errors), later.go (asking without waiting), cost.go (what they make the server hold), emit.go and
// ack.go (to one socket), broadcast.go and remote.go (to many, anywhere in the cluster), many.go (what is asked of them), local.go (what the
// adapter sees), client.go (one session and its sockets), keep.go (what is kept for a session), crowd.go (handlers that
// pile up), lobby.go (CONNECTs
// that wait), rooms.go, transit.go (sockets between two connections), data.go, config.go, errors.go, reasons.go (why sockets
// end), stats.go, contract.go (what clients and server say to each other), development.go, development_registered.go
// and development_values.go (what is probably meant otherwise), debug.go (events in the log), group.go (what a stop waits for), running.go (what holds it up), bundle.go (where the client is).
//
// # Guarantees
//
// Events of one socket reach its handlers in the order they were sent, one at a time, and the first one
// not before the connection handlers have returned. Packets leave in the order they were emitted.
// Acknowledgements overtake events, so a handler may wait for an answer of its own client. The
// disconnect handlers come last, once. A handler that blocks harms nothing but its socket, and one that panics or
// ends its goroutine nothing but its event, which is answered; a connection handler that does disconnects its socket.
// No emit waits for a client or for the network. It waits for its turn with recovery, for OnAnyOutgoing listeners, and
// for a namespace that is being made or closed.
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
// 2026-11: A client passes the middlewares of the pattern or function that lets it in, whatever was done with the
// name before. In Node the first Of, or the first client, decides for all that follow, so that a broadcast opens a
// way around the middlewares. A function is therefore asked for every client, and when several patterns and
// functions could let a client in, the order in which they were registered decides and never who was there first.
//
// 2026-11: A name is the application's own when something was registered on it before any pattern or function could
// have it, or by Static. Of alone is not enough: an Emit at the start would then open the same way. A function can
// say no to a name or to a client, and nobody can tell which; so its no counts for every name that is not the
// application's own.
//
// 2026-11: What Of returns for the name of a pattern is looked up when it is used: it never closes in the
// caller's hand, and making it costs nothing.
//
// 2026-11: The OnNamespace hooks are part of the making, so clients wait for them. A hook may use the namespace that
// is being made, through Of too; a goroutine that it starts and waits for may not.
//
// 2026-11: A Dynamic's Emit reaches the children that this server has. Names that only other servers have would have
// to be asked for, and told apart from those that are just closing: a ServerSideEmit says it better.
//
// 2026-11: What is a mistake wherever it is found is said at level warn, with what to do, whatever the configuration; what
// may be meant, or is the clients' doing, or costs to find, in development alone. Nothing of it is looked for without.
//
// 2026-11: Namespaces made by a pattern close when their last socket leaves, where Node keeps them by
// default: their names are the clients' choice, and so would be the memory.
package server

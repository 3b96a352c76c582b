// Package client is a client of Socket.IO servers of versions 3 and 4, Beanpole's and Node's: polling, WebSocket and
// the upgrade between the two, reconnection, namespaces over one connection, acknowledgements, retries and connection
// state recovery.
//
//	s, err := client.Dial(ctx, "https://example.com/chat", client.Config{})
//	...
//	defer s.Client().Close(ctx)
//	s.On("message", func(m Message) (Receipt, error) { … }) // typed; the result is the acknowledgement
//	err = s.Emit("join", "lobby")
//	receipt, err := client.Ask[Receipt](ctx, s, "order", line)
//
// Dial waits until the server has let the client in. New and Of make the same in steps, so that handlers are there
// before the first event: register them, then Connect.
//
// # Guarantees
//
// The handlers of a socket run one at a time, in the order of its events, on a goroutine of their own; what a handler
// waits for, an acknowledgement included, holds up nothing but the events behind. Events leave in the order of Emit.
// What is emitted while there is no connection waits for it, but for what is volatile. After Close has returned nil no
// goroutine of the client is left. All methods may be called from any goroutine, Close not from a handler.
//
// # Files
//
//	config.go     Config, its defaults and check
//	client.go     Client: one connection, kept up, for any number of namespaces
//	socket.go     Socket: one namespace
//	emit.go       events to the server, and their acknowledgements
//	retry.go      those that are sent again
//	on.go         handlers: registering and calling
//	signature.go  what their functions want
//	args.go       arguments in their raw form
//	errors.go     errors, and why sockets end
//	engine.go     an Engine.IO session
//	polling.go    its polls and posts
//	websocket.go  its frames, and how it comes to them
//
// # Decisions
//
//   - 2026-11: A WebSocket is opened by the same http.Client that polls, so proxies, TLS, cookies and whatever else an
//     http.RoundTripper does hold for both. Only the frames are gobwas/ws'.
//   - 2026-11: Without package server, which is the other side: its rules for handlers are followed, and the values are
//     those of package packet.
//   - 2026-11: The reconnection of Node's client, with its defaults: 1 s, doubled up to 5 s, and half of it at random.
//     A server that says no to a namespace is not asked again by itself.
//   - 2026-11: Socket.IO 2 speaks another protocol beneath, and is left out.
package client

package server

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/transport"
)

// Socket is one client in one namespace. All methods may be called from any goroutine. Handlers of one
// socket run one at a time, in the order its client sent the events, and not before the connection
// handlers of the namespace have returned.
type Socket struct {
	// What a broadcast looks at stands together: that is one line of the processor's cache for each socket.
	client   *client // set by newSocket, then read only
	state    atomic.Int32
	watching atomic.Bool          // OnAnyOutgoing has been called
	hold     atomic.Pointer[hold] // nil once the client has been told that it is connected

	connecting bool // guarded by client.mu; its CONNECT is in progress

	// Data holds the application's values for this socket (Node: socket.data).
	Data Data

	// Set by newSocket, then read only.
	name string // of the namespace
	auth json.RawMessage

	// Set while connecting, by the goroutine that runs the queue, then read only.
	nsp      *Namespace
	id       string
	recovery *recovery // nil unless Config.Recovery is set

	queue    queue
	handlers handlers

	mu     sync.Mutex
	acks   map[uint64]func(Args, error) // guarded by mu
	hooks  *hooks                       // guarded by mu; nil until it has one
	border *border                      // guarded by mu; nil while it is connected and has entered its rooms
}

// What a connected socket seldom has is apart from it, as are its hooks: 100 bytes less for each.
type (
	// life is the context that ends with a socket.
	life struct {
		ctx    context.Context
		cancel context.CancelFunc
	}
	// border is a socket's state before it has entered its rooms and after it has left.
	border struct {
		rooms   []string // the rooms to join when it enters, and those it was in when it left
		entered bool     // it is a member
		early   []early  // what was emitted before

		why      Disconnection  // set once it has left
		identity string         // likewise
		late     *life          // of handlers that run when it has left
		timer    *time.Timer    // until its events are too late; see leave
		over     bool           // they are
		trail    *adapter.Trail // of one that may be recovered, until it is saved
		disowned bool           // nobody comes back to it
	}
	// early is an event that was emitted to a socket by a middleware.
	early struct {
		m adapter.Message
		u Unicast
	}
)

// atBorder returns the border, which it makes if need be. Called with mu held.
func (s *Socket) atBorder() *border {
	if s.border == nil {
		s.border = new(border)
	}
	return s.border
}

// hooks are what most sockets have little of, and so is apart: functions that are not event handlers, the
// identity, and the context.
type hooks struct {
	identity      string          // see SetIdentity
	face          Face            // see SetFace
	life          *life           // nil until the context is asked for
	middlewares   []*Middleware   // replaced, never changed
	any           []*func(*Event) // likewise
	anyOutgoing   []*func(*Event) // likewise
	disconnecting []*func(Disconnection)
	disconnected  []*func(Disconnection)
	calls         []func() // see later
}

// hook has change add a function.
func (s *Socket) hook(change func(*hooks)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hooks == nil {
		s.hooks = new(hooks)
	}
	change(s.hooks)
}

// withHooks returns the socket's hooks, which it makes if need be.
func (s *Socket) withHooks() (h *hooks) {
	s.hook(func(of *hooks) { h = of })
	return h
}

// hooked returns the functions added so far.
func (s *Socket) hooked() (h hooks) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hooks != nil {
		h = *s.hooks
	}
	return h
}

// leaving reports whether a disconnect handler has not been called yet.
func (h *hooks) leaving() bool { return len(h.disconnecting)+len(h.disconnected) > 0 }

// nextLeaving takes the disconnect handler that is to be called next, or returns nil.
func (s *Socket) nextLeaving() (fn *func(Disconnection)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.hooks
	switch {
	case h == nil:
	case len(h.disconnecting) > 0:
		fn, h.disconnecting = h.disconnecting[0], h.disconnecting[1:]
	case len(h.disconnected) > 0:
		fn, h.disconnected = h.disconnected[0], h.disconnected[1:]
	}
	return fn
}

// The states of a socket, in their order.
const (
	stateConnecting int32 = iota
	stateConnected
	stateGone
)

var _ adapter.Member = (*Socket)(nil)

func newSocket(c *client, nsp string, auth json.RawMessage) *Socket {
	s := &Socket{client: c, name: nsp, auth: auth}
	s.hold.Store(new(hold))
	return s
}

// ID returns the socket's id: 20 characters, unique, not a secret, and the name of a room with this
// socket alone. A recovered socket has the id it had.
func (s *Socket) ID() string { return s.id }

// Namespace returns the namespace the socket is in.
func (s *Socket) Namespace() *Namespace { return s.nsp }

// Handshake tells how the client connected.
func (s *Socket) Handshake() Handshake {
	return Handshake{s.client.session.Handshake(), s.auth, s.client.server.advice}
}

// Session returns the transport session beneath (Node: socket.conn).
func (s *Socket) Session() *transport.Session { return s.client.session }

// Connected reports whether the socket is connected.
func (s *Socket) Connected() bool { return s.state.Load() == stateConnected }

func (s *Socket) gone() bool { return s.state.Load() == stateGone }

// Recovered reports whether the connection state was recovered: the socket has its former id, rooms and
// data, and the client gets the events it missed. RecoveryError tells why it was not, when the client
// asked for it.
func (s *Socket) Recovered() bool { return s.recovery != nil && s.recovery.recovered }

// RecoveryError returns why a recovery that the client asked for was not possible, or nil.
func (s *Socket) RecoveryError() error {
	if s.recovery == nil {
		return nil
	}
	return s.recovery.err
}

// Context returns a context that ends when the socket disconnects or is refused, whether handlers run or not. Its cause
// (context.Cause) is ErrDisconnected then.
func (s *Socket) Context() context.Context { return (*lifetime)(s) }

// lifetime is the context of a socket. What ends it is made when somebody waits for that: it is a hundred bytes that
// most sockets never need.
type lifetime Socket

// made returns the context that ends.
func (l *lifetime) made() context.Context {
	s := (*Socket)(l)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hooks == nil {
		s.hooks = new(hooks)
	}
	if s.hooks.life == nil {
		ctx, cancel := context.WithCancelCause(context.Background())
		s.hooks.life = &life{ctx, func() { cancel(ErrDisconnected) }}
		if s.gone() {
			s.hooks.life.cancel()
		}
	}
	return s.hooks.life.ctx
}

func (l *lifetime) Deadline() (time.Time, bool) { return time.Time{}, false }
func (l *lifetime) Done() <-chan struct{}       { return l.made().Done() }
func (l *lifetime) Err() error                  { return l.made().Err() }
func (l *lifetime) String() string              { return "socket's context" }

// Value leads package context to what ends, so that those derived from it need no goroutine each.
func (l *lifetime) Value(key any) any { return l.made().Value(key) }

// endContext ends the context, if somebody has asked for it.
func (s *Socket) endContext() {
	if life := s.hooked().life; life != nil {
		life.cancel()
	}
}

// On registers a handler of the event and returns a function that removes it. fn is a function whose
// parameters take the event's arguments, each decoded into the parameter's own type, and whose results
// answer a client that waits for an acknowledgement:
//
//	s.On("message", func(ctx context.Context, m Message) (Receipt, error) { … })
//
// Before the arguments it may take any of context.Context (ends with the socket), *Socket, *Event and Args
// (raw access, to all of them), the last argument may be variadic, and a last parameter of type Ack answers by itself,
// later if need be. Arguments not sent are zero. The results are the values of the acknowledgement; an
// error as the last one answers {"error":"text"} instead. On panics when fn cannot be a handler.
func (s *Socket) On(event string, fn any) (off func()) {
	return s.handlers.add(s.client.server, "Socket.On", event, s.client.server.signatures.handler(event, fn))
}

// Once is On for the next such event only.
func (s *Socket) Once(event string, fn any) (off func()) {
	h := s.client.server.signatures.handler(event, fn)
	h.once = true
	return s.handlers.add(s.client.server, "Socket.Once", event, h)
}

// Off removes all handlers of the event from this socket.
func (s *Socket) Off(event string) { s.handlers.off(event) }

// OnAny calls fn for every event that arrives, before its handlers, until what it returns is called.
func (s *Socket) OnAny(fn func(*Event)) (off func()) {
	need("OnAny", "a function", fn != nil)
	return added(s.client.server, "Socket.OnAny", &s.mu, &s.withHooks().any, fn)
}

// OnAnyOutgoing calls fn for every event that is sent to this socket: an event to it alone before it is sent, in
// the emitter's goroutine, and a broadcast when it has been sent, in another for which the emitter waits, or the
// adapter if the event comes from another server. So fn must not block. As in Node, with recovery the offset is the last of
// an event's arguments, and what a recovered client has missed is sent without it.
func (s *Socket) OnAnyOutgoing(fn func(*Event)) (off func()) {
	need("OnAnyOutgoing", "a function", fn != nil)
	defer s.watching.Store(true)
	return added(s.client.server, "Socket.OnAnyOutgoing", &s.mu, &s.withHooks().anyOutgoing, fn)
}

// Use adds a middleware for the events of this socket.
func (s *Socket) Use(m Middleware) (off func()) {
	need("Use", "a function", m != nil)
	return added(s.client.server, "Socket.Use", &s.mu, &s.withHooks().middlewares, m)
}

// OnDisconnecting calls fn when the socket disconnects, before the functions of OnDisconnect. In both, Rooms
// tells where it was; it is no member of its namespace any more, and not counted (in Node it is until these have run).
func (s *Socket) OnDisconnecting(fn func(Disconnection)) (off func()) {
	need("OnDisconnecting", "a function", fn != nil)
	return added(s.client.server, "Socket.OnDisconnecting", &s.mu, &s.withHooks().disconnecting, fn)
}

// OnDisconnect calls fn once the socket has disconnected, after the handlers of all events received
// before. One that a middleware has registered is called too when the client goes before it is connected; when
// a middleware refuses the socket none is, and what has to be told then is told by Context.
func (s *Socket) OnDisconnect(fn func(Disconnection)) (off func()) {
	need("OnDisconnect", "a function", fn != nil)
	return added(s.client.server, "Socket.OnDisconnect", &s.mu, &s.withHooks().disconnected, fn)
}

// Disconnect takes the socket out of its namespace, or closes the client's session with all its sockets. The
// client sees "io server disconnect" and does not reconnect by itself. Events that wait for their handlers are
// dropped, and so is what a recovered client has missed and not taken yet. In a middleware it refuses the client, whose
// connect_error has the middleware's error, or ErrDisconnected if that returns none; the session is closed when all that
// connects has been answered so. Nobody recovers what was put out, nor what was being recovered then; of a socket whose
// connection is lost that is so until its handlers have run, and its state is kept.
func (s *Socket) Disconnect(closeSession bool) {
	if closeSession {
		s.client.disconnect()
		return
	}
	s.dropEvents()
	switch s.leave(Disconnection{Reason: ReasonServerDisconnect}) {
	case stateConnected:
		_ = s.report("disconnect", s.send(transport.SendOptions{}, s.disconnectPacket())) // gone is as good
	case stateGone:
		s.disown()
	}
}

// leave ends the membership at once, has the queue run the disconnect handlers in their turn, and returns the
// state before. Only the first call counts.
func (s *Socket) leave(why Disconnection) (was int32) {
	was = s.state.Swap(stateGone)
	if was == stateGone {
		return was
	}
	s.mu.Lock()
	acks := s.acks
	s.acks = nil
	s.client.questions.Add(-int32(len(acks)))
	b := s.atBorder()
	b.why = why
	if s.hooks != nil {
		b.identity = s.hooks.identity
	}
	busy := was == stateConnected && s.queue.busy()
	if busy {
		b.timer = time.AfterFunc(lateTimeout, s.tooLate)
	}
	s.mu.Unlock()
	s.endContext()
	if !busy {
		s.dropIdentity()
	}
	for _, id := range slices.Sorted(maps.Keys(acks)) { // in the order that they were asked for
		acks[id](Args{}, ErrDisconnected)
	}
	if was != stateConnected {
		s.dropEvents() // which come to no handler
		return was     // connect sees to the rest
	}
	s.unhold(why.Reason == ReasonServerDisconnect)
	s.part(why.Reason, true)
	s.client.enqueue(s, item{kind: itemDisconnect})
	if why.Reason == ReasonServerDisconnect || why.Reason == ReasonTakenOver {
		// The session may live on, and nobody else need be about to run the queue.
		s.client.server.wg.Go(s.client.Work)
	}
	return was
}

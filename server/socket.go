package server

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server/packet"
	"github.com/beanpole/beanpole/transport"
)

// Socket is one client in one namespace. All methods may be called from any goroutine. Handlers of one
// socket run one at a time, in the order its client sent the events, and not before the connection
// handlers of the namespace have returned.
type Socket struct {
	// What a broadcast looks at stands together: that is one line of the processor's cache for each socket.
	client   *client // set by newSocket, then read only
	state    atomic.Int32
	watching atomic.Bool // OnAnyOutgoing has been called

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
	life   *life                        // guarded by mu; nil until its context is asked for
	border *border                      // guarded by mu; nil while it is connected and has entered its rooms
}

// What a connected socket seldom has is apart from it, as are its hooks: 100 bytes less for each.
type (
	// recovery is how a socket can be recovered, and was. Set while connecting, then read only.
	recovery struct {
		pid       string
		recovered bool
		err       error // why not
	}
	// life is the context that ends with a socket.
	life struct {
		ctx    context.Context
		cancel context.CancelFunc
	}
	// border is a socket's state before it has entered its rooms and after it has left.
	border struct {
		reason transport.CloseReason // set once it has left
		rooms  []string              // the rooms to join once connected, and those it was in when it left
	}
)

// atBorder returns the border, which it makes if need be. Called with mu held.
func (s *Socket) atBorder() *border {
	if s.border == nil {
		s.border = new(border)
	}
	return s.border
}

// hooks are what most sockets have little of, and so is apart: functions that are not event handlers, and
// the identity.
type hooks struct {
	identity      string         // see SetIdentity
	middlewares   []Middleware   // replaced, never changed
	any           []func(*Event) // likewise
	anyOutgoing   []func(*Event) // likewise
	disconnecting []func(string)
	disconnected  []func(string)
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

// hooked returns the functions added so far.
func (s *Socket) hooked() (h hooks) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hooks != nil {
		h = *s.hooks
	}
	return h
}

// The states of a socket, in their order.
const (
	stateConnecting int32 = iota
	stateConnected
	stateGone
)

var _ adapter.Member = (*Socket)(nil)

func newSocket(c *client, nsp string, auth json.RawMessage) *Socket {
	return &Socket{client: c, name: nsp, auth: auth}
}

// ID returns the socket's id: 20 characters, unique, not a secret, and the name of a room with this
// socket alone. A recovered socket has the id it had.
func (s *Socket) ID() string { return s.id }

// Namespace returns the namespace the socket is in.
func (s *Socket) Namespace() *Namespace { return s.nsp }

// Handshake tells how the client connected.
func (s *Socket) Handshake() Handshake { return Handshake{s.client.session.Handshake(), s.auth} }

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

// Context returns a context that ends when the socket disconnects, whether handlers run or not.
func (s *Socket) Context() context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life == nil {
		ctx, cancel := context.WithCancel(context.Background())
		s.life = &life{ctx, cancel}
		if s.gone() {
			cancel()
		}
	}
	return s.life.ctx
}

// On registers a handler of the event and returns a function that removes it. fn is a function whose
// parameters take the event's arguments, each decoded into the parameter's own type, and whose results
// answer a client that waits for an acknowledgement:
//
//	s.On("message", func(ctx context.Context, m Message) (Receipt, error) { … })
//
// Before the arguments it may take any of context.Context (ends with the socket), *Socket and *Event
// (raw access), the last argument may be variadic, and a last parameter of type Ack answers by itself,
// later if need be. Arguments not sent are zero. The results are the values of the acknowledgement; an
// error as the last one answers {"error":"text"} instead. On panics when fn cannot be a handler.
func (s *Socket) On(event string, fn any) (off func()) {
	return s.handlers.add(event, s.client.server.signatures.handler(event, fn))
}

// Once is On for the next such event only.
func (s *Socket) Once(event string, fn any) (off func()) {
	h := s.client.server.signatures.handler(event, fn)
	h.once = true
	return s.handlers.add(event, h)
}

// Off removes all handlers of the event from this socket.
func (s *Socket) Off(event string) { s.handlers.off(event) }

// OnAny calls fn for every event that arrives, before its handlers.
func (s *Socket) OnAny(fn func(*Event)) {
	s.hook(func(h *hooks) { h.any = append(slices.Clip(h.any), fn) })
}

// OnAnyOutgoing calls fn for every event that is sent to this socket, in the emitter's goroutine: it
// must not block.
func (s *Socket) OnAnyOutgoing(fn func(*Event)) {
	s.hook(func(h *hooks) { h.anyOutgoing = append(slices.Clip(h.anyOutgoing), fn) })
	s.watching.Store(true)
}

// Use adds a middleware for the events of this socket.
func (s *Socket) Use(m Middleware) {
	s.hook(func(h *hooks) { h.middlewares = append(slices.Clip(h.middlewares), m) })
}

// OnDisconnecting calls fn when the socket disconnects, while Rooms still tells where it was.
func (s *Socket) OnDisconnecting(fn func(reason string)) {
	s.hook(func(h *hooks) { h.disconnecting = append(h.disconnecting, fn) })
}

// OnDisconnect calls fn once the socket has disconnected, after the handlers of all events received
// before. The reasons are Node's (socket-types.ts, DisconnectReason), those of package transport and
// the Reason constants of this package.
func (s *Socket) OnDisconnect(fn func(reason string)) {
	s.hook(func(h *hooks) { h.disconnected = append(h.disconnected, fn) })
}

// Join puts the socket into rooms; from a middleware, once it is connected. It does nothing on a socket
// that has disconnected.
func (s *Socket) Join(rooms ...string) {
	switch s.state.Load() {
	case stateConnecting:
		s.mu.Lock()
		b := s.atBorder()
		b.rooms = append(b.rooms, rooms...)
		s.mu.Unlock()
	case stateConnected:
		s.nsp.adapter.Join(s, rooms...)
		if s.gone() {
			s.nsp.adapter.Remove(s) // it left meanwhile, and nobody else would take it out again
		}
	}
}

// Leave takes the socket out of rooms.
func (s *Socket) Leave(rooms ...string) {
	switch s.state.Load() {
	case stateConnecting:
		s.mu.Lock()
		b := s.atBorder()
		b.rooms = slices.DeleteFunc(b.rooms, func(r string) bool { return slices.Contains(rooms, r) })
		s.mu.Unlock()
	case stateConnected:
		s.nsp.adapter.Leave(s, rooms...)
	}
}

// Rooms returns the rooms the socket is in, its own id among them; after it has disconnected, those it
// was in, until the disconnect handlers have run.
func (s *Socket) Rooms() []string {
	if s.Connected() {
		return s.nsp.adapter.RoomsOf(s)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.border == nil {
		return nil
	}
	return slices.Clone(s.border.rooms)
}

// Disconnect takes the socket out of its namespace, or closes the client's session with all its sockets.
// The client sees "io server disconnect" and does not reconnect by itself. Events that wait for their
// handlers are dropped.
func (s *Socket) Disconnect(closeSession bool) {
	if closeSession {
		s.client.disconnect()
		return
	}
	if !s.Connected() {
		return
	}
	s.queue.dropEvents()
	_ = s.send(transport.SendOptions{}, &packet.Packet{Type: packet.Disconnect, Namespace: s.name}) // gone is as good
	s.leave(ReasonServerDisconnect)
}

// leave ends the socket's membership at once and has its queue run the disconnect handlers in their
// turn. Only the first call counts.
func (s *Socket) leave(reason transport.CloseReason) {
	was := s.state.Swap(stateGone)
	if was == stateGone {
		return
	}
	s.mu.Lock()
	acks, life := s.acks, s.life
	s.acks, s.atBorder().reason = nil, reason
	s.mu.Unlock()
	if life != nil {
		life.cancel()
	}
	s.dropIdentity()
	for _, answer := range acks {
		answer(Args{}, ErrDisconnected)
	}
	if was != stateConnected {
		return
	}
	rooms := s.nsp.adapter.Remove(s)
	s.mu.Lock()
	b := s.atBorder()
	if len(rooms) < len(b.rooms) {
		rooms = b.rooms // it had not entered them yet
	}
	b.rooms = rooms
	s.mu.Unlock()
	if s.recovery != nil && recoverable(reason) {
		s.save(rooms)
	}
	s.client.enqueue(s, item{kind: itemDisconnect})
	if reason == ReasonServerDisconnect {
		// The session may live on, and nobody else need be about to run the queue.
		s.client.server.wg.Go(s.client.Work)
	}
}

// save keeps the state of the socket for recovery.
func (s *Socket) save(rooms []string) {
	data, err := s.Data.MarshalJSON()
	if err != nil {
		s.client.log().Warn("socket data is not JSON: recovery will lose it", "namespace", s.name, "err", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err = s.nsp.adapter.Save(ctx, adapter.Session{SID: s.id, PID: s.recovery.pid, Rooms: rooms, Data: data})
	if err != nil {
		s.client.log().Debug("session not saved for recovery", "namespace", s.name, "err", err)
	}
}

// Handshake tells how a client connected to a namespace: the first request of its session, and the auth
// payload it sent for this namespace.
type Handshake struct {
	*transport.Handshake
	auth json.RawMessage
}

// Auth decodes the auth payload into v. Without a payload v is left as it is.
func (h Handshake) Auth(v any) error {
	if len(h.auth) == 0 {
		return nil
	}
	return json.Unmarshal(h.auth, v)
}

// RawAuth returns the auth payload as JSON, or nil when the client sent none.
func (h Handshake) RawAuth() json.RawMessage { return h.auth }

// Issued returns when the client connected, in milliseconds since 1970.
func (h Handshake) Issued() int64 { return h.Time().UnixMilli() }

// describe is the handshake in Node's form.
func (h Handshake) describe() adapter.Handshake {
	t := h.Time()
	d := adapter.Handshake{
		Headers: make(map[string]string), Query: make(map[string]string),
		Time: t.UTC().Format("Mon Jan 02 2006 15:04:05 GMT-0700 (MST)"), Issued: t.UnixMilli(),
		Address: h.Addr(), XDomain: h.CrossOrigin(), Secure: h.Secure(), URL: h.URL(), Auth: adapter.Raw(h.auth),
	}
	for k, v := range h.Header() {
		d.Headers[strings.ToLower(k)] = strings.Join(v, ", ")
	}
	for k, v := range h.Query() {
		d.Query[k] = v[len(v)-1]
	}
	return d
}

package zishang

import (
	"context"
	"encoding/json"
	"net/url"
	"sync"

	"github.com/zishang520/engine.io/v2/events"
	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io-go-parser/v2/parser"
	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/server"
)

// member is one socket of package server together with the library's.
type member struct {
	// Set when it is made, then read only.
	h      *Handler
	server *server.Socket
	conn   *conn

	parents []socket.ParentNamespace // of the Dynamic that has let it in; owned by the middlewares

	// Set by make, before anything of the application's, then read only.
	id     string
	socket *socket.Socket
	nsp    *namespace

	calls line // acknowledgements, which overtake events
	later line // events that middlewares have let through later

	turn  sync.Mutex // held while its handlers run
	ended bool       // guarded by turn; its disconnect handlers have run
	hasty bool       // guarded by turn; it has a middleware that does not call next: see pass

	mu     sync.Mutex
	over   bool     // guarded by mu; it has left, or was not let in
	told   bool     // guarded by mu; its connection handlers are called
	kicked bool     // guarded by mu; the application has disconnected it
	data   snapshot // guarded by mu
}

// memberOf returns the member of a socket of a server made by New, or nil.
func memberOf(s *socket.Socket) *member {
	if e, ok := s.StrictEventEmitter.EventEmitter.(*socketEmitter); ok {
		return e.member
	}
	return nil
}

// emitter has the listeners of the library's socket.
func (m *member) emitter() *emitter {
	return m.socket.StrictEventEmitter.EventEmitter.(*socketEmitter).emitter
}

// faceOf is memberOf for a socket of package server.
func faceOf(s *server.Socket) *member { m, _ := s.Face().(*member); return m }

// memberFor is faceOf for a socket that may be new.
func (h *Handler) memberFor(s *server.Socket) *member {
	if m := faceOf(s); m != nil {
		return m
	}
	m := &member{h: h, server: s, conn: h.connOf(s.Session())}
	s.SetFace(m)
	context.AfterFunc(s.Context(), m.leave)
	return m
}

// make makes the library's socket. It is the first middleware behind those that note the parents, and comes twice
// when a socket could not be recovered after all.
func (h *Handler) make(s *server.Socket) error {
	m := h.memberFor(s)
	n := h.find(s.Namespace().Name())
	if n == nil {
		return server.ErrServerClosed
	}
	<-n.made // listeners of new_namespace may be about to put middlewares on it
	for _, p := range m.parents {
		p.Children().Add(n.nsp)
	}
	var previous *socket.Session
	if from := s.Restored(); from != nil {
		if from.Live == nil {
			from.Live = value(json.RawMessage(from.Data))
		}
		previous = &socket.Session{SessionToPersist: &socket.SessionToPersist{
			Rooms: types.NewSet[socket.Room](), Data: from.Live,
		}}
	}
	made := m.conn.newSocket(n.nsp, authOf(s), previous)
	h.internals.setID(made, s.ID())
	made.StrictEventEmitter.EventEmitter = &socketEmitter{emitter: newEmitter(h.protect), member: m}
	if m.socket != nil {
		if other := s.Namespace().Socket(m.id); other != nil { // who has been recovered instead
			defer faceOf(other).beKnown()
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.over {
		return server.ErrDisconnected
	}
	m.stand()
	m.id, m.socket, m.nsp, m.kicked = s.ID(), made, n, false
	h.members.Store(m.id, m)
	h.internals.byNamespace(m.conn.client).Store(n.name, made)
	s.Use(m.event)
	s.OnDisconnecting(m.disconnect)
	return nil
}

// beKnown has the socket found by its id, if it is in. Others may have come with that id: one that could not be
// recovered after all, and one that is taking this one over.
func (m *member) beKnown() {
	m.h.mu.Lock()
	defer m.h.mu.Unlock()
	if m.server.Connected() {
		m.h.members.Store(m.id, m)
		m.nsp.nsp.Sockets().Store(m.socket.Id(), m.socket)
	}
}

// authOf is the auth payload in the library's form.
func authOf(s *server.Socket) any {
	v := value(s.Handshake().RawAuth())
	if flat, ok := v.(map[string]any); ok && s.Session().Protocol() == 3 {
		values := make(url.Values, len(flat))
		for k, v := range flat {
			text, _ := v.(string) // package server makes it of a query
			values[k] = []string{text}
		}
		return values
	}
	return v
}

// seat makes the socket one of the library's namespace. It is the last middleware: from here on the client
// may be told that it is connected.
func (h *Handler) seat(s *server.Socket) error {
	m := faceOf(s)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.over {
		return server.ErrDisconnected
	}
	h.internals.setConnected(m.socket, true)
	m.nsp.nsp.Sockets().Store(m.socket.Id(), m.socket)
	h.internals.socketsOf(m.conn.client).Store(m.socket.Id(), m.socket)
	return nil
}

// stand undoes seat, if there is anything to undo. Called with mu held.
func (m *member) stand() {
	if m.socket == nil {
		return
	}
	m.h.internals.setConnected(m.socket, false)
	m.nsp.nsp.Sockets().CompareAndDelete(m.socket.Id(), m.socket)
	m.h.internals.socketsOf(m.conn.client).CompareAndDelete(m.socket.Id(), m.socket)
	m.h.internals.byNamespace(m.conn.client).CompareAndDelete(m.nsp.name, m.socket)
	if !m.told {
		m.h.members.CompareAndDelete(m.id, m)
	}
}

// leave is called when the socket has left package server, for whatever reason, or was not let in.
func (m *member) leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.over = true
	m.stand()
}

// connected calls the connection handlers. A panic in one has package server disconnect the socket.
func (h *Handler) connected(s *server.Socket) {
	m := faceOf(s)
	m.turn.Lock()
	defer m.turn.Unlock()
	m.beKnown()
	m.mu.Lock()
	m.told = true
	h.members.LoadOrStore(m.id, m) // it may have left already, and be out
	kicked := m.kicked
	m.mu.Unlock()
	if kicked {
		s.Disconnect(false)
		return
	}
	defer m.note()
	m.welcome()
}

// disconnect runs the disconnect handlers: the last thing a socket does.
func (m *member) disconnect(why server.Disconnection) {
	m.leave()
	m.turn.Lock()
	defer m.turn.Unlock()
	defer m.h.members.CompareAndDelete(m.id, m)
	m.ended = true
	m.nsp.left(m, m.server.Rooms())
	m.emitter().Emit("disconnecting", string(why.Reason))
	m.emitter().Emit("disconnect", string(why.Reason))
}

// socketEmitter takes the place of a socket's own emitter.
type socketEmitter struct {
	*emitter
	member *member
}

// Emit calls the listeners of name. That the socket is to be disconnected is learnt here, where the library
// holds no lock; that it has been is told in its turn.
func (e *socketEmitter) Emit(name events.EventName, args ...any) {
	switch name {
	case "disconnecting":
		if len(args) > 0 && args[0] == string(server.ReasonServerDisconnect) {
			e.member.kick()
		}
	case "disconnect":
	default:
		e.emitter.Emit(name, args...)
	}
}

// kick disconnects the socket for the application.
func (m *member) kick() {
	m.mu.Lock()
	m.kicked = true
	m.mu.Unlock()
	m.server.Disconnect(false) // or else connected does
}

// emit sends an event of the library. It may be called with the library's lock of the client held.
func (m *member) emit(p *parser.Packet) {
	args, ok := p.Data.([]any)
	if !ok || len(args) == 0 {
		return
	}
	name, _ := args[0].(string)
	var err error
	if p.Id == nil {
		err = m.server.Emit(name, wires(args[1:])...)
	} else {
		id := *p.Id
		err = m.server.EmitFunc(func(a server.Args, err error) { m.answered(id, a, err) }, name, wires(args[1:])...)
	}
	m.h.failed(m.nsp.name, "event "+name, err)
}

// answered hands on the client's answer. One that will not come is not told of, as in Node. The callback is taken when it is about to
// be called, and no sooner: until then the library's timer may take it, which calls back by itself.
func (m *member) answered(id uint64, a server.Args, err error) {
	acks := m.socket.Acks()
	release, ok := func() {}, false
	if _, waits := acks.Load(id); waits && err == nil {
		release, ok = m.server.Hold(a, false)
	}
	if !ok {
		acks.Delete(id)
		return
	}
	m.calls.add(m.h, m.server.Context(), func(late bool) {
		defer release()
		defer acks.Delete(id)
		if _, waits := acks.Load(id); !waits || late {
			return
		}
		m.h.protect("acknowledgement", func() {
			args := valuesOf(a.Len(), a.Decode)
			if fn, waits := acks.LoadAndDelete(id); waits {
				fn(args, nil)
			}
		})
	})
}

// SetIdentity says whose socket it is: the name of an account, as the application has found out, for the
// limits per identity in Config.Limits. It is called in a middleware, which hands its result to next:
//
//	io.Use(func(s *socket.Socket, next func(*socket.ExtendedError)) { next(zishang.SetIdentity(s, nameOf(s))) })
//
// The result is not nil when server.Socket.SetIdentity returns an error; when a limit is reached its data are
// a *server.LimitError. Sockets of one session count once. A recovered socket has the identity it had. On a
// socket that is of no server made by New it does nothing.
func SetIdentity(s *socket.Socket, id string) *socket.ExtendedError {
	m := memberOf(s)
	if m == nil {
		return nil
	}
	if err := m.server.SetIdentity(id); err != nil {
		return socket.NewExtendedError(err.Error(), err)
	}
	return nil
}

// Identity returns what SetIdentity has set, or "".
func Identity(s *socket.Socket) string {
	if m := memberOf(s); m != nil {
		return m.server.Identity()
	}
	return ""
}

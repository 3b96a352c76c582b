package zishang

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/zishang520/engine.io/v2/events"
	"github.com/zishang520/socket.io-go-parser/v2/parser"
	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/packet"
	"github.com/beanpole/beanpole/transport"
)

// The states of a member, in their order.
const (
	stateConnecting int32 = iota
	stateConnected
	stateGone
)

// member is one socket of the library with what this package keeps of it. It is the member of the
// namespace that the adapter sees.
type member struct {
	// Set by session.connect, then read only.
	seat *seat

	// Set by bind, before any listener of the application, then read only.
	socket *socket.Socket
	nsp    *namespace
	id     string

	state   atomic.Int32
	over    atomic.Bool // refused, abandoned or gone: its seat is free
	out     atomic.Bool // of the adapter, for good
	leaving atomic.Bool // the client's DISCONNECT has been received
	dropped atomic.Bool // the server has disconnected it: events that wait are not for it any more

	limited atomic.Bool // refused for the limit of its identity

	last atomic.Pointer[string] // the offset of the last event that was sent to it

	mu       sync.Mutex
	identity string                           // guarded by mu; see SetIdentity
	holding  bool                             // guarded by mu; its queue is held until the connection is made
	turning  bool                             // guarded by mu; a connection is being made
	asks     map[uint64]func(adapter.Message) // guarded by mu; broadcasts that wait for this client's answer
	reason   string                           // guarded by mu; why it ends, if the library cannot know
	args     []any                            // guarded by mu; of the disconnection: its reason and description
	saved    *adapter.Session                 // guarded by mu; to be saved once it has left
	trail    adapter.Trail                    // guarded by mu; set when it has left its rooms
	ctx      context.Context                  // guarded by mu; made when first asked for
	cancel   context.CancelFunc               // guarded by mu
}

var _ adapter.Member = (*member)(nil)

// ID returns the socket's id.
func (m *member) ID() string { return m.id }

// Gone reports whether the socket has left: a Join that races with that does not bring it back.
func (m *member) Gone() bool { return m.out.Load() }

// free reports whether the client may connect to the namespace again.
func (m *member) free() bool { return m.over.Load() || m.leaving.Load() }

// socketEmitter takes the place of a socket's own emitter.
type socketEmitter struct {
	*emitter
	member *member
}

// Emit calls the listeners of name. The end of the socket is not told here and now but in its turn, once:
// the library may come twice, and in any goroutine.
func (e *socketEmitter) Emit(name events.EventName, args ...any) {
	switch name {
	case "disconnecting":
	case "disconnect":
		e.member.left(args)
	default:
		e.emitter.Emit(name, args...)
	}
}

// memberOf returns the member of a socket that has been bound, or nil.
func memberOf(s *socket.Socket) *member {
	if e, ok := s.StrictEventEmitter.EventEmitter.(*socketEmitter); ok {
		return e.member
	}
	return nil
}

// bind makes s the library's socket of the member that is being connected to the namespace, and returns
// that, or nil when there is none any more. A fresh socket, which nobody has seen yet, gets an id in the
// form of Node's: the library's are 24 characters, and adapters tell the room of one socket by its 20.
func (n *namespace) bind(s *socket.Socket, fresh bool) *member {
	if m := memberOf(s); m != nil {
		return m
	}
	conn, ok := s.Conn().(*session)
	if !ok {
		return nil
	}
	m := conn.connecting(n.name)
	if m == nil || m.over.Load() || m.socket != nil {
		return nil
	}
	if fresh && !s.Recovered() && conn.session.Protocol() != 3 {
		n.h.internals.setID(s, newID())
	}
	m.mu.Lock()
	m.socket, m.nsp, m.id = s, n, string(s.Id())
	m.mu.Unlock()
	n.claim(m)
	e := &socketEmitter{emitter: newEmitter(n.h.protect), member: m}
	e.takeFrom(s.StrictEventEmitter.EventEmitter)
	s.StrictEventEmitter.EventEmitter = e
	return m
}

// context ends when the socket disconnects.
func (m *member) context() context.Context {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ctx == nil {
		m.ctx, m.cancel = context.WithCancel(context.Background())
		if m.over.Load() {
			m.cancel()
		}
	}
	return m.ctx
}

// left is told by the library that the socket is disconnected and out of everything. Only the first call
// counts. The handlers run in the socket's turn, after the events received before.
func (m *member) left(args []any) {
	m.mu.Lock()
	was := m.state.Load()
	if m.over.Swap(true) {
		m.mu.Unlock()
		return
	}
	m.state.Store(stateGone)
	m.args = m.because(args)
	asks, cancel, saved, identity := m.asks, m.cancel, m.saved, m.takeIdentity()
	m.asks, m.saved = nil, nil
	if saved != nil {
		if saved.Identity, saved.Trail = identity, m.trail; m.last.Load() != nil {
			saved.Last = *m.last.Load()
		}
	}
	m.mu.Unlock()
	m.seat.session.giveUp(identity)
	if cancel != nil {
		cancel()
	}
	for _, answer := range asks {
		answer(adapter.Message{})
	}
	if was != stateConnected {
		return // nobody was told of it
	}
	if saved != nil {
		m.nsp.save(saved)
	}
	m.seat.session.enqueueFrom(&m.seat.queue, item{kind: itemDisconnect, member: m})
}

// because returns the reason and description of the socket's end, of which the library knows what it was
// told. Called with mu held.
func (m *member) because(args []any) []any {
	if len(args) == 0 || args[0] != string(server.ReasonServerDisconnect) {
		return args
	}
	switch {
	case m.reason != "":
		return []any{m.reason}
	case m.leaving.Load():
		return []any{string(server.ReasonClientDisconnect)}
	}
	m.dropped.Store(true)
	return args
}

// onAck hands on the client's answer to the packet with that id, at most once.
func (m *member) onAck(id uint64, raw, attachments [][]byte) {
	m.mu.Lock()
	answer := m.asks[id]
	delete(m.asks, id)
	m.mu.Unlock()
	if answer != nil {
		first := adapter.Message{Data: []byte("null")}
		if len(raw) > 0 {
			first = adapter.Message{Data: raw[0], Attachments: attachments}
		}
		answer(first)
		return
	}
	if fn, ok := m.socket.Acks().LoadAndDelete(id); ok {
		m.seat.session.h.protect("acknowledgement", func() { fn(values(raw, attachments), nil) })
	}
}

// expect registers who is told the client's answer to the packet with that id.
func (m *member) expect(id uint64, answer func(adapter.Message)) {
	m.mu.Lock()
	if m.over.Load() {
		m.mu.Unlock()
		answer(adapter.Message{})
		return
	}
	if m.asks == nil {
		m.asks = make(map[uint64]func(adapter.Message), 1)
	}
	m.asks[id] = answer
	m.mu.Unlock()
}

func (m *member) forget(id uint64) {
	m.mu.Lock()
	delete(m.asks, id)
	m.mu.Unlock()
}

// sendAck answers the event with that id.
func (m *member) sendAck(id uint64, args []any) {
	if m.state.Load() != stateConnected {
		return
	}
	m.send(&parser.Packet{Type: parser.ACK, Nsp: m.seat.name, Id: &id, Data: args}, transport.SendOptions{})
}

// send sends a packet past the library.
func (m *member) send(p *parser.Packet, o transport.SendOptions) {
	for _, e := range m.seat.session.h.codec.Encode(p) {
		_ = m.seat.session.session.Send(o, e.(*encoded).messages...) // a session that closed says so by Closed
	}
}

// sendEvent sends an event in the adapter's form.
func (m *member) sendEvent(msg adapter.Message, o transport.SendOptions) {
	p := &packet.Packet{Type: packet.Event, Namespace: m.seat.name, Data: msg.Data, Attachments: msg.Attachments}
	_ = m.seat.session.session.Send(o, messages(nil, m.seat.session.h.cfg.Parser.Encode(nil, nil, p))...)
}

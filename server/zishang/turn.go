package zishang

import (
	"sync/atomic"

	"github.com/zishang520/engine.io/v2/events"
	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/server"
)

// This file is what a socket does in its turn. The library is asked for three things only: to connect a
// socket, to disconnect it, and for the lists of what the application registered; all handlers are called
// from here, one at a time and under recover.

// do does one thing and reports whether the queue is held: somebody else goes on with it.
func (t *seat) do(it item) (held bool) {
	switch it.kind {
	case itemConnect:
		return it.member.connect(it.auth, it.query)
	case itemEvent:
		if !it.owed || it.member.counted() {
			it.member.event(it.event)
		}
	case itemLeave:
		it.member.leave()
	case itemDisconnect:
		it.member.disconnect()
	case itemCall:
		if it.member.socket != nil {
			it.call(it.member)
		}
	}
	return false
}

// connect has the library connect the socket. Its middlewares run now; what follows the last one is in
// the library's own goroutine and comes back as refused or connected, and until then the queue is held.
func (m *member) connect(auth []byte, query string) (held bool) {
	s := m.seat.session
	s.keepRequest()
	s.mu.Lock()
	m.seat.turn = m
	s.mu.Unlock()
	m.mu.Lock()
	begun := !m.over.Load() // else the session has closed
	m.turning = begun
	if begun {
		s.h.wg.Add(1) // given back by endTurn
	}
	m.mu.Unlock()
	if !begun {
		s.dropRequest()
		return false
	}
	unlock := s.h.creation(m.seat.name)
	ok := s.h.protect("connect", func() { s.Emit("data", s.connectPacket(m.seat.name, auth, query)) })
	unlock()
	if !ok {
		m.crashed()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.holding = m.turning
	return m.holding
}

// crashed answers for a middleware of the namespace that panicked.
func (m *member) crashed() {
	if !m.finish() {
		return
	}
	m.seat.session.refuse(m.seat.name, "internal server error", server.RefusedMiddleware)
	if m.socket != nil {
		m.nsp.DelAll(m.socket.Id())
	}
	m.endTurn(false)
}

// refused is told when the library has answered CONNECT_ERROR, under its lock of the client.
func (m *member) refused() {
	if !m.finish() {
		return
	}
	cause := server.RefusedMiddleware
	m.mu.Lock()
	made := m.socket != nil
	m.mu.Unlock()
	switch {
	case m.limited.Load():
		cause = server.RefusedIdentity
	case !made: // the library has found no namespace to make it in
		cause = server.RefusedNamespace
	}
	m.seat.session.h.stats.refuse(cause)
	m.endTurn(false)
}

// abandon is told when the session has closed and the library knows: a connection that is being made will
// not be.
func (m *member) abandon(reason string) {
	if m.finish() {
		m.endTurn(false)
		return
	}
	m.mu.Lock()
	orphan := m.state.Load() == stateConnected && !m.over.Load()
	if orphan {
		m.reason = reason
	}
	m.mu.Unlock()
	if orphan {
		// The library was told just before it took the socket in, and has forgotten it.
		m.seat.session.h.protect("disconnect", func() { m.socket.Disconnect(false) })
	}
}

// finish ends a socket that is not connected yet. It reports whether it was so.
func (m *member) finish() bool {
	m.mu.Lock()
	ended := m.state.Load() == stateConnecting && !m.over.Swap(true)
	identity := ""
	if ended {
		identity = m.takeIdentity()
	}
	m.mu.Unlock()
	m.seat.session.giveUp(identity)
	return ended
}

// endTurn ends the making of a connection and has the queue go on: in this goroutine if here, which must
// then hold no lock, else in one of its own.
func (m *member) endTurn(here bool) {
	m.mu.Lock()
	if !m.turning {
		m.mu.Unlock()
		return
	}
	m.turning = false
	held := m.holding
	m.mu.Unlock()
	s := m.seat.session
	s.mu.Lock()
	m.seat.turn = nil
	s.mu.Unlock()
	s.dropRequest()
	switch {
	case !held:
	case here:
		m.seat.queue.work()
	default:
		s.h.wg.Go(m.seat.queue.work)
	}
	s.h.wg.Done()
}

// onConnect is told when the library has connected s and said so to the client, before the connection
// handlers. It reports whether they are to be called.
func (n *namespace) onConnect(s *socket.Socket) bool {
	m := n.bind(s, false)
	if m != nil && m.enter() {
		return true
	}
	// The client has left, or was refused, while the library was at it. The socket is taken out again
	// without anybody hearing of it.
	s.StrictEventEmitter.EventEmitter = newEmitter(n.h.protect)
	s.Disconnect(false)
	n.DelAll(s.Id())
	if m != nil {
		m.endTurn(true)
	}
	return false
}

// enter makes the socket a member of its namespace, unless it has left already.
func (m *member) enter() bool {
	h := m.seat.session.h
	m.mu.Lock()
	ok := !m.over.Load()
	if ok {
		m.state.Store(stateConnected)
		h.wg.Add(1) // given back by disconnect; the turn still holds wg up
	}
	m.mu.Unlock()
	if !ok {
		return false
	}
	s := m.seat.session
	s.mu.Lock()
	m.seat.live = m
	s.mu.Unlock()
	h.stats.connected.Add(1)
	m.nsp.enter(m)
	return true
}

// onConnected is told when the connection handlers have returned.
func (n *namespace) onConnected(s *socket.Socket) {
	if m := memberOf(s); m != nil {
		m.endTurn(true)
	}
}

// event runs the handlers of one event: what the library's Socket.onevent and dispatch do.
func (m *member) event(e *event) {
	if m.state.Load() == stateConnecting || m.dropped.Load() {
		return // behind a CONNECT that was refused, or on its way when the server disconnected the socket
	}
	h := m.seat.session.h
	for _, fn := range m.socket.ListenersAny() {
		if fn != nil {
			h.protect(e.name, func() { fn(m.named(e)...) })
		}
	}
	if !m.pass(e) {
		return
	}
	if m.dropped.Load() {
		return // by a middleware
	}
	m.dispatch(e)
}

// named is the event as catch-all listeners and middlewares get it: the name, then the arguments.
func (m *member) named(e *event) []any {
	args := e.arguments()
	return append(append(make([]any, 0, len(args)+1), e.name), args...)
}

// The states of an event in the middlewares.
const (
	passing int32 = iota // within its turn
	passed
	parked // its turn is over; a middleware may let it through later
)

// pass runs the socket's middlewares and reports whether the handlers are to be called now. A middleware
// that lets the event through later, from another goroutine, has them called by itself.
func (m *member) pass(e *event) bool {
	h := m.seat.session.h
	list := h.internals.middlewaresOf(m.socket)
	if len(list) == 0 {
		return true
	}
	args := m.named(e)
	var state atomic.Int32
	var step func(i int)
	step = func(i int) {
		if i == len(list) {
			if !state.CompareAndSwap(passing, passed) && state.CompareAndSwap(parked, passed) {
				m.late(e, args)
			}
			return
		}
		list[i](args, func(err error) {
			if err != nil {
				m.socket.EmitReserved("error", err)
				return
			}
			step(i + 1)
		})
	}
	h.protect(e.name, func() { step(0) })
	if state.CompareAndSwap(passing, parked) {
		return false
	}
	e.replace(args)
	return true
}

// late runs the handlers of an event that a middleware has let through after its turn.
func (m *member) late(e *event, args []any) {
	if m.state.Load() == stateConnected {
		e.replace(args)
		m.dispatch(e)
	}
}

// dispatch calls the listeners of e.
func (m *member) dispatch(e *event) {
	se, ok := m.socket.StrictEventEmitter.EventEmitter.(*socketEmitter)
	if !ok {
		return
	}
	observers := m.seat.session.h.cfg.Observers
	if len(observers) == 0 {
		se.dispatch(e)
		return
	}
	known := len(se.get(events.EventName(e.name))) > 0
	var err error
	for _, o := range observers {
		_, done := o.Handling(m.context(), nil, e.name, known)
		defer func() { done(err) }()
	}
	if !se.dispatch(e) {
		err = server.ErrPanic
	}
}

// leave ends the socket as its client wishes. The library's own way would be a goroutine that may come
// too late for the client's next CONNECT; Disconnect does the same here and now. See session.write for
// the packet, member.left for the reason.
func (m *member) leave() {
	if m.socket != nil && m.state.Load() == stateConnected {
		m.nsp.h.protect("disconnect", func() { m.socket.Disconnect(false) })
	}
	m.finish()
}

// disconnect runs the disconnect handlers: the last thing a socket does.
func (m *member) disconnect() {
	m.mu.Lock()
	args := m.args
	m.mu.Unlock()
	if e, ok := m.socket.StrictEventEmitter.EventEmitter.(*socketEmitter); ok {
		e.emitter.Emit("disconnecting", args...)
		e.emitter.Emit("disconnect", args...)
	}
	m.nsp.release(m)
	h := m.seat.session.h
	h.stats.disconnected.Add(1)
	h.wg.Done()
}

package server

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server/packet"
	"github.com/beanpole/beanpole/transport"
)

// run does what is in the socket's queue until it is empty, unless somebody does already.
func (s *Socket) run() {
	if !s.queue.start() {
		return
	}
	for {
		it, ok := s.queue.next()
		if !ok {
			return
		}
		size := it.size()
		switch it.kind {
		case itemConnect:
			s.connect()
			s.client.decided(s)
		case itemEvent:
			if it.event == nil {
				it.event = s.unpack(it.packed)
			}
			s.event(it.event)
		case itemDisconnect:
			s.disconnect()
		}
		if it.event != nil || it.packed != nil {
			s.client.lighten(size)
		}
	}
}

// connect does all that stands between the client's CONNECT and the first event.
// Protocol: Connection to a namespace.
func (s *Socket) connect() {
	srv := s.client.server
	s.nsp = srv.find(s)
	if s.nsp == nil {
		s.refuse(errInvalidNamespace)
		return
	}
	session := s.identify()
	skip := s.Recovered() && !srv.cfg.Recovery.RunMiddlewares
	if !skip {
		done := s.observed("middleware")
		err := s.nsp.admit(s)
		done(err)
		if err != nil {
			srv.release(s.nsp)
			s.refuse(err)
			return
		}
	}
	if session != nil {
		s.mu.Lock()
		b := s.atBorder()
		b.rooms = append(b.rooms, session.Rooms...)
		s.mu.Unlock()
	}
	if !s.state.CompareAndSwap(stateConnecting, stateConnected) {
		s.queue.dropEvents() // the client has gone meanwhile
		if session != nil {
			s.save(session.Rooms) // it comes again with what it has been restored from
		}
		srv.release(s.nsp)
		return
	}
	_ = s.send(transport.SendOptions{}, s.welcome()) // a session that closed says so by Closed
	s.client.joined(s)
	srv.stats.connected.Add(1)
	s.enter(session)
	if s.gone() {
		s.nsp.adapter.Remove(s) // it left before it was in, and nobody else would take it out again
	}
	done := s.observed("connection")
	var failed error
	for _, fn := range s.nsp.connectionHandlers() {
		if err := s.protect("connection", func() error { fn(s); return nil }); err != nil {
			failed = err
		}
	}
	done(failed)
}

// identify gives the socket its ids: those it had, when the client asks for recovery and it is possible.
func (s *Socket) identify() *adapter.Session {
	srv := s.client.server
	if srv.cfg.Recovery == nil {
		s.id = s.newID()
		return nil
	}
	session, err := s.restore()
	if session != nil {
		s.id, s.recovery = session.SID, &recovery{pid: session.PID, recovered: true}
		s.Data.restore(session.Data)
		srv.stats.recovered.Add(1)
		return session
	}
	if err != nil {
		srv.stats.notRecovered.add(recoveryCause(err))
		s.client.log().Debug("session not recovered", "namespace", s.name, "err", err)
	}
	s.id, s.recovery = s.newID(), &recovery{pid: newID(), err: err}
	return nil
}

// newID returns the id of a new socket. A v2 client takes the session's id for the one of "/" and makes
// the others from it. Source: socket.io/lib/socket.ts, constructor.
func (s *Socket) newID() string {
	if s.client.session.Protocol() != 3 {
		return newID()
	}
	if s.name == "/" {
		return s.client.session.ID()
	}
	return s.name + "#" + s.client.session.ID()
}

// restore takes the saved session that the client names in its auth payload, if it names one.
func (s *Socket) restore() (*adapter.Session, error) {
	var auth struct {
		PID    *string `json:"pid"`
		Offset *string `json:"offset"`
	}
	if s.Handshake().Auth(&auth) != nil || auth.PID == nil || auth.Offset == nil {
		return nil, nil // nothing asked for, or nothing that could be meant
	}
	// Not ended by the client's going: what has been taken has to be given back then.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.Context()), closeTimeout)
	defer cancel()
	return s.nsp.adapter.Restore(ctx, *auth.PID, *auth.Offset)
}

// welcome is the answer to CONNECT.
func (s *Socket) welcome() *packet.Packet {
	p := &packet.Packet{Type: packet.Connect, Namespace: s.name}
	if s.client.session.Protocol() == 3 {
		return p
	}
	p.Data = append(append(p.Data, `{"sid":"`...), s.id...)
	if s.recovery != nil {
		p.Data = append(append(p.Data, `","pid":"`...), s.recovery.pid...)
	}
	p.Data = append(p.Data, `"}`...)
	return p
}

// enter makes the socket a member of its namespace; a recovered one gets its rooms and what it missed.
func (s *Socket) enter(session *adapter.Session) {
	s.mu.Lock()
	var rooms []string
	if s.border != nil {
		rooms = s.border.rooms
	}
	s.mu.Unlock()
	// From then on the adapter knows the rooms. Until then a socket that leaves takes them from here.
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.gone() {
			s.border = nil
		}
	}()
	if session == nil {
		s.nsp.adapter.Join(s, rooms...)
		return
	}
	session.Rooms = rooms
	err := s.nsp.adapter.Resume(s.Context(), s, session, func(m adapter.Message) {
		_ = s.send(transport.SendOptions{}, &packet.Packet{
			Type: packet.Event, Namespace: s.name, Data: m.Data, Attachments: m.Attachments,
		}) // a session that closed says so by Closed
	})
	if err != nil {
		// The client has been told that it is recovered, so it must come again to be so.
		s.client.log().Warn("session not resumed", "namespace", s.name, "err", err)
		s.client.session.Close(transport.ReasonTransportError)
	}
}

// refuse answers CONNECT_ERROR. Source: socket.io/lib/namespace.ts, _add.
func (s *Socket) refuse(err error) {
	s.state.Store(stateGone)
	s.queue.dropEvents()
	s.client.forget(s)
	s.dropIdentity()
	s.client.server.stats.refused.add(refusalCause(err))
	var data any
	var withData *Error
	var limited *LimitError
	switch {
	case errors.As(err, &withData):
		data = withData.Data
	case errors.As(err, &limited):
		data = limited
	}
	payload := any(struct {
		Message string `json:"message"`
		Data    any    `json:"data,omitempty"`
	}{err.Error(), data})
	if s.client.session.Protocol() == 3 && !errors.Is(err, errInvalidNamespace) {
		if payload = data; data == nil {
			payload = err.Error()
		}
	}
	// A CONNECT_ERROR has no attachments, so a []byte in the data is base64, as in any JSON.
	raw, encErr := json.Marshal(payload)
	if encErr != nil {
		s.client.log().Error("error data is not JSON", "namespace", s.name, "err", encErr)
		raw = []byte(`{"message":"refused"}`)
	}
	_ = s.send(transport.SendOptions{}, &packet.Packet{Type: packet.ConnectError, Namespace: s.name, Data: raw})
}

// event runs the handlers of one event.
func (s *Socket) event(e *Event) {
	if s.nsp == nil || s.state.Load() == stateConnecting {
		return // sent behind a CONNECT that was refused
	}
	name, ok := e.parse()
	if !ok {
		return
	}
	hooks := s.hooked()
	kept := len(hooks.any)+len(hooks.middlewares) > 0 // somebody else may know e from here on
	if kept {
		e.Name = string(name)
	}
	for _, fn := range hooks.any {
		_ = s.protect(e.Name, func() error { fn(e); return nil }) // logged
	}
	if err := s.pass(e, hooks.middlewares); err != nil {
		s.answerFailure(e, err)
		return
	}
	lists := [3][]*handler{s.handlers.get(name), s.nsp.handlers.get(name)}
	if s.nsp.parent != nil {
		lists[2] = s.nsp.parent.handlers.get(name)
	}
	known := false
	for _, list := range lists {
		for _, h := range list {
			known = true
			kept = kept || h.acks
			e.Name = h.event
		}
	}
	if !known && e.Name == "" {
		e.Name = string(name)
	}
	if len(s.client.server.cfg.Observers) == 0 {
		_ = s.handle(nil, e, &lists) //nolint:staticcheck // nil: nobody observes; each error has been answered
	} else {
		ctx, done := s.observe(s.Context(), e.Name, known)
		done(s.handle(ctx, e, &lists))
	}
	if !kept {
		e.release()
	}
}

// pass runs the middlewares for e.
func (s *Socket) pass(e *Event, list []Middleware) error {
	for _, m := range list {
		if err := s.protect(e.Name, func() error { return m(s.Context(), e) }); err != nil {
			return err
		}
	}
	return nil
}

// handle runs handlers for e and returns the first error, each of which has been answered. A nil ctx
// is the socket's, which is not made unless a handler asks for it.
func (s *Socket) handle(ctx context.Context, e *Event, lists *[3][]*handler) (first error) {
	for _, list := range lists {
		for _, h := range list {
			if ctx == nil && h.context {
				ctx = s.Context()
			}
			if err := s.protectHandler(ctx, h, e); err != nil {
				s.answerFailure(e, err)
				if first == nil {
					first = err
				}
			}
		}
	}
	return first
}

// answerFailure tells a client that waits for an acknowledgement that its event failed.
func (s *Socket) answerFailure(e *Event, err error) {
	s.client.server.stats.handlerErrors.Add(1)
	s.client.log().Debug("handler failed", "namespace", s.name, "event", e.Name, "err", err)
	if e.WantsAck() {
		_ = e.ack.send([]any{failure(hidePanic(err))}) // answered already, or gone
	}
}

// protect calls a function of the application: a panic in it ends nothing but this call.
func (s *Socket) protect(event string, fn func() error) error {
	return s.report(event, guard(fn))
}

// protectHandler is protect for a handler. It allocates nothing.
func (s *Socket) protectHandler(ctx context.Context, h *handler, e *Event) error {
	return s.report(e.Name, h.guardedCall(ctx, e))
}

// report logs err if it is a panic, and returns it.
func (s *Socket) report(event string, err error) error {
	if err == nil {
		return nil
	}
	var p *panicError
	if errors.As(err, &p) {
		s.client.server.stats.panics.Add(1)
		s.client.log().Error("handler panicked", "namespace", s.name, "event", event,
			"panic", p.Error(), "stack", string(p.stack))
	}
	return err
}

// disconnect runs the disconnect handlers: the last thing a socket does.
func (s *Socket) disconnect() {
	s.mu.Lock()
	reason := string(s.atBorder().reason)
	s.mu.Unlock()
	hooks := s.hooked()
	if list := slices.Concat(hooks.disconnecting, hooks.disconnected); len(list) > 0 {
		done := s.observed("disconnect")
		var failed error
		for _, fn := range list {
			if err := s.protect("disconnect", func() error { fn(reason); return nil }); err != nil {
				failed = err
			}
		}
		done(failed)
	}
	s.client.server.stats.disconnected.Add(1)
	s.client.server.release(s.nsp)
	s.mu.Lock()
	s.border = nil
	s.mu.Unlock()
	s.client.bury(s)
}

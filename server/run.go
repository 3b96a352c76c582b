package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server/packet"
	"github.com/beanpole/beanpole/transport"
)

// run does what is in the socket's queue until it is empty, unless somebody does already.
func (s *Socket) run() {
	if s.queue.start() {
		s.work()
	}
}

// work does what is in the queue, which is the caller's, until it is empty. When something of the
// application's ends the goroutine, another goes on where this one has stopped.
func (s *Socket) work() {
	var it item
	finished := false
	defer func() {
		if finished {
			return
		}
		broken, err := it, exited()
		s.client.server.wg.Go(func() {
			s.broken(broken, err)
			s.work()
			s.client.Work() // what the lost goroutine would have come to
		})
	}()
	for {
		var ok bool
		if it, ok = s.queue.next(); !ok {
			finished = true
			return
		}
		if err := s.do(&it); err != nil {
			s.broken(it, err)
		}
	}
}

// do does one thing. An error says that it was broken off by a panic.
func (s *Socket) do(it *item) (err error) {
	defer recovered(&err)
	switch it.kind {
	case itemConnect:
		if s.connect() {
			it.kind = itemConnected
			return s.observed("connection", s.connected)
		}
	case itemEvent:
		s.event(it.event)
	case itemDisconnect:
		s.disconnect()
	}
	return nil
}

// broken does what is left to do for an item that was broken off.
func (s *Socket) broken(it item, err error) {
	switch it.kind {
	case itemConnect:
		_ = s.report("connect", err)
		if s.nsp != nil {
			s.client.server.release(s.nsp)
		}
		s.refuse(err)
	case itemConnected:
		// A client with half of its handlers would wait for answers that never come.
		_ = s.report("connection", err)
		s.client.server.stats.handlerErrors.Add(1)
		s.client.log().Warn("socket disconnected: its connection handler failed", "namespace", s.name, "err", err)
		s.Disconnect(false)
	case itemEvent:
		s.answerFailure(it.event, s.report(it.event.Name, err))
	case itemDisconnect:
		_ = s.report("disconnect", err)
		_ = s.do(&it) // the handlers that have not been called
	}
}

// connect does what stands between the client's CONNECT and the connection handlers, and reports whether
// they are to be called. Protocol: Connection to a namespace.
func (s *Socket) connect() bool {
	srv := s.client.server
	s.nsp = srv.find(s)
	if s.nsp == nil {
		s.refuse(errInvalidNamespace)
		return false
	}
	session := s.identify()
	skip := s.Recovered() && !srv.cfg.Recovery.RunMiddlewares
	if !skip {
		if err := s.observed("middleware", func() error { return s.nsp.admit(s) }); err != nil {
			srv.release(s.nsp)
			s.refuse(err)
			return false
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
		return false
	}
	_ = s.send(transport.SendOptions{}, s.welcome()) // a session that closed says so by Closed
	s.client.joined()
	srv.stats.connected.Add(1)
	s.enter(session)
	if s.gone() {
		s.nsp.adapter.Remove(s) // it left before it was in, and nobody else would take it out again
	}
	return true
}

// connected calls the connection handlers, up to one that panics.
func (s *Socket) connected() error {
	for _, fn := range s.nsp.connectionHandlers() {
		if err := guard(func() error { fn(s); return nil }); err != nil {
			return err
		}
	}
	return nil
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
		srv.stats.notRecovered.Add(1)
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
	err = hidePanic(err)
	s.state.Store(stateGone)
	s.queue.dropEvents()
	s.client.forget(s)
	s.dropIdentity()
	s.client.server.stats.refuse(refusalCause(err))
	var data any
	var withData *Error
	var limited *LimitError
	switch {
	case errors.As(err, &withData):
		data = withData.Data
	case errors.As(err, &limited):
		data = limited
	}
	_ = s.send(transport.SendOptions{}, &packet.Packet{
		Type: packet.ConnectError, Namespace: s.name, Data: s.refusal(err, data),
	})
}

// refusal is the payload of the CONNECT_ERROR for err. A packet of that kind has no attachments, so a
// []byte in the data is base64, as in any JSON.
func (s *Socket) refusal(err error, data any) []byte {
	payload := any(struct {
		Message string `json:"message"`
		Data    any    `json:"data,omitempty"`
	}{err.Error(), data})
	if s.client.session.Protocol() == 3 && !errors.Is(err, errInvalidNamespace) {
		if payload = data; data == nil {
			payload = err.Error()
		}
	}
	raw, encErr := appendJSON(payload)
	if encErr == nil {
		return raw
	}
	s.client.log().Warn("data of a refusal cannot be encoded", "namespace", s.name, "type", fmt.Sprintf("%T", data),
		"err", s.report("connect", encErr))
	if data == nil {
		return []byte(internalError)
	}
	return s.refusal(err, nil)
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
			kept = kept || h.kept
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
		_ = ending(done, func() error { return s.handle(ctx, e, &lists) }) // likewise
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
		_ = e.answer([]any{failure(hidePanic(err))}) // answered already, or gone
	}
}

// disconnect runs the disconnect handlers: the last thing a socket does.
func (s *Socket) disconnect() {
	s.mu.Lock()
	reason := string(s.atBorder().reason)
	s.mu.Unlock()
	if h := s.hooked(); h.leaving() {
		// Logged. Observers are told of a failure by its error.
		_ = s.observed("disconnect", func() (failed error) {
			for fn := s.nextLeaving(); fn != nil; fn = s.nextLeaving() {
				if err := s.protect("disconnect", func() error { fn(reason); return nil }); err != nil {
					failed = err
				}
			}
			return failed
		})
	}
	s.client.server.stats.disconnected.Add(1)
	s.client.server.release(s.nsp)
	s.mu.Lock()
	s.border = nil
	s.mu.Unlock()
}

package server

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server/packet"
	"github.com/beanpole/beanpole/transport"
)

// connect does what stands between the client's CONNECT and the connection handlers, and returns what is left
// to do, zero when the socket is refused. Protocol: Connection to a namespace.
func (s *Socket) connect() itemKind {
	srv := s.client.server
	if err := srv.find(s); err != nil {
		s.refuse(err)
		return 0
	}
	err := s.admit()
	if err == nil && s.state.CompareAndSwap(stateConnecting, stateConnected) {
		s.client.joined(s)
		srv.stats.connect(s.recovery)
		s.emitEarly()
		s.welcome()
		return itemConnected
	}
	if !s.gone() {
		s.refuse(err)
		s.nsp.release()
		return 0
	}
	// The client has gone meanwhile, or was put out.
	s.dropEvents()
	reason := s.left().Reason
	if err == nil {
		s.part(reason, false)
	} else if !recoverable(reason) {
		s.discard(context.Background(), s.nsp)
	}
	s.unhold(false)
	s.settle()
	switch {
	case reason != ReasonServerDisconnect: // the session has ended, or is ending
	case err != nil:
		s.refuse(err)
	default: // its client learns that it was in, and is out
		_ = s.send(transport.SendOptions{}, s.connectPacket())
		_ = s.send(transport.SendOptions{}, s.disconnectPacket())
	}
	return itemGone
}

// left returns why the socket has left.
func (s *Socket) left() Disconnection {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.atBorder().why
}

// connected calls the connection handlers, up to one that panics.
func (s *Socket) connected() error {
	for i, fn := range s.nsp.connectionHandlers() {
		s.queue.calling(i + 1)
		if err := guard(func() error { (*fn)(s); return nil }); err != nil {
			return err
		}
	}
	return nil
}

// wanted returns the rooms that the middlewares have joined.
func (s *Socket) wanted() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.atBorder().rooms)
}

// joinLate joins what has been joined since wanted. From then on the adapter knows the rooms.
func (s *Socket) joinLate(had int) {
	for {
		s.mu.Lock()
		b := s.atBorder()
		if b.entered = len(b.rooms) <= had; b.entered {
			s.mu.Unlock()
			return
		}
		rooms := slices.Clone(b.rooms[had:])
		had = len(b.rooms)
		s.mu.Unlock()
		s.nsp.adapter.Join(s, rooms...)
	}
}

// emitEarly sends what the middlewares have emitted, now that the adapter can.
func (s *Socket) emitEarly() {
	s.mu.Lock()
	list := s.atBorder().early
	if !s.gone() {
		s.border = nil
	}
	s.mu.Unlock()
	for _, e := range list {
		_ = e.u.emit(e.m) // it has encoded, and a session that closed says so by Closed
	}
}

// reset undoes what the middlewares have done to a socket that has to pass them once more.
func (s *Socket) reset() {
	s.dropIdentity()
	s.handlers.clear()
	s.watching.Store(false)
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.atBorder()
	b.rooms, b.early = nil, nil
	if s.hooks != nil {
		s.hooks = &hooks{life: s.hooks.life, face: s.hooks.face}
	}
}

// admit has the socket pass the middlewares and makes it a member. When its session cannot be resumed although
// it could be restored, as when somebody else was faster, it begins anew.
func (s *Socket) admit() error {
	for first := true; ; first = false {
		session := s.identify()
		if err := s.middlewares(session); err != nil {
			return err
		}
		err := s.enter(session)
		if err == nil {
			return nil
		}
		s.reset()
		if first && errors.Is(err, adapter.ErrTaken) {
			continue // an earlier attempt of the client was faster: that one is taken over now
		}
		s.anew(err)
		break
	}
	if err := s.middlewares(nil); err != nil {
		return err
	}
	return s.enter(nil)
}

// middlewares runs the middlewares of the namespace. A socket that is recovered has passed them before, unless
// its session comes from a server that does not say of which namespace it is.
func (s *Socket) middlewares(session *adapter.Session) error {
	if session != nil {
		if err := s.SetIdentity(session.Identity); err != nil {
			return err
		}
	}
	skip := session != nil && session.Namespace != "" && !s.client.server.cfg.Recovery.RunMiddlewares
	return s.observed("middleware", func() error { return s.nsp.admit(s, skip) })
}

// connectPacket is the answer to CONNECT.
func (s *Socket) connectPacket() *packet.Packet {
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

func (s *Socket) disconnectPacket() *packet.Packet {
	return &packet.Packet{Type: packet.Disconnect, Namespace: s.name}
}

// refuse answers CONNECT_ERROR. Source: socket.io/lib/namespace.ts, _add.
func (s *Socket) refuse(err error) {
	cause := refusalCause(err)
	if a := s.client.server.advice; a != nil && errors.Is(err, errInvalidNamespace) {
		a.nowhere(s.client.server, s.name)
	}
	err = s.seen(s.Context(), "connect", err)
	var data any
	var withData *Error
	var limited *LimitError
	switch {
	case errors.As(err, &withData):
		data = withData.Data
	case errors.As(err, &limited):
		data = limited
	}
	payload := s.refusal(err, data) // first, as the data's methods may end the goroutine
	s.state.Store(stateGone)
	s.endContext()
	s.unhold(false)
	s.settle()
	s.dropEvents()
	s.client.forget(s)
	s.dropIdentity()
	s.client.server.stats.refused.add(cause)
	_ = s.report("connect", s.send(transport.SendOptions{}, &packet.Packet{
		Type: packet.ConnectError, Namespace: s.name, Data: payload,
	}))
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

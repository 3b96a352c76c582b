package client

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/beanpole/beanpole/server/packet"
)

// outgoing is an event on its way.
type outgoing struct {
	frames []frame
	size   int
	ack    uint64 // 0 for none
}

// wire returns a message as a packet of Engine.IO.
func wire(m packet.Message) frame {
	if m.Binary {
		return frame{slices.Clone(m.Data), true} // masked in place when it is sent
	}
	return frame{data: append([]byte{'4'}, m.Data...)}
}

// payload is an event that is encoded.
type payload struct {
	data        []byte
	attachments [][]byte
}

// Emission is how an event goes to the server. It begins with a method of Socket and is a value: every method returns a
// changed copy.
type Emission struct {
	s        *Socket
	volatile bool
	timeout  time.Duration
}

// Volatile selects that an event is dropped that could not leave at once.
func (s *Socket) Volatile() Emission { return Emission{s, true, s.c.cfg.AckTimeout} }

// Timeout bounds the wait of EmitWithAck, instead of Config.AckTimeout. Zero is no bound.
func (s *Socket) Timeout(d time.Duration) Emission { return Emission{s, false, d} }

// Volatile selects that an event is dropped that could not leave at once.
func (m Emission) Volatile() Emission { m.volatile = true; return m }

// Timeout bounds the wait of EmitWithAck. Zero is no bound.
func (m Emission) Timeout(d time.Duration) Emission { m.timeout = d; return m }

// Emit sends an event to the server and returns at once; without a connection it waits for one, as long as
// Config.MaxBufferBytes allows. args are any values that encode as JSON; a []byte anywhere inside them travels as a
// binary. It returns an error when they do not encode, ErrReservedEvent, ErrBufferFull and ErrClosed. With
// Config.Retries an event is sent until the server has acknowledged it.
func (s *Socket) Emit(event string, args ...any) error {
	return Emission{s: s, timeout: s.c.cfg.AckTimeout}.Emit(event, args...)
}

// EmitWithAck sends an event and waits for the server's acknowledgement. It returns the error of ctx when that ends
// first, ErrTimeout after Config.AckTimeout, ErrDisconnected when the connection ends, and the errors of Emit. Without a
// connection it waits for one too, and before Connect for that, as Node's client does: with neither AckTimeout nor a deadline
// of ctx for ever. It returns why when the client tries no more to connect: a *ConnectError, the error of the last of
// Config.ReconnectionAttempts, or ErrDisconnected, which it also returns at once when a volatile event cannot leave. What has
// not left by then is not sent any more. With Config.Retries only ctx, AckTimeout of each attempt and Client.Close end it.
func (s *Socket) EmitWithAck(ctx context.Context, event string, args ...any) (Args, error) {
	return Emission{s: s, timeout: s.c.cfg.AckTimeout}.EmitWithAck(ctx, event, args...)
}

// EmitFunc is EmitWithAck for those who do not wait: answer is called once, on another goroutine and not as handlers
// are, with the acknowledgement or an error that EmitWithAck has without a time, and must not block. After an error of EmitFunc it is not called.
func (s *Socket) EmitFunc(answer func(Args, error), event string, args ...any) error {
	p, err := s.encode(event, args)
	if err != nil {
		return err
	}
	_, err = s.send(p, false, answer)
	return err
}

// Emit is Socket.Emit.
func (m Emission) Emit(event string, args ...any) error {
	p, err := m.s.encode(event, args)
	if err != nil {
		return err
	}
	if m.s.c.cfg.Retries > 0 && !m.volatile {
		m.s.retry(&retried{payload: p, timeout: m.timeout, done: func(_ Args, err error) {
			if err != nil {
				m.s.c.cfg.Logger.Warn("event given up", "event", event, "err", err)
			}
		}})
		return nil
	}
	_, err = m.s.send(p, m.volatile, nil)
	return err
}

// EmitWithAck is Socket.EmitWithAck.
func (m Emission) EmitWithAck(ctx context.Context, event string, args ...any) (Args, error) {
	p, err := m.s.encode(event, args)
	if err != nil {
		return Args{}, err
	}
	if m.s.c.cfg.Retries == 0 || m.volatile {
		return m.s.ask(ctx, p, m.volatile, m.timeout)
	}
	done := make(chan result, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m.s.retry(&retried{payload: p, ctx: ctx, timeout: m.timeout, done: func(a Args, err error) { done <- result{a, err} }})
	select {
	case r := <-done:
		return r.args, r.err
	case <-ctx.Done():
		return Args{}, ctx.Err()
	}
}

type result struct {
	args Args
	err  error
}

// encode makes the payload of an event.
func (s *Socket) encode(event string, args []any) (p payload, err error) {
	if packet.Reserved(event) {
		return p, fmt.Errorf("%w: %q", ErrReservedEvent, event)
	}
	if p.data, p.attachments, err = packet.AppendEvent(nil, nil, event, args); err != nil {
		return p, fmt.Errorf("client: event %q: %w", event, err)
	}
	s.mu.Lock()
	hooks := s.hooks.sent
	s.mu.Unlock()
	if len(hooks) > 0 {
		a := arguments(&packet.Packet{Data: p.data, Attachments: p.attachments}, 1)
		for _, fn := range hooks {
			(*fn)(event, a)
		}
	}
	return p, nil
}

// send sends an event, or keeps it for the next connection. answer, if not nil, is called once with the
// acknowledgement; forget takes that back, and the event if it is still here.
func (s *Socket) send(p payload, volatile bool, answer func(Args, error)) (forget func(), err error) {
	if s.c.ctx.Err() != nil {
		return nil, ErrClosed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.engine
	if volatile && (e == nil || !e.writable()) {
		return func() {}, unsent(answer)
	}
	o := &outgoing{}
	x := &packet.Packet{Type: packet.Event, Namespace: s.name, Data: p.data, Attachments: p.attachments}
	if answer != nil {
		s.lastAck++
		o.ack, x.ID, x.HasID = s.lastAck, s.lastAck, true
	}
	for _, m := range s.c.cfg.Parser.Encode(nil, nil, x) {
		f := wire(m)
		o.frames, o.size = append(o.frames, f), o.size+len(f.data)
	}
	switch {
	case e != nil && e.send(o.frames...) == nil:
	case s.buffered > 0 && s.buffered+o.size > s.c.cfg.MaxBufferBytes:
		return nil, ErrBufferFull
	case volatile:
		return func() {}, unsent(answer)
	default:
		s.buffer, s.buffered = append(s.buffer, o), s.buffered+o.size
	}
	if answer == nil {
		return func() {}, nil
	}
	s.acks[o.ack] = answer
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.acks, o.ack)
		n := len(s.buffer)
		if s.buffer = slices.DeleteFunc(s.buffer, func(x *outgoing) bool { return x == o }); len(s.buffer) < n {
			s.buffered -= o.size
		}
	}, nil
}

// unsent is the error of a volatile event that cannot leave, which is one for who waits for an answer alone.
func unsent(answer func(Args, error)) error {
	if answer != nil {
		return ErrDisconnected
	}
	return nil
}

// ask sends an event and waits for its acknowledgement.
func (s *Socket) ask(ctx context.Context, p payload, volatile bool, timeout time.Duration) (Args, error) {
	done := make(chan result, 1)
	forget, err := s.send(p, volatile, func(a Args, err error) { done <- result{a, err} })
	if err != nil {
		return Args{}, err
	}
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, timeout, ErrTimeout)
		defer cancel()
	}
	select {
	case r := <-done:
		return r.args, r.err
	case <-ctx.Done():
		forget()
		return Args{}, context.Cause(ctx)
	case <-s.c.ctx.Done():
		forget()
		return Args{}, ErrClosed
	}
}

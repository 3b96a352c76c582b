package server

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server/packet"
	"github.com/beanpole/beanpole/transport"
)

// Unicast is how an event goes to one socket. The zero value cannot be used; it begins with a method of
// Socket and is a value: every method returns a changed copy.
type Unicast struct {
	socket  *Socket
	opts    transport.SendOptions
	timeout time.Duration
}

// Emit sends an event to the client and returns at once. args are any values that encode as JSON; a
// []byte anywhere inside them travels as a binary; it must not be changed afterwards. It returns an error when they
// do not encode (ErrPanic when a method of theirs panics), ErrReservedEvent, ErrDisconnected, and
// transport.ErrTooLarge and ErrBacklog. With recovery it goes the way of a broadcast, whose errors it has instead: the
// event may be kept for a client that has left.
func (s *Socket) Emit(event string, args ...any) error {
	return Unicast{socket: s}.Emit(event, args...)
}

// EmitWithAck sends an event and waits for the client's acknowledgement. It returns the error of ctx
// when that ends first, ErrTimeout after Timeout (5 s when neither that nor ctx says one), ErrDisconnected, in a middleware
// ErrNotConnected, and the errors of Emit. Called from a handler it holds up the handlers of this socket, and nothing else.
func (s *Socket) EmitWithAck(ctx context.Context, event string, args ...any) (Args, error) {
	return Unicast{socket: s}.EmitWithAck(ctx, event, args...)
}

// Volatile sends only if the client can take it at once; otherwise the event is dropped.
func (s *Socket) Volatile() Unicast { return Unicast{socket: s}.Volatile() }

// Compress says whether the event may be compressed; it may by default.
func (s *Socket) Compress(compress bool) Unicast { return Unicast{socket: s}.Compress(compress) }

// Timeout bounds the wait of EmitWithAck and EmitThen, which then ends with ErrTimeout. Zero is 5 s, unless the context has a
// deadline.
func (s *Socket) Timeout(d time.Duration) Unicast { return Unicast{socket: s}.Timeout(d) }

// Volatile sends only if the client can take it at once; otherwise the event is dropped.
func (u Unicast) Volatile() Unicast { u.opts.Volatile = true; return u }

// Compress says whether the event may be compressed; it may by default.
func (u Unicast) Compress(compress bool) Unicast { u.opts.NoCompress = !compress; return u }

// Timeout is Socket.Timeout.
func (u Unicast) Timeout(d time.Duration) Unicast { u.timeout = d; return u }

// Emit is Socket.Emit.
func (u Unicast) Emit(event string, args ...any) error {
	s := u.socket
	// With recovery through the adapter, which keeps it for a client that is away (socket.io/lib/socket.ts, emit).
	if connecting := s.state.Load() == stateConnecting; connecting || s.recovery != nil {
		m, err := s.client.server.newMessage(event, args)
		if err != nil || connecting && s.beforeIn(func(b *border) { b.early = append(b.early, early{m, u}) }) {
			return err
		}
		return u.emit(m)
	}
	o := takeOutgoing()
	defer o.put()
	data, attachments, err := s.client.server.appendEvent(o.payload[:0], event, args)
	if err != nil {
		return err
	}
	o.payload = data
	o.packet = packet.Packet{Type: packet.Event, Namespace: s.name, Data: data, Attachments: attachments}
	return s.sendEvent(u, &o.packet)
}

// emit sends an event that is encoded.
func (u Unicast) emit(m adapter.Message) error {
	s := u.socket
	flags := adapter.Flags{Volatile: u.opts.Volatile, NoCompress: u.opts.NoCompress}
	if a := s.alone(); a != nil {
		a.DeliverTo(s, m, flags)
		return nil
	}
	if s.recovery == nil {
		return s.sendEvent(u, &packet.Packet{Type: packet.Event, Namespace: s.name, Data: m.Data, Attachments: m.Attachments})
	}
	b := s.nsp.To(s.id)
	b.target.Flags = flags
	return b.emit(m)
}

// alone returns the adapter of a connected socket with recovery that has left the room by which others find it, else
// nil: what is emitted to it is sent then, in the order of the log, and not kept. Node loses it.
func (s *Socket) alone() direct {
	a, ok := adapter.As[direct](s.nsp.adapter)
	if ok && s.recovery != nil && s.Connected() && !a.Selectable(s.id) {
		return a
	}
	return nil
}

// EmitWithAck is Socket.EmitWithAck.
func (u Unicast) EmitWithAck(ctx context.Context, event string, args ...any) (Args, error) {
	data, attachments, err := u.socket.client.server.appendEvent(nil, event, args)
	if err != nil {
		return Args{}, err
	}
	if err := u.socket.answers(); err != nil {
		return Args{}, err
	}
	return u.socket.wait(ctx, u, data, attachments)
}

// sendEvent sends an event to the client of a connected socket.
func (s *Socket) sendEvent(u Unicast, p *packet.Packet) error {
	if !s.Connected() {
		return ErrDisconnected
	}
	s.notifyOutgoing(p)
	s.client.server.stats.eventsOut.Add(1)
	if d := s.client.server.debug; d != nil {
		d.out("event out", p, "session", s.client.session.Num())
	}
	return s.send(u.opts, p)
}

// send encodes p and hands it to the session, which copies it.
func (s *Socket) send(opts transport.SendOptions, p *packet.Packet) error {
	if s.hold.Load() != nil {
		if x := s.client.server.prepare(p); x == nil {
			return errUnsendable
		} else if s.keep(held{opts: opts, p: x}) {
			return nil
		}
	}
	o := takeOutgoing()
	defer o.put()
	encoded, err := s.client.server.encode(o.encoded[:0], o.text[:0], p)
	if err != nil {
		return err
	}
	messages := o.messages[:0]
	for _, m := range encoded {
		messages = append(messages, transport.Message(m))
	}
	err = s.client.session.Send(opts, messages...)
	o.text = encoded[0].Data
	switch {
	case errors.Is(err, transport.ErrClosed):
		return ErrDisconnected
	case errors.Is(err, transport.ErrBacklog): // which has closed it
		return fmt.Errorf("%w: %w", ErrDisconnected, err)
	}
	return err
}

// notifyOutgoing calls the catch-all listeners of what is sent.
func (s *Socket) notifyOutgoing(p *packet.Packet) {
	if !s.watching.Load() && !s.client.server.watching.Load() {
		return
	}
	list := s.outgoing()
	if len(list) == 0 {
		return
	}
	e, ok := newEvent(slices.Clone(p.Data), p.Attachments)
	if !ok {
		return
	}
	e.socket = s
	for _, fn := range list {
		_ = s.protect(e.Name, func() error { (*fn)(e); return nil }) // logged
	}
}

// newMessage encodes an event for an adapter.
func (s *Server) newMessage(event string, args []any) (adapter.Message, error) {
	data, attachments, err := s.appendEvent(nil, event, args)
	return adapter.Message{Data: data, Attachments: attachments}, err
}

// serverSideMessage is newMessage for other servers, of which Node's would take some events for their own, and end.
func (s *Server) serverSideMessage(event string, args []any) (adapter.Message, error) {
	if packet.ReservedServerSide(event) {
		return adapter.Message{}, s.advice.unsent(event, fmt.Errorf("%q: %w", event, ErrReservedEvent))
	}
	data, attachments, err := s.appendAnyEvent(nil, event, args)
	return adapter.Message{Data: data, Attachments: attachments}, err
}

// appendEvent encodes an event for clients.
func (s *Server) appendEvent(dst []byte, event string, args []any) (data []byte, attachments [][]byte, err error) {
	if s.advice != nil {
		for _, arg := range args {
			s.advice.sends(arg)
		}
	}
	data, attachments, err = s.appendAnyEvent(dst, event, args)
	s.attached(event, len(attachments))
	return data, attachments, err
}

func (s *Server) appendAnyEvent(dst []byte, event string, args []any) (data []byte, attachments [][]byte, err error) {
	if packet.Reserved(event) {
		return dst, nil, s.advice.unsent(event, fmt.Errorf("%q: %w", event, ErrReservedEvent))
	}
	for _, arg := range args {
		if err := s.signatures.sendable(arg); err != nil {
			return dst, nil, s.advice.unsent(event, fmt.Errorf("event %q: %w", event, err))
		}
	}
	data, attachments, err = encodeEvent(dst, event, args)
	if err == nil {
		return data, attachments, nil
	}
	for _, arg := range args {
		if t := reflect.TypeOf(arg); t != nil && t.Kind() == reflect.Func {
			return dst, nil, fmt.Errorf("event %q: %w", event, s.callback(event, t)) // which has said it
		}
	}
	return dst, nil, s.advice.unsent(event, fmt.Errorf("event %q: %w", event, err))
}

// encodeEvent is packet.AppendEvent of values of the application's.
func encodeEvent(dst []byte, event string, args []any) (data []byte, attachments [][]byte, err error) {
	defer recovered(&err)
	return packet.AppendEvent(dst, nil, event, args)
}

// callback is the error of an emit that is given a function to call with the answer, as in Node. The log says it once,
// as few look at the error of an emit.
func (s *Server) callback(event string, t reflect.Type) error {
	const instead = "the client's answer is what EmitWithAck returns, or EmitThen calls a function with"
	if s.bounds.notice.News("emit of a function", time.Now()) {
		s.cfg.Logger.Warn("an event with a function among its arguments is not sent: "+instead, "event", event, "type", t.String())
	}
	return fmt.Errorf("%s among the arguments: %s", t, instead)
}

// outgoing is space for a packet on its way to a session. Whoever takes one puts it back.
type outgoing struct {
	packet   packet.Packet
	payload  []byte // of packet
	text     []byte // its wire form
	encoded  [2]packet.Message
	messages [2]transport.Message
}

var outgoings = sync.Pool{New: func() any { return new(outgoing) }}

func takeOutgoing() *outgoing { return outgoings.Get().(*outgoing) }

// maxPooledOutgoing is the size of a packet, in bytes, from which its space is left to the collector.
const maxPooledOutgoing = 64 << 10

// put puts o back, without what it refers to.
func (o *outgoing) put() {
	payload, text := o.payload, o.text
	if cap(payload) > maxPooledOutgoing {
		payload = nil
	}
	if cap(text) > maxPooledOutgoing {
		text = nil
	}
	*o = outgoing{payload: payload, text: text}
	outgoings.Put(o)
}

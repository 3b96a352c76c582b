package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/internal/pool"
	"github.com/beanpole/beanpole/server/packet"
	"github.com/beanpole/beanpole/transport"
)

// Event is one event as it arrived (or, for OnAnyOutgoing, as it leaves): the raw form that handlers
// and middlewares may take when typed arguments do not fit.
type Event struct {
	Args
	// Name of the event. A number sent as the name is its text.
	Name string

	socket *Socket // nil for server-side events
	ack    acknowledger
	room   [6]uint32 // for the first of Args, so that most events are one allocation

	// For handlers that are called without reflection: see fastHandler.
	text   string
	binary []byte
	one    [1]any
}

// events holds Events that nobody knows any more. An event whose handlers take neither an *Event nor an
// Ack is put back with its payload's space. With the other pools of this package an event that is
// acknowledged so makes 1 allocation instead of 10, and with 16 outstanding costs 0.4 of what it did
// (echo of 32 B, measured in one run).
var events = sync.Pool{New: func() any { return new(Event) }}

// maxPooledEvent is the size of a payload, in bytes, beyond which its space is pooled apart from the Event: small
// events that wait must not hold large ones' room.
const maxPooledEvent = pool.Min

// takeEvent returns an Event of a copy of the payload data, a JSON array that the decoder has checked.
// Its arguments have to be found.
func takeEvent(data []byte, attachments [][]byte) *Event {
	e := events.Get().(*Event)
	if len(data) > maxPooledEvent {
		e.data = pool.Take(len(data))
	}
	e.data = append(e.data, data...)
	e.attachments = attachments
	return e
}

// release puts e back. Nobody else may know it.
func (e *Event) release() {
	data := e.data[:0]
	if cap(data) > maxPooledEvent {
		pool.Put(data)
		data = nil
	}
	*e = Event{Args: Args{data: data}}
	events.Put(e)
}

// newEvent makes an Event of the payload data, a JSON array that has been checked. Data belongs to the
// Event from here on. ok is false when it is no event after all.
func newEvent(data []byte, attachments [][]byte) (e *Event, ok bool) {
	e = &Event{Args: Args{data: data}}
	e.attachments = attachments
	name, err := packet.EventName(data)
	e.Name = string(name)
	return e, err == nil && e.find(all)
}

// all is the number of arguments of an event of which all are wanted.
const all = math.MaxInt - 1

// find finds so many of the arguments in the payload. It reports false when that is no event after all.
func (e *Event) find(most int) (ok bool) {
	at, err := packet.Index(e.room[:0], e.data, most+1)
	if err != nil || len(at) == 0 {
		return false
	}
	e.at = at[1:] // behind the name
	return true
}

// Socket returns the socket the event came from; nil for an event of another server.
func (e *Event) Socket() *Socket { return e.socket }

// WantsAck reports whether the sender waits for an acknowledgement.
func (e *Event) WantsAck() bool { return e.ack.wanted() }

// Ack answers the event with values. It may be called once, from any goroutine, also after the handler
// has returned. It returns ErrNoAck when the sender waits for none, ErrAcknowledged the second time, and
// ErrDisconnected. What cannot be encoded is an error too, and the sender's answer is
// {"error":"internal error"}.
func (e *Event) Ack(values ...any) error { return e.answer(values) }

// Ack is the type of a handler's last parameter through which it answers by itself, once, at any time.
// It is never nil; it returns what Event.Ack does.
type Ack func(values ...any) error

// acknowledger answers one event. The zero value has nobody to answer.
type acknowledger struct {
	sent     atomic.Bool
	socket   *Socket
	id       uint64
	question *question // instead of socket, for an event of another server
}

// question is what another server waits for.
type question struct {
	nsp   *Namespace
	reply func(adapter.Message)
}

func (a *acknowledger) wanted() bool { return a.socket != nil || a.question != nil }

// internalError is the answer of an event that has no other.
const internalError = `{"error":"internal error"}`

// answer answers the event, the first time. The values are encoded before the event counts as answered,
// so that there is an answer whatever they are.
func (e *Event) answer(values []any) error {
	a := &e.ack
	switch {
	case !a.wanted():
		return ErrNoAck
	case a.sent.Load():
		return ErrAcknowledged
	case a.question != nil:
		return e.reply(values)
	}
	s := a.socket
	if !s.Connected() {
		return ErrDisconnected
	}
	o := takeOutgoing()
	defer o.put()
	data, attachments, err := s.client.server.appendAnswer(o.payload[:0], values)
	if err != nil {
		s.client.server.unanswerable(s.client.log(), e, values, err)
		data, attachments = append(o.payload[:0], "["+internalError+"]"...), nil
	}
	s.client.server.attached(e.Name, len(attachments))
	o.payload = data
	if a.sent.Swap(true) {
		return ErrAcknowledged
	}
	o.packet = packet.Packet{
		Type: packet.Ack, Namespace: s.name, ID: a.id, HasID: true, Data: data, Attachments: attachments,
	}
	if d := s.client.server.debug; d != nil {
		d.answer(s, e, data, len(attachments))
	}
	sendErr := s.send(transport.SendOptions{}, &o.packet)
	if sendErr != nil && !errors.Is(sendErr, ErrDisconnected) { // too large, or the parser's doing
		s.client.server.unanswerable(s.client.log(), e, values, sendErr)
		o.packet.Data, o.packet.Attachments = []byte("["+internalError+"]"), nil
		_ = s.send(transport.SendOptions{}, &o.packet) // the first error tells more
	}
	return cmp.Or(err, sendErr)
}

// reply answers an event of another server, which takes one value.
func (e *Event) reply(values []any) error {
	q := e.ack.question
	if len(values) == 0 {
		values = []any{nil}
	}
	srv := q.nsp.server
	var data []byte
	var attachments [][]byte
	err := srv.signatures.sendable(own(values[0]))
	if err == nil {
		data, attachments, err = appendValue(values[0])
	}
	if err != nil {
		srv.unanswerable(srv.cfg.Logger.With("namespace", q.nsp.name), e, values[:1], err)
		data, attachments = []byte(internalError), nil
	}
	if e.ack.sent.Swap(true) {
		return ErrAcknowledged
	}
	q.reply(adapter.Message{Data: data, Attachments: attachments})
	return err
}

// appendAnswer is appendArgs of values that would not arrive as {}.
func (s *Server) appendAnswer(dst []byte, values []any) (data []byte, attachments [][]byte, err error) {
	for i, v := range values {
		if s.advice != nil {
			s.advice.sends(own(v))
		}
		if err := s.signatures.sendable(own(v)); err != nil {
			return dst, nil, &packet.ArgError{Index: i, Err: fmt.Errorf("%w: %w", packet.ErrValue, err)}
		}
	}
	return appendArgs(dst, values)
}

// own is what the application has given for a value of an answer: of an error its data.
func own(v any) any {
	if f, ok := v.(failed); ok {
		return f.Data
	}
	return v
}

// unanswerable tells that the values of an answer cannot be encoded.
func (s *Server) unanswerable(log *slog.Logger, e *Event, values []any, err error) {
	var at *packet.ArgError
	if errors.As(err, &at) {
		values = values[at.Index : at.Index+1]
	}
	types := make([]string, len(values))
	for i, v := range values {
		types[i] = fmt.Sprintf("%T", own(v))
	}
	log.Warn("answer cannot be encoded", "event", e.Name, "type", strings.Join(types, ", "), "err", err)
	_ = s.report(log, e.Name, err)
}

// Middleware sees each event of a socket before its handlers. An error drops the event; a sender that
// waits for an acknowledgement gets the error as {"error":...}.
type Middleware func(ctx context.Context, e *Event) error

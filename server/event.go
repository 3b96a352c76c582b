package server

import (
	"context"
	"sync/atomic"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server/packet"
)

// Event is one event as it arrived (or, for OnAnyOutgoing, as it leaves): the raw form that handlers
// and middlewares may take when typed arguments do not fit.
type Event struct {
	Args
	// Name of the event. A number sent as the name is its text.
	Name string

	socket *Socket // nil for server-side events
	ack    acknowledger
	room   [4][]byte // for the first of Args, so that most events are one allocation
}

// newEvent makes an Event of the payload data, a JSON array that the decoder has checked. Data belongs
// to the Event from here on. ok is false when it is no event after all.
func newEvent(data []byte, attachments [][]byte) (e *Event, ok bool) {
	name, err := packet.EventName(data)
	if err != nil {
		return nil, false
	}
	e = &Event{Name: string(name)}
	elements, err := packet.Split(e.room[:0], data)
	if err != nil || len(elements) == 0 {
		return nil, false
	}
	e.Args = Args{raw: elements[1:], attachments: attachments}
	return e, true
}

// Socket returns the socket the event came from; nil for an event of another server.
func (e *Event) Socket() *Socket { return e.socket }

// WantsAck reports whether the sender waits for an acknowledgement.
func (e *Event) WantsAck() bool { return e.ack.wanted() }

// Ack answers the event with values. It may be called once, from any goroutine, also after the handler
// has returned. It returns ErrNoAck when the sender waits for none and ErrAcknowledged the second time.
func (e *Event) Ack(values ...any) error { return e.ack.send(values) }

// Ack is the type of a handler's last parameter through which it answers by itself, once, at any time.
// It is never nil; when the sender waits for no acknowledgement it returns ErrNoAck.
type Ack func(values ...any) error

// acknowledger answers one event. The zero value has nobody to answer.
type acknowledger struct {
	sent   atomic.Bool
	socket *Socket
	id     uint64
	reply  func(adapter.Message) // instead of socket, for an event of another server
}

func (a *acknowledger) wanted() bool { return a.socket != nil || a.reply != nil }

func (a *acknowledger) send(values []any) error {
	if !a.wanted() {
		return ErrNoAck
	}
	if a.sent.Swap(true) {
		return ErrAcknowledged
	}
	if a.reply != nil {
		return a.sendReply(values)
	}
	return a.socket.sendAck(a.id, values)
}

// sendReply answers a server-side event, which takes one value.
func (a *acknowledger) sendReply(values []any) error {
	var v any
	if len(values) > 0 {
		v = values[0]
	}
	data, attachments, err := packet.AppendValue(nil, nil, v)
	if err != nil {
		return err
	}
	a.reply(adapter.Message{Data: data, Attachments: attachments})
	return nil
}

// Middleware sees each event of a socket before its handlers. An error drops the event; a sender that
// waits for an acknowledgement gets the error as {"error":...}.
type Middleware func(ctx context.Context, e *Event) error

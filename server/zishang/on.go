package zishang

import (
	"cmp"
	"context"

	"github.com/zishang520/engine.io/v2/events"
	"github.com/zishang520/socket.io/v2/socket"
)

// On calls fn for every event of that name, with the first argument decoded into a T as encoding/json would;
// a []byte in T takes a binary. Without an argument T is zero. ctx ends when the socket disconnects. An
// error is logged, and answers a client that waits for an acknowledgement with {"error": its text}. fn runs
// in its turn among the listeners registered with s.On. On panics when s is of no server made by New.
func On[T any](s *socket.Socket, event string, fn func(ctx context.Context, arg T) error) {
	handle(s, event, func(ctx context.Context, arg T) ([]any, error) { return nil, fn(ctx, arg) }, false)
}

// OnAck is On for events that the client wants acknowledged: the result is the answer.
func OnAck[T, R any](s *socket.Socket, event string, fn func(ctx context.Context, arg T) (R, error)) {
	handle(s, event, func(ctx context.Context, arg T) ([]any, error) {
		result, err := fn(ctx, arg)
		return []any{result}, err
	}, true)
}

// handle registers fn; its values answer if answers.
func handle[T any](s *socket.Socket, name string, fn func(context.Context, T) ([]any, error), answers bool) {
	m := memberOf(s)
	if m == nil {
		panic("zishang: On and OnAck are for sockets of a server made by New")
	}
	m.emitter().add(events.EventName(name), &listener{typed: func(e *event) {
		var arg T
		var values []any
		var err error
		if e.n > 0 {
			err = e.decode(0, &arg)
		}
		if err == nil {
			values, err = fn(cmp.Or(e.ctx, m.server.Context()), arg)
		}
		m.answer(e, values, err, answers)
	}})
}

// answer acknowledges an event with what its handler returned.
func (m *member) answer(e *event, values []any, err error, answers bool) {
	if err != nil {
		text := err.Error() // which may panic: then dispatch answers
		m.h.handlerErrors.Add(1)
		m.h.log.Debug("handler failed", "session", m.server.Session().Num(), "namespace", m.nsp.name,
			"event", e.name, "err", text)
		values, answers = []any{map[string]any{"error": text}}, true
	}
	if answers && e.ack != nil {
		e.ack(values, nil)
	}
}

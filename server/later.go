package server

import (
	"context"
	"math"
	"time"

	"github.com/beanpole/beanpole/internal/shrink"
)

// later has fn called in the socket's turn: between its handlers, behind those of the events that have been received.
func (s *Socket) later(fn func()) {
	s.hook(func(h *hooks) { h.calls = append(h.calls, fn) })
	if s.client.enqueue(s, item{kind: itemCall}) {
		s.client.server.wg.Go(s.client.Work) // nobody else need be about to run the queue
	}
}

// nextCall takes the function that later has put there first, and keeps nothing of it.
func (s *Socket) nextCall() (fn func()) {
	s.hook(func(h *hooks) { fn = shrink.First(&h.calls) })
	return fn
}

// EmitThen is EmitWithAck for those who do not wait: it returns once the event is sent, in its place among the others, and
// then is called once, with the client's answer or the error that EmitWithAck has. That is in the socket's turn, as if it
// were the handler of an event: one at a time with the handlers of the socket, and behind the events that came before the
// answer. After an error of EmitThen it is not called.
func (s *Socket) EmitThen(then func(Args, error), event string, args ...any) error {
	return Unicast{socket: s}.EmitThen(then, event, args...)
}

// EmitThen is Socket.EmitThen, bounded by Timeout.
func (u Unicast) EmitThen(then func(Args, error), event string, args ...any) error {
	need("EmitThen", "a function", then != nil)
	s := u.socket
	data, attachments, err := s.client.server.appendEvent(nil, event, args)
	if err != nil {
		return err
	}
	if err := s.answers(); err != nil {
		return err
	}
	id := s.nsp.ackID.Add(1)
	answered := func(a Args, err error) { s.later(func() { then(a, err) }) }
	timer := time.AfterFunc(math.MaxInt64, func() {
		if s.forgetAck(id) {
			answered(Args{}, ErrTimeout)
		}
	})
	s.expectAck(id, func(a Args, err error) {
		timer.Stop()
		if err != nil {
			answered(a, err)
			return
		}
		// It waits as an event does, and so counts among these.
		c, size := s.client, a.size()+eventCost
		if !c.load.add(size, &c.server.cfg.Limits) {
			c.full(ErrQueueFull)
			answered(Args{}, ErrDisconnected)
			return
		}
		s.later(func() {
			defer c.lighten(1, int64(size))
			then(a, nil)
		})
	})
	timer.Reset(ackTimeout(u.timeout)) // if it has answered, there is nothing to forget
	if err := s.sendQuestion(u, id, data, attachments); err != nil && s.forgetAck(id) {
		timer.Stop()
		return err
	}
	return nil
}

// defaultAckTimeout bounds EmitWithAck whose context has no deadline and that has no Timeout, so that one client that never
// answers does not hold it for ever.
const defaultAckTimeout = 5 * time.Second

// Ask emits an event to one client, waits for its acknowledgement, and returns the first value of that as a T. to is a
// *Socket, a *RemoteSocket, or what Timeout and the like return. The errors are those of EmitWithAck, and that of a value
// that is no T.
func Ask[T any](ctx context.Context, to interface {
	EmitWithAck(ctx context.Context, event string, args ...any) (Args, error)
}, event string, args ...any) (value T, err error) {
	answer, err := to.EmitWithAck(ctx, event, args...)
	if err == nil {
		err = answer.Decode(0, &value)
	}
	return value, err
}

// ackTimeout is how long to wait for acknowledgements, if no context says it.
func ackTimeout(d time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return defaultAckTimeout
}

// within is within for what waits for others, which ends when the server hurries, too.
func (s *Server) within(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	ctx, end := s.whileOpen(ctx)
	ctx, cancel := within(ctx, timeout)
	return ctx, func() { cancel(); end() }
}

// whileOpen returns ctx, which ends with ErrServerClosed when the server hurries.
func (s *Server) whileOpen(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(given(ctx))
	stop := context.AfterFunc(s.hurry.ctx, func() { cancel(ErrServerClosed) })
	return ctx, func() { stop(); cancel(nil) }
}

// within returns ctx with the time of a Timeout, or with the default if it has none itself.
func within(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	ctx = given(ctx)
	if _, bounded := ctx.Deadline(); bounded && timeout <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, ackTimeout(timeout), ErrTimeout)
}

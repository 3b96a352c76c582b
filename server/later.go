package server

import (
	"context"
	"fmt"
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
			defer c.lighten(1, size)
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

// EmitThen is EmitWithAck for those who do not wait: it returns when the sockets of this server have been sent the event,
// and then is called once, with what EmitWithAck returns. Of a socket's broadcast that is in the socket's turn, see
// Socket.EmitThen, and else on a goroutine of its own. Answers to a socket's broadcast are not kept while a quarter of what may
// wait for the socket's handlers does: then the error is an *adapter.PartialError of ErrQueueFull. After an error of EmitThen,
// which is that of an event that cannot be encoded, or ErrQueueFull where so much waits, it is not called. With an adapter that
// does not stand on adapter.Local it waits for the answers.
func (b Broadcast) EmitThen(then func([]Args, error), event string, args ...any) error {
	need("EmitThen", "a function", then != nil)
	put, err := b.question(event, args)
	if err != nil {
		return err
	}
	srv, into := b.nsp.server, answers{srv: b.nsp.server}
	switch {
	case b.from != nil:
		if into.of = b.from.client; !into.ask() {
			return ErrQueueFull
		}
	case int(srv.bounds.questions.Add(1)) > max(1, srv.cfg.Limits.MaxQuestions/4):
		srv.bounds.questions.Add(-1)
		if srv.bounds.notice.News("questions to many", time.Now()) {
			srv.cfg.Logger.Warn("questions to many are refused, as so many are not answered yet: ask by the socket for whom it is (s.To), whose "+
				"own they are then, and bound what a client may send (EventsPerSecond)", "namespace", b.nsp.name, "open", srv.cfg.Limits.MaxQuestions/4)
		}
		return fmt.Errorf("%w: so many questions to many are not answered yet", ErrQueueFull)
	}
	sent, answered := make(chan struct{}), make(chan struct{})
	srv.wg.Go(func() {
		err := put(srv.hurry.ctx, func() { close(sent) }, &into)
		close(answered)
		list := into.take()
		told := func() {
			defer into.release()
			then(list, into.short(err))
		}
		if b.from != nil {
			b.from.later(told)
			return
		}
		srv.bounds.questions.Add(-1)
		_ = srv.protect(event, func() error { told(); return nil }) // logged
	})
	select {
	case <-sent:
	case <-answered:
	}
	return nil
}

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

// within returns ctx with the time of a Timeout, or with the default if it has none itself.
func within(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	ctx = given(ctx)
	if _, bounded := ctx.Deadline(); bounded && timeout <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, ackTimeout(timeout), ErrTimeout)
}

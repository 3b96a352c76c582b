package zishang

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/zishang520/engine.io/v2/events"
	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/packet"
)

var (
	errPanic      = errors.New("panic")
	internalError = []any{map[string]any{"error": "internal error"}} // the answer of what has no other
)

// event is an event on its way to listeners: from a client, from another server, or emitted by the
// application itself. It keeps the wire's form until a listener wants the library's.
type event struct {
	name   string
	n      int                      // arguments
	decode func(i int, v any) error // one argument
	ack    socket.Ack               // nil when no answer is wanted
	ctx    context.Context          // for typed listeners of a socket's event; nil for others
	from   server.Args              // of a socket's event

	decoded bool  // args holds
	args    []any // with ack at the end
}

// arrived makes an event of one that package server has.
func arrived(from *server.Event) *event {
	e := &event{name: from.Name, n: from.Len(), decode: from.Decode}
	if from.WantsAck() {
		e.ack = func(args []any, _ error) { _ = from.Ack(wires(args)...) } // logged, or answered already
	}
	return e
}

// emitted makes an event of arguments in the library's form.
func emitted(name string, args []any) *event {
	e := &event{}
	e.replace(append([]any{name}, args...))
	return e
}

// replace gives the event other arguments, and the name that stands before them.
func (e *event) replace(named []any) {
	if name, ok := named[0].(string); ok {
		e.name = name
	}
	e.decoded, e.args, e.ack = true, named[1:], nil
	e.n = len(e.args)
	if e.n > 0 {
		if e.ack, _ = e.args[e.n-1].(socket.Ack); e.ack != nil {
			e.n--
		}
	}
	args := e.args
	e.decode = func(i int, v any) error {
		data, attachments, err := packet.AppendValue(nil, nil, wires(args[i : i+1])[0])
		if err != nil {
			return err
		}
		return packet.Decode(data, attachments, v)
	}
}

// arguments are the arguments as the library hands them to listeners: the values encoding/json makes,
// binaries as *types.BytesBuffer, and at the end the function that answers, if an answer is wanted. Every
// call returns a slice of its own, as listeners may change it.
func (e *event) arguments() []any {
	if !e.decoded {
		e.decoded = true
		e.args = valuesOf(e.n, e.decode)
		if e.ack != nil {
			e.args = append(e.args, e.ack)
		}
	}
	return slices.Clone(e.args)
}

// named are the arguments as catch-all listeners and middlewares get them: behind the name.
func (e *event) named() []any { return append([]any{e.name}, e.arguments()...) }

// event runs the handlers of one event: what the library's Socket.onevent and dispatch do. It is the only
// middleware of the socket that package server knows.
func (m *member) event(ctx context.Context, from *server.Event) error {
	m.turn.Lock()
	defer m.turn.Unlock()
	defer m.note()
	e := arrived(from)
	e.ctx, e.from = ctx, from.Args
	for _, fn := range m.socket.ListenersAny() {
		if fn != nil {
			m.h.protect(e.name, func() { fn(e.named()...) })
		}
	}
	if list := m.h.internals.middlewaresOf(m.socket); len(list) == 0 || m.pass(e, e.named(), list) {
		m.dispatch(e)
	}
	return nil
}

// The states of an event at a middleware.
const (
	waiting int32 = iota // for next, within its turn
	passed
	parked // its turn is over; the middleware may let it through later
)

// patience is how long a turn waits for a middleware that has returned to call next, from another goroutine. A
// socket with one that has not done so is not waited for again.
const patience = time.Second

// pass runs middlewares, which may change args, and reports whether the handlers are to be called now. An event that
// is let through when its turn is over gets another. Called with turn held.
func (m *member) pass(e *event, args []any, list []socket.SocketMiddleware) bool {
	for i, fn := range list {
		var state atomic.Int32
		through := make(chan error, 1)
		var later func(err error, late bool) // set while parked: a next that is kept keeps no event
		resume := func(err error, late bool) {
			if state.CompareAndSwap(parked, passed) {
				proceed := later
				later = nil
				proceed(err, late)
			}
		}
		next := func(err error) {
			if state.CompareAndSwap(waiting, passed) {
				through <- err
				return
			}
			resume(err, false)
		}
		if !m.h.protect(e.name, func() { fn(args, next) }) && state.CompareAndSwap(waiting, passed) {
			m.fail(e)
			return false
		}
		if !m.await(e, through) {
			release, ok := m.server.Hold(e.from, true)
			if !ok {
				return false
			}
			ctx, cancel := context.WithTimeout(m.h.hurry, lateTimeout)
			later = func(err error, late bool) {
				if cancel(); late {
					release()
					return
				}
				m.later.add(m.h, m.server.Context(), func(late bool) {
					defer release()
					if !late {
						m.late(e, args, list[i+1:], err)
					}
				})
			}
			if state.CompareAndSwap(waiting, parked) {
				context.AfterFunc(ctx, func() { resume(nil, true) })
				return false
			}
			cancel()
			release()
		}
		if m.refused(<-through) {
			return false
		}
	}
	e.replace(args)
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.kicked // by a middleware
}

// await waits for a middleware that calls next from another goroutine, and reports whether it has.
func (m *member) await(e *event, through chan error) bool {
	if len(through) > 0 || m.hasty {
		return len(through) > 0
	}
	m.server.Session().Yield()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case err := <-through:
		through <- err
		return true
	case <-timer.C:
	}
	m.hasty = true
	if now := time.Now().Unix(); now-m.h.hasty.Swap(now) >= 60 {
		m.h.log.Warn("a middleware of a socket does not call next: what it lets through later is out of order",
			"session", m.server.Session().Num(), "namespace", m.nsp.name, "event", e.name)
	}
	return false
}

// refused reports whether a middleware has called next with an error, and tells the application.
func (m *member) refused(err error) bool {
	if err != nil {
		m.socket.EmitReserved("error", err)
	}
	return err != nil
}

// late goes on with an event that a middleware has called next for after its turn, in a turn of its own.
func (m *member) late(e *event, args []any, rest []socket.SocketMiddleware, err error) {
	m.turn.Lock()
	defer m.turn.Unlock()
	defer m.note()
	if !m.ended && !m.refused(err) && m.pass(e, args, rest) {
		m.dispatch(e)
	}
}

// dispatch calls the listeners of e.
func (m *member) dispatch(e *event) {
	known := m.emitter().ListenerCount(events.EventName(e.name)) > 0
	var err error
	begun := time.Now()
	for _, o := range m.h.cfg.Observers {
		var ctx context.Context
		m.h.protect(e.name, func() { ctx = o.Handling(e.ctx, m.server, e.name, known) })
		if ctx != nil {
			defer m.h.protect(e.name, func() { o.Handled(ctx, m.server, e.name, known, time.Since(begun), err) })
		}
	}
	if !m.emitter().dispatch(e) {
		err = server.ErrPanic
		m.fail(e)
	}
}

// fail answers an event whose handling has panicked.
func (m *member) fail(e *event) {
	if e.ack != nil {
		e.ack(internalError, nil)
	}
}

package server

import (
	"context"
	"slices"
	"time"
)

// Observer is told what the handlers of a server do, for metrics and traces. Its methods are called
// from the goroutines that run handlers and must not block. Without observers nothing is measured.
type Observer interface {
	// Handling is called before the handlers of an event run; event is its name, or "connection",
	// "middleware" or "disconnect" with known true for what is not sent by the client. known also says
	// that the event has a handler, so that names made up by clients can be told apart. It returns the
	// context for the handlers, which is or derives from ctx, and what is called when they have returned:
	// with the first error, a panic included (ErrPanic).
	Handling(ctx context.Context, s *Socket, event string, known bool) (context.Context, func(error))
	// Acknowledged is called when a wait for a client's acknowledgement has ended.
	Acknowledged(s *Socket, took time.Duration, err error)
}

// observe tells the observers that handlers run. An observer that panics sees nothing of them.
func (s *Socket) observe(ctx context.Context, event string, known bool) (context.Context, func(error)) {
	list := s.client.server.cfg.Observers
	if len(list) == 0 {
		return ctx, func(error) {}
	}
	var done []func(error)
	for _, o := range list {
		_ = s.protect(event, func() error { // logged
			inner, fn := o.Handling(ctx, s, event, known)
			ctx, done = inner, append(done, fn)
			return nil
		})
	}
	return ctx, func(err error) {
		for _, fn := range slices.Backward(done) {
			_ = s.protect(event, func() error { fn(err); return nil }) // logged
		}
	}
}

// observed calls fn, which is not an event and so is handled without a context, while the observers look
// on. It makes no context unless somebody observes: it is a hundred bytes that most sockets never need.
func (s *Socket) observed(what string, fn func() error) error {
	if len(s.client.server.cfg.Observers) == 0 {
		return fn()
	}
	_, done := s.observe(s.Context(), what, true)
	return ending(done, fn)
}

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
	// context for the handlers, which is or derives from ctx.
	Handling(ctx context.Context, s *Socket, event string, known bool) context.Context
	// Handled is called when the handlers have returned, with the context that Handling has returned, how long
	// they took, and the first error, a panic included (ErrPanic). It is not called if Handling has panicked.
	Handled(ctx context.Context, s *Socket, event string, known bool, took time.Duration, err error)
	// Acknowledged is called when a wait for a client's acknowledgement has ended.
	Acknowledged(s *Socket, took time.Duration, err error)
}

// observed calls fn while the observers look on, with the context that they have made of ctx. One that panics before
// fn sees nothing of it. It allocates nothing for up to two observers.
func (s *Socket) observed(ctx context.Context, event string, known bool, fn func(context.Context) error) error {
	list := s.client.server.cfg.Observers
	if len(list) == 0 {
		return fn(ctx)
	}
	var few [2]context.Context
	told := few[:0]
	for _, o := range list {
		var inner context.Context
		_ = s.protect(event, func() error { // logged
			if inner = o.Handling(ctx, s, event, known); inner == nil {
				inner = ctx
			}
			ctx = inner
			return nil
		})
		told = append(told, inner)
	}
	start := time.Now()
	return ending(func(err error) {
		took := time.Since(start)
		for i, o := range slices.Backward(list) {
			if ctx := told[i]; ctx != nil {
				_ = s.protect(event, func() error { o.Handled(ctx, s, event, known, took, err); return nil }) // logged
			}
		}
	}, func() error { return fn(ctx) })
}

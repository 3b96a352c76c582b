package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"runtime/debug"

	"github.com/beanpole/beanpole/server/packet"
)

// Everything of the application's is called under one recovery point, recovered: by guard, or by a
// function that defers recovered itself, where a closure would cost. That is handlers, hooks, observers,
// functions of the configuration and its Parser, and the methods of its values (MarshalJSON, Error and the
// like) wherever this package encodes values or asks errors.
//
// A function that ends its goroutine (runtime.Goexit, as testify's require does) cannot be recovered. What
// has to be done after such a call is deferred: see Socket.work.

// guard calls fn, a function of the application's, and returns a panic in it as an error that is ErrPanic.
func guard(fn func() error) (err error) {
	defer recovered(&err)
	return usable(fn())
}

// recovered is deferred around what is the application's, and turns a panic into *err.
func recovered(err *error) {
	if v := recover(); v != nil {
		*err = newPanic(v)
	}
}

// usable returns err, an error of the application's, having asked it what will be asked of it later. A
// typed nil, for one, is an error whose methods may panic: here that ends under the recovery point.
func usable(err error) error {
	if err != nil {
		_, _, _ = failure(err), hidePanic(err), refusalCause(err)
	}
	return err
}

// panicError is a panic of the application's, recovered. It is ErrPanic.
type panicError struct {
	text  string
	stack []byte
}

func newPanic(v any) *panicError {
	return &panicError{text: "panic: " + shown(v), stack: debug.Stack()}
}

// shown is the text of what somebody has panicked with. Values with parts are their type alone: package fmt goes
// round in one that contains itself until the stack, and the process, ends.
func shown(v any) string {
	switch v.(type) {
	case error, fmt.Stringer:
		return fmt.Sprint(v)
	}
	if k := reflect.ValueOf(v).Kind(); k >= reflect.Bool && k <= reflect.Complex128 || k == reflect.String {
		return fmt.Sprint(v)
	}
	return fmt.Sprintf("a %T", v)
}

func (e *panicError) Error() string { return e.text }

// Is makes a panic known as ErrPanic.
func (e *panicError) Is(target error) bool { return target == ErrPanic }

// exited is what observers are told of a function that has ended its goroutine.
func exited() error { return newPanic("runtime.Goexit called") }

// errInternal is what a client may know of a panic, and of what cannot be encoded.
var errInternal = errors.New("internal error")

// hidePanic replaces a panic by what a client may know of it.
func hidePanic(err error) error {
	if errors.Is(err, ErrPanic) {
		return errInternal
	}
	return err
}

// protect is guard for what belongs to no socket: a panic is logged and counted.
func (s *Server) protect(what string, fn func() error) error {
	return s.report(s.cfg.Logger, what, guard(fn))
}

// Protect calls a function of the application's for a package that shows this server to it in another form: a panic
// is logged, counted, and returned as an error that is ErrPanic.
func (s *Server) Protect(what string, fn func() error) error { return s.protect(what, fn) }

// report logs and counts err if it is a panic, and returns it.
func (s *Server) report(log *slog.Logger, event string, err error) error {
	var p *panicError
	if err != nil && errors.As(err, &p) {
		s.stats.panics.Add(1)
		log.Error("handler panicked", "event", event, "panic", p.text, "stack", string(p.stack))
	}
	return err
}

// protect calls a function of the application's: a panic in it ends nothing but this call.
func (s *Socket) protect(event string, fn func() error) error { return s.report(event, guard(fn)) }

// protectHandler is protect for a handler. It allocates nothing.
func (s *Socket) protectHandler(ctx context.Context, h *handler, e *Event) error {
	return s.report(e.Name, h.guardedCall(ctx, e))
}

// guardedCall is guard for a handler.
func (h *handler) guardedCall(ctx context.Context, e *Event) (err error) {
	defer recovered(&err)
	return usable(h.call(ctx, e))
}

func (s *Socket) report(event string, err error) error {
	if err == nil {
		return nil
	}
	return s.client.server.report(s.client.log().With("namespace", s.name), event, err)
}

// ending calls fn and tells done how it has ended, even if fn ends the goroutine.
func ending(done func(error), fn func() error) (err error) {
	returned := false
	defer func() {
		if !returned {
			err = exited()
		}
		done(err)
	}()
	err = fn()
	returned = true
	return err
}

// encode is Config.Parser's Encode. It makes one message at least, or an error.
func (s *Server) encode(dst []packet.Message, buf []byte, p *packet.Packet) (messages []packet.Message, err error) {
	defer recovered(&err)
	if messages = s.cfg.Parser.Encode(dst, buf, p); len(messages) == 0 {
		err = errUnsendable
	}
	return messages, err
}

// decode gives a message to the decoder of the packet in progress, or of a new one.
func (c *client) decode(m packet.Message) (d packet.Decoder, p *packet.Packet, err error) {
	defer recovered(&err)
	if d = c.decoder; d == nil {
		d = c.server.takeDecoder()
	}
	p, err = d.Add(m)
	return d, p, err
}

// appendArgs is packet.AppendArgs of values of the application's.
func appendArgs(dst []byte, values []any) (data []byte, attachments [][]byte, err error) {
	defer recovered(&err)
	return packet.AppendArgs(dst, nil, values)
}

// appendValue is packet.AppendValue of a value of the application's.
func appendValue(v any) (data []byte, attachments [][]byte, err error) {
	defer recovered(&err)
	return packet.AppendValue(nil, nil, v)
}

// appendJSON is packet.AppendJSON of a value of the application's.
func appendJSON(v any) (data []byte, err error) {
	defer recovered(&err)
	return packet.AppendJSON(nil, v)
}

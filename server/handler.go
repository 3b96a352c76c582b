package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/beanpole/beanpole/server/packet"
)

// A handler is a function of the application together with what its type asks for.
//
// Its parameters are, in this order: any of context.Context, *Socket and *Event; then the arguments of
// the event, each decoded into the parameter's own type, the last one variadic if wanted; then, if it
// answers by itself, an Ack. Arguments that the client did not send are zero, as undefined would be;
// further ones are ignored.
//
// What it returns answers a client that waits for an acknowledgement: the values it returns, or its
// last result, if that is an error and not nil, as {"error":"text"}. A handler that returns nothing
// does not answer.
type handler struct {
	*signature
	event string
	fn    any // the function
	once  bool
	used  bool // guarded by the registry that holds the handler
}

// signature is what a function type asks for; one per type and server.
type signature struct {
	params   []param
	args     int // number of event arguments, the variadic one not counted
	variadic reflect.Type
	results  int  // values returned, the error not counted
	fails    bool // the last result is an error
	acks     bool // takes an Ack or an *Event, and so answers by itself
	context  bool // takes a context.Context

	// fast calls a function of one of the commonest types without reflection. Nil for the others.
	fast func(fn any, e *Event) error
}

type param struct {
	kind paramKind
	typ  reflect.Type
	arg  int
}

type paramKind uint8

const (
	paramContext paramKind = iota + 1
	paramSocket
	paramEvent
	paramArg
	paramAck
)

var (
	typeContext = reflect.TypeFor[context.Context]()
	typeSocket  = reflect.TypeFor[*Socket]()
	typeEvent   = reflect.TypeFor[*Event]()
	typeAck     = reflect.TypeFor[Ack]()
	typeError   = reflect.TypeFor[error]()
)

// signatures caches the signature of each function type.
type signatures struct{ m sync.Map }

// handler makes a handler of fn. It panics when fn's type does not fit: that is a mistake in the
// program, found when the handler is registered and never by what a client sends.
func (c *signatures) handler(event string, fn any) *handler {
	if packet.Reserved(event) {
		panic(fmt.Sprintf("server: %q is a reserved event name; use OnConnection, OnDisconnect or OnDisconnecting", event))
	}
	v := reflect.ValueOf(fn)
	if v.Kind() != reflect.Func || v.IsNil() {
		panic(fmt.Sprintf("server: handler of %q is a %T, not a function", event, fn))
	}
	h := &handler{event: event, fn: fn}
	if s, ok := c.m.Load(v.Type()); ok {
		h.signature = s.(*signature)
		return h
	}
	s, err := newSignature(v.Type())
	if err != nil {
		panic(fmt.Sprintf("server: handler of %q: %v", event, err))
	}
	s.fast = fastCall(fn)
	c.m.Store(v.Type(), s)
	h.signature = s
	return h
}

func newSignature(t reflect.Type) (*signature, error) {
	s := &signature{}
	for i := range t.NumIn() {
		p := param{kind: paramArg, typ: t.In(i)}
		switch {
		case p.typ == typeContext && s.args == 0:
			p.kind, s.context = paramContext, true
		case p.typ == typeSocket && s.args == 0:
			p.kind = paramSocket
		case p.typ == typeEvent && s.args == 0:
			p.kind, s.acks = paramEvent, true
		case p.typ == typeAck:
			if i != t.NumIn()-1 {
				return nil, errors.New("an Ack must be the last parameter")
			}
			p.kind, s.acks = paramAck, true
		case t.IsVariadic() && i == t.NumIn()-1:
			s.variadic = p.typ.Elem()
			continue
		default:
			switch p.typ.Kind() {
			case reflect.Chan, reflect.Func, reflect.UnsafePointer:
				return nil, fmt.Errorf("parameter %d has type %s, which no argument can be decoded into", i+1, p.typ)
			}
			p.arg = s.args
			s.args++
		}
		s.params = append(s.params, p)
	}
	s.results = t.NumOut()
	if s.results > 0 && t.Out(s.results-1) == typeError {
		s.results--
		s.fails = true
	}
	return s, nil
}

// fastCall returns what calls functions of the type of fn without reflection, or nil.
func fastCall(fn any) func(fn any, e *Event) error {
	switch fn.(type) {
	case func(*Event):
		return func(fn any, e *Event) error { fn.(func(*Event))(e); return nil }
	case func():
		return func(fn any, _ *Event) error { fn.(func())(); return nil }
	case func(string):
		return fastArg[string]
	case func([]byte):
		return fastArg[[]byte]
	case func(json.RawMessage):
		return fastArg[json.RawMessage]
	case func(string) string:
		return func(fn any, e *Event) error { return fastAnswerIn(fn.(func(string) string), e, &e.text) }
	case func([]byte) []byte:
		return func(fn any, e *Event) error { return fastAnswerIn(fn.(func([]byte) []byte), e, &e.binary) }
	case func(json.RawMessage) json.RawMessage:
		return fastAnswer[json.RawMessage]
	}
	return nil
}

func fastArg[T any](fn any, e *Event) error {
	var arg T
	if err := e.Decode(0, &arg); err != nil {
		return err
	}
	fn.(func(T))(arg)
	return nil
}

func fastAnswer[T any](fn any, e *Event) error {
	var arg T
	if err := e.Decode(0, &arg); err != nil {
		return err
	}
	answer := fn.(func(T) T)(arg)
	if !e.WantsAck() {
		return nil
	}
	return ignoreAcknowledged(e.ack.send([]any{answer}))
}

// fastAnswerIn is fastAnswer with room in e for the argument and the answer.
func fastAnswerIn[T any](fn func(T) T, e *Event, room *T) error {
	if err := e.Decode(0, room); err != nil {
		return err
	}
	*room = fn(*room)
	if !e.WantsAck() {
		return nil
	}
	e.one[0] = room
	return ignoreAcknowledged(e.ack.send(e.one[:]))
}

// guardedCall is call, with a panic returned as a *panicError.
func (h *handler) guardedCall(ctx context.Context, e *Event) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{value: v, stack: debug.Stack()}
		}
	}()
	return h.call(ctx, e)
}

// call runs the handler for e. The error is the handler's own or of decoding; the answer has been sent.
func (h *handler) call(ctx context.Context, e *Event) error {
	if h.fast != nil {
		return h.fast(h.fn, e)
	}
	in := make([]reflect.Value, 0, len(h.params)+max(0, e.Len()-h.args))
	for _, p := range h.params {
		switch p.kind {
		case paramContext:
			in = append(in, reflect.ValueOf(ctx))
		case paramSocket:
			in = append(in, reflect.ValueOf(e.socket))
		case paramEvent:
			in = append(in, reflect.ValueOf(e))
		case paramAck:
			in = append(in, reflect.ValueOf(Ack(e.Ack)))
		case paramArg:
			arg := reflect.New(p.typ)
			if err := e.Decode(p.arg, arg.Interface()); err != nil {
				return err
			}
			in = append(in, arg.Elem())
		}
	}
	if h.variadic != nil {
		for i := h.args; i < e.Len(); i++ {
			arg := reflect.New(h.variadic)
			if err := e.Decode(i, arg.Interface()); err != nil {
				return err
			}
			in = append(in, arg.Elem())
		}
	}
	return h.answer(e, reflect.ValueOf(h.fn).Call(in))
}

// answer acknowledges e with what the handler returned, and returns the handler's error.
func (h *handler) answer(e *Event, out []reflect.Value) error {
	if h.fails {
		if err, _ := out[h.results].Interface().(error); err != nil {
			return err
		}
	}
	if !e.WantsAck() || h.acks || (h.results == 0 && !h.fails) {
		return nil
	}
	values := make([]any, h.results)
	for i := range values {
		values[i] = out[i].Interface()
	}
	return ignoreAcknowledged(e.ack.send(values))
}

// ignoreAcknowledged drops the error of an answer that lost to an earlier one of another handler.
func ignoreAcknowledged(err error) error {
	if errors.Is(err, ErrAcknowledged) {
		return nil
	}
	return err
}

// failed is the answer to an event whose handler or middleware returned an error.
type failed struct {
	Error string `json:"error"`
	Data  any    `json:"data,omitempty"`
}

func failure(err error) failed {
	var withData *Error
	if errors.As(err, &withData) {
		return failed{err.Error(), withData.Data}
	}
	return failed{Error: err.Error()}
}

// panicError is a panic of the application, recovered.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprint("panic: ", e.value) }

// Is makes a panic known as ErrPanic.
func (e *panicError) Is(target error) bool { return target == ErrPanic }

// errInternal is what a client may know of a panic. To observers it is still one.
var errInternal error = hiddenPanic{}

type hiddenPanic struct{}

func (hiddenPanic) Error() string        { return "internal error" }
func (hiddenPanic) Is(target error) bool { return target == ErrPanic }

// hidePanic replaces a panic by what a client may know of it.
func hidePanic(err error) error {
	var p *panicError
	if errors.As(err, &p) {
		return errInternal
	}
	return err
}

// guard calls fn and returns a panic in it as a *panicError.
func guard(fn func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{value: v, stack: debug.Stack()}
		}
	}()
	return fn()
}

// handlers is a registry of handlers by event name, safe for concurrent use; the zero value is empty. It
// is a list, those of one event side by side: for the few handlers a socket has that is less than half of
// what a map takes, and found as soon. Lists that get has returned are parts of it, and so it is replaced
// where it would change before its end.
type handlers struct {
	mu   sync.Mutex
	list []*handler // guarded by mu
}

// add registers h and returns a function that removes it.
func (r *handlers) add(event string, h *handler) (off func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, end := find(r, event); end == len(r.list) {
		r.list = append(r.list, h)
	} else {
		r.list = slices.Concat(r.list[:end], []*handler{h}, r.list[end:])
	}
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.remove(h)
	}
}

// find returns where the handlers of event are in the list, or would be. Called with mu held.
func find[T string | []byte](r *handlers, event T) (begin, end int) {
	for begin < len(r.list) && r.list[begin].event != string(event) {
		begin++
	}
	end = begin
	for end < len(r.list) && r.list[end].event == string(event) {
		end++
	}
	return begin, end
}

// remove is called with mu held.
func (r *handlers) remove(h *handler) {
	r.list = slices.DeleteFunc(slices.Clone(r.list), func(o *handler) bool { return o == h })
}

// off removes all handlers of event.
func (r *handlers) off(event string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	begin, end := find(r, event)
	r.list = slices.Concat(r.list[:begin], r.list[end:])
}

// get returns the handlers of event. Those registered for once are returned once.
func (r *handlers) get(event []byte) []*handler {
	r.mu.Lock()
	defer r.mu.Unlock()
	begin, end := find(r, event)
	list := r.list[begin:end:end]
	for _, h := range list {
		if h.once {
			return r.take(list)
		}
	}
	return list
}

// take is get for a list with handlers for once; called with mu held.
func (r *handlers) take(list []*handler) []*handler {
	var out []*handler
	for _, h := range list {
		if h.used {
			continue
		}
		out = append(out, h)
		if h.once {
			h.used = true
			r.remove(h)
		}
	}
	return out
}

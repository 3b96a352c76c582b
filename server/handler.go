package server

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"sync"
)

// A handler is a function of the application together with what its type asks for.
//
// Its parameters are, in this order: any of context.Context, *Socket, *Event and Args; then the arguments of
// the event, each decoded into the parameter's own type, the last one variadic if wanted; then, if it
// answers by itself, an Ack. Arguments that the client did not send are zero, as undefined would be;
// further ones are ignored.
//
// What it returns answers a client that waits for an acknowledgement: the values it returns, or its
// last result, if that is an error and not nil, as {"error":"text"}. The first answer counts, so a handler
// that takes an *Event and has answered by that is not answered for again. A handler that returns nothing
// does not answer, nor does the nil error of one that takes an Ack.
type handler struct {
	*signature
	event string
	fn    any // the function
	once  bool
	used  bool // guarded by the registry that holds the handler
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
	_ = e.answer([]any{answer}) // see handler.answer
	return nil
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
	_ = e.answer(e.one[:]) // see handler.answer
	return nil
}

// call runs the handler for e, and answers. The error is the handler's own or of decoding.
func (h *handler) call(ctx context.Context, e *Event) error {
	h.advice.counted(h, e)
	if h.fast != nil {
		return h.fast(h.fn, e)
	}
	in := make([]reflect.Value, 0, len(h.params)) // of one or so, for which there is room on the stack
	for _, p := range h.params {
		switch p.kind {
		case paramContext:
			in = append(in, reflect.ValueOf(ctx))
		case paramSocket:
			in = append(in, reflect.ValueOf(e.socket))
		case paramEvent:
			in = append(in, reflect.ValueOf(e))
		case paramArgs:
			in = append(in, reflect.ValueOf(e.Args))
		case paramAck:
			in = append(in, reflect.ValueOf(Ack(e.Ack)))
		case paramArg:
			arg := reflect.New(p.typ)
			if err := h.argument(ctx, e, p.arg, arg); err != nil {
				return err
			}
			in = append(in, arg.Elem())
		}
	}
	if h.variadic == nil {
		return h.answer(e, reflect.ValueOf(h.fn).Call(in))
	}
	n := max(0, e.Len()-h.args)
	rest := reflect.MakeSlice(h.variadic, n, n)
	for i := range n {
		if err := h.argument(ctx, e, h.args+i, rest.Index(i).Addr()); err != nil {
			return err
		}
	}
	return h.answer(e, reflect.ValueOf(h.fn).CallSlice(append(in, rest)))
}

// argument decodes an argument of e into what arg points to.
func (h *handler) argument(ctx context.Context, e *Event, i int, arg reflect.Value) error {
	if err := e.Decode(i, arg.Interface()); err != nil {
		return err
	}
	h.advice.takes(h.event, arg.Interface(), e.Raw(i))
	if h.validate == nil {
		return nil
	}
	return h.validate(ctx, h.event, arg.Elem().Interface())
}

// answer acknowledges e with what the handler returned, and returns the handler's error. What becomes of the answer is
// another thing, and no failure of the handler: its client may have left, another handler may have answered before, and
// what cannot be sent has been logged.
func (h *handler) answer(e *Event, out []reflect.Value) error {
	if h.fails {
		if err, _ := out[h.results].Interface().(error); err != nil {
			return err
		}
	}
	if !e.WantsAck() || h.results == 0 && (!h.fails || h.later) {
		return nil
	}
	values := make([]any, h.results)
	for i := range values {
		values[i] = out[i].Interface()
	}
	_ = e.answer(values)
	return nil
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

// handlers is a registry of handlers by event name, safe for concurrent use; the zero value is empty. It
// is a list, those of one event side by side: for the few handlers a socket has that is less than half of
// what a map takes, and found as soon. Lists that get has returned are parts of it, and so it is replaced
// where it would change before its end.
type handlers struct {
	mu   sync.Mutex
	list []*handler // guarded by mu
}

// add registers h and returns a function that removes it. method is what the application has called.
func (r *handlers) add(s *Server, method, event string, h *handler) (off func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	begin, end := find(r, event)
	if end == len(r.list) {
		r.list = append(r.list, h)
	} else {
		r.list = slices.Concat(r.list[:end], []*handler{h}, r.list[end:])
	}
	s.crowded(end-begin+1, end-begin+1, method, event)
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

// clear removes all handlers.
func (r *handlers) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = nil
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

package server

import (
	"context"
	"encoding"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"sync"

	"github.com/beanpole/beanpole/server/packet"
	"github.com/beanpole/beanpole/transport"
)

// signature is what a function type asks for; one per type and server.
type signature struct {
	params   []param
	args     int          // number of event arguments, the variadic one not counted
	wanted   int          // number of those that have to be found
	variadic reflect.Type // a slice
	results  int          // values returned, the error not counted
	fails    bool         // the last result is an error
	later    bool         // takes an Ack, and so answers when it likes
	kept     bool         // takes an Ack, an *Event or Args, and so may keep the event
	socket   bool         // takes a *Socket

	weight packet.Weight // of its arguments

	// fast calls a function of one of the commonest types without reflection. Nil for the others.
	fast func(fn any, e *Event) error

	validate func(ctx context.Context, event string, arg any) error // nil if nobody wants to
	advice   *advice                                                // nil unless Config.Development
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
	paramArgs
)

var (
	typeContext = reflect.TypeFor[context.Context]()
	typeSocket  = reflect.TypeFor[*Socket]()
	typeEvent   = reflect.TypeFor[*Event]()
	typeAck     = reflect.TypeFor[Ack]()
	typeArgs    = reflect.TypeFor[Args]()
	typeError   = reflect.TypeFor[error]()
)

// handles are the types of ours by which an application holds something here, with what can travel in their place.
var handles = map[reflect.Type]string{
	reflect.TypeFor[Args]():              ": use what is in it, by Values or Scan, as in answers[0].Values()",
	reflect.TypeFor[RemoteSocket]():      ": use what it tells, as its ID and Rooms",
	reflect.TypeFor[Handshake]():         ": use what it tells, as its Addr and Query",
	reflect.TypeFor[Broadcast]():         "",
	reflect.TypeFor[Unicast]():           "",
	reflect.TypeFor[Namespace]():         ": use its Name",
	reflect.TypeFor[Dynamic]():           "",
	reflect.TypeFor[Server]():            "",
	reflect.TypeFor[transport.Session](): "",
	reflect.TypeFor[transport.Server]():  "",
}

// signatures caches the signature of each function type, and of each type of an argument of Emit why it cannot travel.
type signatures struct {
	m, values sync.Map
	validate  func(ctx context.Context, event string, arg any) error // Config.Validate
	advice    *advice                                                // the server's
}

// sendable returns why v, an argument of an event, would arrive as {}, or nil.
func (c *signatures) sendable(v any) error {
	switch v.(type) {
	case nil, string, []byte, int, float64, bool, map[string]any, []any, json.RawMessage:
		return nil
	}
	t := reflect.TypeOf(v)
	why, ok := c.values.Load(t)
	if !ok {
		why, _ = c.values.LoadOrStore(t, reason{result.shows(t)})
	}
	return why.(reason).err
}

// reason is why a type cannot travel, or nil.
type reason struct{ err error }

// shows is visible for a value that is sent: no value of ours arrives.
func (d *direction) shows(t reflect.Type) error {
	bare := t
	if t.Kind() == reflect.Pointer {
		bare = t.Elem()
	}
	if d.speaks(t) {
		return nil
	}
	if instead, ours := handles[bare]; ours {
		return fmt.Errorf("%s, of which nothing can travel%s", t, instead)
	}
	if t.Implements(typeError) { // the parser says what to send instead
		return nil
	}
	return d.visible(t)
}

// handler makes a handler of fn. It panics when fn's type does not fit: that is a mistake in the
// program, found when the handler is registered and never by what a client sends.
func (c *signatures) handler(event string, fn any) *handler {
	mustBeSent(event)
	switch v := reflect.ValueOf(fn); {
	case fn == nil, v.Kind() == reflect.Func && v.IsNil():
		panic(fmt.Sprintf("server: handler of %q is nil, not a function", event))
	case v.Kind() != reflect.Func:
		panic(fmt.Sprintf("server: handler of %q is of type %T, not a function", event, fn))
	}
	v := reflect.ValueOf(fn)
	h := &handler{event: event, fn: fn}
	if s, ok := c.m.Load(v.Type()); ok {
		h.signature = s.(*signature)
		return h
	}
	s, err := newSignature(v.Type())
	if err != nil {
		panic(fmt.Sprintf("server: handler of %q: %v", event, err))
	}
	s.advice = c.advice
	if s.validate = c.validate; s.validate == nil {
		s.fast = fastCall(fn)
	}
	c.m.Store(v.Type(), s)
	h.signature = s
	return h
}

// insteadOf returns what takes the place of a handler for a name that is not an event's, or "".
func insteadOf(event string) string {
	switch event {
	case "connect", "connection":
		return "OnConnection"
	case "disconnect":
		return "OnDisconnect"
	case "disconnecting":
		return "OnDisconnecting"
	case "new_namespace":
		return "OnNamespace"
	}
	if packet.Reserved(event) {
		return "another name, as the protocol keeps this one"
	}
	return ""
}

// need panics when what is to be registered is nil: that is found here and not when it is used.
func need(who, what string, given bool) {
	if !given {
		panic("server: " + who + " needs " + what + ", not nil")
	}
}

func newSignature(t reflect.Type) (*signature, error) {
	s := &signature{}
	last := t.NumIn() - 1
	for i := range t.NumIn() {
		p := param{kind: paramArg, typ: t.In(i)}
		switch {
		case p.typ == typeContext && s.args == 0:
			p.kind = paramContext
		case p.typ == typeSocket && s.args == 0:
			p.kind, s.socket = paramSocket, true
		case p.typ == typeEvent && s.args == 0:
			p.kind, s.kept, s.weight = paramEvent, true, s.weight.Max(anything)
		case p.typ == typeArgs && s.args == 0:
			p.kind, s.kept, s.weight = paramArgs, true, s.weight.Max(anything)
		case p.typ == typeAck && i == last:
			p.kind, s.later, s.kept = paramAck, true, true
		case t.IsVariadic() && i == last:
			s.variadic, s.weight = p.typ, s.weight.Max(packet.WeightOf(p.typ))
			if err := carries(p.typ.Elem(), argument); err != nil {
				return nil, fmt.Errorf("parameter %d: %w", i+1, err)
			}
			continue
		default:
			if err := carries(p.typ, argument); err != nil {
				return nil, fmt.Errorf("parameter %d: %w", i+1, err)
			}
			p.arg, s.weight = s.args, s.weight.Max(packet.WeightOf(p.typ))
			s.args++
		}
		s.params = append(s.params, p)
	}
	if s.wanted = s.args; s.kept || s.variadic != nil {
		s.wanted = all
	}
	s.results = t.NumOut()
	if s.results > 0 && t.Out(s.results-1) == typeError {
		s.results--
		s.fails = true
	}
	for i := range s.results {
		if t.Out(i).Implements(typeError) { // a nil one in an interface is not nil
			return nil, fmt.Errorf("result %d: %s, which may only be the last result, as error", i+1, t.Out(i))
		}
		if err := carries(t.Out(i), result); err != nil {
			return nil, fmt.Errorf("result %d: %w", i+1, err)
		}
	}
	return s, nil
}

// direction is which way values of a type go: the methods by which a type says itself how it travels.
type direction struct {
	methods [2]reflect.Type
	library string // the method of the library beneath
}

var (
	argument = &direction{
		[2]reflect.Type{reflect.TypeFor[json.Unmarshaler](), reflect.TypeFor[encoding.TextUnmarshaler]()},
		"UnmarshalJSONFrom",
	}
	result = &direction{
		[2]reflect.Type{reflect.TypeFor[json.Marshaler](), reflect.TypeFor[encoding.TextMarshaler]()},
		"MarshalJSONTo",
	}
	typeReader = reflect.TypeFor[io.Reader]()
)

// speaks reports whether t, or *t, has a method for the direction.
func (d *direction) speaks(t reflect.Type) bool {
	for _, t := range [...]reflect.Type{t, reflect.PointerTo(t)} {
		if _, ok := t.MethodByName(d.library); ok || t.Implements(d.methods[0]) || t.Implements(d.methods[1]) {
			return true
		}
	}
	return false
}

// carries returns why values of type t cannot travel in the direction, or nil.
func carries(t reflect.Type, d *direction) error {
	if err := d.check(t, map[reflect.Type]bool{}); err != nil {
		if t != err.typ {
			return fmt.Errorf("%s has %s, %w", t, err.typ, err)
		}
		return fmt.Errorf("%s, %w", t, err)
	}
	return d.visible(t)
}

// visible returns an error for a type of which nothing could be seen elsewhere, nor of what a list of it holds.
func (d *direction) visible(t reflect.Type) error {
	if packet.Endless(t) {
		return fmt.Errorf("%s, which points to nothing but pointers", t)
	}
	bare := t
	for range 8 { // a type may hold itself
		switch bare.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
			if d.speaks(bare) {
				return nil
			}
			bare = bare.Elem()
		}
	}
	if bare.Kind() == reflect.Struct && bare.NumField() > 0 && !d.speaks(bare) && !opens(bare) {
		return fmt.Errorf("%s, which has no exported fields, and so nothing that could travel", t)
	}
	return nil
}

// opens reports whether the struct t has a field that others can see.
func opens(t reflect.Type) bool {
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() || f.Anonymous {
			return true
		}
	}
	return false
}

// unfit says why a type cannot travel.
type unfit struct {
	typ reflect.Type
	why string
}

func (e *unfit) Error() string { return e.why }

// check looks for what cannot travel in t and in all that is in it.
func (d *direction) check(t reflect.Type, seen map[reflect.Type]bool) *unfit {
	if seen[t] {
		return nil
	}
	seen[t] = true
	switch t {
	case typeContext, typeSocket, typeEvent, typeSocket.Elem(), typeEvent.Elem():
		if d == result {
			return &unfit{t, "of which nothing can travel: use what it tells, as the ID of a socket"}
		}
	}
	switch t {
	case typeSocket.Elem(), typeEvent.Elem():
		return &unfit{t, "which is taken as *" + t.String() + ", before the arguments of the event"}
	case typeContext, typeSocket, typeEvent:
		return &unfit{t, "which may only stand before the arguments of the event"}
	case typeAck:
		return &unfit{t, "which may only be the last parameter"}
	case typeError:
		return &unfit{t, "which may only be the last result"}
	}
	bare := t
	if t.Kind() == reflect.Pointer {
		bare = t.Elem()
	}
	if instead, ours := handles[bare]; ours {
		return &unfit{bare, "of which nothing can travel" + instead}
	}
	if d.speaks(t) {
		return nil
	}
	switch t.Kind() {
	case reflect.Func:
		if d == argument {
			return &unfit{t, "which has no form in JSON; to acknowledge, return the answer, or take a server.Ack as the last parameter"}
		}
		return &unfit{t, "which has no form in JSON"}
	case reflect.Chan, reflect.UnsafePointer, reflect.Complex64, reflect.Complex128:
		return &unfit{t, "which has no form in JSON"}
	case reflect.Interface:
		switch {
		case t.Implements(typeReader):
			return &unfit{t, "which has no form in JSON; read it and use []byte"}
		case t.Implements(typeError):
			return &unfit{t, "which may only be the last result, as error"}
		case d == argument && t.NumMethod() > 0:
			return &unfit{t, "which does not say what to decode into"}
		}
	case reflect.Map:
		if k := t.Key(); !d.speaks(k) && !isName(k.Kind()) {
			return &unfit{t, "whose keys can be no names"}
		}
		return d.check(t.Elem(), seen)
	case reflect.Pointer, reflect.Slice, reflect.Array:
		if packet.Endless(t) {
			return &unfit{t, "which points to nothing but pointers"}
		}
		return d.check(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			if tag, _ := f.Tag.Lookup("json"); tag == "-" || !f.IsExported() && !f.Anonymous {
				continue
			}
			if err := d.check(f.Type, seen); err != nil {
				return err
			}
		}
	}
	return nil
}

// isName reports whether values of kind k can be the names of members.
func isName(k reflect.Kind) bool {
	return k == reflect.String || k == reflect.Interface || k >= reflect.Int && k <= reflect.Float64
}

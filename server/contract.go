package server

import (
	"fmt"
	"reflect"

	"github.com/beanpole/beanpole/server/contract"
)

// Outgoing is an event that clients are sent, with a T as its argument. Declare makes it.
type Outgoing[T any] struct{ event string }

// Declare declares an event that clients are sent. It is usually called for a variable of a package:
//
//	var News = server.Declare[Article]("news")
//
// It panics when the event is one of the protocol's own, or when a T cannot travel. Namespace.Sends says who sends it.
func Declare[T any](event string) Outgoing[T] {
	mustBeSent(event)
	mustCarry(event, reflect.TypeFor[T]())
	return Outgoing[T]{event}
}

// Event returns the name of the event.
func (o Outgoing[T]) Event() string { return o.event }

// Emit emits the event to whoever to selects: a *Server, *Namespace, *Socket, or what To and the like return.
func (o Outgoing[T]) Emit(to interface {
	Emit(event string, args ...any) error
}, v T) error {
	return to.Emit(o.event, v)
}

func (o Outgoing[T]) declaration() (string, contract.Function) {
	return o.event, contract.Function{Args: []reflect.Type{reflect.TypeFor[T]()}}
}

// DeclareFunc declares an event that clients are sent by the type of a function that could handle it: for no argument or
// several, and for results, which are the acknowledgement that is asked for.
//
//	var Tick = server.DeclareFunc[func(symbol string, at int64, price float64)]("tick")
func DeclareFunc[F any](event string) OutgoingFunc {
	t := reflect.TypeFor[F]()
	if t.Kind() != reflect.Func {
		panic(fmt.Sprintf("server: event %q is declared with %s, not the type of a function", event, t))
	}
	mustBeSent(event)
	o := OutgoingFunc{event: event, function: functionOf(t, event)}
	for _, arg := range o.function.Args {
		mustCarry(event, arg)
	}
	return o
}

// OutgoingFunc is an event that clients are sent, with arguments and an acknowledgement. DeclareFunc makes it.
type OutgoingFunc struct {
	event    string
	function contract.Function
}

// Event returns the name of the event.
func (o OutgoingFunc) Event() string { return o.event }

func (o OutgoingFunc) declaration() (string, contract.Function) { return o.event, o.function }

// Declared is an event made by Declare or DeclareFunc.
type Declared interface {
	declaration() (event string, f contract.Function)
}

func mustBeSent(event string) {
	if use := insteadOf(event); use != "" {
		panic(fmt.Sprintf("server: %q is no event that is sent; use %s", event, use))
	}
}

func mustCarry(event string, t reflect.Type) {
	if err := carries(t, result); err != nil {
		panic(fmt.Sprintf("server: event %q: %v", event, err))
	}
}

func functionOf(t reflect.Type, event string) contract.Function {
	s, err := newSignature(t)
	if err != nil {
		panic(fmt.Sprintf("server: event %q: %v", event, err))
	}
	return s.function(t)
}

// function says what the signature, which is that of t, says of an event.
func (s *signature) function(t reflect.Type) contract.Function {
	f := contract.Function{Fails: s.fails, Later: s.later}
	for _, p := range s.params {
		switch p.kind {
		case paramArg:
			f.Args = append(f.Args, p.typ)
		case paramEvent, paramArgs:
			f.Any = true
		}
	}
	if s.variadic != nil {
		f.Variadic = s.variadic.Elem()
	}
	for i := range s.results {
		f.Results = append(f.Results, t.Out(i))
	}
	return f
}

// Sends says that clients of the namespace are sent these events: for Contract alone, as any event can be emitted.
func (n *Namespace) Sends(events ...Declared) {
	n.register(func(s *space) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.sends = append(s.sends, events...)
	})
}

// Contract returns what clients may send and what they are sent: the events of the handlers that namespaces have, and of
// those that sockets connected now have, and what Sends has said. Namespaces of a pattern or a function are not in it.
func (s *Server) Contract() *contract.Contract {
	var b contract.Builder
	receives := func(n *Namespace, r *handlers) {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, h := range r.list {
			b.Receives(n.name, h.event, h.function(reflect.TypeOf(h.fn)))
		}
	}
	for _, n := range s.names.All() {
		if n.parent != nil {
			continue
		}
		b.Namespace(n.name)
		receives(n, &n.handlers)
		sockets := n.Sockets()
		for _, socket := range sockets {
			receives(n, &socket.handlers)
		}
		if len(sockets) == 0 && len(n.connectionHandlers()) > 0 {
			b.Partial(n.name)
		}
		n.mu.Lock()
		for _, d := range n.sends {
			event, f := d.declaration()
			b.Sends(n.name, event, f)
		}
		n.mu.Unlock()
	}
	return b.Contract()
}

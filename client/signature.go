package client

import (
	"context"
	"fmt"
	"reflect"
)

var (
	typeContext = reflect.TypeFor[context.Context]()
	typeArgs    = reflect.TypeFor[Args]()
	typeAck     = reflect.TypeFor[Ack]()
	typeError   = reflect.TypeFor[error]()
)

// signature is what a function type asks for.
type signature struct {
	in      []reflect.Type // without the variadic one
	rest    reflect.Type   // of what is left; nil for none
	acks    bool           // takes an Ack
	results int            // without the error
	fails   bool           // the last result is an error
}

func newSignature(t reflect.Type) (*signature, error) {
	if t == nil || t.Kind() != reflect.Func {
		return nil, fmt.Errorf("%v is no function", t)
	}
	s := &signature{results: t.NumOut()}
	for i := range t.NumIn() {
		p := t.In(i)
		switch last := i == t.NumIn()-1; {
		case p == typeContext && i > 0, p == typeAck && !last:
			return nil, fmt.Errorf("parameter %d: %s may only stand at an end", i+1, p)
		case t.IsVariadic() && last:
			s.rest = p.Elem()
			continue
		case p == typeAck:
			s.acks = true
		case p != typeContext && p != typeArgs && (p.Kind() == reflect.Func || p.Kind() == reflect.Chan || p == typeError):
			return nil, fmt.Errorf("parameter %d: %s has no form in JSON", i+1, p)
		}
		s.in = append(s.in, p)
	}
	if s.fails = s.results > 0 && t.Out(s.results-1) == typeError; s.fails {
		s.results--
	}
	for i := range s.results {
		if k := t.Out(i).Kind(); k == reflect.Func || k == reflect.Chan {
			return nil, fmt.Errorf("result %d: %s has no form in JSON", i+1, t.Out(i))
		}
	}
	return s, nil
}

// call decodes the arguments and calls fn.
func (s *signature) call(ctx context.Context, fn reflect.Value, a Args, ack Ack) (values []any, err error) {
	var in []reflect.Value
	next := 0
	take := func(t reflect.Type) error {
		v := reflect.New(t)
		err := a.Decode(next, v.Interface())
		in = append(in, v.Elem())
		next++
		return err
	}
	for _, t := range s.in {
		switch t {
		case typeContext:
			in = append(in, reflect.ValueOf(ctx))
		case typeArgs:
			in = append(in, reflect.ValueOf(a))
		case typeAck:
			in = append(in, reflect.ValueOf(ack))
		default:
			if err := take(t); err != nil {
				return nil, err
			}
		}
	}
	for s.rest != nil && next < a.Len() {
		if err := take(s.rest); err != nil {
			return nil, err
		}
	}
	out := fn.Call(in)
	if s.fails && !out[s.results].IsNil() {
		return nil, out[s.results].Interface().(error)
	}
	for _, v := range out[:s.results] {
		values = append(values, v.Interface())
	}
	return values, nil
}

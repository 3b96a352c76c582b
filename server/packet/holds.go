package packet

import (
	"encoding"
	stdjson "encoding/json"
	"reflect"
	"sync"

	"github.com/go-json-experiment/json"
)

// What values of a type can hold decides how much the library has to ask us about their parts.
const (
	binaryNowhere  = iota // no byte slices
	binaryExact           // []byte and json.Number, no other types of byte slices
	binaryAnywhere        // named byte slices, or interfaces, which may hold anything
	// Any of these, where they are no attachments; never of a type. The second is for types of binaryAnywhere.
	binaryBase64
	binaryBase64Anywhere
	// Of binaryAnywhere, what is encoded here because the library's way costs several times as much:
	binaryItself // a named byte slice
	binaryBelow  // maps and slices, such as []map[string]any, of which each element is on its own
)

//nolint:gochecknoglobals // What is known of a type does not change.
var held sync.Map // reflect.Type to int

// holds returns what values of type t can hold.
func holds(t reflect.Type) int {
	if v, ok := held.Load(t); ok {
		return v.(int)
	}
	h := inspect(t, map[reflect.Type]bool{})
	switch {
	case h == binaryAnywhere && byteSlice(t):
		h = binaryItself
	case h == binaryAnywhere && divisible(t):
		h = binaryBelow
	}
	held.Store(t, h)
	return h
}

func inspect(t reflect.Type, seen map[reflect.Type]bool) int {
	if t == reflect.TypeFor[[]byte]() || t == reflect.TypeFor[stdjson.Number]() {
		return binaryExact
	}
	if seen[t] {
		return binaryNowhere // counted where it was seen first
	}
	if t.Kind() != reflect.Interface && closed(t) {
		return binaryNowhere
	}
	seen[t] = true
	h := binaryNowhere
	switch t.Kind() {
	case reflect.Interface:
		return binaryAnywhere
	case reflect.Slice:
		if byteSlice(t) {
			return binaryAnywhere
		}
		h = inspect(t.Elem(), seen)
	case reflect.Pointer:
		if Endless(t) {
			return binaryAnywhere // has the encoder look out for cycles
		}
		h = inspect(t.Elem(), seen)
	case reflect.Array, reflect.Map: // keys of maps are no place for binaries
		h = inspect(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); f.IsExported() || f.Anonymous {
				h = max(h, inspect(f.Type, seen))
			}
		}
	}
	return h
}

// maxPointers is how many pointers in a row nobody means.
const maxPointers = 64

// Endless reports whether t is a pointer to nothing but pointers, as in type P *P.
func Endless(t reflect.Type) bool {
	for range maxPointers {
		if t.Kind() != reflect.Pointer {
			return false
		}
		t = t.Elem()
	}
	return true
}

// closed reports whether values of type t are encoded and decoded by methods that see no more than
// bytes, so that it does not matter what is inside.
func closed(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return (t.Implements(reflect.TypeFor[stdjson.Marshaler]()) || t.Implements(reflect.TypeFor[encoding.TextMarshaler]())) &&
		(p.Implements(reflect.TypeFor[stdjson.Unmarshaler]()) || p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]()))
}

// divisible reports whether t is a map or a slice whose elements can be encoded each on its own: they
// have no methods that would have to be found through the element's address.
func divisible(t reflect.Type) bool {
	if t.Kind() == reflect.Map && (t.Key().Kind() != reflect.String || speaks(t.Key())) ||
		t.Kind() != reflect.Map && t.Kind() != reflect.Slice || speaks(t) {
		return false
	}
	switch t.Elem().Kind() {
	case reflect.Interface, reflect.Map, reflect.Slice:
		return !speaks(t.Elem())
	}
	return false
}

// byteSlice reports whether values of type t are byte slices that say nothing of how they are encoded.
func byteSlice(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 && !speaks(t) && !speaks(t.Elem())
}

// speaks reports whether t or *t has methods that encode or decode it.
func speaks(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	for _, i := range []reflect.Type{
		reflect.TypeFor[stdjson.Marshaler](), reflect.TypeFor[stdjson.Unmarshaler](),
		reflect.TypeFor[json.MarshalerTo](), reflect.TypeFor[json.UnmarshalerFrom](),
		reflect.TypeFor[encoding.TextMarshaler](), reflect.TypeFor[encoding.TextUnmarshaler](),
	} {
		if p.Implements(i) {
			return true
		}
	}
	return false
}

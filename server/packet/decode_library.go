package packet

import (
	stdjson "encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
)

// decodeLibrary decodes into a variable of any type.
func decodeLibrary(raw []byte, attachments [][]byte, v any) error {
	t := reflect.TypeOf(v)
	if t == nil || t.Kind() != reflect.Pointer {
		return fmt.Errorf("%w: what to decode into must be a pointer", ErrTarget)
	}
	if circular(reflect.ValueOf(v)) {
		return fmt.Errorf("%w: %w", ErrTarget, errCycle)
	}
	options := jsonv1.DefaultOptionsV1()
	var us []*json.Unmarshalers
	if hasBinary(raw, attachments) {
		us = append(us, json.UnmarshalFromFunc(attached(attachments).unmarshal))
	}
	if holds(t.Elem()) != binaryNowhere {
		us = append(us, json.UnmarshalFromFunc(unmarshalNumber))
	}
	if us != nil {
		options = json.JoinOptions(options, json.WithUnmarshalers(json.JoinUnmarshalers(us...)))
	}
	if err := json.Unmarshal(raw, v, options); err != nil {
		return mismatch(raw, attachments, t, err)
	}
	return nil
}

// circular reports whether v is a pointer that leads to nothing but pointers: the library would follow it, or make
// more of them, until the stack ends.
func circular(v reflect.Value) bool {
	for range maxPointers {
		switch {
		case v.Kind() != reflect.Pointer && v.Kind() != reflect.Interface:
			return false
		case v.IsNil():
			return v.Kind() == reflect.Pointer && Endless(v.Type())
		}
		v = v.Elem()
	}
	return true
}

// attached puts attachments in the place of their placeholders.
type attached [][]byte

// unmarshal is called for variables of every type, at any depth, with the value before it. It takes the byte slices and
// interfaces, and says where else a binary is: the library, and methods of the type's own, would see an object.
func (a attached) unmarshal(dec *jsontext.Decoder, v any) error {
	e := reflect.ValueOf(v).Elem()
	t := e.Type()
	switch {
	case t.Kind() == reflect.Pointer, t.Kind() == reflect.Interface && e.Elem().Kind() == reflect.Pointer:
		return errors.ErrUnsupported // it is asked again for what that points to
	case t.Kind() == reflect.Interface && t.NumMethod() == 0:
		raw, err := dec.ReadValue()
		if err != nil {
			return err
		}
		e.SetZero()
		if one := decodeAny(raw, a); one != nil {
			e.Set(reflect.ValueOf(one))
		}
		return nil
	}
	if k := dec.PeekKind(); k != '{' && k != '[' {
		return errors.ErrUnsupported
	}
	raw := upcoming(dec)
	num, length, ok := placeholder(raw)
	switch ok = ok && num < len(a); {
	case ok && byteSlice(t):
		e.SetBytes(a[num])
		return dec.SkipValue()
	case readsJSON(t):
		if length = skip(raw, 0); length < 0 || !hasBinary(raw[:length], a) {
			return errors.ErrUnsupported
		}
	case !ok:
		return errors.ErrUnsupported
	}
	if err := dec.SkipValue(); err != nil {
		return err
	}
	return binaryMismatch(t, dec.StackPointer())
}

// upcoming returns what the decoder has not read, from the next value on.
func upcoming(dec *jsontext.Decoder) []byte {
	raw := dec.UnreadBuffer()
	i := space(raw, 0)
	if i < len(raw) && (raw[i] == ',' || raw[i] == ':') {
		i = space(raw, i+1)
	}
	return raw[i:]
}

// readsJSON reports whether values of t are read by methods of their own, which see JSON alone.
func readsJSON(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(reflect.TypeFor[stdjson.Unmarshaler]()) || p.Implements(reflect.TypeFor[json.UnmarshalerFrom]())
}

// unmarshalNumber reads a number into encoding/json's Number, which the library does not know.
func unmarshalNumber(dec *jsontext.Decoder, v *stdjson.Number) error {
	raw, err := dec.ReadValue()
	if err != nil || raw[0] == 'n' {
		return err
	}
	if raw[0] == '"' { // encoding/json takes a number in quotes too
		raw = unquote(raw)
	}
	if scanNumber(raw, 0) != len(raw) || len(raw) == 0 {
		return errors.New("not a number")
	}
	*v = stdjson.Number(raw)
	return nil
}

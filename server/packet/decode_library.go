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
	if len(attachments) > 0 {
		us = append(us, json.UnmarshalFromFunc(unmarshalRaw[stdjson.RawMessage](attachments)), json.UnmarshalFromFunc(unmarshalRaw[jsontext.Value](attachments)))
	}
	if h := holds(t.Elem()); h != binaryNowhere {
		us = append(us, json.UnmarshalFromFunc(unmarshalNumber))
		if len(attachments) > 0 {
			a := &attached{attachments}
			us = append(us, json.UnmarshalFromFunc(a.unmarshalBytes))
			if h >= binaryAnywhere {
				us = append(us, json.UnmarshalFromFunc(a.unmarshalInterface), json.UnmarshalFromFunc(a.unmarshalNamedBytes))
			}
		}
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

// attached puts attachments in the place of placeholders.
type attached struct{ attachments [][]byte }

func (a *attached) unmarshalBytes(dec *jsontext.Decoder, v *[]byte) error {
	if dec.PeekKind() != '{' {
		return errors.ErrUnsupported
	}
	raw, err := dec.ReadValue()
	if err != nil {
		return err
	}
	b, ok := attachment(raw, a.attachments)
	if !ok {
		return errors.New("an object is no binary")
	}
	*v = b
	return nil
}

func (a *attached) unmarshalInterface(dec *jsontext.Decoder, v *any) error {
	if pointer(*v) {
		return errors.ErrUnsupported
	}
	raw, err := dec.ReadValue()
	if err != nil {
		return err
	}
	*v = decodeAny(raw, a.attachments)
	return nil
}

// unmarshalNamedBytes is called for variables of every type and takes the byte slices.
func (a *attached) unmarshalNamedBytes(dec *jsontext.Decoder, v any) error {
	if !byteSlice(reflect.TypeOf(v).Elem()) || dec.PeekKind() != '{' {
		return errors.ErrUnsupported
	}
	var b []byte
	err := a.unmarshalBytes(dec, &b)
	if err == nil {
		reflect.ValueOf(v).Elem().SetBytes(b)
	}
	return err
}

// unmarshalRaw reads raw JSON, which can hold no binary.
func unmarshalRaw[T ~[]byte](attachments [][]byte) func(*jsontext.Decoder, *T) error {
	return func(dec *jsontext.Decoder, v *T) error {
		raw, err := dec.ReadValue()
		if err == nil && hasBinary(raw, attachments) {
			err = rawMismatch
		}
		if err == nil {
			*v = append((*v)[:0], raw...)
		}
		return err
	}
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

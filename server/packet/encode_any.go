package packet

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
)

// encoder encodes values of any type. It is pooled because the functions that collect attachments,
// and what the library remembers about types for them, belong to its options.
type encoder struct {
	buf         bytes.Buffer
	attachments [][]byte
	options     [binaryAnywhere + 1]json.Options // by what a type holds
}

//nolint:gochecknoglobals // A pool has to be shared to be of use.
var encoders = sync.Pool{New: func() any { return newEncoder() }}

func newEncoder() *encoder {
	e := new(encoder)
	base := json.JoinOptions(jsonv1.DefaultOptionsV1(), jsontext.EscapeForHTML(false), jsontext.EscapeForJS(false))
	exact := json.JoinMarshalers(json.MarshalToFunc(e.marshalBytes), json.MarshalToFunc(marshalNumber))
	e.options[binaryNowhere] = base
	e.options[binaryExact] = json.JoinOptions(base, json.WithMarshalers(exact))
	e.options[binaryAnywhere] = json.JoinOptions(base,
		json.WithMarshalers(json.JoinMarshalers(exact, json.MarshalToFunc(e.marshalNamedBytes))))
	return e
}

// appendAny encodes v with the library.
func appendAny(b []byte, attachments [][]byte, v any) ([]byte, [][]byte, error) {
	e := encoders.Get().(*encoder)
	start := len(b)
	// The library appends to the buffer in place, behind what is in it.
	e.buf = *bytes.NewBuffer(b)
	e.attachments = attachments
	err := json.MarshalWrite(&e.buf, v, e.options[holds(reflect.TypeOf(v))])
	b, attachments = e.buf.Bytes(), e.attachments
	e.buf, e.attachments = bytes.Buffer{}, nil
	encoders.Put(e)
	if err != nil {
		return b[:start], attachments, fmt.Errorf("%w: %w", ErrValue, err)
	}
	if !utf8.Valid(b[start:]) { // raw messages in v are written as they are
		b = append(b[:start], validText(b[start:])...)
	}
	return b, attachments, nil
}

func (e *encoder) marshalBytes(enc *jsontext.Encoder, v []byte) error {
	if v == nil {
		return enc.WriteToken(jsontext.Null)
	}
	var few [64]byte
	err := enc.WriteValue(appendPlaceholder(few[:0], len(e.attachments)))
	e.attachments = append(e.attachments, v)
	return err
}

// marshalNamedBytes is called for values of every type, as pointers, and takes the byte slices.
func (e *encoder) marshalNamedBytes(enc *jsontext.Encoder, v any) error {
	p := reflect.TypeOf(v)
	if !byteSlice(p.Elem()) {
		return errors.ErrUnsupported
	}
	return e.marshalBytes(enc, reflect.ValueOf(v).Elem().Bytes())
}

// marshalNumber writes encoding/json's Number, which the library does not know, as a number.
func marshalNumber(enc *jsontext.Encoder, n stdjson.Number) error {
	if n == "" {
		n = "0"
	}
	return enc.WriteValue(jsontext.Value(n))
}

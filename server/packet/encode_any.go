package packet

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
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
	at          int64                                  // in the output, where
	pointers    int                                    // so many pointers in a row have been met
	options     [binaryBase64Anywhere + 1]json.Options // by what a type holds; nil for what is not the library's
	lenient     [binaryBase64Anywhere + 1]json.Options // the same, with null for what is not finite
}

//nolint:gochecknoglobals // A pool has to be shared to be of use.
var encoders = sync.Pool{New: func() any { return newEncoder() }}

func newEncoder() *encoder {
	e := new(encoder)
	base := json.JoinOptions(jsonv1.DefaultOptionsV1(), jsontext.EscapeForHTML(false), jsontext.EscapeForJS(false))
	exact := json.JoinMarshalers(json.MarshalToFunc(e.marshalBytes), json.MarshalToFunc(marshalNumber))
	for h, of := range [...][]*json.Marshalers{
		binaryNowhere:  {},
		binaryExact:    {exact},
		binaryAnywhere: {exact, json.MarshalToFunc(e.marshalNamedBytes)},
		binaryBase64:   {json.MarshalToFunc(marshalNumber)},

		binaryBase64Anywhere: {json.MarshalToFunc(marshalNumber), json.MarshalToFunc(e.marshalPointer)},
	} {
		e.options[h] = base
		if len(of) > 0 {
			e.options[h] = json.JoinOptions(base, json.WithMarshalers(json.JoinMarshalers(of...)))
		}
		of = append(of, json.MarshalToFunc(marshalFloat))
		e.lenient[h] = json.JoinOptions(base, json.WithMarshalers(json.JoinMarshalers(of...)))
	}
	return e
}

// appendAny encodes values of types for which appendValue has no case.
func appendAny(b []byte, attachments [][]byte, v any, depth int) ([]byte, [][]byte, error) {
	t := reflect.TypeOf(v)
	if _, ok := v.(error); ok && mute(t) && !(t.Kind() == reflect.Pointer && reflect.ValueOf(v).IsNil()) {
		return b, attachments, fmt.Errorf("%w: %s: send its text, Error()", ErrValue, t)
	}
	if p := planOf(t); p != nil && p.encodes {
		return p.encode(b, attachments, reflect.ValueOf(v), depth)
	}
	h := holds(t)
	switch h {
	case binaryItself:
		b, attachments = appendBinary(b, attachments, reflect.ValueOf(v).Bytes())
		return b, attachments, nil
	case binaryBelow:
		return appendElements(b, attachments, reflect.ValueOf(v), depth)
	}
	return appendLibrary(b, attachments, v, h, depth)
}

//nolint:gochecknoglobals // What is known of a type does not change.
var mutes sync.Map // reflect.Type to bool

// mute reports whether nothing of an error of type t would travel, as of those of errors.New and fmt.Errorf: their text
// is in no exported field.
func mute(t reflect.Type) bool {
	if v, ok := mutes.Load(t); ok {
		return v.(bool)
	}
	bare := t
	if t.Kind() == reflect.Pointer {
		bare = t.Elem()
	}
	is := bare.Kind() == reflect.Struct && !speaks(t) && !slices.ContainsFunc(reflect.VisibleFields(bare), func(f reflect.StructField) bool {
		return f.IsExported() || f.Anonymous
	})
	mutes.Store(t, is)
	return is
}

// appendLibrary has the library encode v, of which h says what it holds.
func appendLibrary(b []byte, attachments [][]byte, v any, h, depth int) ([]byte, [][]byte, error) {
	e := encoders.Get().(*encoder)
	start := len(b)
	// The library appends to the buffer in place, behind what is in it.
	e.buf = *bytes.NewBuffer(b)
	e.attachments = attachments
	e.at, e.pointers = 0, 0
	err := json.MarshalWrite(&e.buf, v, e.options[h])
	if err != nil && notFinite(err) {
		// It is asked for every value what to do with it, so not unless there is need.
		e.buf.Truncate(start)
		e.attachments = attachments
		err = json.MarshalWrite(&e.buf, v, e.lenient[h])
	}
	b, attachments = e.buf.Bytes(), e.attachments
	e.buf, e.attachments = bytes.Buffer{}, nil
	encoders.Put(e)
	if err == nil && deeper(b[start:], below(depth)) {
		err = ErrDepth
	}
	if err != nil {
		return b[:start], attachments, fmt.Errorf("%w: %w", ErrValue, err)
	}
	if !utf8.Valid(b[start:]) { // raw messages in v are written as they are
		b = append(b[:start], validText(b[start:])...)
	}
	return b, attachments, nil
}

// notFinite reports whether err is that of a NaN or an infinity.
func notFinite(err error) bool {
	var u *jsonv1.UnsupportedValueError
	return errors.As(err, &u) && u.Value.IsValid() && float(u.Value.Type())
}

func float(t reflect.Type) bool { return t.Kind() == reflect.Float64 || t.Kind() == reflect.Float32 }

// deeper reports whether the valid JSON value data nests deeper than depth.
func deeper(data []byte, depth int) bool {
	if bytes.Count(data, []byte{'['})+bytes.Count(data, []byte{'{'}) <= depth {
		return false
	}
	level := 0
	for i := 0; i < len(data); {
		switch data[i] {
		case '[', '{':
			if level++; level > depth {
				return true
			}
			i++
		case ']', '}':
			level--
			i++
		case '"':
			i = scanString(data, i+1)
		default:
			i++
		}
	}
	return false
}

// appendElements encodes a map or a slice of a type that is divisible.
func appendElements(b []byte, attachments [][]byte, v reflect.Value, depth int) ([]byte, [][]byte, error) {
	if v.IsNil() {
		return append(b, "null"...), attachments, nil
	}
	if depth == maxValueDepth {
		return b, attachments, fmt.Errorf("%w: %w", ErrValue, ErrDepth)
	}
	var err error
	if v.Kind() == reflect.Slice {
		b = append(b, '[')
		for i := range v.Len() {
			if i > 0 {
				b = append(b, ',')
			}
			if b, attachments, err = appendValue(b, attachments, v.Index(i).Interface(), depth+1); err != nil {
				return b, attachments, err
			}
		}
		return append(b, ']'), attachments, nil
	}
	if plain := reflect.TypeFor[map[string]any](); v.CanConvert(plain) {
		return appendMap(b, attachments, v.Convert(plain).Interface().(map[string]any), depth)
	}
	names := v.MapKeys()
	slices.SortFunc(names, func(x, y reflect.Value) int { return strings.Compare(x.String(), y.String()) })
	b = append(b, '{')
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, name.String()), ':')
		if b, attachments, err = appendValue(b, attachments, v.MapIndex(name).Interface(), depth+1); err != nil {
			return b, attachments, err
		}
	}
	return append(b, '}'), attachments, nil
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
		return e.marshalPointer(enc, v)
	}
	return e.marshalBytes(enc, reflect.ValueOf(v).Elem().Bytes())
}

// marshalPointer is called for values of every type, as pointers, and looks out for cycles of pointers alone: the
// library finds those that nest in JSON, and goes through these until the stack, and the process, ends.
func (e *encoder) marshalPointer(enc *jsontext.Encoder, v any) error {
	if reflect.TypeOf(v).Elem().Kind() != reflect.Pointer {
		return errors.ErrUnsupported
	}
	if at := enc.OutputOffset(); at != e.at {
		e.at, e.pointers = at, 0
	}
	if e.pointers++; e.pointers > maxValueDepth {
		return errCycle
	}
	return errors.ErrUnsupported
}

var errCycle = errors.New("a cycle of pointers")

// marshalFloat is called for values of every type, as pointers, and takes the floats that are not finite.
func marshalFloat(enc *jsontext.Encoder, v any) error {
	t := reflect.TypeOf(v).Elem()
	if !float(t) || speaks(t) || finite(reflect.ValueOf(v).Elem().Float()) {
		return errors.ErrUnsupported
	}
	return enc.WriteToken(jsontext.Null)
}

// marshalNumber writes encoding/json's Number, which the library does not know, as a number.
func marshalNumber(enc *jsontext.Encoder, n stdjson.Number) error {
	if n == "" {
		n = "0"
	}
	return enc.WriteValue(jsontext.Value(n))
}

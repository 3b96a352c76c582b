package packet

import (
	"encoding"
	stdjson "encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
)

// MismatchError says that a value does not fit the variable it was to be decoded into; it is ErrTarget.
// Its text may be shown to who sent the value: it has the words of JSON (string, number, integer, boolean,
// array, object, null, and binary) and nothing of the program's types or of what its methods say.
type MismatchError struct {
	Path string // where in the value: names and positions with dots between; "" is the value itself
	Want string // what would fit; "" when the type decides by methods of its own
	Got  string // what was sent
	Err  error  // the decoder's error, for the program
}

// maxPath bounds the path in the text, in bytes: names are the sender's.
const maxPath = 64

// Error returns the text.
func (e *MismatchError) Error() string {
	var b strings.Builder
	if e.Path != "" {
		b.WriteString(strings.ToValidUTF8(e.Path[:min(len(e.Path), maxPath)], ""))
		if len(e.Path) > maxPath {
			b.WriteString("…")
		}
		b.WriteString(": ")
	}
	switch {
	case e.Want == "" || e.Want == e.Got:
		b.WriteString("this " + e.Got + " does not fit")
	default:
		b.WriteString("expected " + e.Want + ", got " + e.Got)
	}
	return b.String()
}

// errBinary is beneath a mismatch of ours, and not of a method of the program's.
var errBinary = errors.New("a binary fits []byte and any: JSON, and what reads that by methods of its own, has none")

// binaryMismatch is that of a binary in the place, or where t reads JSON itself inside the place, of a t.
func binaryMismatch(t reflect.Type, at jsontext.Pointer) error {
	e := &MismatchError{Want: wanted(t), Got: "binary", Err: errBinary}
	if readsJSON(t) {
		e.Want = "JSON"
	}
	e.Path = strings.Join(slices.Collect(at.Tokens()), ".")
	return e
}

// Is makes the error known as ErrTarget.
func (e *MismatchError) Is(target error) bool { return target == ErrTarget }

// Unwrap returns the decoder's error.
func (e *MismatchError) Unwrap() error { return e.Err }

// mismatch makes the error of raw, whose decoding into a variable of type t failed with err.
func mismatch(raw []byte, attachments [][]byte, t reflect.Type, err error) error {
	var ours *MismatchError
	if errors.As(err, &ours) && ours.Err == errBinary { //nolint:errorlint // it is not wrapped
		return ours
	}
	e := &MismatchError{Want: wanted(t), Got: sent(raw, attachments), Err: err}
	var u *jsonv1.UnmarshalTypeError
	if !errors.As(err, &u) {
		return e // a method's, which does not say where
	}
	if e.Path = u.Field; u.Type != nil {
		e.Want = wanted(u.Type)
	}
	kind, text, _ := strings.Cut(u.Value, " ") // text is only there for some numbers and strings
	if e.Path != "" {
		switch e.Got = kind; kind {
		case "":
			e.Got = "value"
		case "bool":
			e.Got = "boolean"
		}
	}
	if e.Want == "integer" && e.Got == "number" && text != "" && !strings.ContainsAny(text, ".eE") {
		e.Want = "integer in range"
	}
	return e
}

// sent is the word for the value raw.
func sent(raw []byte, attachments [][]byte) string {
	if _, ok := attachment(raw, attachments); ok {
		return "binary"
	}
	switch raw[0] {
	case '"':
		return "string"
	case '{':
		return "object"
	case '[':
		return "array"
	case 't', 'f':
		return "boolean"
	case 'n':
		return "null"
	}
	return "number"
}

// wanted is the word for what fits variables of type t, or "".
func wanted(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	p := reflect.PointerTo(t)
	switch {
	case t == reflect.TypeFor[stdjson.Number]():
		return "number"
	case byteSlice(t):
		return "binary"
	case readsJSON(t):
		return ""
	case p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return "string"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "boolean"
	case reflect.String:
		return "string"
	case reflect.Float32, reflect.Float64:
		return "number"
	case reflect.Slice, reflect.Array:
		return "array"
	case reflect.Struct, reflect.Map:
		return "object"
	case reflect.Interface:
		return ""
	}
	if k := t.Kind(); k >= reflect.Int && k <= reflect.Uintptr {
		return "integer"
	}
	return ""
}

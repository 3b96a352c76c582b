package packet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"unicode/utf8"
)

// ErrTarget means that a value does not fit the Go variable it was to be decoded into. The error is a
// *MismatchError unless the variable is at fault.
var ErrTarget = errors.New("value does not fit")

// Decode decodes raw, one valid JSON value such as Split returns, into *v, as encoding/json would.
// Where raw has a placeholder for an attachment, a []byte or an any becomes that attachment, without a copy, and no
// variable of another type fits, nor one that reads JSON by itself, as a json.RawMessage does, and has a binary anywhere
// inside: it would take the placeholder for what was sent. Without attachments a placeholder is an object like others. v must
// be a pointer that is not nil. A value that does not fit is a *MismatchError.
func Decode(raw []byte, attachments [][]byte, v any) error {
	raw = trim(raw)
	if len(raw) == 0 {
		return fmt.Errorf("%w: %w", ErrTarget, ErrPayload)
	}
	switch v := v.(type) {
	case *string:
		if raw[0] == '"' && len(raw) > 1 {
			*v = string(unquote(raw))
			return nil
		}
	case *bool:
		switch string(raw) {
		case "true", "false":
			*v = raw[0] == 't'
			return nil
		}
	case *int:
		if n, ok := decodeInt(raw, math.MinInt, math.MaxInt); ok {
			*v = int(n)
			return nil
		}
	case *int32:
		if n, ok := decodeInt(raw, math.MinInt32, math.MaxInt32); ok {
			*v = int32(n)
			return nil
		}
	case *int64:
		if n, ok := decodeInt(raw, math.MinInt64, math.MaxInt64); ok {
			*v = n
			return nil
		}
	case *float64:
		if c := raw[0]; c == '-' || c-'0' <= 9 {
			if f, err := strconv.ParseFloat(string(raw), 64); err == nil {
				*v = f
				return nil
			}
		}
	case *json.RawMessage:
		if hasBinary(raw, attachments) {
			return binaryMismatch(reflect.TypeFor[json.RawMessage](), "")
		}
		*v = append((*v)[:0], raw...)
		return nil
	case *[]byte:
		if a, ok := attachment(raw, attachments); ok {
			*v = a
			return nil
		}
	case *any:
		if !pointer(*v) {
			*v = decodeAny(raw, attachments)
			return nil
		}
	}
	if decodePlanned(raw, attachments, v) {
		return nil
	}
	return decodeLibrary(raw, attachments, v)
}

// DecodeArgs decodes the elements args of a payload into the variables that vs point to. Elements
// without a variable are ignored and variables without an element are left alone, as in JavaScript.
// An error is an *ArgError.
func DecodeArgs(args, attachments [][]byte, vs ...any) error {
	for i, v := range vs[:min(len(vs), len(args))] {
		if err := Decode(args[i], attachments, v); err != nil {
			return &ArgError{Index: i, Err: err}
		}
	}
	return nil
}

// trim returns raw without white space around it.
func trim(raw []byte) []byte {
	raw = raw[space(raw, 0):]
	for len(raw) > 0 && space(raw, len(raw)-1) == len(raw) {
		raw = raw[:len(raw)-1]
	}
	return raw
}

// decodeInt reads an integer without fraction or exponent; strconv would have to scan it twice.
func decodeInt(raw []byte, low, high int64) (int64, bool) {
	if c := raw[0]; c != '-' && c-'0' > 9 {
		return 0, false
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	return n, err == nil && n >= low && n <= high
}

// decodeAny returns the Go value that encoding/json would make of the valid JSON value raw for an
// interface, with attachments in the place of their placeholders. A number too large for a float64
// is an infinity, as in JavaScript.
func decodeAny(raw []byte, attachments [][]byte) any {
	v, _ := anyAt(raw, 0, attachments)
	return v
}

// anyAt does so for the value at raw[i] and returns the index behind it. It reads each byte once,
// whatever the nesting, which is bounded by the decoder.
func anyAt(raw []byte, i int, attachments [][]byte) (any, int) {
	if i >= len(raw) {
		return nil, i
	}
	switch raw[i] {
	case '[':
		list := []any{}
		for i = space(raw, i+1); i < len(raw) && raw[i] != ']'; i = comma(raw, i) {
			var v any
			v, i = anyAt(raw, i, attachments)
			list = append(list, v)
		}
		return list, i + 1
	case '{':
		if num, length, ok := placeholder(raw[i:]); ok && num < len(attachments) {
			return attachments[num], i + length
		}
		object := map[string]any{}
		for i = space(raw, i+1); i < len(raw) && raw[i] != '}'; i = comma(raw, i) {
			end := skip(raw, i)
			if end < 0 {
				return object, len(raw)
			}
			name := string(unquote(raw[i:end]))
			object[name], i = anyAt(raw, space(raw, space(raw, end)+1), attachments)
		}
		return object, i + 1
	}
	end := skip(raw, i)
	if end < 0 {
		return nil, len(raw)
	}
	switch raw[i] {
	case '"':
		return string(unquote(raw[i:end])), end
	case 't', 'f':
		return raw[i] == 't', end
	case 'n':
		return nil, end
	}
	f, _ := strconv.ParseFloat(string(raw[i:end]), 64)
	return f, end
}

// comma returns the index of the element behind the comma that follows raw[i], or of the closing.
func comma(raw []byte, i int) int {
	if i = space(raw, i); i < len(raw) && raw[i] == ',' {
		i = space(raw, i+1)
	}
	return i
}

// pointer reports whether an interface holds a pointer, which is decoded into and not replaced.
func pointer(v any) bool {
	return v != nil && reflect.TypeOf(v).Kind() == reflect.Pointer
}

// validText returns b, or a copy in which invalid UTF-8 is replaced.
func validText(b []byte) []byte {
	if utf8.Valid(b) {
		return b
	}
	return bytes.ToValidUTF8(b, []byte("\ufffd"))
}

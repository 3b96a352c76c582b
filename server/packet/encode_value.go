package packet

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// ErrValue means that a Go value has no JSON form: a channel, a raw message that is not JSON, a cycle (of whatever),
// nesting beyond 1024. The error that wraps it says which.
var ErrValue = errors.New("value cannot be encoded")

// AppendEvent appends the payload of an event, ["event",args...], to dst and the binaries among args
// to attachments. Values are encoded as by AppendValue. On an error, which is an *ArgError if an
// argument is at fault, dst and attachments are returned as they were. With attachments it returns
// ErrIllegalAttachments when raw JSON among args imitates a placeholder: a client would break off the
// connection over it.
func AppendEvent(dst []byte, attachments [][]byte, event string, args []any) ([]byte, [][]byte, error) {
	b := append(dst, '[')
	b = appendString(b, event)
	b, atts, err := appendArgs(b, attachments, args, true)
	return finish(dst, b, attachments, atts, err)
}

// AppendArgs appends the payload of an acknowledgement, [args...]. It is otherwise like AppendEvent.
func AppendArgs(dst []byte, attachments [][]byte, args []any) ([]byte, [][]byte, error) {
	b, atts, err := appendArgs(append(dst, '['), attachments, args, false)
	return finish(dst, b, attachments, atts, err)
}

// AppendValue appends v as JSON to dst and the binaries in v to attachments. v is encoded as
// encoding/json would (tags, Marshaler, TextMarshaler, nil slices as null, sorted keys), with these
// differences: a []byte, or another slice of bytes without a marshaler of its own, becomes an
// attachment wherever it stands, NaN and the infinities are null as in JavaScript, and no characters are
// escaped for HTML. A []byte is not copied, and may not be changed while the packet is on its way.
// json.RawMessage is checked and inserted as it is. On an error dst and attachments are returned as they
// were. A method of v that panics is not recovered here.
func AppendValue(dst []byte, attachments [][]byte, v any) ([]byte, [][]byte, error) {
	b, atts, err := appendValue(dst, attachments, v, 0)
	return finish(dst, b, attachments, atts, err)
}

// AppendJSON is AppendValue for where there are no attachments: a []byte becomes base64, as with
// encoding/json.
func AppendJSON(dst []byte, v any) ([]byte, error) {
	h := binaryBase64
	if v != nil && holds(reflect.TypeOf(v)) >= binaryAnywhere {
		h = binaryBase64Anywhere
	}
	b, _, err := appendLibrary(dst, nil, v, h, 0)
	if err != nil {
		return dst, err
	}
	return b, nil
}

func appendArgs(b []byte, attachments [][]byte, args []any, comma bool) ([]byte, [][]byte, error) {
	var err error
	for i, v := range args {
		if comma || i > 0 {
			b = append(b, ',')
		}
		if b, attachments, err = appendValue(b, attachments, v, 0); err != nil {
			return b, attachments, &ArgError{Index: i, Err: err}
		}
	}
	return append(b, ']'), attachments, nil
}

// finish gives the result of an encoding that took dst to b and attachments to atts.
func finish(dst, b []byte, attachments, atts [][]byte, err error) ([]byte, [][]byte, error) {
	if err == nil && len(atts) > len(attachments) {
		err = checkPlaceholders(b[len(dst):], len(atts))
	}
	if err != nil {
		clear(atts[len(attachments):])
		return dst, attachments, err
	}
	return b, atts, nil
}

// ArgError says which argument could not be encoded or decoded. Index counts from 0, the text from 1.
type ArgError struct {
	Index int
	Err   error
}

func (e *ArgError) Error() string {
	return "argument " + strconv.Itoa(e.Index+1) + ": " + e.Err.Error()
}

func (e *ArgError) Unwrap() error { return e.Err }

// below is how deep a value inside depth maps and slices of an argument may nest: the payload is an array
// around them.
func below(depth int) int { return maxDepth - 1 - depth }

// maxValueDepth bounds the nesting of map[string]any and []any, which may contain themselves. A payload
// with them, and what they contain, nests no deeper than maxDepth, as every decoder and MsgPack expect.
const maxValueDepth = maxDepth - 2

// appendValue encodes what is most often sent without reflection; appendAny does the rest. On an
// error b may be longer than it was.
func appendValue(b []byte, attachments [][]byte, v any, depth int) ([]byte, [][]byte, error) {
	switch v := v.(type) {
	case nil:
		b = append(b, "null"...)
	case string:
		b = appendString(b, v)
	case *string:
		if v == nil {
			return append(b, "null"...), attachments, nil
		}
		b = appendString(b, *v)
	case *[]byte:
		if v == nil {
			return append(b, "null"...), attachments, nil
		}
		b, attachments = appendBinary(b, attachments, *v)
	case bool:
		b = strconv.AppendBool(b, v)
	case int:
		b = strconv.AppendInt(b, int64(v), 10)
	case int8:
		b = strconv.AppendInt(b, int64(v), 10)
	case int16:
		b = strconv.AppendInt(b, int64(v), 10)
	case int32:
		b = strconv.AppendInt(b, int64(v), 10)
	case int64:
		b = strconv.AppendInt(b, v, 10)
	case uint:
		b = strconv.AppendUint(b, uint64(v), 10)
	case uint8:
		b = strconv.AppendUint(b, uint64(v), 10)
	case uint16:
		b = strconv.AppendUint(b, uint64(v), 10)
	case uint32:
		b = strconv.AppendUint(b, uint64(v), 10)
	case uint64:
		b = strconv.AppendUint(b, v, 10)
	case float64:
		b = appendNumber(b, v, 64)
	case float32:
		b = appendNumber(b, float64(v), 32)
	case []byte:
		b, attachments = appendBinary(b, attachments, v)
	case json.RawMessage:
		return appendRaw(b, attachments, v, depth)
	case jsontext.Value:
		return appendRaw(b, attachments, v, depth)
	case []string:
		b = appendStrings(b, v)
	case []any:
		return appendSlice(b, attachments, v, depth)
	case map[string]any:
		return appendMap(b, attachments, v, depth)
	default:
		return appendAny(b, attachments, v, depth)
	}
	return b, attachments, nil
}

func appendBinary(b []byte, attachments [][]byte, v []byte) ([]byte, [][]byte) {
	if v == nil {
		return append(b, "null"...), attachments
	}
	return appendPlaceholder(b, len(attachments)), append(attachments, v)
}

// appendNumber appends f as JSON.stringify writes numbers.
func appendNumber(b []byte, f float64, bitSize int) []byte {
	if !finite(f) {
		return append(b, "null"...)
	}
	return appendFloat(b, f, bitSize)
}

func finite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }

func appendRaw(b []byte, attachments [][]byte, raw []byte, depth int) ([]byte, [][]byte, error) {
	if raw == nil {
		return append(b, "null"...), attachments, nil
	}
	if err := valid(raw, below(depth)); err != nil {
		return b, attachments, fmt.Errorf("%w: raw message: %w", ErrValue, err)
	}
	return append(b, validText(raw)...), attachments, nil
}

func appendStrings(b []byte, v []string) []byte {
	if v == nil {
		return append(b, "null"...)
	}
	b = append(b, '[')
	for i, s := range v {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, s)
	}
	return append(b, ']')
}

func appendSlice(b []byte, attachments [][]byte, v []any, depth int) ([]byte, [][]byte, error) {
	if v == nil {
		return append(b, "null"...), attachments, nil
	}
	if depth == maxValueDepth {
		return b, attachments, fmt.Errorf("%w: %w", ErrValue, ErrDepth)
	}
	b = append(b, '[')
	var err error
	for i, e := range v {
		if i > 0 {
			b = append(b, ',')
		}
		if b, attachments, err = appendValue(b, attachments, e, depth+1); err != nil {
			return b, attachments, err
		}
	}
	return append(b, ']'), attachments, nil
}

// appendMap writes the members in the order of their names, so that equal maps make equal packets.
func appendMap(b []byte, attachments [][]byte, v map[string]any, depth int) ([]byte, [][]byte, error) {
	if v == nil {
		return append(b, "null"...), attachments, nil
	}
	if depth == maxValueDepth {
		return b, attachments, fmt.Errorf("%w: %w", ErrValue, ErrDepth)
	}
	var few [16]string
	names := few[:0]
	for name := range v {
		names = append(names, name)
	}
	slices.Sort(names)
	b = append(b, '{')
	var err error
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, name), ':')
		if b, attachments, err = appendValue(b, attachments, v[name], depth+1); err != nil {
			return b, attachments, err
		}
	}
	return append(b, '}'), attachments, nil
}

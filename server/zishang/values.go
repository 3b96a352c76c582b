package zishang

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/zishang520/engine.io/v2/types"
)

// This file is values: as the library has them, and as package server takes and gives them.

// valueOf decodes one value into the library's form: what encoding/json makes, with binaries in buffers.
func valueOf(i int, decode func(i int, v any) error) any {
	var v any
	if decode(i, &v) != nil {
		return nil
	}
	return buffered(v)
}

// valuesOf is valueOf for all of n.
func valuesOf(n int, decode func(i int, v any) error) []any {
	out := make([]any, n)
	for i := range out {
		out[i] = valueOf(i, decode)
	}
	return out
}

// value decodes JSON; what is none is nil.
func value(text json.RawMessage) (v any) {
	if len(text) == 0 || json.Unmarshal(text, &v) != nil {
		return nil
	}
	return v
}

// buffered puts binaries into the buffers the library hands out. It changes v.
func buffered(v any) any {
	switch v := v.(type) {
	case []byte:
		return types.NewBytesBuffer(v)
	case []any:
		for i := range v {
			v[i] = buffered(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = buffered(v[k])
		}
	}
	return v
}

// wires is wire for every value: what cannot be encoded when one of them panics, or contains itself.
func wires(list []any) (out []any) {
	defer func() {
		switch v := recover().(type) {
		case nil:
		case error, string:
			out = []any{broken{fmt.Sprint(v)}}
		default: // package fmt may go round in it
			out = []any{broken{fmt.Sprintf("a %T", v)}}
		}
	}()
	return wire(list, 0).([]any)
}

// broken is in the place of values that have panicked.
type broken struct{ panic string }

// MarshalJSON returns an error.
func (b broken) MarshalJSON() ([]byte, error) { return nil, fmt.Errorf("%w: %s", errPanic, b.panic) }

// maxDepth bounds the nesting of values, which may contain themselves. What is sent may nest less.
const maxDepth = 2000

// wire returns a copy of v, as the library makes one, in which the readers and buffers that it allows as values are
// texts and bytes. Nil lists and maps are empty. Buffers are not emptied, so that they can be sent again, and binaries
// are copied, as applications of the library may change them. It panics when v nests too deep.
func wire(v any, depth int) any {
	if depth > maxDepth {
		panic("a value that contains itself, or nests too deep")
	}
	switch v := v.(type) {
	case *types.StringBuffer:
		return v.String()
	case *strings.Reader:
		b, _ := io.ReadAll(v) // never an error
		return string(b)
	case types.BufferInterface:
		return append([]byte{}, v.Bytes()...)
	case io.Reader:
		if c, ok := v.(io.Closer); ok {
			defer c.Close()
		}
		b, err := io.ReadAll(v)
		if err != nil {
			panic(err)
		}
		return b
	case []byte:
		return append([]byte{}, v...)
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = wire(e, depth+1)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = wire(e, depth+1)
		}
		return out
	}
	return v
}

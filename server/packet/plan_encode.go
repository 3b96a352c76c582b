package packet

import (
	"fmt"
	"reflect"
	"strconv"
)

// encode appends v as JSON, and the binaries in it to attachments. On an error b may be longer than it was.
func (p *plan) encode(b []byte, attachments [][]byte, v reflect.Value, depth int) ([]byte, [][]byte, error) {
	switch p.kind {
	case planBool:
		return strconv.AppendBool(b, v.Bool()), attachments, nil
	case planInt:
		return strconv.AppendInt(b, v.Int(), 10), attachments, nil
	case planUint:
		return strconv.AppendUint(b, v.Uint(), 10), attachments, nil
	case planFloat:
		return appendNumber(b, v.Float(), v.Type().Bits()), attachments, nil
	case planString:
		return appendString(b, v.String()), attachments, nil
	case planBytes:
		b, attachments = appendBinary(b, attachments, v.Bytes())
		return b, attachments, nil
	case planPointer:
		if v.IsNil() {
			return append(b, "null"...), attachments, nil
		}
		return p.elem.encode(b, attachments, v.Elem(), depth)
	case planSlice, planStruct:
		if depth >= maxValueDepth {
			return b, attachments, fmt.Errorf("%w: %w", ErrValue, ErrDepth)
		}
		if p.kind == planSlice {
			return p.encodeSlice(b, attachments, v, depth)
		}
		return p.encodeStruct(b, attachments, v, depth)
	}
	return appendValue(b, attachments, v.Interface(), depth)
}

func (p *plan) encodeSlice(b []byte, attachments [][]byte, v reflect.Value, depth int) ([]byte, [][]byte, error) {
	if v.IsNil() {
		return append(b, "null"...), attachments, nil
	}
	b = append(b, '[')
	var err error
	for i := range v.Len() {
		if i > 0 {
			b = append(b, ',')
		}
		if b, attachments, err = p.elem.encode(b, attachments, v.Index(i), depth+1); err != nil {
			return b, attachments, err
		}
	}
	return append(b, ']'), attachments, nil
}

func (p *plan) encodeStruct(b []byte, attachments [][]byte, v reflect.Value, depth int) ([]byte, [][]byte, error) {
	b = append(b, '{')
	first := true
	var err error
	for i := range p.fields {
		f := &p.fields[i]
		x := v.Field(f.index)
		if f.omit == omitEmpty && empty(x) || f.omit == omitZero && x.IsZero() {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(b, f.label...)
		if b, attachments, err = f.plan.encode(b, attachments, x, depth+1); err != nil {
			return b, attachments, err
		}
	}
	return append(b, '}'), attachments, nil
}

// empty reports whether omitempty leaves v out.
func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Float32, reflect.Float64:
		return v.Float() == 0
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}

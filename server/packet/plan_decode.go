package packet

import (
	"reflect"
	"strconv"
	"strings"
	"unsafe"
)

// decodePlanned decodes raw, one valid JSON value, into the variable that v points to, and reports whether it could.
// Else the variable is zero again: the library may have it, and says what is wrong. What is in a variable already is
// for the library to merge.
func decodePlanned(raw []byte, attachments [][]byte, v any) bool {
	r := reflect.ValueOf(v)
	if r.Kind() != reflect.Pointer || r.IsNil() {
		return false
	}
	p := planOf(r.Type().Elem())
	if p == nil || !r.Elem().IsZero() {
		return false
	}
	if p.decode(raw, 0, attachments, r.Elem()) != len(raw) {
		r.Elem().SetZero()
		return false
	}
	return true
}

// decode decodes the value at raw[i] into v, which is zero, and returns the index behind it, or -1 when it is the
// library's.
func (p *plan) decode(raw []byte, i int, attachments [][]byte, v reflect.Value) int {
	if i >= len(raw) {
		return -1
	}
	switch {
	case p.kind == planSlice && raw[i] == '[':
		return p.decodeSlice(raw, i, attachments, v)
	case p.kind == planStruct && raw[i] == '{':
		return p.decodeStruct(raw, i, attachments, v)
	case p.kind == planPointer && raw[i] != 'n':
		v.Set(reflect.New(v.Type().Elem()))
		return p.elem.decode(raw, i, attachments, v.Elem())
	}
	end := skip(raw, i)
	if end < 0 {
		return -1
	}
	one := raw[i:end]
	if p.kind == planOther || p.kind == planBytes {
		if Decode(one, attachments, v.Addr().Interface()) != nil {
			return -1
		}
		return end
	}
	if string(one) == "null" {
		return end
	}
	if !p.decodeBasic(one, v) {
		return -1
	}
	return end
}

// decodeBasic decodes a value that is neither list nor object, nor null.
func (p *plan) decodeBasic(one []byte, v reflect.Value) bool {
	switch p.kind {
	case planString:
		if one[0] != '"' {
			return false
		}
		v.SetString(string(unquote(one)))
	case planBool:
		if one[0] != 't' && one[0] != 'f' {
			return false
		}
		v.SetBool(one[0] == 't')
	case planInt:
		n, err := strconv.ParseInt(view(one), 10, 64)
		if err != nil || v.OverflowInt(n) {
			return false
		}
		v.SetInt(n)
	case planUint:
		n, err := strconv.ParseUint(view(one), 10, 64)
		if err != nil || v.OverflowUint(n) {
			return false
		}
		v.SetUint(n)
	case planFloat:
		if one[0] != '-' && one[0]-'0' > 9 {
			return false
		}
		f, err := strconv.ParseFloat(view(one), v.Type().Bits())
		if err != nil {
			return false
		}
		v.SetFloat(f)
	default:
		return false
	}
	return true
}

// view is b as a string that ends before b changes.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// firstRoom is what a list has room for from its first element on, in bytes.
const firstRoom = 32

func (p *plan) decodeSlice(raw []byte, i int, attachments [][]byte, v reflect.Value) int {
	n := 0
	for i = space(raw, i+1); i < len(raw) && raw[i] != ']'; i = comma(raw, i) {
		if n == v.Cap() {
			v.Grow(max(1, firstRoom/max(1, int(v.Type().Elem().Size()))-n))
		}
		v.SetLen(n + 1)
		if i = p.elem.decode(raw, i, attachments, v.Index(n)); i < 0 {
			return -1
		}
		n++
	}
	if n == 0 {
		v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	}
	return i + 1
}

func (p *plan) decodeStruct(raw []byte, i int, attachments [][]byte, v reflect.Value) int {
	if len(attachments) > 0 {
		if num, _, ok := placeholder(raw[i:]); ok && num < len(attachments) {
			return -1 // a binary, which does not fit
		}
	}
	var had uint64
	next := 0 // members mostly come in the order of the fields
	for i = space(raw, i+1); i < len(raw) && raw[i] != '}'; i = comma(raw, i) {
		end := skipString(raw, i+1)
		if end < 0 {
			return -1
		}
		k, known := p.find(unquote(raw[i:end]), next)
		if i = space(raw, space(raw, end)+1); !known {
			if k >= 0 {
				return -1
			}
			if i = skip(raw, i); i < 0 {
				return -1
			}
			continue
		}
		if had&(1<<k) != 0 {
			return -1
		}
		had |= 1 << k
		next = k + 1
		f := &p.fields[k]
		if i = f.plan.decode(raw, i, attachments, v.Field(f.index)); i < 0 {
			return -1
		}
	}
	return i + 1
}

// find returns the field of that name, and looks at the next one first. A name that differs in case alone is not known,
// but has an index.
func (p *plan) find(name []byte, next int) (k int, known bool) {
	if next < len(p.fields) && p.fields[next].name == string(name) {
		return next, true
	}
	k = -1
	for i := range p.fields {
		f := &p.fields[i]
		switch {
		case len(f.name) == len(name):
			if f.name == string(name) {
				return i, true
			}
		case len(f.name) > len(name): // no letter of a field's name has a shorter one that is the same but for case
			continue
		case plain(name) == len(name):
			continue
		}
		if k < 0 && strings.EqualFold(f.name, string(name)) {
			k = i
		}
	}
	return k, false
}

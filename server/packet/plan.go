package packet

import (
	"encoding"
	stdjson "encoding/json"
	"reflect"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// plan is how values of a type are encoded and decoded here, as the library would, and in less time: a struct with two
// texts, a number and a list takes 0.37 of it to encode and 0.63 to decode (time of the processor, in one run). What it
// does not cover it leaves to the library: a part to a call of its own (planOther), and a value that is out of the
// ordinary, such as one that does not fit, a name in other case or a member that comes twice, as a whole.
type plan struct {
	kind    planKind
	elem    *plan   // of a pointer or a slice
	fields  []field // of a struct, at most 64
	encodes bool    // no part has methods that are found by its address alone, as the library would
}

type planKind uint8

const (
	planOther planKind = iota
	planBool
	planInt
	planUint
	planFloat
	planString
	planBytes
	planPointer
	planSlice
	planStruct
)

// field is a field of a struct that others see.
type field struct {
	index int
	name  string
	label string // the name as JSON, and a colon
	omit  omit
	plan  *plan
}

// omit says when a field is left out.
type omit uint8

const (
	omitNever omit = iota
	omitEmpty
	omitZero
)

//nolint:gochecknoglobals // What is known of a type does not change.
var plans sync.Map // reflect.Type to *plan, nil where there is none

// planOf returns the plan of type t, or nil where the library is as good or has to do it as a whole.
func planOf(t reflect.Type) *plan {
	if p, ok := plans.Load(t); ok {
		return p.(*plan)
	}
	p := compile(t, map[reflect.Type]bool{})
	if p != nil && !p.worth() {
		p = nil
	}
	plans.Store(t, p)
	return p
}

// worth reports whether a value of its own is better off with the plan.
func (p *plan) worth() bool {
	switch p.kind {
	case planPointer, planSlice:
		return p.elem.worth() || p.kind == planSlice && p.elem.kind != planOther && p.elem.kind != planBytes
	}
	return p.kind == planStruct
}

// compile makes the plan of t, which is inside the types of seen, or nil.
func compile(t reflect.Type, seen map[reflect.Type]bool) *plan {
	p := &plan{encodes: true}
	if special(t) || Endless(t) || t.Kind() == reflect.Array && !basic(t.Elem().Kind()) {
		return nil
	}
	if speaks(t) {
		p.encodes = encodesItself(t)
		return p
	}
	if seen[t] {
		return p
	}
	switch t.Kind() {
	case reflect.Bool:
		p.kind = planBool
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		p.kind = planInt
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		p.kind = planUint
	case reflect.Float32, reflect.Float64:
		p.kind = planFloat
	case reflect.String:
		p.kind = planString
	case reflect.Pointer, reflect.Slice:
		if byteSlice(t) {
			p.kind = planBytes
			return p
		}
		if t.Elem().Kind() == reflect.Uint8 {
			return p
		}
		seen[t] = true
		defer delete(seen, t)
		if p.elem = compile(t.Elem(), seen); p.elem == nil {
			return nil
		}
		p.kind, p.encodes = planSlice, p.elem.encodes
		if t.Kind() == reflect.Pointer {
			p.kind = planPointer
		}
	case reflect.Struct:
		seen[t] = true
		defer delete(seen, t)
		return p.compileFields(t, seen)
	}
	return p
}

// special reports whether values of t are raw JSON, which the library knows by its type.
func special(t reflect.Type) bool {
	return t == reflect.TypeFor[stdjson.Number]() || t == reflect.TypeFor[stdjson.RawMessage]() || t == reflect.TypeFor[jsontext.Value]()
}

func basic(k reflect.Kind) bool {
	return k >= reflect.Bool && k <= reflect.Float64 || k == reflect.String
}

// encodesItself reports whether t has the methods that encode it without an address.
func encodesItself(t reflect.Type) bool {
	p, own := reflect.PointerTo(t), false
	for _, i := range []reflect.Type{
		reflect.TypeFor[stdjson.Marshaler](), reflect.TypeFor[json.MarshalerTo](), reflect.TypeFor[encoding.TextMarshaler](),
	} {
		if t.Implements(i) {
			own = true
		} else if p.Implements(i) {
			return false
		}
	}
	return own
}

// compileFields makes p the plan of the struct t, or returns nil.
func (p *plan) compileFields(t reflect.Type, seen map[reflect.Type]bool) *plan {
	p.kind = planStruct
	names := map[string]bool{}
	for i := range t.NumField() {
		f := t.Field(i)
		tag, tagged := f.Tag.Lookup("json")
		switch {
		case f.Anonymous, !f.IsExported() && tagged, i >= 64:
			return nil
		case !f.IsExported(), tag == "-":
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		x := field{index: i, name: name}
		if name == "" {
			x.name = f.Name
		}
		if !simple(x.name) || names[x.name] {
			return nil
		}
		names[x.name] = true
		switch options {
		case "":
		case "omitempty":
			x.omit = omitEmpty
		case "omitzero":
			x.omit = omitZero
			if _, ok := reflect.PointerTo(f.Type).MethodByName("IsZero"); ok {
				return nil
			}
		default:
			return nil
		}
		x.label = `"` + x.name + `":`
		if x.plan = compile(f.Type, seen); x.plan == nil {
			return nil
		}
		p.encodes = p.encodes && x.plan.encodes
		p.fields = append(p.fields, x)
	}
	return p
}

// simple reports whether name is one that is written as it is, in a tag and in JSON.
func simple(name string) bool {
	for _, c := range []byte(name) {
		if c != '_' && c != '-' && c != '$' && c-'0' > 9 && (c|0x20)-'a' > 25 {
			return false
		}
	}
	return name != "" && name != "-"
}

package contract

import (
	"reflect"
	"slices"
	"strings"
)

// field is one member of an object.
type field struct {
	name     string
	typ      reflect.Type
	depth    int
	tagged   bool
	optional bool
	text     bool // a number or a boolean as a string
}

// object returns the schema of a struct.
func (r *reflector) object(t reflect.Type) *Schema {
	s := &Schema{Type: "object", Properties: map[string]*Schema{}}
	for _, f := range fields(t) {
		p := r.schema(f.typ)
		switch {
		case f.text && (p.Type == "integer" || p.Type == "number" || p.Type == "boolean"):
			p = &Schema{Type: "string"}
		case f.optional:
			p = bare(p) // what would be null is left out
		}
		s.Properties[f.name] = p
		if !f.optional {
			s.Required = append(s.Required, f.name)
		}
	}
	slices.Sort(s.Required)
	return s
}

// fields returns the members of a struct. Of several of one name the one least deep counts, or the only tagged of those;
// else none.
func fields(t reflect.Type) (list []field) {
	byName := map[string][]field{}
	var names []string
	collect(t, 0, false, map[reflect.Type]bool{}, func(f field) {
		if byName[f.name] == nil {
			names = append(names, f.name)
		}
		byName[f.name] = append(byName[f.name], f)
	})
	for _, name := range names {
		if f, ok := dominant(byName[name]); ok {
			list = append(list, f)
		}
	}
	return list
}

func dominant(of []field) (field, bool) {
	depth := of[0].depth
	for _, f := range of {
		depth = min(depth, f.depth)
	}
	of = slices.DeleteFunc(slices.Clone(of), func(f field) bool { return f.depth > depth })
	if len(of) > 1 {
		of = slices.DeleteFunc(of, func(f field) bool { return !f.tagged })
	}
	if len(of) != 1 {
		return field{}, false
	}
	return of[0], true
}

// collect calls found with each member of t, and of what is embedded in it. Those of a pointer that is embedded are absent
// where it is nil.
func collect(t reflect.Type, depth int, optional bool, within map[reflect.Type]bool, found func(field)) {
	if within[t] {
		return
	}
	within[t] = true
	defer delete(within, t)
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("json")
		name, options, _ := strings.Cut(tag, ",")
		inner := f.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		embedded := f.Anonymous && inner.Kind() == reflect.Struct
		if tag == "-" || !f.IsExported() && !embedded {
			continue
		}
		if embedded && name == "" {
			collect(inner, depth+1, optional || inner != f.Type, within, found)
			continue
		}
		one := field{name: f.Name, typ: f.Type, depth: depth, optional: optional}
		if name != "" {
			one.name, one.tagged = name, true
		}
		for option := range strings.SplitSeq(options, ",") {
			switch option {
			case "omitempty":
				one.optional = one.optional || inner != f.Type || f.Type.Kind() != reflect.Struct && f.Type.Kind() != reflect.Array
			case "omitzero":
				one.optional = true
			case "string":
				one.text = true
			}
		}
		found(one)
	}
}

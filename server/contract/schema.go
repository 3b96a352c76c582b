package contract

import (
	"encoding"
	"encoding/json"
	"fmt"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Schema is a JSON Schema, of the part that Go's types need. The empty one allows everything.
type Schema struct {
	Ref        string             `json:"$ref,omitempty"` // to one of Contract.Schemas
	Type       string             `json:"type,omitempty"`
	Format     string             `json:"format,omitempty"` // "date-time", or "binary" for a []byte
	Enum       []json.RawMessage  `json:"enum,omitempty"`
	Items      *Schema            `json:"items,omitempty"`
	MinItems   int                `json:"minItems,omitempty"`
	MaxItems   int                `json:"maxItems,omitempty"` // the same, of an array
	Properties map[string]*Schema `json:"properties,omitempty"`
	Required   []string           `json:"required,omitempty"`
	Additional *Schema            `json:"additionalProperties,omitempty"` // of a map
	AnyOf      []*Schema          `json:"anyOf,omitempty"`
}

// anything reports whether every value is allowed.
func (s *Schema) anything() bool { return s.Ref == "" && s.Type == "" && len(s.AnyOf) == 0 }

// place is where references lead.
const place = "#/components/schemas/"

// reflector makes schemas of Go's types by the rules of encoding/json, with binaries aside. The zero value is ready.
type reflector struct {
	names map[reflect.Type]string
	named map[string]*Schema
}

var (
	typeTime      = reflect.TypeFor[time.Time]()
	typeRaw       = reflect.TypeFor[json.RawMessage]()
	typeNumber    = reflect.TypeFor[json.Number]()
	marshalers    = []reflect.Type{reflect.TypeFor[json.Marshaler](), reflect.TypeFor[json.Unmarshaler]()}
	textMarshaler = []reflect.Type{reflect.TypeFor[encoding.TextMarshaler](), reflect.TypeFor[encoding.TextUnmarshaler]()}
)

func implements(t reflect.Type, any []reflect.Type) bool {
	for _, i := range any {
		if t.Implements(i) || reflect.PointerTo(t).Implements(i) {
			return true
		}
	}
	return false
}

func null(s *Schema) *Schema {
	if len(s.AnyOf) > 0 || s.anything() {
		return s
	}
	return &Schema{AnyOf: []*Schema{s, {Type: "null"}}}
}

// bare is s without null.
func bare(s *Schema) *Schema {
	if len(s.AnyOf) == 2 && s.AnyOf[1].Type == "null" {
		return s.AnyOf[0]
	}
	return s
}

func (r *reflector) schema(t reflect.Type) *Schema {
	list := values(t)
	switch {
	case t.Kind() == reflect.Pointer: // has the methods of what it points to
	case list != nil:
		return r.name(t, func() *Schema { return &Schema{Type: kindOf(t.Kind()), Enum: list} })
	case t == typeTime:
		return &Schema{Type: "string", Format: "date-time"}
	case t == typeNumber:
		return &Schema{Type: "number"}
	case t == typeRaw, implements(t, marshalers):
		return &Schema{}
	case implements(t, textMarshaler):
		return &Schema{Type: "string"}
	}
	var s *Schema
	if t.Name() != "" && (t.Kind() == reflect.Struct || returns(t, t, map[reflect.Type]bool{})) {
		s = r.name(t, func() *Schema { return r.shape(t) })
	} else {
		s = r.shape(t)
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return null(s)
	}
	return s
}

// shape returns what values of t are that are not null.
func (r *reflector) shape(t reflect.Type) *Schema {
	switch t.Kind() {
	case reflect.Pointer:
		return bare(r.schema(t.Elem()))
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return &Schema{Type: "string", Format: "binary"}
		}
		return &Schema{Type: "array", Items: r.schema(t.Elem())}
	case reflect.Array:
		return &Schema{Type: "array", Items: r.schema(t.Elem()), MinItems: t.Len(), MaxItems: t.Len()}
	case reflect.Map:
		return &Schema{Type: "object", Additional: r.schema(t.Elem())}
	case reflect.Struct:
		return r.object(t)
	}
	return &Schema{Type: kindOf(t.Kind())}
}

// returns reports whether what from holds leads to t, but for what structs with a name hold: a reference stands for those.
// Each type that holds itself has one with a name on the way.
func returns(t, from reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[from] {
		return from == t
	}
	seen[from] = true
	switch from.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return returns(t, from.Elem(), seen)
	case reflect.Struct:
		return from.Name() == "" && slices.ContainsFunc(fields(from), func(f field) bool { return returns(t, f.typ, seen) })
	}
	return false
}

// kindOf returns the type in JSON of what is neither a list nor an object, "" for whatever else.
func kindOf(k reflect.Kind) string {
	switch {
	case k == reflect.Bool:
		return "boolean"
	case k == reflect.String:
		return "string"
	case k == reflect.Float32, k == reflect.Float64:
		return "number"
	case k >= reflect.Int && k <= reflect.Uintptr:
		return "integer"
	}
	return ""
}

// values returns what a value of t can be, if t says so: an enumeration has a method Values that returns all of them.
func values(t reflect.Type) (list []json.RawMessage) {
	m, ok := t.MethodByName("Values")
	if !ok || kindOf(t.Kind()) == "" || m.Type.NumIn() != 1 || m.Type.NumOut() != 1 || m.Type.Out(0) != reflect.SliceOf(t) {
		return nil
	}
	all := m.Func.Call([]reflect.Value{reflect.Zero(t)})[0]
	for i := range all.Len() {
		b, err := json.Marshal(all.Index(i).Interface())
		if err != nil {
			return nil
		}
		list = append(list, b)
	}
	return list
}

// name returns a reference to what of makes of t, which may hold itself.
func (r *reflector) name(t reflect.Type, of func() *Schema) *Schema {
	name, known := r.names[t]
	if !known {
		if r.names == nil {
			r.names, r.named = make(map[reflect.Type]string), make(map[string]*Schema)
		}
		name = r.free(t)
		r.names[t], r.named[name] = name, &Schema{}
		r.named[name] = of()
	}
	return &Schema{Ref: place + name}
}

var word = regexp.MustCompile(`[\pL\pN_./]+`)

// free returns a name for t that no other type has.
func (r *reflector) free(t reflect.Type) string {
	var b strings.Builder
	for _, w := range word.FindAllString(t.Name(), -1) { // Page[example.com/shop.Article]
		w = w[strings.LastIndexAny(w, "./")+1:]
		b.WriteString(title(w))
	}
	name := b.String()
	if _, taken := r.named[name]; taken {
		name = title(path.Base(t.PkgPath())) + name
	}
	for n, first := 2, name; ; n++ {
		if _, taken := r.named[name]; !taken {
			return name
		}
		name = fmt.Sprint(first, n)
	}
}

func title(s string) string {
	for i, c := range s {
		return string(unicode.ToUpper(c)) + strings.Map(func(c rune) rune {
			if c == '-' || c == '.' {
				return '_'
			}
			return c
		}, s[i+len(string(c)):])
	}
	return s
}

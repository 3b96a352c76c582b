package server

import (
	"encoding/json"
	"iter"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/beanpole/beanpole/server/packet"
)

// sends says that fields of v, which clients are sent, have no names of their own and so travel with a capital.
func (a *advice) sends(v any) {
	t := reflect.TypeOf(v)
	if t == nil || a.over() {
		return
	}
	if _, known := a.sent.LoadOrStore(t, true); known {
		return
	}
	in, field := a.capital(t, map[reflect.Type]bool{})
	if in == nil {
		return
	}
	lower := strings.ToLower(field[:1]) + field[1:]
	a.say("capital "+in.String(), "a field is sent under its name in Go, with a capital: a page that reads it without one finds undefined. "+
		"A tag says its name, and those of the struct's other fields", "type", in.String(), "field", field, "tag", "`json:\""+lower+"\"`")
}

// capital returns a struct of the application's in t, and a field of it that travels under its name in Go, or nil. A struct
// of another module is as it is.
func (a *advice) capital(t reflect.Type, seen map[reflect.Type]bool) (in reflect.Type, field string) {
	if seen[t] || result.speaks(t) {
		return nil, ""
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return a.capital(t.Elem(), seen)
	case reflect.Struct:
		if !a.own(t) {
			return nil, ""
		}
	default:
		return nil, ""
	}
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("json")
		name, _, _ := strings.Cut(tag, ",")
		switch first, _ := utf8.DecodeRuneInString(f.Name); {
		case tag == "-" || !f.IsExported() && !f.Anonymous:
			continue
		case name == "" && !f.Anonymous && unicode.IsUpper(first):
			return t, f.Name
		}
		if in, field := a.capital(f.Type, seen); in != nil {
			return in, field
		}
	}
	return nil, ""
}

// own reports whether t may be declared in the application: in its module, as far as that is known.
func (a *advice) own(t reflect.Type) bool {
	in := t.PkgPath() // none of a type without a name
	rest, ours := strings.CutPrefix(in, a.module)
	return in == "" || in == "main" || ours && (a.module == "" || rest == "" || rest[0] == '/' || rest == "_test")
}

// takes says which members of raw, that what v points to was decoded from, its type has no field for. A nil advice does nothing.
func (a *advice) takes(event string, v any, raw json.RawMessage) {
	if a.over() {
		return
	}
	left := maxLook
	a.dropped(reflect.TypeOf(v), raw, &left, func(in reflect.Type, field string, known []string) {
		field = field[:min(len(field), maxLoggedName)]
		args := []any{"event", event, "type", in.String(), "field", field}
		if meant := nearest(field, known); meant != "" {
			args = append(args, "perhaps_meant", meant)
		}
		a.say("dropped "+in.String()+" "+field, "a field that is sent has no place in the struct that it is decoded into, and is dropped: a tag of the struct "+
			"has the very name that the client sends, such as `json:\""+field+"\"`", args...)
	})
}

// dropped tells of the members of raw that a struct of the application's has no field for, with the names of the fields that are
// not sent, in what is left of a look.
func (a *advice) dropped(t reflect.Type, raw []byte, left *int, tell func(in reflect.Type, field string, known []string)) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if argument.speaks(t) {
		return
	}
	switch t.Kind() {
	case reflect.Slice, reflect.Array, reflect.Map:
		if !toStruct(t) {
			return
		}
		for _, one := range look(raw, left) {
			a.dropped(t.Elem(), one, left, tell)
		}
	case reflect.Struct:
		if !a.own(t) {
			return
		}
		fields := make(map[string]reflect.Type)
		fieldsOf(t, fields)
		missing := maps.Clone(fields)
		var unknown []string
		for name, one := range look(raw, left) {
			of, known := fieldOf(fields, name)
			if !known {
				unknown = append(unknown, name)
				continue
			}
			delete(missing, of)
			a.dropped(fields[of], one, left, tell)
		}
		for _, name := range unknown {
			tell(t, name, slices.Sorted(maps.Keys(missing)))
		}
	}
}

// look returns the parts of raw while something is left.
func look(raw []byte, left *int) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for name, one := range packet.Parts(raw) {
			if *left <= 0 {
				return
			}
			if *left -= 1 + len(one)>>16; !yield(name, one) {
				return
			}
		}
	}
}

// toStruct reports whether a list or a map of type t leads to structs.
func toStruct(t reflect.Type) bool {
	for range 8 { // a type may hold itself
		switch t.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
			t = t.Elem()
		default:
			return t.Kind() == reflect.Struct
		}
	}
	return false
}

// fieldsOf adds the fields that the struct t is decoded into, by their names in JSON.
func fieldsOf(t reflect.Type, fields map[string]reflect.Type) {
	for _, f := range reflect.VisibleFields(t) {
		tag := f.Tag.Get("json")
		name, _, _ := strings.Cut(tag, ",")
		switch {
		case tag == "-" || f.Anonymous && name == "" || !f.IsExported(): // those in an embedded one are visible too
			continue
		case name == "":
			name = f.Name
		}
		fields[name] = f.Type
	}
}

// fieldOf returns which field a member of that name is decoded into: letter for letter, or else but for case.
func fieldOf(fields map[string]reflect.Type, name string) (field string, known bool) {
	if _, exact := fields[name]; exact {
		return name, true
	}
	for field := range fields {
		if strings.EqualFold(field, name) {
			return field, true
		}
	}
	return "", false
}

// counted says that the client sends more arguments than h takes, or fewer; what a handler takes as a pointer or as an any
// may be left out, and one that takes none has been written so.
func (a *advice) counted(h *handler, e *Event) {
	if a.over() || h.args == 0 || h.variadic != nil {
		return
	}
	most := 1 + h.args + maxLook
	at, err := packet.Index(nil, e.data, most)
	if err != nil || len(at) == 0 {
		return
	}
	least := 0
	for _, p := range h.params {
		switch {
		case p.kind == paramEvent || p.kind == paramArgs:
			return // which has them all
		case p.kind == paramArg && p.typ.Kind() != reflect.Pointer && p.typ.Kind() != reflect.Interface:
			least = p.arg + 1
		}
	}
	sent := "sent"
	if len(at) == most {
		sent = "sent_at_least"
	}
	switch n := len(at) - 1; { // the first is the name
	case n > h.args:
		a.say("more "+h.event, "a client sends more arguments than the handler takes, which are dropped: let it take them, or send one object", "event", h.event, sent, n, "taken", h.args)
	case n < least:
		a.say("fewer "+h.event, "a client sends fewer arguments than the handler takes, and those that are missing are zero: send them, or take as a pointer what may be left out",
			"event", h.event, "sent", n, "taken", h.args)
	}
}

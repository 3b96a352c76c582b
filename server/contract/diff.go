package contract

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Breaks returns what clients that were made for old would meet with c: events that nobody handles or sends any more,
// arguments and acknowledgements that the other side does not expect. Each is a sentence. What is new breaks nothing.
func (c *Contract) Breaks(old *Contract) (list []string) {
	for _, before := range old.Namespaces {
		i := slices.IndexFunc(c.Namespaces, func(n Namespace) bool { return n.Name == before.Name })
		if i < 0 {
			list = append(list, before.Name+": the namespace is gone")
			continue
		}
		now := c.Namespaces[i]
		for _, e := range before.ClientToServer {
			where := fmt.Sprintf("%s: %q from clients", before.Name, e.Name)
			n, ok := find(now.ClientToServer, e.Name)
			if !ok {
				list = append(list, where+" has no handler any more")
				continue
			}
			list = append(list, said(where, passes(old, c, e, n))...)
			list = append(list, said(where, answers(c, old, n.Answer, e.Answer))...)
		}
		for _, e := range before.ServerToClient {
			where := fmt.Sprintf("%s: %q to clients", before.Name, e.Name)
			n, ok := find(now.ServerToClient, e.Name)
			if !ok {
				list = append(list, where+" is not sent any more")
				continue
			}
			list = append(list, said(where, passes(c, old, n, e))...)
			list = append(list, said(where, answers(old, c, e.Answer, n.Answer))...)
		}
	}
	return list
}

func find(list []Event, name string) (Event, bool) {
	i := slices.IndexFunc(list, func(e Event) bool { return e.Name == name })
	if i < 0 {
		return Event{}, false
	}
	return list[i], true
}

func said(where string, whys []string) (list []string) {
	for _, why := range whys {
		list = append(list, where+", "+why)
	}
	return list
}

// passes returns why an event as one side sends it is not what the other expects.
func passes(from, to *Contract, sent, expected Event) (list []string) {
	p := pass{from: from, to: to}
	for i, want := range expected.Args {
		switch {
		case i < len(sent.Args):
			p.check(fmt.Sprint("argument ", i+1), sent.Args[i], want)
		default:
			p.list = append(p.list, fmt.Sprintf("argument %d is not sent", i+1))
		}
	}
	for i, s := range sent.Args {
		if i >= len(expected.Args) && expected.Rest == nil {
			p.list = append(p.list, fmt.Sprintf("argument %d is not taken", i+1))
		} else if i >= len(expected.Args) {
			p.check(fmt.Sprint("argument ", i+1), s, expected.Rest)
		}
	}
	return p.list
}

// answers does so for an acknowledgement.
func answers(from, to *Contract, sent, expected *Answer) []string {
	switch {
	case expected == nil:
		return nil
	case sent == nil:
		return []string{"is not acknowledged any more"}
	case sent.Open || expected.Open:
		return nil
	}
	p := pass{from: from, to: to}
	if sent.Fails && !expected.Fails {
		p.list = append(p.list, "may be answered with an error")
	}
	for i, want := range expected.Values {
		if i >= len(sent.Values) {
			p.list = append(p.list, fmt.Sprintf("value %d of the acknowledgement is gone", i+1))
		} else {
			p.check(fmt.Sprintf("value %d of the acknowledgement", i+1), sent.Values[i], want)
		}
	}
	return p.list
}

// pass looks whether values of a type of one contract are such of a type of another.
type pass struct {
	from, to *Contract
	list     []string
	seen     [][2]*Schema
}

func resolve(c *Contract, s *Schema) *Schema {
	if s.Ref == "" {
		return s
	}
	if named := c.Schemas[strings.TrimPrefix(s.Ref, place)]; named != nil {
		return named
	}
	return &Schema{}
}

// fits is check that only tells.
func (p *pass) fits(from, to *Schema) bool {
	try := pass{from: p.from, to: p.to, seen: p.seen}
	try.check("", from, to)
	return len(try.list) == 0
}

func (p *pass) check(where string, from, to *Schema) {
	from, to = resolve(p.from, from), resolve(p.to, to)
	if to.anything() || slices.Contains(p.seen, [2]*Schema{from, to}) {
		return
	}
	p.seen = append(p.seen, [2]*Schema{from, to})
	complain := func(format string, args ...any) { p.list = append(p.list, where+" "+fmt.Sprintf(format, args...)) }
	switch {
	case len(from.AnyOf) > 0:
		for _, one := range from.AnyOf {
			if one.Type == "null" && !to.nullable() {
				complain("may be null")
			} else if one.Type != "null" {
				p.check(where, one, to)
			}
		}
	case len(to.AnyOf) > 0:
		if len(to.AnyOf) == 2 && to.AnyOf[1].Type == "null" {
			p.check(where, from, to.AnyOf[0])
		} else if !slices.ContainsFunc(to.AnyOf, func(one *Schema) bool { return p.fits(from, one) }) {
			complain("is of none of the types that are expected")
		}
	case from.Type != to.Type && !(from.Type == "integer" && to.Type == "number"):
		complain("is %s and not %s", from.kind(), to.kind())
	case (from.Format == "binary") != (to.Format == "binary"), to.Format == "date-time" && from.Format != to.Format:
		complain("is %s and not %s", from.kind(), to.kind())
	case len(to.Enum) > 0 && len(from.Enum) == 0:
		complain("may be other than %s", joined(to.Enum))
	case len(to.Enum) > 0:
		for _, v := range from.Enum {
			if !slices.ContainsFunc(to.Enum, func(w json.RawMessage) bool { return bytes.Equal(v, w) }) {
				complain("may be %s", v)
			}
		}
	case from.Type == "array":
		if to.MaxItems > 0 && from.MaxItems != to.MaxItems {
			complain("has not %d items", to.MaxItems)
		}
		p.check(where+", items", from.Items, to.Items)
	case from.Type == "object":
		p.object(where, from, to, complain)
	}
}

func joined(list []json.RawMessage) string {
	var b strings.Builder
	for i, v := range list {
		if i > 0 {
			b.WriteString(", ")
		}
		b.Write(v)
	}
	return b.String()
}

func (s *Schema) nullable() bool {
	return s.Type == "null" || slices.ContainsFunc(s.AnyOf, func(one *Schema) bool { return one.Type == "null" })
}

// kind names a type.
func (s *Schema) kind() string {
	switch {
	case s.Format == "binary":
		return "binary"
	case s.Format == "date-time":
		return "a time"
	case s.anything():
		return "of any type"
	}
	return s.Type
}

func (p *pass) object(where string, from, to *Schema, complain func(string, ...any)) {
	if to.Additional != nil {
		if from.Additional == nil {
			complain("is an object of fields and not a map")
		} else {
			p.check(where+", values", from.Additional, to.Additional)
		}
		return
	}
	for _, name := range to.Required {
		switch _, has := from.Properties[name]; {
		case !has:
			complain("has no field %q", name)
		case !slices.Contains(from.Required, name):
			complain("may be without its field %q", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(from.Properties)) {
		s := from.Properties[name]
		if want := to.Properties[name]; want != nil {
			p.check(where+", field \""+name+"\"", s, want)
		}
	}
}

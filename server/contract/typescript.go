package contract

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// TypeScript returns interfaces for socket.io-client: ServerToClientEvents and ClientToServerEvents of the namespace "/", and
// for another those with its name before, as AdminClientToServerEvents of "/admin".
//
//	const socket: Socket<ServerToClientEvents, ClientToServerEvents> = io();
func (c *Contract) TypeScript() []byte {
	p := &printer{}
	p.line("// Made by Beanpole from the handlers of the server. Do not edit.")
	p.line("")
	p.line("/** A []byte of the server: an ArrayBuffer in browsers, a Buffer in Node. */")
	p.line("export type Binary = ArrayBuffer | Uint8Array;")
	p.line("")
	p.line("/** What acknowledges an event that failed. */")
	p.line("export interface Failure {")
	p.line("  error: string;")
	p.line("  data?: unknown;")
	p.line("}")
	for _, name := range slices.Sorted(maps.Keys(c.Schemas)) {
		p.line("")
		switch s := c.Schemas[name]; {
		case s.Type == "object" && len(s.Properties) > 0:
			p.line("export interface " + named(name) + " " + p.typ(s, ""))
		case s.Type == "object" && s.Additional != nil: // a Record must not name itself
			p.line("export interface " + named(name) + " {\n  [name: string]: " + p.typ(s.Additional, "  ") + ";\n}")
		default:
			p.line("export type " + named(name) + " = " + p.typ(s, "") + ";")
		}
	}
	names := c.identifiers()
	for i, n := range c.Namespaces {
		prefix := names[i]
		p.line("")
		p.line("/** What the clients of " + n.Name + " are sent. */")
		p.events(prefix+"ServerToClientEvents", n.ServerToClient, false)
		p.line("")
		p.line("/** What the clients of " + n.Name + " may send. */")
		p.events(prefix+"ClientToServerEvents", n.ClientToServer, true)
	}
	return []byte(p.String())
}

type printer struct{ strings.Builder }

func (p *printer) line(s string) { p.WriteString(s + "\n") }

// own are the names that the file has, or uses, beside those of the contract's types.
var own = []string{"Binary", "Failure", "ServerToClientEvents", "ClientToServerEvents", "ArrayBuffer", "Uint8Array", "Record"}

func named(name string) string {
	if slices.Contains(own, name) {
		return name + "_"
	}
	return name
}

// identifiers returns the identifier of each namespace, with a number where another has it already, as that of "/a_b" beside "/a-b".
func (c *Contract) identifiers() (list []string) {
	for _, n := range c.Namespaces {
		name := identifier(n.Name)
		for i, first := 2, cmp.Or(name, "_"); slices.Contains(list, name); i++ {
			name = fmt.Sprint(first, i)
		}
		list = append(list, name)
	}
	return list
}

// identifier makes the name of a namespace the beginning of one in TypeScript: "/chat/room" becomes ChatRoom, "/" nothing.
func identifier(namespace string) string {
	var b strings.Builder
	for _, part := range strings.FieldsFunc(namespace, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		b.WriteString(title(part))
	}
	if s := b.String(); s != "" && unicode.IsDigit(rune(s[0])) {
		return "_" + s
	}
	return b.String()
}

func (p *printer) events(name string, list []Event, asked bool) {
	p.line("export interface " + name + " {")
	for _, e := range list {
		args := p.args(e)
		if a := e.Answer; a != nil {
			mark := ""
			if asked && len(a.Values) == 0 { // who sends it need not ask
				mark = "?"
			}
			if e.Rest == nil {
				args = append(args, "ack"+mark+": "+p.ack(a))
			}
		}
		if e.Rest != nil {
			args = append(args, "...rest: "+p.rest(e))
		}
		p.line("  " + quoted(e.Name) + ": (" + strings.Join(args, ", ") + ") => void;")
	}
	p.line("}")
}

// args returns the parameters of an event.
func (p *printer) args(e Event) (list []string) {
	for i, s := range e.Args {
		list = append(list, parameter(s, i, len(e.Args))+": "+p.typ(s, "  "))
	}
	return list
}

// rest is what may come behind the arguments: a function that is called with the acknowledgement is the last of it.
func (p *printer) rest(e Event) string {
	list := p.list(p.typ(e.Rest, "  "))
	switch {
	case e.Rest.anything():
		return "any[]"
	case e.Answer == nil:
		return list
	}
	ack := "[..." + list + ", " + p.ack(e.Answer) + "]"
	if len(e.Answer.Values) == 0 {
		return list + " | " + ack
	}
	return ack
}

// ack is the type of the function that is called with an acknowledgement.
func (p *printer) ack(a *Answer) string {
	switch {
	case a.Open:
		return "(...answer: any[]) => void"
	case len(a.Values) == 0:
		return "(failure?: Failure) => void"
	}
	first := p.typ(a.Values[0], "  ")
	if a.Fails {
		first += " | Failure"
	}
	args := []string{"answer: " + first}
	for i, v := range a.Values[1:] {
		t := p.typ(v, "  ")
		if a.Fails {
			t += " | undefined"
		}
		args = append(args, fmt.Sprintf("value%d: %s", i+2, t))
	}
	return "(" + strings.Join(args, ", ") + ") => void"
}

// parameter names one of n parameters.
func parameter(s *Schema, i, n int) string {
	if s.Ref != "" && n == 1 {
		name := []rune(strings.TrimPrefix(s.Ref, place))
		name[0] = unicode.ToLower(name[0])
		if !slices.Contains(reserved, string(name)) {
			return string(name)
		}
	}
	return fmt.Sprintf("arg%d", i+1)
}

var reserved = strings.Fields(`ack rest break case catch class const continue debugger default delete do else enum export extends false
	finally for function if import in instanceof new null return super switch this throw true try typeof var void while with
	implements interface let package private protected public static yield await eval arguments`)

func (p *printer) list(t string) string {
	if strings.ContainsAny(t, "| ") && !strings.HasPrefix(t, "{") {
		t = "(" + t + ")"
	}
	return t + "[]"
}

// typ returns the type of what s allows. indent is that of the line it stands in.
func (p *printer) typ(s *Schema, indent string) string {
	switch {
	case s.Ref != "":
		return named(strings.TrimPrefix(s.Ref, place))
	case len(s.Enum) > 0:
		list := make([]string, len(s.Enum))
		for i, v := range s.Enum {
			list[i] = string(v)
		}
		return strings.Join(list, " | ")
	case len(s.AnyOf) > 0:
		list := make([]string, len(s.AnyOf))
		for i, a := range s.AnyOf {
			list[i] = p.typ(a, indent)
		}
		return strings.Join(list, " | ")
	case s.Type == "string" && s.Format == "binary":
		return "Binary"
	case s.Type == "integer":
		return "number"
	case s.Type == "array":
		return p.list(p.typ(s.Items, indent))
	case s.Type == "object" && s.Additional != nil:
		return "Record<string, " + p.typ(s.Additional, indent) + ">"
	case s.Type == "object":
		return p.object(s, indent)
	case s.Type == "":
		return "unknown"
	}
	return s.Type
}

func (p *printer) object(s *Schema, indent string) string {
	if len(s.Properties) == 0 {
		return "Record<string, never>"
	}
	var b strings.Builder
	b.WriteString("{\n")
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		mark := "?"
		if slices.Contains(s.Required, name) {
			mark = ""
		}
		prop := s.Properties[name]
		if prop.Type == "string" && prop.Format == "date-time" {
			b.WriteString(indent + "  /** A time, as RFC 3339 writes it. */\n")
		}
		fmt.Fprintf(&b, "%s  %s%s: %s;\n", indent, quoted(name), mark, p.typ(prop, indent+"  "))
	}
	b.WriteString(indent + "}")
	return b.String()
}

var plain = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$]*$`)

// quoted returns the name of a property.
func quoted(name string) string {
	if plain.MatchString(name) {
		return name
	}
	b, _ := json.Marshal(name) // a string encodes
	return string(b)
}

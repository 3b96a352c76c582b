package contract

import (
	"cmp"
	"reflect"
	"slices"
)

// Variable names the variable of the environment by which the command beanpole asks a program of server/host for its contract:
// its value is the file to write it to, as JSON, instead of serving.
const Variable = "_BEANPOLE_CONTRACT"

// Contract is what clients may send and what they are sent, in each namespace. It encodes as JSON.
type Contract struct {
	Namespaces []Namespace        `json:"namespaces"`
	Schemas    map[string]*Schema `json:"schemas"` // of named types
}

// Namespace has the events of one namespace, by name.
type Namespace struct {
	Name           string  `json:"name"`
	ClientToServer []Event `json:"clientToServer"`
	ServerToClient []Event `json:"serverToClient"`
	// Partial tells that sockets may have handlers that are not in it: nobody was connected, for whom OnConnection
	// would have registered them.
	Partial bool `json:"partial,omitempty"`
}

// Event is one event.
type Event struct {
	Name   string    `json:"name"`
	Args   []*Schema `json:"args"`
	Rest   *Schema   `json:"rest,omitempty"`   // of further arguments, if there may be any
	Answer *Answer   `json:"answer,omitempty"` // nil when there is no acknowledgement
}

// Answer is an acknowledgement.
type Answer struct {
	Values []*Schema `json:"values"`
	Fails  bool      `json:"fails,omitempty"` // may be {"error":"text"} instead
	Open   bool      `json:"open,omitempty"`  // whatever the handler gives to its Ack
}

// Function is what the type of a function says of an event: a handler's, or that of a declaration.
type Function struct {
	Args     []reflect.Type
	Variadic reflect.Type // the type of each further argument, or nil
	Results  []reflect.Type
	Fails    bool // returns an error
	Later    bool // answers by an Ack
	Any      bool // takes the event as it is, whatever its arguments
}

// Builder makes a Contract. The zero value is ready. Events of one name and direction are one: the first that is added says
// what its arguments are, and the first that answers what the acknowledgement is.
type Builder struct {
	namespaces map[string]*Namespace
	schemas    reflector
}

// Namespace makes sure that the contract has the namespace.
func (b *Builder) Namespace(name string) {
	if b.namespaces == nil {
		b.namespaces = make(map[string]*Namespace)
	}
	if b.namespaces[name] == nil {
		b.namespaces[name] = &Namespace{Name: name, ClientToServer: []Event{}, ServerToClient: []Event{}}
	}
}

// Partial notes that a namespace may have more events than are added.
func (b *Builder) Partial(namespace string) {
	b.Namespace(namespace)
	b.namespaces[namespace].Partial = true
}

// Receives adds an event that clients send, and Sends one that they are sent.
func (b *Builder) Receives(namespace, event string, f Function) {
	b.Namespace(namespace)
	n := b.namespaces[namespace]
	e := b.event(event, f)
	if e.Answer != nil { // an argument that does not fit, a middleware or a panic is answered so, whatever the handler returns
		e.Answer.Fails = true
	}
	n.ClientToServer = add(n.ClientToServer, e)
}

// Sends is described at Receives.
func (b *Builder) Sends(namespace, event string, f Function) {
	b.Namespace(namespace)
	n := b.namespaces[namespace]
	n.ServerToClient = add(n.ServerToClient, b.event(event, f))
}

func add(list []Event, e Event) []Event {
	i, found := slices.BinarySearchFunc(list, e.Name, func(x Event, name string) int { return cmp.Compare(x.Name, name) })
	if !found {
		return slices.Insert(list, i, e)
	}
	if list[i].Answer == nil {
		list[i].Answer = e.Answer
	}
	return list
}

func (b *Builder) event(name string, f Function) Event {
	e := Event{Name: name, Args: []*Schema{}}
	for _, t := range f.Args {
		e.Args = append(e.Args, b.schemas.schema(t))
	}
	switch {
	case f.Variadic != nil:
		e.Rest = b.schemas.schema(f.Variadic)
	case f.Any:
		e.Rest = &Schema{}
	}
	if len(f.Results) > 0 || f.Fails || f.Later || f.Any {
		e.Answer = &Answer{Values: []*Schema{}, Fails: f.Fails, Open: f.Later || f.Any}
		for _, t := range f.Results {
			e.Answer.Values = append(e.Answer.Values, b.schemas.schema(t))
		}
	}
	return e
}

// Contract returns what has been added, in an order that does not depend on that.
func (b *Builder) Contract() *Contract {
	c := &Contract{Namespaces: []Namespace{}, Schemas: map[string]*Schema{}}
	for _, n := range b.namespaces {
		c.Namespaces = append(c.Namespaces, *n)
	}
	slices.SortFunc(c.Namespaces, func(x, y Namespace) int { return cmp.Compare(x.Name, y.Name) })
	for name, s := range b.schemas.named {
		c.Schemas[name] = s
	}
	return c
}

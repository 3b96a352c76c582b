package zishang

import (
	"slices"
	"sync"

	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/server/packet"
	"github.com/beanpole/beanpole/transport"
)

// event is an event on its way to handlers: from a client, from another server, or emitted by the
// application itself. It keeps the wire's form until a handler wants the library's.
type event struct {
	name        string
	raw         [][]byte // JSON of each argument
	attachments [][]byte
	ack         socket.Ack // nil when no answer is wanted
	size        int        // bytes, while it waits

	decoded bool  // args holds
	args    []any // with ack at the end
	stale   bool  // raw and attachments do not hold
}

// newEvent makes an event of a payload and its attachments, which belong to it from now on.
func newEvent(data []byte, attachments [][]byte) (*event, bool) {
	raw, err := packet.Split(nil, data)
	if err != nil || len(raw) == 0 {
		return nil, false
	}
	name, err := packet.EventName(data)
	if err != nil {
		return nil, false
	}
	e := &event{name: string(name), raw: raw[1:], attachments: attachments, size: len(data)}
	for _, a := range attachments {
		e.size += len(a)
	}
	return e, true
}

// eventOf makes an event of arguments in the library's form.
func eventOf(name string, args []any) *event {
	e := &event{name: name}
	e.replace(append([]any{name}, args...))
	return e
}

// replace gives the event other arguments, and the name that stands before them.
func (e *event) replace(named []any) {
	if name, ok := named[0].(string); ok {
		e.name = name
	}
	e.decoded, e.args = true, named[1:]
	e.stale, e.raw, e.attachments, e.ack = true, nil, nil, nil
	if n := len(e.args); n > 0 {
		e.ack, _ = e.args[n-1].(socket.Ack)
	}
}

// encode brings the wire's form up to date.
func (e *event) encode() {
	if !e.stale {
		return
	}
	e.stale = false
	args := e.args
	if e.ack != nil {
		args = args[:len(args)-1]
	}
	for _, arg := range args {
		data, attachments, err := packet.AppendValue(nil, e.attachments, plain(arg))
		if err != nil {
			data = []byte("null")
		}
		e.raw, e.attachments = append(e.raw, data), attachments
	}
}

// arguments are the arguments as the library hands them to listeners: the values encoding/json makes,
// binaries as *types.BytesBuffer, and at the end the function that answers, if an answer is wanted. Every
// call returns a slice of its own, as listeners may change it.
func (e *event) arguments() []any {
	if !e.decoded {
		e.decoded = true
		e.args = values(e.raw, e.attachments)
		if e.ack != nil {
			e.args = append(e.args, e.ack)
		}
	}
	return slices.Clone(e.args)
}

// first decodes the first argument into v, which stays as it is when there is none.
func (e *event) first(v any) error {
	e.encode()
	if len(e.raw) == 0 {
		return nil
	}
	return packet.Decode(e.raw[0], e.attachments, v)
}

// values decodes JSON values into the library's form.
func values(raw, attachments [][]byte) []any {
	out := make([]any, len(raw))
	for i := range raw {
		out[i] = value(raw[i], attachments)
	}
	return out
}

// value decodes one JSON value into the library's form.
func value(raw []byte, attachments [][]byte) any {
	var v any
	if packet.Decode(raw, attachments, &v) != nil {
		return nil
	}
	if len(attachments) == 0 {
		return v
	}
	return buffered(v)
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

// once makes an answer that counts the first time only.
func once(fn func([]any)) socket.Ack {
	var o sync.Once
	return func(args []any, _ error) { o.Do(func() { fn(args) }) }
}

// messages turns encoded packets into the transport's.
func messages(dst []transport.Message, encoded []packet.Message) []transport.Message {
	for _, m := range encoded {
		dst = append(dst, transport.Message(m))
	}
	return dst
}

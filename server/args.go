package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/beanpole/beanpole/server/packet"
)

// Args are the arguments of an event or the values of an acknowledgement, still in their wire form:
// JSON text, with binaries aside. The zero value has none.
type Args struct {
	data        []byte   // JSON that has been checked
	at          []uint32 // where each begins in data: a sixth of what it would be as a slice
	attachments [][]byte
}

// Len returns how many there are.
func (a Args) Len() int { return len(a.at) }

// Raw returns the JSON text of argument i, or nil when there is no such argument. A binary in it is a
// placeholder.
func (a Args) Raw(i int) json.RawMessage {
	if i < 0 || i >= len(a.at) {
		return nil
	}
	return packet.Element(a.data, a.at[i])
}

// Decode decodes argument i into the value v points to: JSON by the rules of encoding/json, binaries
// into []byte wherever they are. A missing argument leaves what v points to as it is, as undefined would.
func (a Args) Decode(i int, v any) error {
	raw := a.Raw(i)
	if raw == nil {
		return target(v)
	}
	if err := packet.Decode(raw, a.attachments, v); err != nil {
		return &packet.ArgError{Index: i, Err: err}
	}
	return nil
}

// MarshalJSON returns an error: what is in Args may have binaries beside it, and is sent by its Values.
func (a Args) MarshalJSON() ([]byte, error) {
	return nil, errors.New("server.Args cannot be sent: send its Values, or what Scan makes of it")
}

// Scan decodes the first arguments into what the pointers point to.
func (a Args) Scan(into ...any) error {
	for i, v := range into {
		if err := a.Decode(i, v); err != nil {
			return err
		}
	}
	return nil
}

// target returns why nothing can be decoded into v, which is found also where nothing has been sent.
func target(v any) error {
	if p := reflect.ValueOf(v); p.Kind() != reflect.Pointer || p.IsNil() {
		return fmt.Errorf("%T is not a pointer to decode into", v)
	}
	return nil
}

// Bytes returns argument i when it is a binary.
func (a Args) Bytes(i int) ([]byte, bool) {
	if len(a.attachments) == 0 {
		return nil, false
	}
	raw := a.Raw(i)
	if len(raw) == 0 || raw[0] != '{' {
		return nil, false
	}
	var b []byte
	if packet.Decode(raw, a.attachments, &b) != nil {
		return nil, false
	}
	return b, true
}

// Values returns all arguments in the form encoding/json gives to an any, binaries as []byte.
func (a Args) Values() []any {
	out := make([]any, a.Len())
	for i := range out {
		if a.Decode(i, &out[i]) != nil {
			out[i] = nil
		}
	}
	return out
}

package client

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/beanpole/beanpole/server/packet"
)

// Args are the arguments of an event or the values of an acknowledgement, still in their wire form: JSON text, with
// binaries aside. The zero value has none.
type Args struct {
	list, attachments [][]byte
}

// Len returns how many there are.
func (a Args) Len() int { return len(a.list) }

// Raw returns the JSON text of argument i, or nil when there is no such argument. A binary in it is a placeholder.
func (a Args) Raw(i int) json.RawMessage {
	if i < 0 || i >= len(a.list) {
		return nil
	}
	return a.list[i]
}

// Decode decodes argument i into the value v points to: JSON by the rules of encoding/json, binaries into []byte
// wherever they are. A missing argument leaves what v points to as it is, as undefined would.
func (a Args) Decode(i int, v any) error {
	if p := reflect.ValueOf(v); p.Kind() != reflect.Pointer || p.IsNil() {
		return fmt.Errorf("client: %T is not a pointer to decode into", v)
	}
	raw := a.Raw(i)
	if raw == nil {
		return nil
	}
	if err := packet.Decode(raw, a.attachments, v); err != nil {
		return fmt.Errorf("argument %d: %w", i+1, err)
	}
	return nil
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

// Ask sends an event and returns the first value of its acknowledgement as a T. The errors are those of
// Socket.EmitWithAck, and that the value does not fit.
func Ask[T any](ctx context.Context, s *Socket, event string, args ...any) (value T, err error) {
	answer, err := s.EmitWithAck(ctx, event, args...)
	if err == nil {
		err = answer.Decode(0, &value)
	}
	return value, err
}

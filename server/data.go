package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"

	"github.com/beanpole/beanpole/adapter"
)

// Data holds an application's values for one socket (Node: socket.data). It travels with the socket to
// other nodes (FetchSockets) and through a recovered connection as JSON. Safe for concurrent use; the
// zero value is empty.
type Data struct {
	mu     sync.Mutex
	values map[string]datum
}

// datum is one value: as JSON and, if it was set here, as it was set.
type datum struct {
	here  bool
	value any
	text  json.RawMessage
}

// Set stores a value. It is encoded as JSON at once, and what travels is what it is now: a map, or what a
// pointer points to, is set again when it has changed. A []byte is base64, NaN and the infinities are null.
// A json.RawMessage is what it says, as if it came from another node. The error is that of a value that
// cannot be encoded, or of a struct without exported fields, of which nothing could travel; it is not stored.
func (d *Data) Set(key string, value any) error {
	v, err := newDatum(key, value)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.values == nil {
		d.values = make(map[string]datum, 1)
	}
	d.values[key] = v
	return nil
}

func newDatum(key string, value any) (datum, error) {
	text, err := appendJSON(value)
	if t := reflect.TypeOf(value); err == nil && t != nil {
		err = result.visible(t)
	}
	if err != nil {
		return datum{}, fmt.Errorf("data %q: %w", key, err)
	}
	if _, raw := value.(json.RawMessage); raw {
		return datum{text: text}, nil // as if it came from elsewhere
	}
	return datum{here: true, value: value, text: text}, nil
}

// Replace sets values in the place of all there are; nil leaves none. The error is that of Set, and then nothing has changed.
func (d *Data) Replace(values map[string]any) error {
	made := make(map[string]datum, len(values))
	for key, value := range values {
		v, err := newDatum(key, value)
		if err != nil {
			return err
		}
		made[key] = v
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.values = made
	return nil
}

// Get returns the value of key, or nil: as it was set, or, if it came from another node or through
// recovery, in the form encoding/json gives to an any; use Value for one's own types.
func (d *Data) Get(key string) any {
	d.mu.Lock()
	v := d.values[key]
	d.mu.Unlock()
	return v.get()
}

func (v datum) get() any {
	if v.here {
		return v.value
	}
	var out any
	if json.Unmarshal(v.text, &out) != nil {
		return nil
	}
	return out
}

// Value returns the value of key as a T: decoded from its JSON by the rules of encoding/json, wherever the socket is
// and whether it was recovered or not, so that a program which holds on one server holds on all. It is a copy each
// time; Get returns what was set. ok is false when there is none or its JSON is not that of a T.
func Value[T any](d *Data, key string) (value T, ok bool) {
	d.mu.Lock()
	text := d.values[key].text
	d.mu.Unlock()
	if text == nil || json.Unmarshal(text, &value) != nil {
		return *new(T), false
	}
	return value, true
}

// Delete removes key.
func (d *Data) Delete(key string) {
	d.mu.Lock()
	delete(d.values, key)
	d.mu.Unlock()
}

// All returns a copy of everything, with the values that Get returns.
func (d *Data) All() map[string]any {
	d.mu.Lock()
	values := maps.Clone(d.values)
	d.mu.Unlock()
	if values == nil {
		return nil
	}
	out := make(map[string]any, len(values))
	for k, v := range values {
		out[k] = v.get()
	}
	return out
}

// MarshalJSON returns the values as one JSON object. It calls nothing of theirs and has no error.
func (d *Data) MarshalJSON() ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := []byte{'{'}
	for i, k := range slices.Sorted(maps.Keys(d.values)) {
		if i > 0 {
			b = append(b, ',')
		}
		name, _ := appendJSON(k) // strings always encode
		b = append(append(append(b, name...), ':'), d.values[k].text...)
	}
	return append(b, '}'), nil
}

// restore replaces everything by the members of the JSON object raw; anything else leaves it empty.
func (d *Data) restore(raw []byte) {
	var values map[string]json.RawMessage
	if json.Unmarshal(raw, &values) != nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.values = make(map[string]datum, len(values))
	for k, v := range values {
		d.values[k] = datum{text: v}
	}
}

// MarshalJSON returns an error: send what the socket tells, as its ID.
func (s *Socket) MarshalJSON() ([]byte, error) {
	return nil, errors.New("server.Socket cannot be sent: send what it tells, as its ID")
}

// Face is what a socket is to a package that shows it in another form.
type Face interface {
	// Data returns the application's data, instead of those in Socket.Data: as other servers get them, and as they
	// are, for adapters that keep sessions in this process. It is called from any goroutine.
	Data() (text adapter.Raw, live any)
}

// SetFace keeps f with the socket, and Face returns it.
func (s *Socket) SetFace(f Face) { s.hook(func(h *hooks) { h.face = f }) }

// Face returns what SetFace has kept, or nil.
func (s *Socket) Face() Face { return s.hooked().face }

// data returns what is in Data, or instead of it.
func (s *Socket) data() (text adapter.Raw, live any) {
	if f := s.Face(); f != nil {
		return f.Data()
	}
	text, _ = s.Data.MarshalJSON() // never an error
	return text, nil
}

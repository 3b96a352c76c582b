package server

import (
	"encoding/json"
	"maps"
	"sync"
)

// Data holds an application's values for one socket (Node: socket.data). It travels with the socket to
// other nodes (FetchSockets) and through a recovered connection as JSON. Safe for concurrent use; the
// zero value is empty.
type Data struct {
	mu     sync.Mutex
	values map[string]any
}

// Set stores a JSON-encodable value.
func (d *Data) Set(key string, value any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.values == nil {
		d.values = make(map[string]any, 1)
	}
	d.values[key] = value
}

// Get returns the value of key, or nil. Values that came from another node or through recovery are in
// the form encoding/json gives to an any; use Value for one's own types.
func (d *Data) Get(key string) any {
	d.mu.Lock()
	v := d.values[key]
	d.mu.Unlock()
	if raw, ok := v.(json.RawMessage); ok {
		var out any
		if json.Unmarshal(raw, &out) != nil {
			return nil
		}
		return out
	}
	return v
}

// Value returns the value of key as a T, decoding it when it came as JSON. ok is false when there is
// none or it is not a T.
func Value[T any](d *Data, key string) (value T, ok bool) {
	d.mu.Lock()
	v := d.values[key]
	d.mu.Unlock()
	if value, ok = v.(T); ok {
		return value, true
	}
	if raw, isRaw := v.(json.RawMessage); isRaw {
		return value, json.Unmarshal(raw, &value) == nil
	}
	return value, false
}

// Delete removes key.
func (d *Data) Delete(key string) {
	d.mu.Lock()
	delete(d.values, key)
	d.mu.Unlock()
}

// All returns a copy of everything.
func (d *Data) All() map[string]any {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.values)
}

// MarshalJSON encodes the values as one JSON object.
func (d *Data) MarshalJSON() ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.values) == 0 {
		return []byte("{}"), nil
	}
	return json.Marshal(d.values)
}

// restore replaces everything by the members of the JSON object raw; anything else leaves it empty.
func (d *Data) restore(raw []byte) {
	var values map[string]json.RawMessage
	if json.Unmarshal(raw, &values) != nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.values = make(map[string]any, len(values))
	for k, v := range values {
		d.values[k] = v
	}
}

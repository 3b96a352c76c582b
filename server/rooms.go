package server

import (
	"slices"

	"github.com/beanpole/beanpole/adapter"
)

// Join puts the socket into rooms; from a middleware, once it is connected. A socket that has disconnected is in
// none; if its client may recover, it comes back to these.
func (s *Socket) Join(rooms ...string) {
	if s.gone() {
		s.afterwards(func(list []string, t *adapter.Trail) []string { return t.Join(list, rooms) })
		return
	}
	if s.beforeIn(func(b *border) { b.rooms = append(b.rooms, rooms...) }) {
		return
	}
	s.nsp.adapter.Join(s, rooms...)
	if s.gone() {
		s.nsp.adapter.Remove(s) // it left meanwhile, and nobody else would take it out again
	}
}

// Leave takes the socket out of rooms. As in Node its own id is one of them: To(id), a RemoteSocket and Exists find it no
// more until it joins that again, or is recovered. Emit reaches it, and its own broadcasts leave it out, all the same.
func (s *Socket) Leave(rooms ...string) {
	if s.gone() {
		s.afterwards(func(list []string, t *adapter.Trail) []string { return t.Leave(list, rooms) })
		return
	}
	if s.beforeIn(func(b *border) {
		b.rooms = slices.DeleteFunc(b.rooms, func(r string) bool { return slices.Contains(rooms, r) })
	}) {
		return
	}
	s.nsp.adapter.Leave(s, rooms...)
}

// beforeIn calls change, and reports true, as long as the socket is no member of its namespace yet.
func (s *Socket) beforeIn(change func(*border)) bool {
	if s.state.Load() != stateConnecting {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.atBorder(); s.state.Load() == stateConnecting && !b.entered {
		change(b)
		return true
	}
	return false
}

// Rooms returns the rooms the socket is in, its own id first unless it has left that; until the disconnect handlers have run, those it was in.
func (s *Socket) Rooms() []string {
	if s.Connected() {
		return s.nsp.adapter.RoomsOf(s)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.border == nil {
		return nil
	}
	return slices.Clone(s.border.rooms)
}

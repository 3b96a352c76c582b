package server

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/beanpole/beanpole/adapter"
)

// Join puts the socket into rooms; from a middleware, once it is connected. A socket that has disconnected is in
// none; if its client may recover, it comes back to these.
func (s *Socket) Join(rooms ...string) {
	if a := s.client.server.advice; a != nil && slices.Contains(rooms, "") {
		a.nameless(s)
	}
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

// OnRoom calls fn for what happens to the rooms of this server, those named by the ids of sockets among them (Node: the
// events create-room, join-room, leave-room and delete-room of an adapter), until what it returns is called: in its order, one
// at a time, on a goroutine of its own and so a moment later. What waits is told no more then; a call on its way ends. What the Member of an event is has joined or left here; of
// others Rooms tells, and docs/presence.md has the cluster's. Of an fn that takes long 64 MiB wait at most, and the rest is dropped and counted. It panics with an
// adapter that does not stand on adapter.Local.
func (n *Namespace) OnRoom(fn func(adapter.RoomEvent)) (off func()) {
	need("OnRoom", "a function", fn != nil)
	off = func() {}
	n.register(func(s *space) {
		if s.adapter == nil {
			return // the server has closed
		}
		a, ok := adapter.As[interface {
			Watch(fn func(adapter.RoomEvent)) (off func())
		}](s.adapter)
		if !ok {
			panic("server: OnRoom needs an adapter that stands on adapter.Local, or that has one in it and a method Unwrap() adapter.Adapter")
		}
		watchers := int(s.watchers.Add(1))
		n.server.crowded(watchers, watchers, "Namespace.OnRoom", "")
		var over atomic.Bool
		stop := a.Watch(func(e adapter.RoomEvent) {
			s.roomTurns.take(n.server, len(e.Room), func() {
				if !over.Load() {
					_ = n.server.protect("room", func() error { fn(e); return nil }) // logged
				}
			})
		})
		off = func() {
			if !over.Swap(true) {
				s.watchers.Add(-1)
				stop()
			}
		}
	})
	return off
}

// Rooms returns the rooms that the sockets selected are in, in the whole cluster, with how many of them are in each; those
// named by a socket's own id are left out. There is no list of rooms beside what sockets say: it is as dear as FetchSockets,
// whose errors it has, but for Local, which asks nobody.
func (b Broadcast) Rooms(ctx context.Context) (map[string]int, error) {
	out := make(map[string]int)
	count := func(id string, rooms []string) {
		for _, room := range rooms {
			if room != id {
				out[room]++
			}
		}
	}
	if b.target.Local {
		return out, b.act(func(a adapter.Adapter, t adapter.Target) error {
			for _, m := range a.Members(t) {
				count(m.ID(), a.RoomsOf(m))
			}
			return nil
		})
	}
	sockets, err := b.FetchSockets(ctx)
	for _, s := range sockets {
		count(s.ID(), s.Rooms())
	}
	return out, err
}

// Rooms is Broadcast.Rooms for every socket of the namespace.
func (n *Namespace) Rooms(ctx context.Context) (map[string]int, error) { return n.All().Rooms(ctx) }

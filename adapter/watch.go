package adapter

import (
	"slices"
	"sync/atomic"
)

// RoomEvent is what has happened to a room of one node. Node: the events create-room, join-room, leave-room and delete-room
// of an adapter.
type RoomEvent struct {
	Kind   RoomEventKind
	Room   string
	Member Member // who has joined or left it; nil for RoomCreated and RoomDeleted
}

// RoomEventKind is what has happened to a room.
type RoomEventKind uint8

// A room is created before its first member joins it, and deleted when its last has left.
const (
	RoomCreated RoomEventKind = iota + 1
	RoomJoined
	RoomLeft
	RoomDeleted
)

// String returns Node's name of the event.
func (k RoomEventKind) String() string {
	switch k {
	case RoomCreated:
		return "create-room"
	case RoomJoined:
		return "join-room"
	case RoomLeft:
		return "leave-room"
	case RoomDeleted:
		return "delete-room"
	}
	return "unknown"
}

// Watch has fn called for what happens to rooms, those named by the ids of members among them, until off is called: in its
// order, one at a time, with no lock of the index held. An adapter may hold locks of its own: fn must neither block nor
// call the adapter. What fn has not been told when off is called it is told no more; a call on its way ends. Nothing is
// done for it while nobody watches.
func (r *Rooms) Watch(fn func(RoomEvent)) (off func()) {
	w := &watcher{fn: fn}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watchers = append(slices.Clip(r.watchers), w)
	r.watched.Store(true)
	return func() {
		w.off.Store(true)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.watchers = slices.DeleteFunc(slices.Clone(r.watchers), func(x *watcher) bool { return x == w })
		r.watched.Store(len(r.watchers) > 0)
	}
}

// watcher is who watches, until it is off.
type watcher struct {
	fn  func(RoomEvent)
	off atomic.Bool
}

// enters notes that m has joined the room, which was not there before if it is new. Called with mu held.
func (r *Rooms) enters(m Member, room string, isNew bool) {
	if len(r.watchers) == 0 {
		return
	}
	if isNew {
		r.happened = append(r.happened, RoomEvent{RoomCreated, room, nil})
	}
	r.happened = append(r.happened, RoomEvent{RoomJoined, room, m})
}

// leaves notes that m has left the room. Called with mu held, when it has.
func (r *Rooms) leaves(m Member, room string) {
	if len(r.watchers) == 0 {
		return
	}
	r.happened = append(r.happened, RoomEvent{RoomLeft, room, m})
	if r.own(room) == nil && r.rooms[room] == nil {
		r.happened = append(r.happened, RoomEvent{RoomDeleted, room, nil})
	}
}

// tell tells those who watch what has happened, unless somebody does already.
func (r *Rooms) tell() {
	if !r.watched.Load() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.telling {
		return
	}
	r.telling = true
	for len(r.happened) > 0 {
		list, watchers := r.happened, r.watchers
		r.happened = nil
		r.mu.Unlock()
		for _, e := range list {
			for _, w := range watchers {
				if !w.off.Load() {
					w.fn(e)
				}
			}
		}
		r.mu.Lock()
	}
	r.telling = false
}

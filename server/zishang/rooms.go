package zishang

import (
	"context"
	"slices"

	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/adapter"
)

// This file is who is in the namespace and in which rooms, in the library's words.

// record is what is known of one socket id. The library speaks of ids alone, and does so before there is
// a socket (a recovered one joins its rooms while it is made) and after.
type record struct {
	member  *member          // nil until there is a socket
	entered bool             // it has been connected
	left    bool             // it has left
	rooms   []string         // until it has entered, and again after it has left
	session *adapter.Session // it is to be resumed
}

// claim makes m the owner of its id's record.
func (n *namespace) claim(m *member) {
	n.mu.Lock()
	defer n.mu.Unlock()
	id := socket.SocketId(m.id)
	if r := n.records[id]; r != nil && r.member == nil {
		r.member = m
		return
	}
	n.records[id] = &record{member: m}
}

// enter makes m a member, with the rooms it has joined so far. A recovered one gets what it missed.
func (n *namespace) enter(m *member) {
	n.mu.Lock()
	r := n.records[socket.SocketId(m.id)]
	if r == nil || r.member != m {
		n.mu.Unlock()
		return // it has left already
	}
	r.entered = true
	rooms, session := r.rooms, r.session
	r.rooms, r.session = nil, nil
	n.mu.Unlock()
	if session == nil {
		n.adapter.Join(m, rooms...)
		return
	}
	session.Rooms = rooms
	m.last.Store(&session.Last)
	ctx, cancel := context.WithTimeout(m.context(), closeTimeout)
	defer cancel()
	err := n.adapter.Resume(ctx, m, session, func(msg adapter.Message) { n.deliverTo(m, msg) })
	if err != nil {
		// The client has been told that it is recovered, so it must come again to be so.
		n.h.log.Warn("session not resumed", "namespace", n.name, "err", err)
		m.seat.session.session.Close("transport error")
	}
}

// AddAll puts a socket into rooms.
func (n *namespace) AddAll(id socket.SocketId, rooms *types.Set[socket.Room]) {
	names := textsOf(rooms)
	n.mu.Lock()
	r := n.records[id]
	if r == nil {
		r = &record{}
		n.records[id] = r
	}
	if r.left {
		n.mu.Unlock()
		return
	}
	if !r.entered {
		for _, name := range names {
			if !slices.Contains(r.rooms, name) {
				r.rooms = append(r.rooms, name)
			}
		}
		n.mu.Unlock()
		return
	}
	m := r.member
	n.mu.Unlock()
	n.telling(m, names, func() { n.adapter.Join(m, names...) })
}

// Del takes a socket out of a room.
func (n *namespace) Del(id socket.SocketId, room socket.Room) {
	n.mu.Lock()
	r := n.records[id]
	if r == nil || r.left {
		n.mu.Unlock()
		return
	}
	m, entered := r.member, r.entered
	if !entered {
		r.rooms = slices.DeleteFunc(r.rooms, func(name string) bool { return name == string(room) })
	}
	n.mu.Unlock()
	if entered {
		n.telling(m, []string{string(room)}, func() { n.adapter.Leave(m, string(room)) })
	}
}

// DelAll takes a socket out of the namespace. Its rooms can still be asked for until its disconnect
// handlers have run.
func (n *namespace) DelAll(id socket.SocketId) {
	n.mu.Lock()
	r := n.records[id]
	if r == nil || r.left {
		n.mu.Unlock()
		return
	}
	m := r.member
	if m != nil {
		m.out.Store(true) // before Remove: a Join that comes late must not bring it back
	}
	if !r.entered {
		delete(n.records, id)
		n.mu.Unlock()
		return
	}
	n.mu.Unlock()
	names := n.adapter.RoomsOf(m)
	n.mu.Lock()
	was := r.left
	if !was {
		// At once, as another goroutine may be about to run the disconnect handlers.
		r.left, r.rooms = true, names
	}
	n.mu.Unlock()
	if !was {
		n.telling(m, names, func() {
			_, trail := n.adapter.Remove(m)
			m.mu.Lock()
			m.trail = trail
			m.mu.Unlock()
		})
	}
}

// release forgets a socket whose disconnect handlers have run.
func (n *namespace) release(m *member) {
	n.mu.Lock()
	defer n.mu.Unlock()
	id := socket.SocketId(m.id)
	if r := n.records[id]; r != nil && r.member == m {
		delete(n.records, id)
	}
}

// SocketRooms returns the rooms of a socket, nil if it is not known.
func (n *namespace) SocketRooms(id socket.SocketId) *types.Set[socket.Room] {
	n.mu.Lock()
	r := n.records[id]
	if r == nil {
		n.mu.Unlock()
		return nil
	}
	m, names := r.member, r.rooms
	if !r.entered || r.left {
		out := roomsOf(names)
		n.mu.Unlock()
		return out
	}
	n.mu.Unlock()
	return roomsOf(n.adapter.RoomsOf(m))
}

// telling does a change of a member's rooms and emits the events of the library's adapter for it. Rooms
// changed for whole targets or by other servers are not told of.
func (n *namespace) telling(m *member, names []string, change func()) {
	if n.Len() == 0 {
		change()
		return
	}
	before := n.adapter.RoomsOf(m)
	was := n.inhabited(names)
	change()
	after := n.adapter.RoomsOf(m)
	is := n.inhabited(names)
	for _, name := range names {
		room, id := socket.Room(name), socket.SocketId(m.id)
		if is[name] && !was[name] {
			n.Emit("create-room", room)
		}
		switch in, out := slices.Contains(after, name), slices.Contains(before, name); {
		case in && !out:
			n.Emit("join-room", room, id)
		case out && !in:
			n.Emit("leave-room", room, id)
		}
		if was[name] && !is[name] {
			n.Emit("delete-room", room)
		}
	}
}

func (n *namespace) inhabited(names []string) map[string]bool {
	out := make(map[string]bool, len(names))
	for _, name := range names {
		out[name] = len(n.adapter.Members(adapter.Target{Rooms: []string{name}})) > 0
	}
	return out
}

// Rooms returns a copy of who is in which room on this server.
func (n *namespace) Rooms() *types.Map[socket.Room, *types.Set[socket.SocketId]] {
	out := &types.Map[socket.Room, *types.Set[socket.SocketId]]{}
	for _, m := range n.adapter.Members(adapter.Target{}) {
		for _, name := range n.adapter.RoomsOf(m) {
			set, _ := out.LoadOrStore(socket.Room(name), types.NewSet[socket.SocketId]())
			set.Add(socket.SocketId(m.ID()))
		}
	}
	return out
}

// Sids returns a copy of which socket of this server is in which rooms.
func (n *namespace) Sids() *types.Map[socket.SocketId, *types.Set[socket.Room]] {
	out := &types.Map[socket.SocketId, *types.Set[socket.Room]]{}
	for _, m := range n.adapter.Members(adapter.Target{}) {
		out.Store(socket.SocketId(m.ID()), roomsOf(n.adapter.RoomsOf(m)))
	}
	return out
}

func textsOf(rooms *types.Set[socket.Room]) []string {
	if rooms == nil {
		return nil
	}
	keys := rooms.Keys()
	out := make([]string, len(keys))
	for i, k := range keys {
		out[i] = string(k)
	}
	return out
}

func roomsOf(names []string) *types.Set[socket.Room] {
	set := types.NewSet[socket.Room]()
	for _, name := range names {
		set.Add(socket.Room(name))
	}
	return set
}

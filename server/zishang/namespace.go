package zishang

import (
	"context"
	"runtime"
	"slices"
	"sync/atomic"

	"github.com/zishang520/engine.io/v2/events"
	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server"
)

// namespace is the library's adapter of one of its namespaces: who is in which rooms, and what goes to many, asked
// of package server.
type namespace struct {
	*emitter // of the adapter: create-room, join-room, leave-room, delete-room
	inert    // what package server does, or nobody needs

	// Set when it is made, then read only.
	h         *Handler
	nsp       socket.Namespace
	name      string
	listeners *namespaceEmitter // of the namespace
	made      chan struct{}     // closed when the application has been told of it
	opened    bool              // by package server: see Handler.opened

	told atomic.Bool // by the library, that it is made
	own  atomic.Bool // package server keeps it open: it was nobody else's when it was made
}

var (
	_ socket.Adapter            = (*namespace)(nil)
	_ socket.AdapterConstructor = constructor{}
)

// inert is an adapter of the library, of which nobody is a member.
type inert struct{ socket.Adapter }

// constructor makes the adapters of the library's namespaces.
type constructor struct{ h *Handler }

// New makes the adapter of a namespace.
func (c constructor) New(nsp socket.Namespace) socket.Adapter {
	n := &namespace{
		emitter: newEmitter(c.h.protect), inert: inert{socket.NewAdapter(nsp)}, h: c.h, nsp: nsp, name: nsp.Name(),
		made: make(chan struct{}),
	}
	n.Prototype(n)
	n.listeners = &namespaceEmitter{emitter: newEmitter(c.h.protect), h: c.h}
	nsp.EventEmitter().EventEmitter = n.listeners
	if n.name == "/" { // the library does not tell of this one
		close(n.made)
	}
	return n
}

// namespaceEmitter takes the place of a namespace's own emitter.
type namespaceEmitter struct {
	*emitter
	h *Handler
}

// Emit calls the listeners of name. On "/" the library emits new_namespace for every namespace it makes.
func (e *namespaceEmitter) Emit(name events.EventName, args ...any) {
	if name == "new_namespace" && len(args) > 0 {
		e.h.created(args[0], func() { e.emitter.Emit(name, args...) })
		return
	}
	e.emitter.Emit(name, args...)
}

// server is the namespace as package server has it.
func (n *namespace) server() *server.Namespace { return n.h.server.Of(n.name) }

// member returns the socket of this server with that id, or nil.
func (n *namespace) member(id socket.SocketId) *member {
	if m, ok := n.h.members.Load(string(id)); ok && m.(*member).nsp.name == n.name {
		return m.(*member)
	}
	return nil
}

// AddAll puts a socket into rooms.
func (n *namespace) AddAll(id socket.SocketId, rooms *types.Set[socket.Room]) {
	if m := n.member(id); m != nil {
		names := textsOf(rooms)
		n.telling(m, names, func() { m.server.Join(names...) })
	}
}

// Del takes a socket out of a room.
func (n *namespace) Del(id socket.SocketId, room socket.Room) {
	if m := n.member(id); m != nil {
		n.telling(m, []string{string(room)}, func() { m.server.Leave(string(room)) })
	}
}

// SocketRooms returns the rooms of a socket until its disconnect handlers have run, nil if it is not known.
func (n *namespace) SocketRooms(id socket.SocketId) *types.Set[socket.Room] {
	m := n.member(id)
	if m == nil {
		return nil
	}
	return roomsOf(m.server.Rooms())
}

// telling does a change of a member's rooms and emits the events of the library's adapter for it. Rooms
// changed for whole targets or by other servers are not told of.
func (n *namespace) telling(m *member, names []string, change func()) {
	if n.Len() == 0 {
		change()
		return
	}
	before, was := m.server.Rooms(), n.inhabited(m, names)
	change()
	after, is := m.server.Rooms(), n.inhabited(m, names)
	for _, name := range names {
		room, id := socket.Room(name), m.socket.Id()
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

// left emits the events for a member that has left the namespace and was in rooms.
func (n *namespace) left(m *member, rooms []string) {
	if n.Len() == 0 {
		return
	}
	is := n.inhabited(m, rooms)
	for _, name := range rooms {
		n.Emit("leave-room", socket.Room(name), m.socket.Id())
		if !is[name] {
			n.Emit("delete-room", socket.Room(name))
		}
	}
}

func (n *namespace) inhabited(m *member, names []string) map[string]bool {
	out := make(map[string]bool, len(names))
	for _, name := range names {
		out[name] = len(m.server.Namespace().Adapter().Members(adapter.Target{Rooms: []string{name}})) > 0
	}
	return out
}

// Rooms returns a copy of who is in which room on this server.
func (n *namespace) Rooms() *types.Map[socket.Room, *types.Set[socket.SocketId]] {
	out := &types.Map[socket.Room, *types.Set[socket.SocketId]]{}
	for _, s := range n.server().Sockets() {
		for _, name := range s.Rooms() {
			set, _ := out.LoadOrStore(socket.Room(name), types.NewSet[socket.SocketId]())
			set.Add(socket.SocketId(s.ID()))
		}
	}
	return out
}

// Sids returns a copy of which socket of this server is in which rooms.
func (n *namespace) Sids() *types.Map[socket.SocketId, *types.Set[socket.Room]] {
	out := &types.Map[socket.SocketId, *types.Set[socket.Room]]{}
	for _, s := range n.server().Sockets() {
		out.Store(socket.SocketId(s.ID()), roomsOf(s.Rooms()))
	}
	return out
}

// ServerCount returns the number of servers in the cluster, this one included. The library, which asks how many
// will call it back, is told that it is one: see BroadcastWithAck.
func (n *namespace) ServerCount() int64 {
	if pc, _, _, ok := runtime.Caller(1); ok && inside(pc, "(*BroadcastOperator).Emit") {
		return 1
	}
	ctx, cancel := context.WithTimeout(n.h.lifetime, askTimeout)
	defer cancel()
	count, err := n.server().Servers(ctx)
	n.h.failed(n.name, "server count", err)
	return int64(max(count, 1))
}

func textsOf(rooms *types.Set[socket.Room]) []string {
	if rooms == nil {
		return nil
	}
	return texts(rooms.Keys())
}

func texts(rooms []socket.Room) []string {
	out := make([]string, len(rooms))
	for i, r := range rooms {
		out[i] = string(r)
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

package zishang

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/zishang520/engine.io/v2/events"
	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/adapter"
)

// namespace is the library's adapter of one of its namespaces, on an adapter.Adapter. It also is where
// the guard meets the namespace: it puts its own emitter and its own first middleware into it.
type namespace struct {
	*emitter // of the adapter: create-room, join-room, leave-room, delete-room

	// Set by newNamespace, then read only.
	h       *Handler
	nsp     socket.Namespace
	name    string
	adapter adapter.Adapter

	remote remoteEvents

	mu      sync.Mutex
	proto   socket.Adapter              // guarded by mu
	closed  bool                        // guarded by mu
	records map[socket.SocketId]*record // guarded by mu
	servers int64                       // guarded by mu; the size of the cluster, as last heard
	asked   time.Time                   // guarded by mu; when that was
	asking  int                         // guarded by mu; broadcasts that wait for ServerCount: see ask.go
	data    map[string]keptData         // guarded by mu; data of saved sessions, by pid
	swept   time.Time                   // guarded by mu; when data was last swept
}

// record is what is known of one socket id. The library speaks of ids alone, and does so before there is
// a socket (a recovered one joins its rooms while it is made) and after.
type record struct {
	member  *member          // nil until there is a socket
	entered bool             // it has been connected
	left    bool             // it has left
	rooms   []string         // until it has entered, and again after it has left
	session *adapter.Session // it is to be resumed
}

var (
	_ socket.Adapter            = (*namespace)(nil)
	_ socket.AdapterConstructor = constructor{}
)

// constructor makes the adapters of the library's namespaces.
type constructor struct{ h *Handler }

// New makes the adapter of a namespace.
func (c constructor) New(nsp socket.Namespace) socket.Adapter {
	h := c.h
	n := &namespace{
		emitter: newEmitter(h.protect), h: h, nsp: nsp, name: nsp.Name(),
		records: make(map[socket.SocketId]*record), servers: 1,
	}
	n.proto = n
	n.remote.namespace = n
	a, err := h.cfg.Adapter(local{n})
	if err != nil {
		// The library cannot be told. What concerns this server alone goes on; New of this package fails.
		h.log.Error("adapter not made: the namespace works on this server alone", "namespace", n.name, "err", err)
		h.failed(err)
		a, _ = adapter.Memory(nil)(local{n}) // never fails without recovery
	}
	n.adapter = a
	e := nsp.EventEmitter()
	own := &namespaceEmitter{emitter: newEmitter(h.protect), namespace: n}
	own.takeFrom(e.EventEmitter)
	e.EventEmitter = own
	if n.name == "/" { // the library does not tell of this one: see created
		nsp.Use(n.first)
		h.register(n)
	}
	return n
}

// first is the first middleware: it sees every socket before the application does.
func (n *namespace) first(s *socket.Socket, next func(*socket.ExtendedError)) {
	if n.bind(s, true) == nil {
		next(socket.NewExtendedError("disconnected", nil)) // the client has gone meanwhile
		return
	}
	next(nil)
}

// namespaceEmitter takes the place of a namespace's own emitter.
type namespaceEmitter struct {
	*emitter
	namespace *namespace
}

// Emit calls the listeners of name. The library emits connect and connection for every new socket, one
// after the other, and on "/" new_namespace for every namespace it makes.
func (e *namespaceEmitter) Emit(name events.EventName, args ...any) {
	switch name {
	case "connect", "connection":
		s, ok := firstSocket(args)
		if !ok {
			return
		}
		if name == "connect" && !e.namespace.onConnect(s) || memberOf(s) == nil {
			return
		}
		e.emitter.Emit(name, args...)
		if name == "connection" {
			e.namespace.onConnected(s)
		}
	case "new_namespace":
		if child, ok := firstNamespace(args); ok {
			e.namespace.h.created(child)
		}
		e.emitter.Emit(name, args...)
	default:
		e.emitter.Emit(name, args...)
	}
}

func firstSocket(args []any) (*socket.Socket, bool) {
	if len(args) == 0 {
		return nil, false
	}
	s, ok := args[0].(*socket.Socket)
	return s, ok
}

func firstNamespace(args []any) (socket.Namespace, bool) {
	if len(args) == 0 {
		return nil, false
	}
	n, ok := args[0].(socket.Namespace)
	return n, ok
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
		n.telling(m, names, func() { n.adapter.Remove(m) })
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

// Nsp returns the library's namespace.
func (n *namespace) Nsp() socket.Namespace { return n.nsp }

// Prototype makes a the adapter that Proto returns. The library sets it where one adapter wraps another.
func (n *namespace) Prototype(a socket.Adapter) {
	n.mu.Lock()
	n.proto = a
	n.mu.Unlock()
}

// Proto returns the adapter itself, or the one that wraps it.
func (n *namespace) Proto() socket.Adapter {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.proto
}

// Construct does nothing: New has done it.
func (n *namespace) Construct(socket.Namespace) {}

// Init does nothing, and the library never calls it.
func (n *namespace) Init() {}

// Close ends the adapter's work for the namespace.
func (n *namespace) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if err := n.close(ctx); err != nil {
		n.h.log.Warn("adapter not closed", "namespace", n.name, "err", err)
	}
}

func (n *namespace) close(ctx context.Context) error {
	n.mu.Lock()
	was := n.closed
	n.closed = true
	n.mu.Unlock()
	if was {
		return nil
	}
	n.h.unregister(n)
	return n.adapter.Close(ctx)
}

// member returns the connected member with that id, or nil.
func (n *namespace) member(id socket.SocketId) *member {
	n.mu.Lock()
	defer n.mu.Unlock()
	if r := n.records[id]; r != nil && r.entered && !r.left {
		return r.member
	}
	return nil
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

// jsonOf encodes the application's data of a socket.
func (n *namespace) jsonOf(data any) adapter.Raw {
	if data == nil {
		return nil
	}
	raw, err := json.Marshal(data)
	if err != nil {
		n.h.log.Warn("socket data is not JSON: other servers will not see it, and recovery will lose it",
			"namespace", n.name, "err", err)
		return nil
	}
	return raw
}

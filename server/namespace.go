package server

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/internal/names"
)

// Namespace is a set of sockets with its own middlewares, handlers and rooms. All methods may be called
// from any goroutine.
//
// One that a pattern or a function allows closes when nobody uses it any more. A Namespace that has closed can
// be used all the same: what is sent to it, or asked of it, goes to the one that has its name then.
type Namespace struct {
	// Set when it is made, then read only.
	server *Server
	name   string
	parent *Dynamic // which its sockets were let in by; nil for one of the application's own

	*space // nil for one that Of has returned, which is looked up by its name
}

// space is a namespace from its making to its closing, whoever lets its sockets in.
type space struct {
	// Set when it is made, then read only.
	entry   *names.Entry[*Namespace]
	adapter adapter.Adapter

	pinned atomic.Bool  // it stays until Shutdown
	told   atomic.Bool  // the log says that its clients need a function's leave
	others []*Namespace // guarded by server.mu; the same for sockets that another Dynamic has let in

	handlers   handlers     // of events from any socket of the namespace
	everyone   everyone     // what sees the events of any socket
	serverSide handlers     // of events from other servers
	turns      turns        // those events
	roomTurns  turns        // what OnRoom tells
	watchers   atomic.Int32 // of OnRoom
	ackID      atomic.Uint64

	mu          sync.Mutex
	middlewares []*middleware        // guarded by mu; replaced, never changed
	connection  []*func(*Socket)     // guarded by mu; likewise
	sends       []Declared           // guarded by mu; see Contract
	transit     map[string][]transit // guarded by mu; by id
}

// middleware is one that sockets pass before they are connected.
type middleware struct {
	fn     func(*Socket) error
	always bool // also sockets that are recovered
}

// Name returns the name, with its leading slash.
func (n *Namespace) Name() string { return n.name }

// Server returns the server the namespace belongs to.
func (n *Namespace) Server() *Server { return n.server }

// Adapter returns the adapter of the namespace: a closed one when the namespace has closed, and nil when Of has
// returned it and it cannot be opened.
func (n *Namespace) Adapter() adapter.Adapter {
	if n.space != nil {
		return n.adapter
	}
	open, err := n.hold()
	if err != nil {
		return nil
	}
	defer open.release()
	return open.adapter
}

// Use adds a middleware that every socket passes before it is connected. An error refuses the socket:
// the client gets a connect_error with the error's text, and with its data if it is an *Error. A
// middleware may block; only the connecting client waits. What it emits to the socket is sent once that is
// connected. A socket that is recovered has passed it before, and does not again unless
// Recovery.RunMiddlewares is on. What is returned takes it out again, as with all that is registered.
func (n *Namespace) Use(fn func(*Socket) error) (off func()) { return n.use(middleware{fn: fn}) }

// UseAlways is Use for a middleware that sockets which are recovered pass too.
func (n *Namespace) UseAlways(fn func(*Socket) error) (off func()) {
	return n.use(middleware{fn, true})
}

func (n *Namespace) use(m middleware) (off func()) {
	need("Use", "a function", m.fn != nil)
	n.register(func(s *space) { off = added(n.server, "Namespace.Use", &s.mu, &s.middlewares, m) })
	return off
}

// OnConnection calls fn for every socket that connects. Handlers that fn registers miss no event: those of a socket are
// handled when fn has returned, so what goes on for a client belongs in a goroutine, until Socket.Context is done.
func (n *Namespace) OnConnection(fn func(*Socket)) (off func()) {
	need("OnConnection", "a function", fn != nil)
	n.register(func(s *space) { off = added(n.server, "Namespace.OnConnection", &s.mu, &s.connection, fn) })
	return off
}

// On registers a handler of the event for every socket of the namespace, which costs nothing per
// socket; let it take a *Socket to know which one. It runs after the socket's own handlers. It is called where the
// program starts, not for each connection: there it is Socket.On. See that for what fn may be.
func (n *Namespace) On(event string, fn any) (off func()) {
	h := n.server.signatures.handler(event, fn)
	n.register(func(s *space) { off = s.handlers.add(n.server, "Namespace.On", event, h) })
	return off
}

func (n *Namespace) connectionHandlers() []*func(*Socket) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.parent == nil {
		return n.connection
	}
	return slices.Concat(n.parent.connectionHandlers(), n.connection)
}

// admit runs the middlewares for s, or only those that always run.
func (n *Namespace) admit(s *Socket, recovered bool) error {
	n.mu.Lock()
	list := n.middlewares
	n.mu.Unlock()
	if n.parent != nil {
		list = slices.Concat(n.parent.middlewareList(), list)
	}
	for _, m := range list {
		if s.gone() {
			return ErrDisconnected
		}
		if recovered && !m.always {
			continue
		}
		if err := s.protect("middleware", func() error { return m.fn(s) }); err != nil {
			if a := n.server.advice; a != nil {
				a.refused(s, m.fn, err)
			}
			return err
		}
	}
	if s.gone() {
		return ErrDisconnected // the last of them has disconnected it, or the client has gone
	}
	return nil
}

// Sockets returns the connected sockets of this server. FetchSockets asks the whole cluster.
func (n *Namespace) Sockets() []*Socket {
	members := n.members(adapter.Target{})
	out := make([]*Socket, len(members))
	for i, m := range members {
		out[i] = m.(*Socket)
	}
	return out
}

// LocalCount returns how many sockets of this server are connected. Count asks the whole cluster.
func (n *Namespace) LocalCount() int {
	if n = n.existing(); n == nil {
		return 0
	}
	count, _ := n.adapter.Count(context.Background(), adapter.Target{Flags: adapter.Flags{Local: true}}) // asks nobody
	return count
}

// Socket returns the connected socket of this server with that id, or nil.
func (n *Namespace) Socket(id string) *Socket {
	open := n.existing()
	if open == nil {
		return nil
	}
	if a, ok := adapter.As[index](open.adapter); ok {
		s, _ := a.Member(id).(*Socket)
		return s
	}
	for _, m := range open.adapter.Members(adapter.Target{Rooms: []string{id}}) {
		if m.ID() == id {
			return m.(*Socket)
		}
	}
	return nil
}

// index is what an adapter may know of members beside their rooms, as one does that has adapter.Rooms in it.
type index interface {
	Member(id string) adapter.Member
	Selectable(id string) bool
}

// direct is an adapter with an index that delivers to one member, whatever rooms it is in.
type direct interface {
	index
	DeliverTo(to adapter.Member, m adapter.Message, f adapter.Flags)
}

// Emit sends an event to every socket of the namespace, in the whole cluster.
func (n *Namespace) Emit(event string, args ...any) error { return n.All().Emit(event, args...) }

// EmitWithAck is Broadcast.EmitWithAck for every socket of the namespace.
func (n *Namespace) EmitWithAck(ctx context.Context, event string, args ...any) ([]Args, error) {
	return n.All().EmitWithAck(ctx, event, args...)
}

// EmitThen is Broadcast.EmitThen for every socket of the namespace.
func (n *Namespace) EmitThen(then func([]Args, error), event string, args ...any) error {
	return n.All().EmitThen(then, event, args...)
}

// All selects every socket of the namespace, in the whole cluster: for what is to be selected further, or is not known here.
func (n *Namespace) All() Broadcast { return Broadcast{nsp: n} }

// To selects the sockets in any of rooms: nobody when there are none. See Broadcast.To.
func (n *Namespace) To(rooms ...string) Broadcast { return n.All().To(rooms...) }

// In is To.
func (n *Namespace) In(rooms ...string) Broadcast { return n.All().To(rooms...) }

// Except selects every socket but those in any of rooms: all when there are none. See Broadcast.Except.
func (n *Namespace) Except(rooms ...string) Broadcast { return n.All().Except(rooms...) }

// Local selects every socket of this server. See Broadcast.Local.
func (n *Namespace) Local() Broadcast { return n.All().Local() }

// Volatile selects every socket, for an event that may be dropped. See Broadcast.Volatile.
func (n *Namespace) Volatile() Broadcast { return n.All().Volatile() }

// Compress selects every socket and says whether the event may be compressed. See Broadcast.Compress.
func (n *Namespace) Compress(compress bool) Broadcast { return n.All().Compress(compress) }

// Timeout selects every socket and bounds EmitWithAck. See Broadcast.Timeout.
func (n *Namespace) Timeout(d time.Duration) Broadcast { return n.All().Timeout(d) }

// SocketsJoin puts every socket of the namespace, in the whole cluster, into rooms.
func (n *Namespace) SocketsJoin(rooms ...string) error { return n.All().SocketsJoin(rooms...) }

// SocketsLeave takes every socket of the namespace, in the whole cluster, out of rooms.
func (n *Namespace) SocketsLeave(rooms ...string) error { return n.All().SocketsLeave(rooms...) }

// DisconnectSockets disconnects every socket of the namespace, in the whole cluster, or closes their
// sessions. See Socket.Disconnect.
func (n *Namespace) DisconnectSockets(closeSession bool) error {
	return n.All().DisconnectSockets(closeSession)
}

// Count returns how many sockets of the namespace are connected in the whole cluster.
func (n *Namespace) Count(ctx context.Context) (int, error) { return n.All().Count(ctx) }

// FetchSockets describes every socket of the namespace in the cluster. See Broadcast.FetchSockets.
func (n *Namespace) FetchSockets(ctx context.Context) ([]*RemoteSocket, error) {
	return n.All().FetchSockets(ctx)
}

// Exists reports whether a socket with that id is connected anywhere in the cluster.
func (n *Namespace) Exists(ctx context.Context, id string) (bool, error) {
	count, err := n.To(id).Count(ctx)
	return count > 0, err
}

// Servers returns how many live servers the cluster has, this one included.
func (n *Namespace) Servers(ctx context.Context) (int, error) {
	n, err := n.hold()
	if err != nil {
		return 0, err
	}
	defer n.release()
	ctx, cancel := n.server.whileOpen(ctx)
	defer cancel()
	return n.adapter.Servers(ctx)
}

// ServerSideEmit sends an event to the handlers that the other servers of the cluster have registered
// with OnServerSide. This server does not get it.
func (n *Namespace) ServerSideEmit(event string, args ...any) error {
	m, err := n.server.serverSideMessage(event, args)
	if err != nil {
		return err
	}
	n, err = n.hold()
	if err != nil {
		return err
	}
	defer n.release()
	return n.adapter.ServerSideEmit(m)
}

// ServerSideEmitWithAck does so and returns one answer of each other server. When ctx ends first it
// returns what has come together with an *adapter.PartialError.
func (n *Namespace) ServerSideEmitWithAck(ctx context.Context, event string, args ...any) ([]Args, error) {
	ask, err := n.AskServers(event, args...)
	if err != nil {
		return nil, err
	}
	return ask(ctx)
}

// AskServers is ServerSideEmitWithAck in two steps, for those who wait elsewhere: it encodes the event, and what it
// returns sends it and waits for the answers.
func (n *Namespace) AskServers(event string, args ...any) (ask func(context.Context) ([]Args, error), err error) {
	m, err := n.server.serverSideMessage(event, args)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) ([]Args, error) {
		ctx, cancel := n.server.whileOpen(ctx)
		defer cancel()
		n, err := n.hold()
		if err != nil {
			return nil, err
		}
		defer n.release()
		var answers answers
		err = n.adapter.ServerSideEmitWithAck(ctx, m, answers.add)
		return answers.take(), err
	}, nil
}

// OnServerSide registers a handler of events that other servers send with ServerSideEmit. They are handled one at a
// time in the order that they come, which is that of ServerSideEmit for those of one server; what takes long or waits
// is for a goroutine. Of those with acknowledgement the handlers begin in that order, and those behind wait for them for a
// millisecond at most. fn is as for Socket.On, without a *Socket and with one result beside the error, which is this server's answer; that of
// a handler that fails is {"error":"text"}.
func (n *Namespace) OnServerSide(event string, fn any) (off func()) {
	h := n.server.signatures.handler(event, fn)
	switch {
	case h.socket:
		panic(fmt.Sprintf("server: handler of %q takes a *Socket, and an event of another server has none", event))
	case h.results > 1:
		panic(fmt.Sprintf("server: handler of %q has %d results, and another server takes one", event, h.results))
	}
	n.register(func(s *space) { off = s.serverSide.add(n.server, "Namespace.OnServerSide", event, h) })
	return off
}

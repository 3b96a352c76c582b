package zishang

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/zishang520/engine.io/v2/events"
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

package server

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
)

// everyone is what is called for all sockets of a namespace, or for all that a Dynamic lets in, beside their own.
type everyone struct {
	some atomic.Bool // there has been something

	mu           sync.Mutex
	middlewares  []*Middleware                   // guarded by mu; replaced, never changed
	any          []*func(*Event)                 // likewise
	anyOutgoing  []*func(*Event)                 // likewise
	disconnected []*func(*Socket, Disconnection) // likewise
}

// added puts fn at the end of a list that is replaced and never changed, and returns what takes it out. method is what
// has been called, mu guards the list.
func added[F any](s *Server, method string, mu *sync.Mutex, list *[]*F, fn F) (off func()) {
	p := &fn
	mu.Lock()
	defer mu.Unlock()
	*list = append(slices.Clip(*list), p)
	same := len(*list)
	if !s.advice.over() {
		same = alike(*list)
	}
	s.crowded(len(*list), same, method, "")
	return func() {
		mu.Lock()
		defer mu.Unlock()
		*list = slices.DeleteFunc(slices.Clone(*list), func(q *F) bool { return q == p })
	}
}

func (a *everyone) useEvents(s *Server, method string, m Middleware) (off func()) {
	need("UseEvents", "a function", m != nil)
	defer a.some.Store(true)
	return added(s, method, &a.mu, &a.middlewares, m)
}

func (a *everyone) onAny(s *Server, method string, fn func(*Event)) (off func()) {
	need("OnAny", "a function", fn != nil)
	defer a.some.Store(true)
	return added(s, method, &a.mu, &a.any, fn)
}

func (a *everyone) onAnyOutgoing(s *Server, method string, fn func(*Event)) (off func()) {
	need("OnAnyOutgoing", "a function", fn != nil)
	defer s.watching.Store(true)
	return added(s, method, &a.mu, &a.anyOutgoing, fn)
}

func (a *everyone) onDisconnect(s *Server, method string, fn func(*Socket, Disconnection)) (off func()) {
	need("OnDisconnect", "a function", fn != nil)
	return added(s, method, &a.mu, &a.disconnected, fn)
}

// UseEvents adds a middleware for the events of all sockets of the namespace, before those that they have themselves. What
// it returns takes it out again.
func (n *Namespace) UseEvents(m Middleware) (off func()) {
	n.register(func(s *space) { off = s.everyone.useEvents(n.server, "Namespace.UseEvents", m) })
	return off
}

// OnAny is Socket.OnAny for all sockets of the namespace.
func (n *Namespace) OnAny(fn func(*Event)) (off func()) {
	n.register(func(s *space) { off = s.everyone.onAny(n.server, "Namespace.OnAny", fn) })
	return off
}

// OnAnyOutgoing is Socket.OnAnyOutgoing for all sockets of the namespace: a broadcast calls fn for each that it reaches.
func (n *Namespace) OnAnyOutgoing(fn func(*Event)) (off func()) {
	n.register(func(s *space) { off = s.everyone.onAnyOutgoing(n.server, "Namespace.OnAnyOutgoing", fn) })
	return off
}

// OnDisconnect calls fn for each socket of the namespace that had connected, when it has disconnected and its own
// functions have been called. See Socket.OnDisconnect.
func (n *Namespace) OnDisconnect(fn func(*Socket, Disconnection)) (off func()) {
	n.register(func(s *space) { off = s.everyone.onDisconnect(n.server, "Namespace.OnDisconnect", fn) })
	return off
}

// UseEvents is Namespace.UseEvents for all children; it runs before their own.
func (d *Dynamic) UseEvents(m Middleware) (off func()) {
	return d.everyone.useEvents(d.server, "Dynamic.UseEvents", m)
}

// OnAny is Namespace.OnAny for all children.
func (d *Dynamic) OnAny(fn func(*Event)) (off func()) {
	return d.everyone.onAny(d.server, "Dynamic.OnAny", fn)
}

// OnAnyOutgoing is Namespace.OnAnyOutgoing for all children.
func (d *Dynamic) OnAnyOutgoing(fn func(*Event)) (off func()) {
	return d.everyone.onAnyOutgoing(d.server, "Dynamic.OnAnyOutgoing", fn)
}

// OnDisconnect is Namespace.OnDisconnect for all children.
func (d *Dynamic) OnDisconnect(fn func(*Socket, Disconnection)) (off func()) {
	return d.everyone.onDisconnect(d.server, "Dynamic.OnDisconnect", fn)
}

// incoming returns what sees an event of the socket before its handlers: what is registered for all of its namespace comes
// before what is its own.
func (s *Socket) incoming() hooks {
	h := s.hooked()
	s.nsp.everyone.before(&h)
	if d := s.nsp.parent; d != nil {
		d.everyone.before(&h)
	}
	return h
}

func (a *everyone) before(h *hooks) {
	if !a.some.Load() {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	h.middlewares, h.any = slices.Concat(a.middlewares, h.middlewares), slices.Concat(a.any, h.any)
}

// outgoing returns who is told what is sent to the socket.
func (s *Socket) outgoing() (list []*func(*Event)) {
	if s.client.server.watching.Load() && s.nsp != nil {
		if d := s.nsp.parent; d != nil {
			list = d.everyone.outgoing()
		}
		list = slices.Concat(list, s.nsp.everyone.outgoing())
	}
	if s.watching.Load() {
		list = slices.Concat(list, s.hooked().anyOutgoing)
	}
	return list
}

func (a *everyone) outgoing() []*func(*Event) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.anyOutgoing
}

// leaveAll has the disconnect functions of the namespace follow the socket's own.
func (s *Socket) leaveAll() {
	list := s.nsp.everyone.leaving()
	if d := s.nsp.parent; d != nil {
		list = slices.Concat(list, d.everyone.leaving())
	}
	if len(list) == 0 {
		return
	}
	s.hook(func(h *hooks) {
		h.disconnected = slices.Clip(h.disconnected)
		for _, fn := range list {
			bound := func(why Disconnection) { (*fn)(s, why) }
			h.disconnected = append(h.disconnected, &bound)
		}
	})
}

func (a *everyone) leaving() []*func(*Socket, Disconnection) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.disconnected
}

// Context returns what ends with the event's socket, as handlers get it. That of an event of another server does not end.
func (e *Event) Context() context.Context {
	if e.socket == nil {
		return context.Background()
	}
	return e.socket.handling()
}

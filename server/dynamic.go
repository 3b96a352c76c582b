package server

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"strconv"
	"sync"
)

// Dynamic lets clients into the namespaces of a pattern or a function (OfPattern, OfFunc): its children. What is
// registered on it holds for all of them, those that exist included. Whoever connects to a child passes the
// middlewares of the Dynamic that lets him in, whatever was done with the namespace before. All methods may be
// called from any goroutine.
type Dynamic struct {
	// Set when it is made, then read only.
	server  *Server
	number  int            // of this one among all, in the order made
	pattern *regexp.Regexp // nil for a function
	allow   func(ctx context.Context, name string, auth json.RawMessage) bool

	handlers handlers
	everyone everyone

	children map[*Namespace]struct{} // guarded by server.mu

	mu          sync.Mutex
	middlewares []*middleware    // guarded by mu; replaced, never changed
	connection  []*func(*Socket) // guarded by mu; likewise
}

// Use is Namespace.Use for all children; it runs before their own.
func (d *Dynamic) Use(fn func(*Socket) error) (off func()) { return d.use(middleware{fn: fn}) }

// UseAlways is Namespace.UseAlways for all children; it runs before their own.
func (d *Dynamic) UseAlways(fn func(*Socket) error) (off func()) { return d.use(middleware{fn, true}) }

func (d *Dynamic) use(m middleware) (off func()) {
	need("Use", "a function", m.fn != nil)
	return added(d.server, "Dynamic.Use", &d.mu, &d.middlewares, m)
}

// OnConnection is Namespace.OnConnection for all children.
func (d *Dynamic) OnConnection(fn func(*Socket)) (off func()) {
	need("OnConnection", "a function", fn != nil)
	return added(d.server, "Dynamic.OnConnection", &d.mu, &d.connection, fn)
}

// On is Namespace.On for all children.
func (d *Dynamic) On(event string, fn any) (off func()) {
	return d.handlers.add(d.server, "Dynamic.On", event, d.server.signatures.handler(event, fn))
}

// Emit sends an event to every socket, in the whole cluster, of the children that this server has, and returns
// all errors together; those of Broadcast.Emit. It does not reach children that only other servers have: their names are known there
// alone. To reach those, have every server emit with ServerSideEmit.
func (d *Dynamic) Emit(event string, args ...any) error {
	m, err := d.server.newMessage(event, args)
	if err == nil && d.server.names.Closed() {
		err = ErrServerClosed
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, n := range d.Children() {
		errs = append(errs, n.All().emit(m))
	}
	return errors.Join(errs...)
}

// Children returns the namespaces of this server into which d has let sockets, or whose names match its
// pattern, as long as they are open.
func (d *Dynamic) Children() []*Namespace {
	d.server.mu.Lock()
	defer d.server.mu.Unlock()
	out := make([]*Namespace, 0, len(d.children))
	for n := range d.children {
		out = append(out, n)
	}
	return out
}

// lets reports whether d lets the socket into the namespace that it asks for.
func (d *Dynamic) lets(s *Socket) (ok bool, err error) {
	switch {
	case len(s.name) > maxDynamicName:
		return false, nil
	case d.pattern != nil:
		return d.pattern.MatchString(s.name), nil
	}
	err = s.protect("namespace", func() error {
		ok = d.allow(s.Context(), s.name, s.auth)
		return nil
	})
	return ok && err == nil, err
}

// key names d where a session is saved, the same on every server of one program; "" for no Dynamic. Whoever comes
// back has passed the middlewares of this one, and of no other.
func (d *Dynamic) key() string {
	switch {
	case d == nil:
		return ""
	case d.pattern != nil:
		return "pattern " + d.pattern.String()
	default:
		return "function " + strconv.Itoa(d.number)
	}
}

// adopt makes n a child of its parent, if it has one. Called with server.mu held.
func (n *Namespace) adopt() {
	if d := n.parent; d != nil {
		if d.children == nil {
			d.children = make(map[*Namespace]struct{})
		}
		d.children[n] = struct{}{}
	}
}

func (d *Dynamic) middlewareList() []*middleware {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.middlewares
}

func (d *Dynamic) connectionHandlers() []*func(*Socket) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.connection
}

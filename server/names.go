package server

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/internal/names"
	"github.com/beanpole/beanpole/server/packet"
)

const (
	// linger is how long a namespace stays that the server has opened to use it, so that one event after the
	// other does not make it, and tell the cluster, each time.
	linger = time.Second
	// maxIdleNamespaces bounds those that stay unused, since their names are the clients' choice.
	maxIdleNamespaces = 10_000
	// maxDynamicName bounds their names, in bytes: each server of the cluster remembers them, and Redis.
	maxDynamicName = 512
)

var errNoAdapter = errors.New("the factory returned none")

// must is static for those who return no error.
func (s *Server) must(name string) *Namespace {
	n, err := s.static(name)
	switch {
	case errors.Is(err, ErrServerClosed):
		return &Namespace{server: s, name: name}
	case err != nil:
		panic(err)
	}
	return n
}

// static returns the namespace of that name, which stays.
func (s *Server) static(name string) (*Namespace, error) {
	n, err := s.hold(context.Background(), name)
	if err != nil {
		return nil, err
	}
	n.pin()
	return n, nil
}

func withSlash(name string) string {
	if name == "" || name[0] != '/' {
		return "/" + name
	}
	return name
}

// mustBeSaid returns name with its slash, and panics when no client can say it.
func (s *Server) mustBeSaid(name string) string {
	if s.cfg.Parser == packet.Text() && strings.Contains(name, ",") {
		panic(fmt.Sprintf("server: %q is no name of a namespace: in packets it ends at its first comma, and clients are closed at each CONNECT", name))
	}
	return withSlash(name)
}

// rules returns whether the name is the application's own, and the Dynamics in their order.
func (s *Server) rules(name string) (own bool, dynamic []*Dynamic) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, own = s.own[name]
	return own, s.dynamic
}

// theirs returns the Dynamic that the name is of, as far as the name alone says: the first pattern that matches,
// or else a function, which could allow it. It returns nil when no client can be let in by any.
func theirs(dynamic []*Dynamic, name string) (d *Dynamic) {
	if len(name) > maxDynamicName {
		return nil
	}
	for _, x := range dynamic {
		if x.pattern == nil {
			d = x
		} else if x.pattern.MatchString(name) {
			return x
		}
	}
	return d
}

// Dynamic returns the pattern or function that the name is of, as far as the name alone says. It is nil for one
// of the application's own, and for one that nobody could be let into.
func (s *Server) Dynamic(name string) *Dynamic {
	name = withSlash(name)
	own, dynamic := s.rules(name)
	if own {
		return nil
	}
	return theirs(dynamic, name)
}

// hold returns what is open under the name, made if need be, until release.
func (s *Server) hold(ctx context.Context, name string) (*Namespace, error) {
	if e := s.names.Try(name); e != nil {
		return e.Value(), nil
	}
	e, err := s.names.Hold(ctx, name, func(e *names.Entry[*Namespace]) (*Namespace, error) {
		var parent *Dynamic
		if own, dynamic := s.rules(name); !own {
			if parent = theirs(dynamic, name); parent != nil && parent.pattern == nil {
				parent = nil // a function allows clients, not names
			}
		}
		e.Keep(time.Now().Add(linger))
		return s.open(e, name, parent)
	})
	if err != nil {
		return nil, closedIs(err)
	}
	return e.Value(), nil
}

// closedIs returns err, or ErrServerClosed.
func closedIs(err error) error {
	if errors.Is(err, names.ErrClosed) {
		return ErrServerClosed
	}
	return err
}

// open makes a namespace. Nobody but its maker can use it before open has returned.
func (s *Server) open(e *names.Entry[*Namespace], name string, parent *Dynamic) (_ *Namespace, err error) {
	n := &Namespace{server: s, name: name, parent: parent, space: &space{entry: e}}
	err = s.protect("namespace "+name, func() (err error) { n.adapter, err = s.cfg.Adapter(local{n}); return err })
	if err == nil && n.adapter == nil {
		err = errNoAdapter
	}
	if err != nil {
		return nil, fmt.Errorf("adapter of namespace %q: %w", name, err)
	}
	whole := false
	defer func() {
		if whole {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		if err := s.closeNamespace(ctx, n); err != nil {
			s.notClosed(name, err)
		}
	}()
	e.Show(n)
	s.mu.Lock()
	created := s.created
	s.mu.Unlock()
	for _, fn := range created {
		if err := s.protect("namespace "+name, func() error { (*fn)(n); return nil }); err != nil {
			return nil, fmt.Errorf("OnNamespace for %q: %w", name, err)
		}
	}
	s.mu.Lock()
	n.adopt()
	s.mu.Unlock()
	whole = true
	return n, nil
}

// closeNamespace ends a namespace that nobody uses.
func (s *Server) closeNamespace(ctx context.Context, n *Namespace) error {
	n.pinned.Store(false) // who keeps it learns from now on that there is none
	s.mu.Lock()
	for _, x := range append(n.others, n) {
		if x.parent != nil {
			delete(x.parent.children, x)
		}
	}
	s.mu.Unlock()
	return s.protect("namespace "+n.name, func() error { return n.adapter.Close(ctx) })
}

func (s *Server) notClosed(name string, err error) {
	s.cfg.Logger.Warn("adapter not closed", "namespace", name, "err", err)
}

// find gives the socket the namespace that it asks for, which it releases when it has ended. The error refuses
// it.
func (s *Server) find(socket *Socket) error {
	d, err := s.way(socket)
	if err != nil {
		return err
	}
	e := s.names.Try(socket.name)
	if e == nil {
		maker := false
		e, err = s.names.Hold(socket.Context(), socket.name, func(e *names.Entry[*Namespace]) (*Namespace, error) {
			if d == nil {
				return nil, errInvalidNamespace // Of has just failed to make it
			}
			maker = true
			return s.open(e, socket.name, d)
		})
		switch {
		case err == nil:
		case errors.Is(err, errInvalidNamespace):
			return errInvalidNamespace
		case socket.Context().Err() != nil:
			return ErrDisconnected
		default:
			if maker && !errors.Is(err, names.ErrClosed) { // others who waited for it need not say it again
				s.cfg.Logger.Error("namespace not made", "namespace", socket.name, "err", err)
			}
			return errNotMade
		}
	}
	n := e.Value().as(d)
	if d != nil && s.cfg.KeepEmptyNamespaces {
		n.pin()
	}
	socket.nsp = n
	return nil
}

// way returns the Dynamic that lets the socket into the namespace that it asks for, nil if that is the
// application's own.
func (s *Server) way(socket *Socket) (*Dynamic, error) {
	own, dynamic := s.rules(socket.name)
	if own {
		return nil, nil
	}
	if len(dynamic) > 0 && len(socket.name) > maxDynamicName && !s.names.Has(socket.name) {
		return nil, socket.limited(LimitNamespaceBytes, maxDynamicName)
	}
	for _, d := range dynamic {
		if ok, err := d.lets(socket); err != nil {
			return nil, hidePanic(err) // perhaps it would have let it in, with its middlewares
		} else if ok {
			return d, nil
		}
	}
	if theirs(dynamic, socket.name) != nil || !s.names.Has(socket.name) {
		return nil, errInvalidNamespace
	}
	return nil, nil // Of has named it, and it is nobody else's
}

// as returns the namespace for sockets that d has let in.
func (n *Namespace) as(d *Dynamic) *Namespace {
	if n.parent == d {
		return n
	}
	n.server.mu.Lock()
	defer n.server.mu.Unlock()
	for _, x := range n.others {
		if x.parent == d {
			return x
		}
	}
	x := &Namespace{server: n.server, name: n.name, parent: d, space: n.space}
	n.others = append(n.others, x)
	x.adopt()
	return x
}

// hold returns what is open under the name of n, made if need be, until release.
func (n *Namespace) hold() (*Namespace, error) {
	if n.space != nil && n.pinned.Load() {
		return n, nil
	}
	return n.server.hold(context.Background(), n.name)
}

// release gives back what hold has returned, or find.
func (n *Namespace) release() {
	if !n.pinned.Load() {
		n.entry.Release()
	}
}

// pin keeps a namespace that is held open until Shutdown.
func (n *Namespace) pin() {
	n.entry.Pin()
	n.pinned.Store(true)
}

// keep keeps the namespace open for as long as a session saved now may come back.
func (n *Namespace) keep() {
	d := n.server.cfg.Recovery.MaxDisconnection
	if d == 0 {
		d = adapter.DefaultMaxDisconnection
	}
	n.entry.Keep(time.Now().Add(d))
}

// made reports whether the OnNamespace hooks have run.
func (n *Namespace) made() bool {
	select {
	case <-n.entry.Made():
		return true
	default:
		return false
	}
}

// existing returns what is open under the name, or nil. It makes nothing.
func (n *Namespace) existing() *Namespace {
	if n.space != nil && n.pinned.Load() {
		return n
	}
	open, ok := n.server.names.Find(n.name)
	if !ok {
		return nil
	}
	return open
}

// members returns the sockets of this server that t selects.
func (n *Namespace) members(t adapter.Target) []adapter.Member {
	if n = n.existing(); n == nil {
		return nil
	}
	return n.adapter.Members(t)
}

// register has add put something on the namespace. Through Of it stays open from then on, and is the
// application's own if it can be nobody else's. What an OnNamespace hook or a socket's handler registers ends
// with the namespace.
func (n *Namespace) register(add func(*space)) {
	open := n
	if n.space == nil {
		var err error
		if open, err = n.hold(); errors.Is(err, ErrServerClosed) {
			add(new(space)) // nobody connects any more
			return
		} else if err != nil {
			panic(err)
		}
		open.pin()
	}
	add(open.space)
	if !open.pinned.Load() || !open.made() {
		return
	}
	s := n.server
	own, dynamic := s.rules(n.name)
	switch d := theirs(dynamic, n.name); {
	case own:
	case d == nil:
		s.mu.Lock()
		s.own[n.name] = struct{}{}
		s.mu.Unlock()
	case d.pattern == nil && !open.told.Swap(true):
		s.cfg.Logger.Info("clients of this namespace need a function's leave; Static makes one of the application's own",
			"namespace", n.name)
	}
}

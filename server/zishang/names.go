package zishang

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/server"
)

// This file is whose a namespace's name is. As in package server, a client passes the middlewares of the
// pattern or function that lets it in, whatever was done with the name before, and the namespace is there as
// long as package server has it open.

var errInvalidNamespace = &server.Error{Message: "Invalid namespace"} // socket.io/lib/client.ts, connect

// parent lets clients into namespaces: what the library has made of a pattern or a function.
type parent struct {
	namespaces []socket.ParentNamespace // of patterns with the same text, all of them
	pattern    *regexp.Regexp           // nil for a function
	allow      socket.ParentNspNameMatchFn
}

// parents returns all parents in the order they were made in, which decides between them.
func (h *Handler) parents() []*parent {
	patterns := make(map[socket.ParentNamespace]*regexp.Regexp)
	(*at[*types.Map[*regexp.Regexp, socket.ParentNamespace]](h.io, h.internals.patterns)).Range(
		func(re *regexp.Regexp, p socket.ParentNamespace) bool { patterns[p] = re; return true })
	var list []*parent
	(*at[*types.Map[socket.ParentNspNameMatchFn, socket.ParentNamespace]](h.io, h.internals.parents)).Range(
		func(fn socket.ParentNspNameMatchFn, p socket.ParentNamespace) bool {
			list = append(list, &parent{[]socket.ParentNamespace{p}, patterns[p], fn})
			return true
		})
	number := func(p *parent) int {
		n, _ := strconv.Atoi(strings.TrimPrefix(p.namespaces[0].Name(), "/_")) // as the library names them
		return n
	}
	slices.SortFunc(list, func(a, b *parent) int { return cmp.Compare(number(a), number(b)) })
	first := make(map[string]*parent)
	return slices.DeleteFunc(list, func(p *parent) bool {
		if p.pattern == nil {
			return false
		}
		text := p.pattern.String()
		if f := first[text]; f != nil {
			f.namespaces = append(f.namespaces, p.namespaces...)
			return true
		}
		first[text] = p
		return false
	})
}

// couldHave reports whether one of parents could let somebody into the namespace, as far as its name says.
func couldHave(parents []*parent, name string) bool {
	return slices.ContainsFunc(parents, func(p *parent) bool { return p.pattern == nil || p.pattern.MatchString(name) })
}

// lets is the function that package server asks for every name but those that are the application's own.
func (h *Handler) lets(ctx context.Context, name string, auth json.RawMessage) bool {
	p, ok := h.choose(ctx, name, auth)
	if !ok {
		return false
	}
	h.chosen.Store(ctx, p)
	h.mu.Lock()
	h.wanted[name] = p
	h.mu.Unlock()
	context.AfterFunc(ctx, func() {
		h.chosen.Delete(ctx) // if it was for nothing
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.wanted[name] == p {
			delete(h.wanted, name)
		}
	})
	return true
}

// choose returns the parent that lets a client into the namespace, nil when that is the application's own.
func (h *Handler) choose(ctx context.Context, name string, auth json.RawMessage) (p *parent, ok bool) {
	parents := h.parents()
	if n := h.findMade(name); n != nil && n.own.Load() && (n.static.Load() || n.registered() || !couldHave(parents, name)) {
		return nil, true
	}
	for _, p := range parents {
		if p.lets(ctx, name, auth) {
			return p, true
		}
	}
	return nil, false
}

// lets reports whether p lets a client in. The function may answer once, from any goroutine.
func (p *parent) lets(ctx context.Context, name string, auth json.RawMessage) bool {
	if p.pattern != nil {
		return p.pattern.MatchString(name)
	}
	ok, _ := answer(ctx, func(next func(bool)) {
		(*p.allow)(name, value(auth), func(err error, allow bool) { next(err == nil && allow) })
	})
	return ok
}

// answer returns what ask calls next with, the first time and from any goroutine, or false when ctx ends before.
func answer[T any](ctx context.Context, ask func(next func(T))) (v T, ok bool) {
	first := make(chan T, 1)
	ask(func(v T) {
		select {
		case first <- v:
		default:
		}
	})
	select {
	case v = <-first:
		return v, true
	case <-ctx.Done():
		return v, false
	}
}

// find returns what the library has under the name, or nil.
func (h *Handler) find(name string) *namespace {
	if nsp, ok := h.internals.namespacesOf(h.io).Load(name); ok {
		n, _ := nsp.Adapter().(*namespace)
		return n
	}
	return nil
}

// findMade is find for a client, who has to wait while the library tells of the namespace: listeners of
// new_namespace may be about to put middlewares on it.
func (h *Handler) findMade(name string) *namespace {
	n := h.find(name)
	if n != nil {
		<-n.made
	}
	return n
}

// opened puts this package before everything else on a namespace that package server opens, and has the library
// make its own, unless it has. Until it returns everybody else waits.
func (h *Handler) opened(n *server.Namespace) {
	name := n.Name()
	h.guard(n)
	h.mu.Lock()
	p := h.wanted[name]
	delete(h.wanted, name)
	h.mu.Unlock()
	switch {
	case h.find(name) != nil:
	case p != nil:
		p.namespaces[0].CreateChild(name)
	default:
		h.io.Of(name, nil)
	}
}

// created is told of a namespace other than "/" that the library has made, before tell tells the application.
func (h *Handler) created(nsp socket.Namespace, tell func()) {
	n, ok := nsp.Adapter().(*namespace)
	if !ok || n.told.Swap(true) {
		tell()
		return
	}
	nsp.Cleanup(nil) // see closed
	parents, child := h.parents(), false
	for _, p := range parents {
		for _, pn := range p.namespaces {
			if pn.Children().Has(nsp) {
				n.inherit(pn)
				child = true
			}
		}
	}
	own := !child && !couldHave(parents, n.name)
	n.own.Store(own)
	func() {
		defer close(n.made) // however tell ends
		tell()
	}()
	switch {
	case own:
		h.pin(n.name)
	case !child && !h.told.Swap(true):
		h.log.Warn("clients of this namespace, as of others, need a function's leave; Static makes one of the application's own",
			"namespace", n.name)
	}
}

// pin makes a namespace of the application's own, which stays open, and so hears other servers.
func (h *Handler) pin(name string) {
	defer func() {
		if v := recover(); v != nil {
			h.log.Error("namespace not opened: clients are refused", "namespace", name, "err", v)
		}
	}()
	h.server.Static(name)
}

// Static is io.Of for a name that is the application's own whatever patterns and functions there are: its
// clients pass its own middlewares and no others. A name that was given to io.Of before any pattern or function
// could have it, and that something was registered on, is so without.
func Static(io *socket.Server, name string) socket.Namespace {
	nsp := io.Of(name, nil)
	if n, ok := nsp.Adapter().(*namespace); ok && !n.static.Swap(true) {
		n.own.Store(true)
		n.h.pin(n.name)
	}
	return nsp
}

// closed forgets the library's namespace when package server has closed it, unless the application has put
// something on it.
func (h *Handler) closed(name string) {
	n := h.find(name)
	if n == nil || n.own.Load() || n.registered() {
		return
	}
	h.internals.namespacesOf(h.io).CompareAndDelete(name, n.nsp)
	for _, p := range h.parents() {
		for _, pn := range p.namespaces {
			pn.Children().Delete(n.nsp)
		}
	}
}

// inherited is how much of what is on a child its parent had when it was made. It counts for those whom the
// parent lets in, with what the parent has then.
type inherited struct{ middlewares, connect, connection int }

// inherit notes what n has from its parent.
func (n *namespace) inherit(p socket.ParentNamespace) {
	n.inherited = inherited{
		common(n.nsp.Fns().All(), p.Fns().All()),
		common(n.listeners.Listeners("connect"), p.Listeners("connect")),
		common(n.listeners.Listeners("connection"), p.Listeners("connection")),
	}
}

// common is how many functions at their beginning both have.
func common[F any](a, b []F) (n int) {
	for n < min(len(a), len(b)) && sameFunc(a[n], b[n]) {
		n++
	}
	return n
}

// behind is what follows the first n, some of which may have been removed.
func behind[F any](list []F, n int) []F { return list[min(n, len(list)):] }

// registered reports whether the application has put something on the namespace itself.
func (n *namespace) registered() bool {
	of := n.listeners
	return n.nsp.Fns().Len() > n.inherited.middlewares ||
		of.ListenerCount("connect") > n.inherited.connect || of.ListenerCount("connection") > n.inherited.connection ||
		slices.ContainsFunc(of.EventNames(), func(name types.EventName) bool { return name != "connect" && name != "connection" })
}

// middlewares are those that a socket passes which p has let in, or nobody.
func (n *namespace) middlewares(p *parent) (list []socket.NamespaceMiddleware) {
	if p != nil {
		for _, pn := range p.namespaces {
			list = append(list, pn.Fns().All()...)
		}
	}
	return append(list, behind(n.nsp.Fns().All(), n.inherited.middlewares)...)
}

// welcome calls the connection handlers for a socket that p has let in, or nobody. A panic in one is the
// caller's.
func (n *namespace) welcome(p *parent, s *socket.Socket) {
	for _, event := range []struct {
		name types.EventName
		skip int
	}{{"connect", n.inherited.connect}, {"connection", n.inherited.connection}} {
		if p != nil {
			for _, pn := range p.namespaces {
				for _, fn := range pn.Listeners(string(event.name)) {
					fn(s)
				}
			}
		}
		for _, l := range behind(n.listeners.get(event.name), event.skip) {
			if n.listeners.claim(event.name, l) {
				l.fn(s)
			}
		}
	}
}

// admit runs the middlewares of the namespace, one after the other. One that never calls next has its client
// wait.
func (h *Handler) admit(s *server.Socket) error {
	m := faceOf(s)
	for _, fn := range m.nsp.middlewares(m.parent) {
		if err := passes(s.Context(), m.socket, fn); err != nil {
			return err
		}
	}
	return nil
}

// passes calls one middleware, which may call next once, from any goroutine.
func passes(ctx context.Context, s *socket.Socket, fn socket.NamespaceMiddleware) error {
	refused, ok := answer(ctx, func(next func(*socket.ExtendedError)) { fn(s, next) })
	if !ok {
		return server.ErrDisconnected
	}
	if refused == nil {
		return nil
	}
	var limit *server.LimitError
	if err, ok := refused.Data().(error); ok && errors.As(err, &limit) {
		return limit
	}
	return &server.Error{Message: refused.Error(), Data: refused.Data()}
}

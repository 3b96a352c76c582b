package zishang

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/server"
)

// This file is whose a namespace's name is. Package server says it: the library's patterns and functions are its
// Dynamics, and a namespace of the library is there as long as package server has its own open.

// learn makes the parents, by pattern or function, that the application has made since Dynamics. The library tells
// nobody of them, so it is asked before anything depends on them. They come in the order they were made in.
func (h *Handler) learn() {
	made := h.internals.parentsOf(h.io)
	if made.Len() == int(h.learnt.Load()) {
		return
	}
	h.learning.Lock()
	defer h.learning.Unlock()
	fresh := make(map[socket.ParentNamespace]socket.ParentNspNameMatchFn)
	made.Range(func(fn socket.ParentNspNameMatchFn, p socket.ParentNamespace) bool {
		if !slices.Contains(h.parents, p) {
			fresh[p] = fn
		}
		return true
	})
	patterns := make(map[socket.ParentNamespace]*regexp.Regexp)
	h.internals.patternsOf(h.io).Range(func(re *regexp.Regexp, p socket.ParentNamespace) bool {
		patterns[p] = re
		return true
	})
	maps.DeleteFunc(fresh, func(p socket.ParentNamespace, fn socket.ParentNspNameMatchFn) bool {
		return patterns[p] == nil && inside(reflect.ValueOf(*fn).Pointer(), "(*Server).Of.") // Of is just making it
	})
	if len(fresh) == 0 {
		return
	}
	h.internals.namespacesOf(h.io).Range(func(name string, nsp socket.Namespace) bool {
		if n, ok := nsp.Adapter().(*namespace); ok && n.own.Load() && n.registered() {
			h.server.Static(name) // before somebody else can have it
		}
		return true
	})
	number := func(p socket.ParentNamespace) int {
		n, _ := strconv.Atoi(strings.TrimPrefix(p.Name(), "/_")) // as the library names them
		return n
	}
	for _, p := range slices.SortedFunc(maps.Keys(fresh), func(a, b socket.ParentNamespace) int {
		return cmp.Compare(number(a), number(b))
	}) {
		var d *server.Dynamic
		if re := patterns[p]; re != nil {
			d = h.server.OfPattern(re)
		} else {
			d = h.server.OfFunc(letting(*fresh[p]))
		}
		d.UseAlways(func(s *server.Socket) error {
			if m := h.memberFor(s); !slices.Contains(m.parents, p) {
				m.parents = append(m.parents, p)
			}
			return nil
		})
		h.parents = append(h.parents, p)
	}
	h.learnt.Store(int64(len(h.parents)))
}

// inside reports whether the code at pc is of the function of the library, or made in it.
func inside(pc uintptr, function string) bool {
	f := runtime.FuncForPC(pc)
	return f != nil && strings.HasPrefix(f.Name(), "github.com/zishang520/socket.io/v2/socket."+function)
}

// letting is an application's function in the form of package server. It may answer once, from any goroutine.
func letting(allow func(string, any, func(error, bool))) func(context.Context, string, json.RawMessage) bool {
	return func(ctx context.Context, name string, auth json.RawMessage) bool {
		ok, _ := answer(ctx, func(next func(bool)) {
			allow(name, value(auth), func(err error, allow bool) { next(err == nil && allow) })
		})
		return ok
	}
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

// opened puts this package before everything else on a namespace that package server opens, and has the library
// make its own, unless it has. Until it returns everybody else waits.
func (h *Handler) opened(n *server.Namespace) {
	h.guard(n)
	name := n.Name()
	if h.find(name) != nil {
		return
	}
	nsp := socket.NewNamespace(h.io, name)
	nsp.Adapter().(*namespace).opened = true
	if _, there := h.internals.namespacesOf(h.io).LoadOrStore(name, nsp); !there {
		h.io.Sockets().EmitReserved("new_namespace", nsp)
	}
}

// created is told of a namespace other than "/" that the library has made, before tell tells the application.
func (h *Handler) created(what any, tell func()) {
	var n *namespace
	if nsp, ok := what.(socket.Namespace); ok {
		n, _ = nsp.Adapter().(*namespace)
	}
	if n == nil || n.told.Swap(true) { // of the application's own making
		tell()
		return
	}
	n.nsp.Cleanup(nil) // see closed
	h.learn()
	child := n.strip()
	func() {
		defer close(n.made) // however tell ends
		tell()
	}()
	switch {
	case n.opened:
	case h.server.Dynamic(n.name) == nil:
		h.pin(n, h.server.Of)
	case !child && !h.told.Swap(true):
		h.log.Warn("clients of this namespace, as of others, need a function's leave; Static makes one of the application's own",
			"namespace", n.name)
	}
}

// pin makes a namespace of the application's own, which stays open, and so hears other servers.
func (h *Handler) pin(n *namespace, of func(name string) *server.Namespace) {
	defer func() {
		if v := recover(); v != nil {
			h.log.Error("namespace not opened: clients are refused", "namespace", n.name, "err", v)
		}
	}()
	of(n.name)
	n.own.Store(true)
}

// Static is io.Of for a name that is the application's own whatever patterns and functions there are: its
// clients pass its own middlewares and no others. A name that was given to io.Of, and that something was
// registered on, before any pattern or function could have it is so without.
func Static(io *socket.Server, name string) socket.Namespace {
	nsp := io.Of(name, nil)
	if n, ok := nsp.Adapter().(*namespace); ok {
		n.h.pin(n, n.h.server.Static)
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
	for _, p := range h.allParents() {
		p.Children().Delete(n.nsp)
	}
}

func (h *Handler) allParents() []socket.ParentNamespace {
	h.learning.Lock()
	defer h.learning.Unlock()
	return h.parents
}

// strip takes what the library has copied from a parent off a new namespace: it counts for those whom the parent
// lets in, with what the parent has then. It reports whether there is a parent.
func (n *namespace) strip() (child bool) {
	for _, p := range n.h.allParents() {
		if !p.Children().Has(n.nsp) {
			continue
		}
		child = true
		theirs := p.Fns().All()
		n.nsp.Fns().RemoveAll(func(fn socket.NamespaceMiddleware) bool {
			return slices.ContainsFunc(theirs, func(o socket.NamespaceMiddleware) bool { return sameFunc(fn, o) })
		})
		for _, event := range connectEvents {
			for _, fn := range p.Listeners(string(event)) {
				n.listeners.RemoveListener(event, fn)
			}
		}
	}
	return child
}

// registered reports whether the application has put something on the namespace itself.
func (n *namespace) registered() bool { return n.nsp.Fns().Len()+n.listeners.Len() > 0 }

// connectEvents are those of a namespace that tell of a new socket, in their order.
var connectEvents = []types.EventName{"connect", "connection"}

// welcome calls the connection handlers, those of the parents first. A panic in one is the caller's.
func (m *member) welcome() {
	for _, event := range connectEvents {
		for _, p := range m.parents {
			for _, fn := range p.Listeners(string(event)) {
				fn(m.socket)
			}
		}
		for _, l := range m.nsp.listeners.get(event) {
			if m.nsp.listeners.claim(event, l) {
				l.fn(m.socket)
			}
		}
	}
}

// admit runs the middlewares, one after the other, those of the parents first. One that never calls next has its
// client wait.
func (h *Handler) admit(s *server.Socket) error {
	m := faceOf(s)
	var list []socket.NamespaceMiddleware
	for _, p := range m.parents {
		list = append(list, p.Fns().All()...)
	}
	for _, fn := range append(list, m.nsp.nsp.Fns().All()...) {
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

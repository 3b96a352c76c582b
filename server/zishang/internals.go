package zishang

import (
	"fmt"
	"reflect"
	"regexp"
	"sync/atomic"
	"unsafe"

	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/engine.io/v2/utils"
	"github.com/zishang520/socket.io/v2/socket"
)

// The library connects and disconnects sockets, runs middlewares and finds namespaces in ways that cannot be
// made safe from outside, and has no others. What it does there is done by this package, and a few of its
// fields are reached by their offsets for that, which are taken from the types themselves, with the fields'
// types checked, before the first use. See Decisions in doc.go.

// internals are the offsets.
type internals struct {
	middlewares, id, connected    uintptr // in socket.Socket
	sockets, nsps, connectTimeout uintptr // in socket.Client
	namespaces, parents, patterns uintptr // in socket.Server
}

// findInternals returns the offsets, or an error when the library is not the version this is made for.
func findInternals() (internals, error) {
	var in internals
	for _, f := range []struct {
		of   reflect.Type
		name string
		typ  reflect.Type
		at   *uintptr
	}{
		{reflect.TypeFor[socket.Socket](), "fns", reflect.TypeFor[*types.Slice[socket.SocketMiddleware]](), &in.middlewares},
		{reflect.TypeFor[socket.Socket](), "id", reflect.TypeFor[socket.SocketId](), &in.id},
		{reflect.TypeFor[socket.Socket](), "connected", reflect.TypeFor[atomic.Bool](), &in.connected},
		{reflect.TypeFor[socket.Client](), "sockets", reflect.TypeFor[*types.Map[socket.SocketId, *socket.Socket]](), &in.sockets},
		{reflect.TypeFor[socket.Client](), "nsps", reflect.TypeFor[*types.Map[string, *socket.Socket]](), &in.nsps},
		{reflect.TypeFor[socket.Client](), "connectTimeout", reflect.TypeFor[atomic.Pointer[utils.Timer]](), &in.connectTimeout},
		{reflect.TypeFor[socket.Server](), "_nsps", reflect.TypeFor[*types.Map[string, socket.Namespace]](), &in.namespaces},
		{
			reflect.TypeFor[socket.Server](), "parentNsps",
			reflect.TypeFor[*types.Map[socket.ParentNspNameMatchFn, socket.ParentNamespace]](), &in.parents,
		},
		{
			reflect.TypeFor[socket.Server](), "parentNamespacesFromRegExp",
			reflect.TypeFor[*types.Map[*regexp.Regexp, socket.ParentNamespace]](), &in.patterns,
		},
	} {
		field, ok := f.of.FieldByName(f.name)
		if !ok || field.Type != f.typ {
			return in, fmt.Errorf("zishang: %v has no field %s %v: this package is made for v2.5.0", f.of, f.name, f.typ)
		}
		*f.at = field.Offset
	}
	return in, nil
}

// at returns the field of type F at an offset in of.
func at[F, T any](of *T, offset uintptr) *F { return (*F)(unsafe.Add(unsafe.Pointer(of), offset)) }

// middlewaresOf returns what the application registered with Socket.Use.
func (in internals) middlewaresOf(s *socket.Socket) []socket.SocketMiddleware {
	return (*at[*types.Slice[socket.SocketMiddleware]](s, in.middlewares)).All()
}

// setID gives a new socket, which nobody else has seen yet, another id.
func (in internals) setID(s *socket.Socket, id string) {
	*at[socket.SocketId](s, in.id) = socket.SocketId(id)
}

// setConnected is what Socket.Connected tells.
func (in internals) setConnected(s *socket.Socket, connected bool) {
	at[atomic.Bool](s, in.connected).Store(connected)
}

// socketsOf are those that Socket.Disconnect(true) of any of them disconnects.
func (in internals) socketsOf(c *socket.Client) *types.Map[socket.SocketId, *socket.Socket] {
	return *at[*types.Map[socket.SocketId, *socket.Socket]](c, in.sockets)
}

// byNamespace are a client's sockets by the name of their namespace, those that are connecting included.
func (in internals) byNamespace(c *socket.Client) *types.Map[string, *socket.Socket] {
	return *at[*types.Map[string, *socket.Socket]](c, in.nsps)
}

// stopTimer ends the timer of a new client, and its goroutine: package server has its own.
func (in internals) stopTimer(c *socket.Client) {
	utils.ClearTimeout(at[atomic.Pointer[utils.Timer]](c, in.connectTimeout).Swap(nil))
}

// namespacesOf are the namespaces by name, those of parents excepted.
func (in internals) namespacesOf(io *socket.Server) *types.Map[string, socket.Namespace] {
	return *at[*types.Map[string, socket.Namespace]](io, in.namespaces)
}

// parentsOf are the parents, by pattern or function, and patternsOf the patterns of those that have one.
func (in internals) parentsOf(io *socket.Server) *types.Map[socket.ParentNspNameMatchFn, socket.ParentNamespace] {
	return *at[*types.Map[socket.ParentNspNameMatchFn, socket.ParentNamespace]](io, in.parents)
}

func (in internals) patternsOf(io *socket.Server) *types.Map[*regexp.Regexp, socket.ParentNamespace] {
	return *at[*types.Map[*regexp.Regexp, socket.ParentNamespace]](io, in.patterns)
}

// sameFunc reports whether two functions are the same value: not only the same code, as for closures made at
// one place, but the same closure.
func sameFunc[F any](a, b F) bool {
	return *(*unsafe.Pointer)(unsafe.Pointer(&a)) == *(*unsafe.Pointer)(unsafe.Pointer(&b))
}

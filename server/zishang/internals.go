package zishang

import (
	"fmt"
	"reflect"
	"unsafe"

	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io/v2/socket"
)

// The library has no way to run a socket's middlewares but from a goroutine of its own, where a panic in
// one ends the process, and none to choose a socket's id. So two of Socket's fields are reached by their
// offsets, which are taken from the type itself, with their types checked, before the first use.
// See Decisions in doc.go.

// internals are the offsets in socket.Socket.
type internals struct{ middlewares, id uintptr }

// findInternals returns the offsets, or an error when the library is not the version this is made for.
func findInternals() (internals, error) {
	var in internals
	for _, f := range []struct {
		name string
		typ  reflect.Type
		at   *uintptr
	}{
		{"fns", reflect.TypeFor[*types.Slice[socket.SocketMiddleware]](), &in.middlewares},
		{"id", reflect.TypeFor[socket.SocketId](), &in.id},
	} {
		field, ok := reflect.TypeFor[socket.Socket]().FieldByName(f.name)
		if !ok || field.Type != f.typ {
			return in, fmt.Errorf("zishang: socket.Socket has no field %s %v: this package is made for v2.5.0", f.name, f.typ)
		}
		*f.at = field.Offset
	}
	return in, nil
}

// middlewaresOf returns what the application registered with Socket.Use.
func (in internals) middlewaresOf(s *socket.Socket) []socket.SocketMiddleware {
	return (*(**types.Slice[socket.SocketMiddleware])(unsafe.Add(unsafe.Pointer(s), in.middlewares))).All()
}

// setID gives a new socket, which nobody else has seen yet, another id.
func (in internals) setID(s *socket.Socket, id string) {
	*(*socket.SocketId)(unsafe.Add(unsafe.Pointer(s), in.id)) = socket.SocketId(id)
}

// sameFunc reports whether two listeners are the same function value: not only the same code, as for
// closures made at one place, but the same closure.
func sameFunc(a, b func(...any)) bool {
	return *(*unsafe.Pointer)(unsafe.Pointer(&a)) == *(*unsafe.Pointer)(unsafe.Pointer(&b))
}

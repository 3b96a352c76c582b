package server

import (
	"fmt"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
)

// ofOneClient is what registers for one client alone what another method does for a whole namespace.
var ofOneClient = map[string]string{
	"On": "s.On", "Once": "s.Once", "UseEvents": "s.Use", "OnAny": "s.OnAny", "OnAnyOutgoing": "s.OnAnyOutgoing", "OnDisconnect": "s.OnDisconnect",
}

// registered says that what holds for a whole namespace was registered while a client connects, or for an event: it is
// once more with each of them; and of what is for one client, that it was for an event. method is what was called, on the
// caller's goroutine, and so many of its kind there are: for an event the first may be of a namespace that is made on demand.
func (a *advice) registered(n int, method, event string) {
	ofClient := strings.HasPrefix(method, "Socket.")
	if a.over() || ofClient && (n == 1 || method == "Socket.Once") {
		return // that is there until it has been called
	}
	var calls [64]uintptr
	frames := runtime.CallersFrames(calls[:runtime.Callers(2, calls[:])])
	outside := runtime.Frame{} // the last that is not of this package
	for {
		f, more := frames.Next()
		name, ours := strings.CutPrefix(f.Function, ourPackage)
		forEvent := strings.HasPrefix(name, "(*handler).") || strings.HasPrefix(name, "(*Socket).event")
		switch {
		case !ours:
			if f.Function != "" && !strings.HasPrefix(f.Function, "runtime.") && !strings.HasPrefix(f.Function, "reflect.") {
				outside = f
			}
		case strings.HasPrefix(name, "(*Server).open"):
			return // by an OnNamespace hook
		case ofClient && forEvent:
			args := []any{"handler", called(outside)}
			before := "it has registered the same before"
			if event != "" {
				args, before = append([]any{"event", event}, args...), "there was one of that event before"
			}
			a.say("registered "+method+" "+event+" "+outside.Function, method+" was called by a handler of an event, and "+before+": there is one more each time, "+
				"and all are called; call it in OnConnection, or take out by what it returns the one before", args...)
			return
		case !ofClient && strings.HasPrefix(name, "(*Socket).connected"), forEvent && n > 1:
			instead := ""
			if own := ofOneClient[method[strings.LastIndexByte(method, '.')+1:]]; own != "" {
				instead = ", or register by " + own + " what is for this client"
			}
			args := []any{"handler", called(outside)}
			if event != "" {
				args = append(args, "event", event)
			}
			a.say("registered "+method+" "+outside.Function, method+" was called by a handler of one client, and holds for all of the namespace: there is one more with each, "+
				"and all are called; call it once, where the program starts"+instead, args...)
			return
		}
		if !more {
			return
		}
	}
}

// alike returns how many of the list are the function that is last in it, from the same line of the program.
func alike[F any](list []*F) (n int) {
	last := reflect.ValueOf(*list[len(list)-1])
	if last.Kind() != reflect.Func {
		return len(list)
	}
	for _, fn := range list {
		if reflect.ValueOf(*fn).Pointer() == last.Pointer() {
			n++
		}
	}
	return n
}

// called says which function f is in, by name and line.
func called(f runtime.Frame) string {
	return fmt.Sprintf("%s (%s:%d)", f.Function, filepath.Base(f.File), f.Line)
}

// ourPackage is what the names of this package's functions begin with.
var ourPackage = reflect.TypeFor[Server]().PkgPath() + "."

package zishang

import (
	"maps"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/zishang520/engine.io/v2/events"
)

// emitter is an events.EventEmitter without the faults of the library's: a listener registered with Once
// is removed before it is called, RemoveListener removes the function it is given and not another made at
// the same place, and every listener is called under protect. The zero value is not usable: see newEmitter.
type emitter struct {
	// protect calls a listener. Set before first use; nil if nothing is emitted.
	protect func(event string, fn func()) (ok bool)

	mu        sync.Mutex
	listeners map[events.EventName][]*listener // guarded by mu; the slices are replaced, never changed
}

// listener is one registered function.
type listener struct {
	fn    events.Listener // nil if typed
	typed func(*event)    // registered with On or OnAck of this package
	once  bool
	fired atomic.Bool
}

var _ events.EventEmitter = (*emitter)(nil)

func newEmitter(protect func(string, func()) bool) *emitter { return &emitter{protect: protect} }

func (e *emitter) add(name events.EventName, list ...*listener) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.listeners == nil {
		e.listeners = make(map[events.EventName][]*listener)
	}
	e.listeners[name] = append(slices.Clip(e.listeners[name]), list...)
}

func (e *emitter) remove(name events.EventName, which func(*listener) bool) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := e.listeners[name]
	i := slices.IndexFunc(list, which)
	if i < 0 {
		return false
	}
	if len(list) == 1 {
		delete(e.listeners, name)
		return true
	}
	e.listeners[name] = slices.Concat(list[:i], list[i+1:])
	return true
}

func (e *emitter) get(name events.EventName) []*listener {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.listeners[name]
}

// On adds listeners.
func (e *emitter) On(name events.EventName, listeners ...events.Listener) error {
	return e.listen(name, listeners, false)
}

// AddListener is On.
func (e *emitter) AddListener(name events.EventName, listeners ...events.Listener) error {
	return e.listen(name, listeners, false)
}

// Once adds listeners for one emission each.
func (e *emitter) Once(name events.EventName, listeners ...events.Listener) error {
	return e.listen(name, listeners, true)
}

func (e *emitter) listen(name events.EventName, listeners []events.Listener, once bool) error {
	for _, fn := range listeners {
		if fn != nil {
			e.add(name, &listener{fn: fn, once: once})
		}
	}
	return nil
}

// Emit calls the listeners one after the other.
func (e *emitter) Emit(name events.EventName, args ...any) { e.dispatch(emitted(string(name), args)) }

// dispatch calls the listeners of an event and reports whether none panicked.
func (e *emitter) dispatch(ev *event) (ok bool) {
	ok = true
	name := events.EventName(ev.name)
	for _, l := range e.get(name) {
		if !e.claim(name, l) {
			continue
		}
		ok = e.protect(ev.name, func() {
			if l.typed != nil {
				l.typed(ev)
				return
			}
			l.fn(ev.arguments()...)
		}) && ok
	}
	return ok
}

// claim reports whether l may be called now.
func (e *emitter) claim(name events.EventName, l *listener) bool {
	if !l.once {
		return true
	}
	if l.fired.Swap(true) {
		return false
	}
	e.remove(name, func(o *listener) bool { return o == l })
	return true
}

// RemoveListener removes fn, or else the first listener with the same code: a method taken twice from one
// value is two functions.
func (e *emitter) RemoveListener(name events.EventName, fn events.Listener) bool {
	if fn == nil {
		return false
	}
	if e.remove(name, func(l *listener) bool { return l.fn != nil && sameFunc(l.fn, fn) }) {
		return true
	}
	code := reflect.ValueOf(fn).Pointer()
	return e.remove(name, func(l *listener) bool { return l.fn != nil && reflect.ValueOf(l.fn).Pointer() == code })
}

// RemoveAllListeners removes all listeners of one event.
func (e *emitter) RemoveAllListeners(name events.EventName) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, ok := e.listeners[name]
	delete(e.listeners, name)
	return ok
}

// Clear removes all listeners.
func (e *emitter) Clear() {
	e.mu.Lock()
	e.listeners = nil
	e.mu.Unlock()
}

// Listeners returns the listeners of one event.
func (e *emitter) Listeners(name events.EventName) []events.Listener {
	var out []events.Listener
	for _, l := range e.get(name) {
		if l.typed != nil {
			out = append(out, func(args ...any) { l.typed(emitted(string(name), args)) })
			continue
		}
		out = append(out, l.fn)
	}
	return out
}

// hears reports whether any of these events has listeners.
func (e *emitter) hears(names ...events.EventName) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.ContainsFunc(names, func(name events.EventName) bool { return e.listeners[name] != nil })
}

// ListenerCount returns how many listeners an event has.
func (e *emitter) ListenerCount(name events.EventName) int { return len(e.get(name)) }

// EventNames returns the events that have listeners.
func (e *emitter) EventNames() []events.EventName {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Collect(maps.Keys(e.listeners))
}

// Len returns how many events have listeners.
func (e *emitter) Len() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.listeners)
}

// GetMaxListeners returns zero: there is no limit.
func (e *emitter) GetMaxListeners() uint { return 0 }

// SetMaxListeners does nothing.
func (e *emitter) SetMaxListeners(uint) {}

package main

import (
	lists "container/list"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
	"unsafe"
)

// Whatever a server holds stands in maps, lists and slices of its own. They are counted by the names of the fields when the
// server has just been started, and when everybody has left, as long as anything is remembered has passed, and something has
// happened again, as what is too old is dropped with what comes next. Then there is no more in them.

// remembered is how long a server knows what nobody uses any more. Source: adapter/redis, forgetAfter.
const remembered = 11 * time.Minute

// lingers is how long at most a server listens to a room that nobody is in any more, with some time to spare. Source:
// adapter/redis, lingering.
const lingers = 6 * time.Second

// many is more than a run reaches: there is a bound by number, and nothing is dropped before.
const many = 1 << 20

// remains are the fields that may have more at the end, by how much.
var remains = map[string]int{
	// By reasons, and by types of arguments: there are so many and no more.
	"transport.counters.opened": 2, "transport.counters.closed": 20, "transport.counters.refused": 20, "transport.counters.upgradesFailed": 10,
	"server.tally.by": 20, "redis.Forwarder.counts": 20, "redis.state.parts": 20, "server.signatures.m": 20, "server.signatures.values": 20, "server.signature.params": 50,
	// What the visit has left, and what has happened then.
	"adapter.Session.Rooms": 5, "adapter.Target.Rooms": 5, "adapter.Trail.Stays": 5, "adapter.vault.kept": 1, "adapter.vault.sessions": 2,
	"adapter.shelf.order": 5, "redis.ring.entries": 20, "redis.ring.quiet": 20, "redis.ring.moved": 20,
	// Keys of clients that recovered, until another does.
	"limit.Table.current": 20, "limit.Table.before": 20,
	// Of the other servers: their lanes, of a namespace one or two.
	"redis.members.peers": 8, "redis.inbox.sources": 8, "redis.source.gaps": 6, "redis.source.nsps": 6, "redis.reader.tails": 8, "redis.reader.windows": 8,
	"redis.present.named": 8, "redis.present.away": 8, "redis.inbox.lost": 8, "redis.outbox.seqs": 1,
	// Source: adapter/redis, maxLaneBytes, maxPast, bookmarks, maxRecent, and the pool of connections; adapter/log.go, which copies entries
	// when half of them are gone.
	"redis.ring.lanes": many, "redis.ring.order": many, "redis.ring.past": many, "redis.source.marks": many, "redis.reader.recent": many,
	"redis.places.torn": many, "redis.places.open": many, "redis.lines.open": 20, "adapter.log.entries": many, "redis.registry.known": many, // 10,000, as clients say the names
}

// weighs reports whether what servers hold is counted in the run: it takes long, and one of some does.
func (w *world) weighs() bool { return !busy && w.rng("weight").IntN(8) == 0 }

// weigh counts what a server holds.
func (n *node) weigh() map[string]int {
	s := scale{counts: map[string]int{}, seen: map[visit]bool{}}
	for io, i := reflect.ValueOf(n.io), 0; i < io.NumField(); i++ {
		s.value("", io.Field(i))
	}
	if n.cluster != nil {
		s.value("", reflect.ValueOf(n.cluster))
	}
	return s.counts
}

// weighed checks that no server holds more than when it had just been started. The library keeps namespaces, and what is of these.
func (w *world) weighed() {
	if !w.weighs() {
		return
	}
	w.count("runs in which it is counted what servers hold")
	time.Sleep(remembered)
	for _, n := range w.slots {
		w.visit(n)
		w.send(n, n.name, emission{nsp: "/", kind: "all"}, "", 0)
	}
	time.Sleep(lingers)
	for _, n := range w.slots {
		if n.library {
			continue
		}
		now := n.weigh()
		for _, name := range slices.Sorted(maps.Keys(now)) {
			if k, was := now[name], n.weight[name]; k > was+remains[name] {
				w.violated("leftovers", n.name, "%s holds %d, and had %d when the server was started", name, k, was)
			}
		}
	}
}

// visit has somebody come to a server who asks for a state that there is not, and leave.
func (w *world) visit(n *node) {
	c := newClient(w, len(w.clients))
	c.old = false
	w.mu.Lock()
	w.clients = append(w.clients, c)
	w.mu.Unlock()
	e, err := c.open(byWebSocket, n.addr)
	if err != nil {
		w.violated("unwanted", c.name, "it cannot connect to %s, though all is well: %v", n.name, err)
		return
	}
	c.engine = e
	if w.plan.Recovers() {
		c.socks["/"] = &sock{c: c, nsp: "/", pid: "nobody's"}
	}
	e.start()
	c.connect("/")
	time.Sleep(2 * time.Second)
	for _, s := range c.list() {
		c.disconnect(s)
	}
	e.close()
	time.Sleep(time.Second)
}

// scale counts what is in maps, lists and slices of the product's types, by the names of their fields.
type scale struct {
	counts map[string]int
	seen   map[visit]bool
}

// visit is a value at a place.
type visit struct {
	at unsafe.Pointer
	t  reflect.Type
}

// product reports whether a type is one of Beanpole's, or is made of them.
func product(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return t.Name() == "" && product(t.Elem()) || ours(t)
	}
	return ours(t)
}

func ours(t reflect.Type) bool {
	path := t.PkgPath()
	return strings.HasPrefix(path, "github.com/beanpole/beanpole/") && !strings.Contains(path, "/test/")
}

// value looks into v, which is in a field of that name.
func (s *scale) value(name string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() || s.seen[visit{v.UnsafePointer(), v.Type()}] {
			return
		}
		s.seen[visit{v.UnsafePointer(), v.Type()}] = true
		s.value(name, v.Elem())
	case reflect.Interface:
		if !v.IsNil() {
			s.value(name, v.Elem())
		}
	case reflect.Struct:
		s.fields(name, v)
	case reflect.Map:
		s.counts[name] += v.Len()
		for i := v.MapRange(); i.Next(); {
			s.value(name, i.Key())
			s.value(name, i.Value())
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return // a text, or a buffer
		}
		if s.counts[name] += v.Len(); !product(v.Type().Elem()) && v.Type().Elem().Kind() != reflect.Interface {
			return
		}
		for i := range v.Len() {
			s.value(name, v.Index(i))
		}
	case reflect.Array:
		for i := range v.Len() {
			s.value(name, v.Index(i))
		}
	} // channels hold one at most
}

// fields looks into the fields of a struct: of the product's, and of those of the library that hold something.
func (s *scale) fields(name string, v reflect.Value) {
	t := v.Type()
	open := func() any { return reflect.NewAt(t, unsafe.Pointer(v.UnsafeAddr())).Interface() }
	switch {
	case t == reflect.TypeFor[sync.Map]() && v.CanAddr():
		open().(*sync.Map).Range(func(key, value any) bool {
			s.counts[name]++
			s.value(name, reflect.ValueOf(value))
			return true
		})
	case t == reflect.TypeFor[lists.List]() && v.CanAddr():
		for e := open().(*lists.List).Front(); e != nil; e = e.Next() {
			s.counts[name]++
			s.value(name, reflect.ValueOf(e.Value))
		}
	case t.PkgPath() == "sync/atomic" && strings.HasPrefix(t.Name(), "Pointer[") && v.CanAddr():
		s.value(name, reflect.ValueOf(open()).MethodByName("Load").Call(nil)[0])
	case t.PkgPath() == "sync/atomic" && t.Name() == "Value" && v.CanAddr():
		if x := reflect.ValueOf(open()).MethodByName("Load").Call(nil)[0]; !x.IsNil() {
			s.value(name, x)
		}
	case ours(t):
		for i := range t.NumField() {
			s.value(short(t)+"."+t.Field(i).Name, v.Field(i))
		}
	}
}

// short is the name of a type, without what it is made of.
func short(t reflect.Type) string {
	name, _, _ := strings.Cut(t.String(), "[")
	return name
}

package adapter

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/beanpole/beanpole/internal/shrink"
)

// Rooms is the index of the rooms of one namespace on this node: which member is in which room. The
// zero value is an empty index ready for use. All methods may be called from any goroutine.
//
// Every member is in the room named by its own id, without anything being stored for it, until it leaves that. A room
// exists while it has a member that joined it.
type Rooms struct {
	// Changed, if not nil, is called after a room came into being or went, with no lock held and
	// possibly out of order: the callee asks Has for the state of now. Set before first use.
	Changed func(room string)

	// Position, if not nil, returns the offset of the last event delivered here. The index then keeps the
	// Trail of every member. Set before first use.
	Position func() string

	watched atomic.Bool // somebody watches

	mu       sync.RWMutex
	watchers []*watcher  // replaced, never changed; see Watch
	happened []RoomEvent // what they have not been told
	telling  bool        // they are being told

	members map[string]int32 // id -> index in list
	list    []Member
	joined  [][]*room // rooms of the member at the same index of list
	rooms   map[string]*room
	trails  map[Member]*stays // with Position
	out     map[Member]bool   // members that have left the room named by their id; few

	hadMembers shrink.Map[string, int32]
	hadRooms   shrink.Map[string, *room]
	hadTrails  shrink.Map[Member, *stays]
}

// gone is what a member may have beside ID: whether it has left the namespace for good. It is read
// under the lock that Remove takes, so that a Join that races with a Remove cannot bring the member
// back: set it, then Remove.
type gone interface{ Gone() bool }

// indexAbove is the size above which a room keeps an index of its members: below, walking the list
// is faster and needs no map.
const indexAbove = 16

// room is one room. Guarded by Rooms.mu.
type room struct {
	name  string
	list  []Member
	index map[Member]int32 // nil until the list is longer than indexAbove
}

func (r *room) find(m Member) int {
	if r.index != nil {
		if i, ok := r.index[m]; ok {
			return int(i)
		}
		return -1
	}
	for i, x := range r.list {
		if x == m {
			return i
		}
	}
	return -1
}

func (r *room) has(m Member) bool { return r.find(m) >= 0 }

func (r *room) add(m Member) {
	r.list = append(r.list, m)
	if r.index != nil {
		r.index[m] = int32(len(r.list) - 1)
	} else if len(r.list) > indexAbove {
		r.index = make(map[Member]int32, 2*len(r.list))
		for i, x := range r.list {
			r.index[x] = int32(i)
		}
	}
}

func (r *room) remove(m Member) bool {
	i := r.find(m)
	if i < 0 {
		return false
	}
	last := len(r.list) - 1
	moved := r.list[last]
	r.list[i] = moved
	r.list[last] = nil
	r.list = r.list[:last]
	if r.index != nil {
		r.index[moved] = int32(i)
		delete(r.index, m)
	}
	// A room that was large once must not keep its memory.
	if c := cap(r.list); c > 4*indexAbove && len(r.list) < c/4 {
		r.list = append(make([]Member, 0, len(r.list)*2), r.list...)
		r.index = nil
		if len(r.list) > indexAbove {
			r.index = make(map[Member]int32, 2*len(r.list))
			for i, x := range r.list {
				r.index[x] = int32(i)
			}
		}
	}
	return true
}

// Join makes m a member if it is none yet and puts it into rooms. A member with a method Gone() bool
// that reports true is left alone. Another member with the same id is removed first.
func (r *Rooms) Join(m Member, rooms ...string) { r.join(m, rooms, true, Trail{}) }

// JoinAgain is Join for a member that comes back with the trail it had when it was removed.
func (r *Rooms) JoinAgain(m Member, trail Trail, rooms ...string) { r.join(m, rooms, true, trail) }

// JoinMember is Join for a socket that is a member already; otherwise it does nothing.
func (r *Rooms) JoinMember(m Member, rooms ...string) { r.join(m, rooms, false, Trail{}) }

func (r *Rooms) join(m Member, rooms []string, add bool, trail Trail) {
	var changed []string
	at := r.position()
	before, left := trail.since(m.ID(), at)
	since := func(room string) string {
		if from, ok := before[room]; ok {
			return from
		}
		return at
	}
	r.mu.Lock()
	i, ok := r.slot(m)
	if g, can := m.(gone); !ok && (!add || can && g.Gone()) {
		r.mu.Unlock()
		return
	}
	if !ok {
		i, changed = r.add(m, changed)
		if r.Position != nil {
			if r.trails == nil {
				r.trails = make(map[Member]*stays)
			}
			r.trails[m] = &stays{own: since(m.ID()), left: left, forgot: trail.Forgot}
		}
		r.enters(m, m.ID(), r.rooms[m.ID()] == nil)
	}
	for _, name := range rooms {
		if name == m.ID() {
			if r.out[m] {
				delete(r.out, m)
				if r.Position != nil {
					r.trails[m].back(name, at)
				}
				changed = append(changed, name)
				r.enters(m, name, r.rooms[name] == nil)
			}
			continue
		}
		x := r.rooms[name]
		isNew := x == nil
		if isNew {
			x = &room{name: name}
			if r.rooms == nil {
				r.rooms = make(map[string]*room)
			}
			r.rooms[name] = x
			changed = append(changed, name)
		} else if x.has(m) {
			continue
		}
		x.add(m)
		r.joined[i] = append(r.joined[i], x)
		if r.Position != nil {
			t := r.trails[m]
			t.since = append(t.since, since(name))
		}
		r.enters(m, name, isNew && r.own(name) == nil)
	}
	r.mu.Unlock()
	r.notify(changed)
	r.tell()
}

// slot returns the index of m in list. Called with mu held.
func (r *Rooms) slot(m Member) (int, bool) {
	i, ok := r.members[m.ID()]
	return int(i), ok && r.list[i] == m
}

func (r *Rooms) add(m Member, changed []string) (int, []string) {
	if i, ok := r.members[m.ID()]; ok {
		_, changed = r.remove(r.list[i], int(i), changed)
	}
	if r.members == nil {
		r.members = make(map[string]int32)
	}
	r.list = append(r.list, m)
	r.joined = append(r.joined, nil)
	r.members[m.ID()] = int32(len(r.list) - 1)
	return len(r.list) - 1, append(changed, m.ID())
}

// Leave takes m out of rooms. Without the one named by its id it can be excepted by that, and not selected.
func (r *Rooms) Leave(m Member, rooms ...string) {
	var changed []string
	at := r.position()
	r.mu.Lock()
	i, ok := r.slot(m)
	if !ok {
		r.mu.Unlock()
		return
	}
	for _, name := range rooms {
		if name == m.ID() && !r.out[m] {
			if r.out == nil {
				r.out = make(map[Member]bool)
			}
			r.out[m] = true
			if r.Position != nil {
				r.trails[m].out = at
			}
			changed = append(changed, name)
			r.leaves(m, name)
		}
		x := r.rooms[name]
		if x == nil || !x.remove(m) {
			continue
		}
		changed = r.free(x, changed)
		k := slices.Index(r.joined[i], x)
		r.joined[i] = slices.Delete(r.joined[i], k, k+1)
		if r.Position != nil {
			r.trails[m].leave(k, name, at)
		}
		r.leaves(m, name)
	}
	r.mu.Unlock()
	r.notify(changed)
	r.tell()
}

// free forgets x if it is empty. Called with mu held.
func (r *Rooms) free(x *room, changed []string) []string {
	if len(x.list) > 0 {
		return changed
	}
	r.rooms = r.hadRooms.Delete(r.rooms, x.name)
	return append(changed, x.name)
}

// Remove ends the membership of m and returns the rooms it was in, its own id first, and its trail; nil if
// m was no member.
func (r *Rooms) Remove(m Member) (rooms []string, trail Trail) {
	at := r.position()
	r.mu.Lock()
	i, ok := r.slot(m)
	if !ok {
		r.mu.Unlock()
		return nil, Trail{}
	}
	if t := r.trails[m]; t != nil {
		trail = t.trail(m.ID(), r.joined[i], at)
	}
	names, changed := r.remove(m, i, nil)
	r.mu.Unlock()
	r.notify(changed)
	r.tell()
	return names, trail
}

// remove takes the member at index i out. Called with mu held.
func (r *Rooms) remove(m Member, i int, changed []string) (names, _ []string) {
	id := m.ID()
	own := r.own(id) == m
	names = append(make([]string, 0, 1+len(r.joined[i])), id)
	for _, x := range r.joined[i] {
		names = append(names, x.name)
		x.remove(m)
		changed = r.free(x, changed)
	}
	last := len(r.list) - 1
	r.members = r.hadMembers.Delete(r.members, id)
	r.trails = r.hadTrails.Delete(r.trails, m)
	delete(r.out, m)
	if i != last {
		r.list[i], r.joined[i] = r.list[last], r.joined[last]
		r.members[r.list[i].ID()] = int32(i)
	}
	r.list[last], r.joined[last] = nil, nil
	r.list, r.joined = r.list[:last], r.joined[:last]
	if c := cap(r.list); c > 1024 && last < c/4 {
		r.list = append(make([]Member, 0, 2*last), r.list...)
		r.joined = append(make([][]*room, 0, 2*last), r.joined...)
	}
	for i, name := range names {
		if i > 0 || own {
			r.leaves(m, name)
		}
	}
	return names, append(changed, id)
}

func (r *Rooms) notify(changed []string) {
	if r.Changed == nil {
		return
	}
	for _, name := range changed {
		r.Changed(name)
	}
}

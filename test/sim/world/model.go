package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/beanpole/beanpole/server"
)

// model is what the checker knows: all that was emitted, and who was where when. Everything in it is guarded
// by world.mu.
type model struct {
	w       *world
	sources map[string]*source
	order   []*source // in the order they came
	lives   map[string]*life
	births  []*life // in the order they came
	trouble []window
	wiped   []int64  // when Redis lost what it had
	absent  []window // when a node stood still
	lost    []window // what was written to Redis in it a failover has lost
	given   map[string]*orders
	shut    map[string]int64    // sessions that a server has put out of all namespaces
	asked   map[string]*request // of clients, by their ids
	claims  []claim
	said    map[string]*told
	puts    []*order        // of sockets into rooms
	lent    [][2]string     // rooms that servers have given, with their namespaces, whose members are known
	silent  map[string]bool // questions that a client has not answered on purpose
}

func (m *model) init(w *world) {
	*m = model{w: w, sources: map[string]*source{}, lives: map[string]*life{}, given: map[string]*orders{}, asked: map[string]*request{},
		shut: map[string]int64{}, said: map[string]*told{}, silent: map[string]bool{}}
}

// window is a time during which something was not as it should be. to is 0 as long as it is not over.
type window struct {
	from, to int64
	mild     bool // Redis could be reached again at once
}

func (x window) overlaps(a, b int64) bool { return x.from <= b && (x.to == 0 || x.to >= a) }

// source is who emits, one event after the other: between its events there is an order.
type source struct {
	name   string
	node   *node
	events []*emission // the first has number 1
}

// emission is one call of an Emit.
type emission struct {
	src        *source
	n          int
	nsp        string
	kind       string
	rooms      []string // in any; none means everybody
	except     []string
	only, skip string // sid: who alone is to get it, who is not
	event      string
	args       []any // behind its id
	direct     bool  // by the socket of only, which is on the same server
	early      bool  // before that is connected
	volatile   bool
	local      bool
	ack        bool
	from, to   int64 // the call
	err        error
}

func (e *emission) id() string { return e.src.name + "/" + strconv.Itoa(e.n) }

func (e *emission) String() string {
	return fmt.Sprintf("%s %s nsp=%s rooms=%v except=%v only=%s skip=%s vol=%v local=%v ack=%v", e.id(), e.kind, e.nsp,
		e.rooms, e.except, e.only, e.skip, e.volatile, e.local, e.ack)
}

// lane tells apart events that may overtake each other when Redis is in trouble, on nodes that listen to the
// channels of rooms: those to one room, and all others.
func (e *emission) lane() string {
	if len(e.rooms) == 1 && e.only == "" {
		return e.nsp + " " + e.rooms[0]
	}
	return e.only
}

// kept reports whether the event is one that recovery brings again.
func (e *emission) kept() bool { return !e.volatile && !e.local && !e.ack }

// emit registers an emission, and returns it for the call that follows.
func (w *world) emit(src string, n *node, e emission) *emission {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.model.sources[src]
	if s == nil {
		s = &source{name: src, node: n}
		w.model.sources[src] = s
		w.model.order = append(w.model.order, s)
	}
	e.src, e.n = s, len(s.events)+1
	s.events = append(s.events, &e)
	w.line(n.name, "emit "+e.String())
	w.counts["emitted"]++
	w.counts["emitted "+e.kind]++
	e.from = w.now()
	return &e
}

// emitted notes that the call has returned.
func (w *world) emitted(e *emission, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e.to, e.err = w.now(), err
	if errors.Is(err, server.ErrDisconnected) {
		e.volatile = true // it was too late
	}
	if err != nil {
		w.line(e.src.node.name, "emit "+e.id()+" returned "+err.Error())
	}
}

// life finds a life by the id of its socket, nil if there is none.
func (w *world) life(sid string) *life {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.model.lives[sid]
}

// find returns the emission of an id.
func (m *model) find(id string) *emission {
	i := strings.LastIndexByte(id, '/')
	if i < 0 {
		return nil
	}
	s := m.sources[id[:i]]
	n, err := strconv.Atoi(id[i+1:])
	if s == nil || err != nil || n < 1 || n > len(s.events) {
		return nil
	}
	return s.events[n-1]
}

// life is one socket from its first CONNECT to the end of what can be recovered.
type life struct {
	sid, nsp string
	client   *client
	conns    []*conn
	stays    []*stay
	got      map[*source][]receipt
	seen     map[*emission]bool
	early    map[int]int64 // connections that the client knew of before their handler ran
	over     int64         // when it ended for good, 0 as long as it may come back
	why      string        // it ended
	mark     int           // that its data has
	putOut   int64         // when a server last disconnected the client while it was coming back
	barred   int           // the last connection of the client's with which it was, if the server had received that
}

// conn is one connection of a life.
type conn struct {
	node    *node
	number  int   // the client's
	from    int64 // the server may have had it since
	open    int64 // the connection handler ran
	told    int64 // the client knew
	shaky   int64 // something happened to it: what is not kept may be lost from then on; 0 if nothing did
	ended   int64 // the server knew that it is over
	closed  int64 // the disconnect handler ran
	reason  string
	blocks  int64 // until when a handler blocks, or has
	ran     int64 // when a handler last ended
	running int   // handlers
	putOut  int64 // a server's Disconnect has returned, and what waited for the handlers is dropped
	kicked  bool  // a server has disconnected it, be it when it had ended: what waited for the handlers may be dropped
	out     bool  // a handler of its own has disconnected it, so that nobody comes back to it
	sock    member
	served  *served
}

// held reports whether nothing has happened to the connection by b, a moment that is not to come. The server
// may have ended it, and the handlers of what came before may not be through.
func (c *conn) held(b int64) bool {
	return c.shaky == 0 && c.sock.connected() || c.shaky > b
}

// obeys reports whether a call that has returned has had its effect: the connection was not over. One of the library says
// that it is only behind the handlers of what came before.
func (c *conn) obeys() bool {
	return c.sock.connected() && (!c.node.library || c.shaky == 0)
}

// stay is a life's time in a room: it came between in0 and in1 and went between out0 and out1, 0 if not yet.
type stay struct {
	room                 string
	in0, in1, out0, out1 int64
}

// receipt is an event that a client got.
type receipt struct {
	e  *emission
	at int64
}

// certainly reports whether the life was in room all the time from a to b.
func (l *life) certainly(room string, a, b int64) bool {
	if room == l.sid {
		return l.alive(a)
	}
	return slices.ContainsFunc(l.stays, func(s *stay) bool {
		return s.room == room && s.in1 != 0 && s.in1 <= a && (s.out0 == 0 || s.out0 > b)
	})
}

// possibly reports whether it may have been in room at any time from a to b.
func (l *life) possibly(room string, a, b int64) bool {
	if room == l.sid {
		return len(l.conns) > 0 && l.conns[0].from <= b
	}
	return slices.ContainsFunc(l.stays, func(s *stay) bool {
		return s.room == room && s.in0 <= b && (s.out1 == 0 || s.out1 >= a)
	}) || ofServer(room) && !l.client.w.model.isLent(l.nsp, room)
}

// alive reports whether it was a member of its namespace at a.
func (l *life) alive(a int64) bool {
	return len(l.conns) > 0 && l.conns[0].open != 0 && l.conns[0].open <= a
}

// steady reports whether one connection held all the time from a to b.
func (l *life) steady(a, b int64) bool {
	return slices.ContainsFunc(l.conns, func(c *conn) bool {
		return c.open != 0 && c.told != 0 && max(c.open, c.told) <= a && c.held(b)
	})
}

// must reports whether the life must get e if it gets anything of a time at or after b.
func (l *life) must(e *emission, b int64) bool {
	if e.nsp != l.nsp || e.volatile || !l.alive(e.from) && !e.early || e.skip == l.sid || e.to == 0 {
		return false
	}
	if e.only != "" && e.only != l.sid {
		return false
	}
	if !e.kept() && !l.steady(e.from, b) {
		return false
	}
	if e.local && !l.on(e.src.node, e.from, b) {
		return false
	}
	for _, room := range e.except {
		if l.possibly(room, e.from, b) {
			return false
		}
	}
	return len(e.rooms) == 0 || slices.ContainsFunc(e.rooms, func(r string) bool { return l.certainly(r, e.from, b) })
}

// may reports whether the life may get e by b.
func (l *life) may(e *emission, b int64) string {
	switch {
	case e.nsp != l.nsp:
		return "of another namespace"
	case e.skip == l.sid:
		return "its own broadcast"
	case e.only != "" && e.only != l.sid:
		return "for another socket"
	case e.local && !slices.ContainsFunc(l.conns, func(c *conn) bool { return c.node == e.src.node }):
		return "for another server's sockets"
	}
	for _, room := range e.except {
		if l.certainly(room, e.from, b) {
			return "in the excepted room " + room
		}
	}
	if len(e.rooms) > 0 && !slices.ContainsFunc(e.rooms, func(r string) bool { return l.possibly(r, e.from, b) }) {
		return "in none of its rooms"
	}
	return ""
}

// on reports whether it was connected to n all the time from a to b.
func (l *life) on(n *node, a, b int64) bool {
	return slices.ContainsFunc(l.conns, func(c *conn) bool {
		return c.node == n && c.open != 0 && c.open <= a && c.held(b)
	})
}

// conn is the last connection, nil if there was none.
func (l *life) conn() *conn {
	if len(l.conns) == 0 {
		return nil
	}
	return l.conns[len(l.conns)-1]
}

// unsettle notes that something happens to the connection.
func (l *life) unsettle(at int64) {
	if c := l.conn(); c != nil && c.shaky == 0 {
		c.shaky = at
	}
}

// finish notes that it cannot come back.
func (l *life) finish(at int64, why string) {
	if l.over == 0 {
		l.over, l.why = at, why
	}
	l.unsettle(at)
}

// unwell reports whether somebody may not have heard of others in time from a to b: Redis was in trouble, or a node
// stood still. Called with world.mu held.
func (m *model) unwell(a, b int64) bool {
	return m.troubled(a, b) || slices.ContainsFunc(m.absent, func(x window) bool { return x.overlaps(a, b) })
}

// stood reports whether a node stood still at any time from a to b. Called with world.mu held.
func (n *node) stood(a, b int64) bool {
	return slices.ContainsFunc(n.pauses, func(x window) bool { return x.overlaps(a, b) })
}

// gone reports whether something that was written to Redis between a and b may be lost by a failover.
func (m *model) gone(a, b int64) bool {
	return slices.ContainsFunc(m.lost, func(x window) bool {
		return x.overlaps(a-settle, b+settle) || a < x.to && m.troubled(a, x.from) // it waited
	})
}

// away reports whether Redis was in more trouble at any time from a to b than that connections to it broke. Called with
// world.mu held.
func (m *model) away(a, b int64) bool {
	return slices.ContainsFunc(m.trouble, func(x window) bool { return !x.mild && x.overlaps(a, b) })
}

// troubled reports whether Redis was in trouble at any time from a to b. Called with world.mu held.
func (m *model) troubled(a, b int64) bool {
	return slices.ContainsFunc(m.trouble, func(x window) bool { return x.overlaps(a, b) })
}

package main

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/beanpole/beanpole/test/sim/plan"
)

// client is one client with its Socket.IO connections, about as strict as socket.io-client 4.8: what the server
// may not send is a violation. Source: socket.io-protocol 5, socket.io-client/lib/socket.ts.
type client struct {
	w    *world
	name string
	old  bool       // of Socket.IO v2
	rng  *rand.Rand // of run
	jit  *rand.Rand // of everything else; guarded by mu

	mu sync.Mutex
	// Guarded by mu.
	engine  *engine
	socks   map[string]*sock
	partial *packet // that waits for attachments
	sent    map[connection][]*sent
	faults  []window
	asked   []owed // with small bounds, the acknowledgements that the client has asked for
}

// sock is the client's side of a namespace.
type sock struct {
	c   *client
	nsp string
	// Guarded by client.mu.
	state   string // "", connecting, connected, left (by the client), ended (by the server)
	number  int    // of the connection
	pid     string
	offset  string
	asked   *life // whose state was asked for
	life    *life
	nextAck int
	acks    map[int]pending
	behind  bool // events of a connection that the client has left may still come
}

// pending is an acknowledgement that the client waits for.
type pending struct {
	*sent
	n      int // of the event
	from   int64
	missed bool // one behind it has come
}

func newClient(w *world, i int) *client {
	name := "c" + strconv.Itoa(i)
	return &client{w: w, name: name, rng: w.rng(name), jit: w.rng(name + " jitter"), socks: map[string]*sock{}, sent: map[connection][]*sent{},
		old: w.plan.Does(plan.Old) && w.rng(name+" kind").IntN(4) == 0}
}

// client finds a client by its name.
func (w *world) client(name string) *client {
	for _, c := range w.clients {
		if c.name == name {
			return c
		}
	}
	panic("no client " + name)
}

// wait draws a time for what is not the client's own course.
func (c *client) wait(a, b time.Duration) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return between(c.jit, a, b)
}

// troubled reports whether a fault met the client at any time from a to b.
func (c *client) troubled(a, b int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.met(a, b)
}

// putOut notes that a server disconnects the client in all namespaces: in those, too, where it is coming back.
func (c *client) putOut() {
	c.mu.Lock()
	var coming []*life
	for _, s := range c.socks {
		if s.state == "connecting" && s.asked != nil {
			coming = append(coming, s.asked)
		}
	}
	c.mu.Unlock()
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	at := c.w.now()
	for _, l := range coming {
		l.putOut = at
	}
}

// formerLife is whose state the client has asked for in a namespace, by its connection with a number: nil when it has
// begun another since, for which that state may have been taken.
func (c *client) formerLife(nsp string, number int) *life {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.socks[nsp]; s != nil && s.number == number {
		return s.asked
	}
	return nil
}

// run is the life of the client.
func (c *client) run() {
	time.Sleep(between(c.rng, 0, 800*time.Millisecond))
	for {
		select {
		case <-c.w.finishing:
			return
		default:
		}
		kind := byWebSocket
		if c.w.plan.Does(plan.Polling) {
			kind = []string{byWebSocket, byWebSocket, byUpgrade, byUpgrade, byPolling}[c.rng.IntN(5)]
		}
		addr := fmt.Sprintf("n%d:80", c.rng.IntN(c.w.plan.Nodes))
		e, err := c.open(kind, addr)
		if err != nil {
			c.w.note(c.name, "cannot connect: %v", err)
		} else {
			c.mu.Lock()
			c.engine, c.partial = e, nil
			c.mu.Unlock()
			if c.old {
				c.greet()
			}
			e.start()
			c.session(e)
		}
		select {
		case <-time.After(between(c.rng, 50*time.Millisecond, 1500*time.Millisecond)):
		case <-c.w.finishing:
		}
	}
}

// session is one session until it ends.
func (c *client) session(e *engine) {
	if !c.old {
		c.connect("/")
	}
	if c.w.plan.Does(plan.Namespaces) && c.rng.IntN(2) == 0 {
		c.connect(namespaces[1+c.rng.IntN(2)])
	}
	if c.w.plan.Does(plan.Namespaces) && c.rng.IntN(8) == 0 {
		c.connect(closed)
	}
	until := time.Now().Add(between(c.rng, 300*time.Millisecond, 7*time.Second))
	for {
		t := time.NewTimer(between(c.rng, 10*time.Millisecond, 300*time.Millisecond))
		select {
		case <-e.done:
			t.Stop()
			return
		case <-c.w.finishing:
			t.Stop()
			c.goodbye(e)
			return
		case <-t.C:
		}
		if c.w.stopped() {
			continue
		}
		if time.Now().After(until) {
			if c.leave(e) {
				return
			}
			until = time.Now().Add(between(c.rng, 300*time.Millisecond, 7*time.Second))
			continue
		}
		c.act(e)
	}
}

// leave ends the session, or one namespace.
func (c *client) leave(e *engine) bool {
	kind := c.rng.IntN(8)
	if !c.w.plan.Does(plan.Leaving) {
		kind = 0
	}
	c.w.note(c.name, "leaves by %d", kind)
	if kind != 7 {
		c.unsettle()
	}
	switch kind {
	case 0, 1, 2, 3:
		e.end(errDropped)
	case 4:
		e.close()
	case 5:
		e.breakOff(c.rng.IntN(1 << 16))
	case 6:
		for _, s := range c.list() {
			c.disconnect(s)
		}
		time.Sleep(between(c.rng, 0, 200*time.Millisecond))
		e.end(errDropped)
	case 7: // a namespace is left, and joined again
		list := c.list()
		if len(list) == 0 || c.old { // to which the server gives the same id again
			return false
		}
		s := list[c.rng.IntN(len(list))]
		c.disconnect(s)
		time.Sleep(between(c.rng, 0, 500*time.Millisecond))
		c.connect(s.nsp)
		return false
	}
	return true
}

// unsettle notes that something is about to happen to the client's connection.
func (c *client) unsettle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	for _, nsp := range namespaces {
		if s := c.socks[nsp]; s != nil && s.life != nil {
			s.life.unsettle(c.w.now())
		}
	}
}

// goodbye is how the client leaves when all is over.
func (c *client) goodbye(e *engine) {
	c.unsettle()
	if c.rng.IntN(2) == 0 {
		for _, s := range c.list() {
			c.disconnect(s)
		}
	}
	e.close()
}

// list returns the sockets that are connected.
func (c *client) list() []*sock {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []*sock
	for _, nsp := range namespaces {
		if s := c.socks[nsp]; s != nil && s.state == "connected" {
			out = append(out, s)
		}
	}
	return out
}

// act sends something.
func (c *client) act(e *engine) {
	list := c.list()
	if len(list) == 0 {
		return
	}
	s := list[c.rng.IntN(len(list))]
	p := &c.w.plan
	switch k := c.rng.IntN(20); {
	case k < 9:
		c.up(s, p.Does(plan.Acks) && c.rng.IntN(2) == 0)
	case k < 12 && p.Does(plan.Rooms):
		c.emit(s, true, "join", rooms[c.rng.IntN(len(rooms))])
	case k < 14 && p.Does(plan.Rooms):
		c.emit(s, true, "leave", rooms[c.rng.IntN(len(rooms))])
	case k == 14 && p.Does(plan.Acks) && c.rng.IntN(2) == 0:
		c.emit(s, true, "later")
	case k < 16 && p.Does(plan.Acks):
		c.emit(s, c.rng.IntN(4) == 0, "ask")
	case k == 16 && p.Has(plan.Handlers):
		c.emit(s, false, "block", c.rng.IntN(1500))
		if c.rng.IntN(4) == 0 { // more than a server keeps as they are
			for i := range 100 {
				c.up(s, p.Does(plan.Acks) && i%2 == 0)
			}
		}
	case k == 17 && p.Has(plan.Handlers):
		c.emit(s, c.rng.IntN(2) == 0, "boom")
	case k == 18 && p.Has(plan.Handlers) && c.rng.IntN(2) == 0:
		all := c.rng.IntN(2)
		if nsp := c.away(); nsp != "" && c.rng.IntN(2) == 0 { // it is put out while it comes back there
			c.connect(nsp)
			all = 1
		}
		c.emit(s, false, "kick", all)
		for range c.rng.IntN(4) { // these wait for the handlers, and are dropped
			c.up(s, false)
		}
	case k == 19 && p.Has(plan.Slow):
		d := between(c.rng, 200*time.Millisecond, 6*time.Second)
		c.w.note(c.name, "does not read for %s", d)
		c.w.count("fault slow")
		e.mu.Lock()
		e.slow = time.Now().Add(d)
		e.mu.Unlock()
		c.fault(d + 2*time.Second)
	}
}

// fault notes that the client is not to be relied on for a time.
func (c *client) fault(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.w.now()
	c.faults = append(c.faults, window{from: now - int64(100*time.Millisecond), to: now + int64(d)})
}

// up sends something.
func (c *client) up(s *sock, ack bool) { c.emit(s, ack, "up", c.payload()) }

// emit sends an event, with its number on the connection.
func (c *client) emit(s *sock, ack bool, event string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.acks == nil {
		return // the session has just ended
	}
	key := connection{s.nsp, s.number}
	x := &sent{event: event, args: args}
	c.sent[key] = append(c.sent[key], x)
	if event == "kick" {
		c.coming(x)
	}
	n, id := len(c.sent[key]), -1
	if ack {
		id = s.nextAck
		s.nextAck++
		s.acks[id] = pending{sent: x, n: n, from: c.w.now()}
		if c.w.bounds.events > 0 {
			c.asked = append(c.asked, owed{c.w.now(), 320 + len(encode(args))})
		}
	}
	c.engine.send(newPacket(typeEvent, s.nsp, id, append([]any{event, n}, args...)).frames(x)...)
}

// recovers reports whether the client may recover.
func (c *client) recovers() bool { return c.w.plan.Recovers() && !c.old }

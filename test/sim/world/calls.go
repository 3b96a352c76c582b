package main

import (
	"errors"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/transport"
)

// call is one call of what is not to wait for anybody: an emit, or an order to sockets of the cluster.
type call struct {
	n     *node
	about string
	what  string
	to    *life // the socket that it is for, nil for a broadcast
}

// returned checks how long a call took, and what it has returned.
func (w *world) returned(c call, from, to int64, err error) {
	w.mu.Lock()
	took := time.Duration(to - from)
	w.counts["slowest call, µs"] = max(w.counts["slowest call, µs"], int(took.Microseconds()))
	stood := c.n.stood(from, to)
	w.mu.Unlock()
	if took > callLimit && !stood {
		w.violated("emit-time", c.about, "%s took %s", c.what, took)
	}
	if err != nil && c.n.live() && !c.allowed(w, from, err) {
		w.violated("emit", c.about, "%s returned %v", c.what, err)
	}
}

// allowed reports whether what is documented is why the call has returned err.
func (c *call) allowed(w *world, from int64, err error) bool {
	switch {
	case errors.Is(err, adapter.ErrDegraded): // what is to be published did not fit
		return c.n.cluster != nil && degraded(c.n.cluster.Status())
	case c.to == nil:
		return false
	case errors.Is(err, server.ErrDisconnected): // which others may have heard of later
		w.mu.Lock()
		defer w.mu.Unlock()
		if k := c.to.conn(); k != nil && k.node == c.n {
			w.claim(k, c.what, c.about)
		}
		return true
	case errors.Is(err, transport.ErrBacklog): // a client that does not read, or cannot
		return c.to.client.troubled(from-10*second, from) || c.to.client.crowded()
	}
	return false
}

// degraded reports whether what is to be published waits, and no more fits.
func degraded(s redis.Status) bool {
	for _, p := range s.Parts {
		if p.Kind == redis.PartOutbox && p.Err != nil {
			return true
		}
	}
	return false
}

// local checks how long an event has taken to a client of the server that has emitted it, if the two were well all the
// time.
func (w *world) local(l *life, e *emission, at int64) {
	if l.client.troubled(e.from, at) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	c := l.conn()
	if c == nil || c.node != e.src.node || c.told == 0 || max(c.open, c.told) > e.from || !c.held(at) || c.node.stood(e.from, at) {
		return
	}
	took := time.Duration(at - e.from)
	w.counts["slowest local event, ms"] = max(w.counts["slowest local event, ms"], int(took.Milliseconds()))
	if took > localLimit {
		w.violate("local-time", e.id(), "%s (%s) got it after %s, though it is on the server that emitted it: %s", l.client.name, l.sid, took, e)
	}
}

// claim is that of a call that a connection is over.
type claim struct {
	k           *conn
	what, about string
	at          int64
}

// claim notes that a call has said that a connection is over. Called with mu held.
func (w *world) claim(k *conn, what, about string) {
	if k.closed == 0 {
		w.model.claims = append(w.model.claims, claim{k, what, about, w.now()})
	}
}

// claimed checks that the connections of which calls have said that they are over were so.
func (w *world) claimed() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, x := range w.model.claims {
		if k := x.k; k.node.dead || k.node.stood(x.at, x.at+int64(slack)) || k.ended != 0 && k.ended < x.at+int64(slack) {
			continue
		}
		w.violate("emit", x.about, "%s returned %v on a connection that was not over for another %s", x.what, server.ErrDisconnected, slack)
	}
}

package main

import (
	"slices"
	"strings"
	"time"
)

// Nothing ends, and nobody is refused, without a cause: a client that leaves, a server that has disconnected it or that
// ends, a fault of the network. What a client meets is compared with what the world knows to have happened.

// patience is how long after a fault a session may end of it: when each side has waited for the other.
const patience = int64(15 * time.Second)

// cause names why the session may have ended by now, or an upgrade of it failed; "" says that nothing has happened.
func (e *engine) cause() string {
	c, w := e.c, e.c.w
	strayed := e.astray()
	in := len(c.list()) > 0
	w.mu.Lock()
	now := w.now()
	cause := ""
	switch holder := e.holder; {
	case holder == nil:
		cause = "its server is unknown"
	case holder.gone != 0:
		cause = "its server ended"
	case w.model.shut[e.sid] != 0:
		cause = "put out"
	case !in && now-e.began >= int64(connectTimeout) && w.model.unwell(e.began-settle, now):
		cause = "nobody let it in while Redis was in trouble"
	case strayed && w.model.unwell(e.began-settle, now):
		cause = "forwarded in trouble"
	case strayed && slices.ContainsFunc(w.all, func(n *node) bool {
		return n.gone != 0 && n.gone > e.began-patience || n.opened == 0 || n.opened > e.began-settle
	}):
		cause = "forwarded by a server that came or went"
	}
	w.mu.Unlock()
	if cause == "" && (busy || c.troubled(now-patience, now)) {
		cause = "a fault"
	}
	if cause == "" && c.crowded() {
		cause = "more was sent than may wait"
	}
	return cause
}

// ends judges the end of a session that the client has not ended itself.
func (e *engine) ends(err error) {
	e.mu.Lock()
	closes := e.closes
	e.mu.Unlock()
	if closes {
		return // and was still writing
	}
	cause := e.cause()
	if cause == "" {
		e.c.w.violated("unwanted", e.c.name, "its session on %s ended (%v), and nobody has ended it", e.holder.name, err)
	}
	e.c.w.count("ended: " + cause)
}

// fails judges an upgrade that was given up.
func (e *engine) fails(what any) {
	e.c.w.note(e.c.name, "upgrade given up: %v", what)
	e.mu.Lock()
	ends := e.err != nil || e.closes
	e.mu.Unlock()
	if ends {
		return
	}
	if e.cause() == "" {
		e.c.w.violated("upgrade", e.c.name, "its upgrade on %s failed (%v), and nothing was wrong", e.holder.name, what)
	}
}

// now is the client's session.
func (c *client) now() *engine {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.engine
}

// refusal judges a CONNECT_ERROR.
func (c *client) refusal(s *sock, p packet) {
	if p.nsp == closed {
		if !strings.Contains(string(p.data), `"closed"`) {
			c.w.violated("unwanted", c.name, "it was refused with %s, and its middleware has said closed", p.data)
		}
		return
	}
	if cause := c.now().cause(); cause == "" || cause == "a fault" {
		c.w.violated("unwanted", c.name, "its CONNECT to %s was refused: %s", p.nsp, p.data)
	}
}

// putAway judges a DISCONNECT by the server.
func (c *client) putAway(l *life) {
	c.w.mu.Lock()
	kicked := l.putOut != 0 || slices.ContainsFunc(l.conns, func(k *conn) bool { return k.kicked })
	c.w.mu.Unlock()
	if cause := c.now().cause(); !kicked && (cause == "" || cause == "a fault") {
		c.w.violated("unwanted", c.name, "the server has disconnected %s, and nobody wanted that", l.sid)
	}
}

// reasons checks, when the disconnect handler runs, that what it is told has happened.
func (x *served) reasons(reason string) {
	w, c, k := x.w, x.l.client, x.k
	c.mu.Lock()
	s := c.socks[x.l.nsp]
	stays := s != nil && s.number == k.number && (s.state == "connected" || s.state == "connecting")
	c.mu.Unlock()
	w.mu.Lock()
	kicked, ended := k.kicked || x.l.putOut != 0, k.node.gone != 0
	w.mu.Unlock()
	wrong := false
	switch reason {
	case "client namespace disconnect":
		wrong = stays
	case "server namespace disconnect":
		wrong = !kicked
	case "server shutting down":
		wrong = !ended
	case "parse error", "event queue full", "rate limited":
		wrong = true
	}
	if wrong && !ended {
		w.violated("unwanted", c.name, "%s: disconnect (%s), and that is not so", x.s.id(), reason)
	}
}

// tooLate checks that a life that is recovered had not been away for too long. Called with mu held.
func (w *world) tooLate(l *life, at int64) {
	k := l.conn()
	if k == nil || k.closed == 0 {
		return
	}
	if away := at - k.closed; away > int64(w.maxAway())+2*second && !w.model.unwell(k.closed, at) {
		w.violate("recovery", l.client.name, "recovered %s after %s, and states are kept for %s", l.sid, time.Duration(away), w.maxAway())
	}
}

// leaving checks the rooms of which the application is told when a socket ends: those that it was in.
func (x *served) leaving(rooms []string) {
	w := x.w
	w.mu.Lock()
	certain, possible := x.l.rooms()
	wrong := rooms != nil && x.l.conn() == x.k && !x.l.fits(rooms)
	w.mu.Unlock()
	if wrong {
		w.violated("rooms", x.l.client.name, "%s ends in %v, and should be in %v, at most in %v", x.s.id(), rooms, certain, possible)
	}
}

// greeted checks what the handshake says, and that the server that gave it takes sessions.
func (e *engine) greeted(interval, timeout int) {
	w := e.c.w
	if time.Duration(interval)*time.Millisecond != pingInterval || time.Duration(timeout)*time.Millisecond != pingTimeout {
		w.violated("protocol", e.c.name, "the handshake says pingInterval %d and pingTimeout %d", interval, timeout)
	}
	w.mu.Lock()
	drains := e.holder != nil && e.holder.draining && e.holder.gone+second/10 < e.began
	w.mu.Unlock()
	if drains {
		w.violated("shutdown", e.c.name, "%s drains, and has opened a session", e.holder.name)
	}
}

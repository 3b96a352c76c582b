package main

import (
	"slices"
	"time"

	"github.com/beanpole/beanpole/transport"
)

// putOut has the server disconnect the client of a socket in all namespaces, from a handler of it, and checks that
// this is what becomes of it: its sockets have ended, those that were coming back cannot any more, and the session is
// closed. event is the client's, that asked for it: what the client had sent before the server has received.
func (x *served) putOut(event *sent) {
	w, c, n, session := x.w, x.l.client, x.n, x.s.session()
	w.mu.Lock()
	var mates []*conn
	for _, l := range w.model.births {
		for _, k := range l.conns {
			if l.client == c && k.node == n && k.closed == 0 && k.sock.session() == session {
				k.kicked = true
				mates = append(mates, k)
			}
		}
	}
	at := w.now()
	w.mu.Unlock()
	c.putOut()
	was := n.holds(session) // else its sockets have ended by themselves, and what waited is handled
	if event != nil {
		for _, l := range event.coming {
			w.mu.Lock()
			l.putOut = at
			l.barred = max(l.barred, event.numbers[l])
			w.mu.Unlock()
		}
	}
	x.s.disconnect(true)
	w.mu.Lock()
	var left []string
	done := w.now()
	for _, k := range mates {
		if k.sock.connected() {
			left = append(left, k.sock.nsp())
		} else if k != x.k && was {
			k.putOut = done + second // its handler may have begun
		}
	}
	w.model.shut[session] = done
	w.counts["put out of all namespaces"]++
	w.counts["put out of all namespaces: sockets"] += len(mates)
	if event != nil {
		w.counts["put out while coming back"] += len(event.coming)
	}
	w.mu.Unlock()
	if len(left) > 0 {
		w.violated("put-out", c.name, "%s: connected in %v after Disconnect(true)", x.s.id(), left)
	}
	go func() { // of a handler, which may run when the load has ended
		if !w.pause(time.Duration(settle)) {
			return
		}
		open := n.holds(session)
		w.mu.Lock()
		excused := n.dead || w.model.unwell(at-settle, w.now()) || n.stood(at-settle, w.now())
		w.mu.Unlock()
		if open && !excused {
			w.violated("put-out", c.name, "%s: the session is open %s after Disconnect(true)", x.s.id(), time.Duration(settle))
		}
	}()
}

// holds reports whether a session is open.
func (n *node) holds(session string) (open bool) {
	n.io.Engine().Each(func(s *transport.Session) bool { open = s.ID() == session; return !open })
	return open
}

// putOutOf checks, when a socket connects, that it has not been put out before: with its session, while it came back, or by a
// handler, be it behind the end of its connection.
// Called with mu held.
func (w *world) putOutOf(l *life, k *conn, recovered bool) {
	if at := w.model.shut[k.sock.session()]; at != 0 && k.open > at+second && k.sock.connected() {
		w.violate("put-out", l.client.name, "%s: connected to %s, and its session has been put out by Disconnect(true)", l.sid, l.nsp)
	}
	if recovered && l.barred != 0 && k.number > l.barred {
		w.violate("recovery", l.client.name, "recovered %s, which Disconnect(true) has put out while it came back", l.sid)
	}
	if recovered && slices.ContainsFunc(l.conns, func(c *conn) bool { return c.out }) {
		w.violate("recovery", l.client.name, "recovered %s, which a handler of it has disconnected", l.sid)
	}
}

// away returns a namespace that the client is not in and may come back to, or "".
func (c *client) away() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, nsp := range namespaces[1:] {
		if s := c.socks[nsp]; s != nil && s.state == "" && s.pid != "" {
			return nsp
		}
	}
	return ""
}

// coming notes with an event the lives that the client has asked to come back to on its session, before the event, and
// that have not come yet. Called with mu held.
func (c *client) coming(x *sent) {
	for _, nsp := range namespaces {
		if s := c.socks[nsp]; s != nil && s.state == "connecting" && s.asked != nil {
			if x.numbers == nil {
				x.numbers = map[*life]int{}
			}
			x.coming = append(x.coming, s.asked)
			x.numbers[s.asked] = s.number
		}
	}
}

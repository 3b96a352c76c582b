package main

import (
	"maps"
	"slices"
)

// back checks that clients and servers know each other again: each client has a session, an answer to each CONNECT, and
// the sockets that its server has of it; and no server has others.
func (w *world) back() {
	held := map[string]bool{} // by the ids of sockets
	for _, n := range w.slots {
		for nsp := range n.io.SocketCounts() {
			for _, m := range n.io.members(nsp) {
				held[m.id()] = true
			}
		}
	}
	for _, c := range w.clients {
		for _, what := range c.lacks(held) {
			w.violated("reconnect", c.name, "%s, though all has been well for %s", what, calm)
		}
	}
	for _, sid := range slices.Sorted(maps.Keys(held)) {
		w.violated("leftovers", sid, "no client has the socket %s, though all has been well for %s", sid, calm)
	}
}

// lacks names what is not as it must be when all has been well for a while. It takes the client's sockets from held.
func (c *client) lacks(held map[string]bool) (out []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.engine == nil || c.engine.over() {
		return []string{"the client has no session"}
	}
	connected := 0
	for _, nsp := range asked {
		s := c.socks[nsp]
		switch {
		case s == nil || s.state == "":
			if nsp == "/" {
				out = append(out, "it has not asked for /")
			}
		case s.state == "connecting":
			out = append(out, "its CONNECT to "+nsp+" has no answer")
		case s.state != "connected":
		case !held[s.life.sid]:
			out = append(out, "no server has its socket "+s.life.sid+" of "+nsp)
		default:
			delete(held, s.life.sid)
			connected++
		}
	}
	c.w.note(c.name, "has %d sockets", connected)
	return out
}

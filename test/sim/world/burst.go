package main

import "strings"

// burst has the server emit several events to a client, to it alone and to many in turn, which wait together until its
// upgrade is complete: nothing polls meanwhile.
func (e *engine) burst() {
	w, c := e.c.w, e.c
	n := w.at(e.addr)
	if w.stopped() || !n.live() {
		return
	}
	c.mu.Lock()
	s := c.socks["/"]
	var l *life
	if s != nil && s.state == "connected" {
		l = s.life
	}
	k, text := 2+c.jit.IntN(6), strings.Repeat("u", c.jit.IntN(5)*c.jit.IntN(200))
	c.mu.Unlock()
	if l == nil {
		return
	}
	w.count("bursts before an upgrade")
	for i := range k {
		x := emission{nsp: "/", kind: "direct", only: l.sid, direct: true}
		if i%2 == 0 {
			x = emission{nsp: "/", kind: "all"}
		}
		w.send(n, n.name+"!"+c.name, x, text, i)
	}
}

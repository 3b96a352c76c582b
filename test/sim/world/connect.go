package main

// next gives the next connection to a namespace its number. Called with mu held.
func (c *client) next(nsp string) *sock {
	s := c.socks[nsp]
	if s == nil {
		s = &sock{c: c, nsp: nsp}
		c.socks[nsp] = s
	}
	s.number++
	return s
}

// begin has the connection begin. Called with mu held.
func (s *sock) begin() {
	s.state, s.nextAck, s.acks, s.asked = "connecting", 0, map[int]pending{}, nil
}

// connect asks for a namespace.
func (c *client) connect(nsp string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.engine.over() {
		return // the next session asks for what it wants
	}
	s := c.next(nsp)
	s.begin()
	if c.old {
		query := c.greeting(s.number)
		c.w.note(c.name, "CONNECT %s?%s", nsp, query)
		c.engine.send(frame{text: packet{kind: typeConnect, nsp: nsp + "?" + query, id: -1}.text()})
		return
	}
	auth := map[string]any{"client": c.name, "conn": s.number, "rooms": []string{rooms[c.rng.IntN(len(rooms))], rooms[c.rng.IntN(len(rooms))]}}
	if s.pid != "" {
		auth["pid"] = s.pid
		if s.offset != "" {
			auth["offset"] = s.offset
		}
		s.asked = s.life
	}
	data := encode(auth)
	c.w.note(c.name, "CONNECT %s %s", nsp, data)
	c.engine.send(frame{text: packet{kind: typeConnect, nsp: nsp, id: -1, data: data}.text()})
}

// disconnect leaves a namespace.
func (c *client) disconnect(s *sock) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.state != "connected" {
		return
	}
	s.overdue()
	s.state, s.behind = "left", true
	c.w.mu.Lock()
	c.w.line(c.name, "DISCONNECT "+s.nsp)
	s.life.finish(c.w.now(), "left by the client")
	c.w.mu.Unlock()
	if c.jit.IntN(3) > 0 { // some try to come back all the same
		s.pid, s.offset = "", ""
	}
	c.engine.send(frame{text: packet{kind: typeDisconnect, nsp: s.nsp, id: -1}.text()})
}

// ended is told that the session is over.
func (c *client) ended() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, nsp := range asked {
		if s := c.socks[nsp]; s != nil {
			s.overdue()
		}
	}
	at := c.w.now()
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	for _, nsp := range asked {
		s := c.socks[nsp]
		if s == nil {
			continue
		}
		if s.life != nil && (s.state == "connected" || s.state == "connecting") {
			s.life.unsettle(at)
			if !c.recovers() {
				s.life.finish(at, "its session ended")
			}
		}
		s.state, s.acks, s.behind = "", nil, false
	}
}

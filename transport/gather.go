package transport

import "github.com/gobwas/ws"

// Frames on their way out are appended to a pooled buffer: during a turn to the one that leaves at its
// end, else to one that leaves at once.

// form is how messages are written on c. Called with mu held.
func (c *wsConn) form() form {
	switch {
	case c.s.proto == 4:
		return form4
	case c.s.wsB64:
		return form3Text
	default:
		return form3
	}
}

// threshold is the size from which messages sent with o are deflated; zero means never.
func (c *wsConn) threshold(o SendOptions) int {
	if !c.deflate || o.NoCompress {
		return 0
	}
	return c.s.srv.cfg.PerMessageDeflate.Threshold
}

// begin returns the buffer to append frames to, which commit takes. Called with mu held.
func (c *wsConn) begin() *buffer {
	if c.s.gathering && c.s.ws == c {
		if c.gathered == nil {
			c.gathered = takeWrite()
			if b := c.batch; b != nil {
				c.batch = nil
				c.gathered.b = append(c.gathered.b, b.frame(c.form())...)
				c.gathered.packets = b.packets
			}
		}
		return c.gathered
	}
	c.flushBatch()
	return takeWrite()
}

// commit sends what was appended to b, n packets, or gathers it.
func (c *wsConn) commit(b *buffer, n int, volatile bool) {
	if b == c.gathered {
		b.packets += n
		if len(b.b) > gatherLimit {
			c.flushGathered()
		}
		return
	}
	c.write(b.b, n, volatile, false)
	putWrite(b)
}

// flushGathered sends what was gathered, or waits for the flusher. Called with mu held.
func (c *wsConn) flushGathered() {
	c.flushBatch()
	b := c.gathered
	if b == nil {
		return
	}
	c.gathered = nil
	c.write(b.b, b.packets, false, false)
	putWrite(b)
}

func (c *wsConn) dropGathered() {
	c.batch = nil
	if c.gathered != nil {
		putWrite(c.gathered)
		c.gathered = nil
	}
}

// send sends messages. Called with mu held.
func (c *wsConn) send(o SendOptions, msgs []Message) {
	threshold := c.threshold(o)
	b := c.begin()
	b.b = appendMessages(b.b, c.form(), threshold, msgs)
	c.commit(b, len(msgs), o.Volatile)
}

// sendPrepared sends the messages of p. Called with mu held.
func (c *wsConn) sendPrepared(o SendOptions, p *Prepared) {
	threshold := c.threshold(o)
	frames := p.frame(c.form(), threshold)
	if c.s.gathering && len(frames) <= joinLimit {
		b := c.begin()
		b.b = append(b.b, frames...)
		c.commit(b, len(p.msgs), o.Volatile)
		return
	}
	if !c.s.gathering && c.join(o, p, threshold) {
		return
	}
	c.flushGathered()
	c.write(frames, len(p.msgs), o.Volatile, true)
}

// sendPacket sends a packet of Engine.IO's own. Called with mu held.
func (c *wsConn) sendPacket(p enginePacket) {
	b := c.begin()
	b.b = appendPacketFrame(b.b, c.form(), 0, p)
	c.commit(b, 1, false)
}

// sendFrame sends a control frame. Called with mu held.
func (c *wsConn) sendFrame(op ws.OpCode, data []byte) {
	if c.life >= lifeClosing {
		return
	}
	b := c.begin()
	b.b = appendFrame(b.b, op, data)
	c.commit(b, 0, false)
}

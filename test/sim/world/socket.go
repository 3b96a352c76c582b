package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/beanpole/beanpole/test/sim/plan"
)

// message takes the text of an Engine.IO message.
func (c *client) message(text string) {
	p, err := parse(text)
	if err != nil {
		c.w.violated("protocol", c.name, "%v", err)
		return
	}
	c.mu.Lock()
	waits := c.partial != nil
	if p.attachments > 0 {
		c.partial = &p
	}
	c.mu.Unlock()
	if waits {
		c.w.violated("protocol", c.name, "a text where attachments should come: %s", text)
	}
	if p.attachments == 0 {
		c.take(p)
	}
}

// binary takes an attachment.
func (c *client) binary(b []byte) {
	c.mu.Lock()
	p := c.partial
	if p == nil {
		c.mu.Unlock()
		c.w.violated("protocol", c.name, "a binary that no packet has announced")
		return
	}
	p.bins = append(p.bins, b)
	whole := len(p.bins) == p.attachments
	if whole {
		c.partial = nil
	}
	c.mu.Unlock()
	if whole {
		c.take(*p)
	}
}

// take takes a packet.
func (c *client) take(p packet) {
	c.mu.Lock()
	s := c.socks[p.nsp]
	state := ""
	if s != nil {
		state = s.state
	}
	c.mu.Unlock()
	if s == nil {
		c.w.violated("protocol", c.name, "packet of namespace %s", p.nsp)
		return
	}
	if state == "" {
		return // the client has just ended its session
	}
	switch p.kind {
	case typeConnect:
		if state != "connecting" || p.nsp == closed {
			c.w.violated("protocol", c.name, "CONNECT while %s: %s", state, p.data)
			return
		}
		c.connected(s, p)
	case typeConnectError:
		c.w.note(c.name, "CONNECT_ERROR %s", p.data)
		c.w.count("refused by CONNECT_ERROR")
		c.refusal(s, p)
		c.mu.Lock()
		s.state = "ended"
		c.mu.Unlock()
	case typeDisconnect:
		c.w.note(c.name, "DISCONNECT by the server %s", p.nsp)
		if state == "connected" {
			c.putAway(s.life)
		}
		c.mu.Lock()
		if s.state == "connected" {
			s.state = "ended"
			if c.jit.IntN(3) > 0 { // some try to come back all the same
				s.pid, s.offset = "", ""
			}
			c.w.mu.Lock()
			s.life.finish(c.w.now(), "disconnected by the server")
			c.w.mu.Unlock()
		}
		c.mu.Unlock()
	case typeEvent, typeBinaryEvent:
		switch state {
		case "connected":
			c.event(s, p)
		case "left":
			// It was on its way.
		case "connecting":
			c.mu.Lock()
			behind := s.behind
			c.mu.Unlock()
			if !behind {
				c.w.violated("connect-first", c.name, "an event before the answer to CONNECT: %s", p.data)
			}
		default:
			c.w.violated("disconnect-last", c.name, "an event after the end of %s: %s", p.nsp, p.data)
		}
	case typeAck, typeBinaryAck:
		if state == "connected" {
			c.acknowledged(s, p)
		}
	}
}

// connected takes the answer to CONNECT.
func (c *client) connected(s *sock, p packet) {
	var x struct{ SID, PID string }
	if c.old {
		x.SID = c.oldID(s.nsp)
	} else if err := json.Unmarshal(p.data, &x); err != nil || x.SID == "" || (x.PID != "") != c.w.plan.Recovers() {
		c.w.violated("protocol", c.name, "CONNECT %s", p.data)
		return
	}
	c.mu.Lock()
	recovered := s.asked != nil && s.pid == x.PID
	former := s.asked
	c.mu.Unlock()
	c.w.mu.Lock()
	at := c.w.now()
	c.w.line(c.name, fmt.Sprintf("CONNECT %s is %s recovered=%v", s.nsp, x.SID, recovered))
	l := c.w.model.lives[x.SID]
	if l == nil { // its handler has not run yet
		l = c.w.birth(x.SID, s.nsp, c)
	}
	l.tell(s.number, at)
	if former != nil && former != l {
		former.finish(at, "begun anew")
	}
	c.w.mu.Unlock()
	if recovered && former.sid != x.SID {
		c.w.violated("recovery", c.name, "recovered %s as %s", former.sid, x.SID)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !recovered {
		s.offset = ""
	}
	s.state, s.life, s.pid, s.behind = "connected", l, x.PID, false
}

// birth makes a life. Called with mu held.
func (w *world) birth(sid, nsp string, c *client) *life {
	l := &life{sid: sid, nsp: nsp, client: c, got: map[*source][]receipt{}, seen: map[*emission]bool{}, early: map[int]int64{}}
	w.model.lives[sid] = l
	w.model.births = append(w.model.births, l)
	w.counts["lives"]++
	return l
}

// tell notes that the client knows of its connection with a number.
func (l *life) tell(number int, at int64) {
	for _, k := range l.conns {
		if k.number == number {
			k.told = at
			return
		}
	}
	l.early[number] = at
}

// event takes an event.
func (c *client) event(s *sock, p packet) {
	list, err := p.values()
	if err != nil || len(list) < 3 {
		c.w.violated("protocol", c.name, "event %s: %v", p.data, err)
		return
	}
	id, _ := list[1].(string)
	c.whole(s, p, id, list)
	c.w.received(s.life, id)
	if p.id < 0 {
		return
	}
	answer := id
	if strings.Contains(id, "?") {
		answer += "|" + s.life.sid
	}
	c.mu.Lock()
	if strings.Contains(id, "?") && c.jit.IntN(60) == 0 { // who asked all is to be told that one is missing
		c.mu.Unlock()
		c.w.count("question not answered")
		c.w.mu.Lock()
		c.w.model.silent[id] = true
		c.w.mu.Unlock()
		return
	}
	e, d := c.engine, time.Duration(0)
	if c.jit.IntN(3) == 0 {
		d = between(c.jit, 0, 500*time.Millisecond)
	}
	both := c.w.plan.Does(plan.Binary) && c.jit.IntN(4) == 0
	c.mu.Unlock()
	answers := newPacket(typeAck, s.nsp, p.id, []any{reply(answer, both)}).frames(nil)
	if d == 0 {
		e.send(answers...)
	} else {
		time.AfterFunc(d, func() { e.send(answers...) })
	}
}

// whole checks that an event is what was emitted: its name, every argument, their number, and whether it asks for an
// acknowledgement. Behind them is the offset, where there is recovery.
func (c *client) whole(s *sock, p packet, id string, list []any) {
	c.w.mu.Lock()
	e := c.w.model.find(id)
	c.w.mu.Unlock()
	if e == nil {
		return // which received says
	}
	want := append([]any{e.event, id}, e.args...)
	if offset, ok := list[len(list)-1].(string); ok && c.w.plan.Recovers() && len(list) > len(want) {
		c.mu.Lock()
		s.offset = offset
		c.mu.Unlock()
		list = list[:len(list)-1]
	}
	if !same(want, list) {
		c.w.violated("content", id, "%s got %.300q, and %.300q was emitted", c.name, list, want)
	}
	if e.ack != (p.id >= 0) {
		c.w.violated("content", id, "%s got it with the id %d, and it asks for an acknowledgement: %v", c.name, p.id, e.ack)
	}
}

// acknowledged takes the answer to an event of the client.
func (c *client) acknowledged(s *sock, p packet) {
	list, err := p.values()
	if err != nil {
		c.w.violated("protocol", c.name, "acknowledgement %s: %v", p.data, err)
		return
	}
	c.mu.Lock()
	x, ok := s.acks[p.id]
	delete(s.acks, p.id)
	var want []any
	if ok {
		want = x.answer
	}
	skipped := s.skipped(p.id)
	c.mu.Unlock()
	for _, what := range skipped {
		c.w.violated("ack-answered", c.name, "no acknowledgement of %s", what)
	}
	c.w.mu.Lock()
	c.w.line(c.name, fmt.Sprintf("acknowledged %d (event %d): %s", p.id, x.n, p.data))
	c.w.counts["acknowledged"]++
	c.w.mu.Unlock()
	if !ok {
		c.w.violated("ack-once", c.name, "acknowledgement %d came twice, or nobody waits for it: %s", p.id, p.data)
		return
	}
	if want == nil || !same(want, list) {
		c.w.violated("ack-match", c.name, "event %d, %s, was acknowledged with %.200q, and its handler has answered %.200q", x.n, x.event, list, want)
		return
	}
	switch x.event {
	case "up":
		if before, _ := list[1].(string); before != "" {
			c.w.mu.Lock()
			e := c.w.model.find(before)
			seen := e != nil && s.life.seen[e]
			c.w.mu.Unlock()
			if !seen {
				c.w.violated("ack-order", before, "%s got the acknowledgement of %d before the event that was emitted before it", c.name, x.n)
			}
		}
	}
}

// unanswered returns the acknowledgements that the client still waits for on connections that hold.
func (c *client) unanswered() (out []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, nsp := range namespaces {
		if s := c.socks[nsp]; s != nil && s.state == "connected" {
			for id := range s.nextAck {
				if x, ok := s.acks[id]; ok {
					out = append(out, fmt.Sprintf("%s %s %d (%s %d)", nsp, s.life.sid, id, x.event, x.n))
				}
			}
		}
	}
	return out
}

package transport

import (
	"time"

	"github.com/gobwas/ws"
)

// An upgrade takes a session from polling to WebSocket. Protocol: Upgrade.
//
//	client                          server
//	GET …transport=websocket&sid=…  101; the WebSocket is a candidate
//	2probe                          3probe; from now on a poll that waits is answered with NOOP every
//	                                noopInterval, so that the client can end its polling
//	5                               the WebSocket is the transport; what waits leaves on it, or, if the
//	                                session has ended since the 3probe, a close frame
//
// The 5 is worked off with rx held, so a POST's packets are delivered before the packets behind the 5; and
// under mu, so that what is sent goes either to polls or to the WebSocket.

// noopInterval is Node's (engine.io/lib/socket.ts, _maybeUpgrade). A client that got the NOOP at once might get
// it before the 3probe, which comes on another connection, and poll once more.
const noopInterval = 100 * time.Millisecond

// upgrade is an upgrade in progress. Guarded by Session.mu.
type upgrade struct {
	c     *wsConn
	timer *time.Timer
	noop  *time.Timer // nil until the probe
}

// stop ends the timers of u.
func (u *upgrade) stop() {
	u.timer.Stop()
	if u.noop != nil {
		u.noop.Stop()
	}
}

// hurry answers the poll that waits, or the client would never finish the upgrade.
func (s *Session) hurry(u *upgrade) {
	s.mu.Lock()
	defer s.unlock()
	if s.upgrade != u || s.state == stateClosed {
		return
	}
	if s.poll != nil {
		s.answerPoll(kindNoop)
	}
	u.noop.Reset(noopInterval)
}

// serveUpgrade makes the WebSocket that req asks for the candidate for an upgrade of s. One that cannot
// be is closed at once, and the session goes on. Node, server.ts, onWebSocket.
func (s *Session) serveUpgrade(req *request) {
	if !checkUpgrade(req) {
		s.srv.refused(req, CodeBadRequest, CodeBadRequest.message(), causeNoUpgrade,
			map[string]any{"name": "TRANSPORT_HANDSHAKE_ERROR"})
		return
	}
	h, err := s.srv.hijack(req, false, nil)
	if err != nil {
		return
	}
	s.mu.Lock()
	if cause := s.mayUpgrade(); cause != "" {
		s.mu.Unlock()
		count(&s.srv.counters, s.srv.counters.upgradesFailed, cause)
		h.closeAtOnce()
		return
	}
	c := newWSConn(s, newStream(h.conn), h.deflate)
	u := &upgrade{c: c}
	u.timer = time.AfterFunc(s.srv.cfg.UpgradeTimeout, func() {
		s.mu.Lock()
		defer s.unlock()
		if s.upgrade == u {
			s.dropCandidate("timeout")
		}
	})
	s.upgrade = u
	s.wsB64 = req.query.b64
	s.srv.wg.Add(1) // the session is not closed, so it is counted
	s.mu.Unlock()
	go c.start(h.early)
}

// mayUpgrade returns why s cannot be upgraded now, or "". Called with mu held.
func (s *Session) mayUpgrade() string {
	switch {
	case s.srv.cfg.DisallowUpgrades:
		return "not allowed"
	case s.state == stateClosed:
		return "session closed"
	case s.upgrade != nil:
		return "already upgrading"
	case s.ws != nil:
		return "already upgraded"
	default:
		return ""
	}
}

// closeAtOnce ends a WebSocket that belongs to no session. It waits for the client's answer, or closing
// would reset the connection and with it the close frame, but not long.
func (h *hijacked) closeAtOnce() {
	defer h.conn.Close()
	_ = h.conn.SetDeadline(time.Now().Add(closeGrace))
	if _, err := h.conn.Write(closeFrame(nil)); err != nil {
		return
	}
	b := readPool.Get().(*buffer)
	defer putRead(b)
	frames := newFrameReader(readBuffer, h.deflate)
	for !frames.ended {
		n, err := h.conn.Read(b.b)
		if err != nil {
			return
		}
		_ = frames.feed(b.b[:n], func(ws.OpCode, []byte) error { return nil })
	}
}

// takeProbe works off a packet that came on a WebSocket which is not the transport. Node, socket.ts,
// _maybeUpgrade.
func (c *wsConn) takeProbe(p enginePacket, err error) error {
	s, upgraded := c.s, false
	s.mu.Lock()
	defer func() {
		s.unlock()
		if upgraded { // not under mu: the log's handler is the application's
			s.srv.log.Debug("session upgraded", "session", s.num)
		}
	}()
	u := s.upgrade
	if u == nil || u.c != c {
		return nil // on its way out
	}
	switch {
	case s.state == stateClosed:
		s.dropCandidate("session closed")
	case err != nil:
		s.dropCandidate("invalid packet")
	case p.kind == kindPing && string(p.data) == "probe":
		c.sendPacket(enginePacket{kind: kindPong, data: p.data})
		if s.upgrade == u && u.noop == nil { // else the pong was too much for it
			u.noop = time.AfterFunc(noopInterval, func() { s.hurry(u) })
		}
	case p.kind == kindUpgrade:
		s.completeUpgrade()
		upgraded = true
		c.reader.turn = true
		s.beginTurn()
	default:
		s.dropCandidate("unexpected packet")
	}
	return nil
}

// completeUpgrade makes the candidate the transport. Called with mu held.
func (s *Session) completeUpgrade() {
	c := s.upgrade.c
	s.upgrade.stop()
	s.upgrade = nil
	s.ws = c
	if post := s.cutTurn(); post != nil { // what its Work sends leaves on its own, or in the turn that follows
		go post.readLoop()
	}
	s.srv.counters.upgrades.Add(1)
	if s.poll != nil {
		s.answerPoll(kindNoop)
	}
	// In one piece, since it has been found within the limits.
	b, n := takeWrite(), 0
	for _, i := range s.takeWaiting() {
		switch {
		case i.prepared != nil:
			b.b = append(b.b, i.prepared.frame(c.form(), c.threshold(i.options))...)
			n += len(i.prepared.msgs)
		default:
			threshold := 0
			if i.packet.kind == kindMessage {
				threshold = c.threshold(i.options)
			}
			b.b = appendPacketFrame(b.b, c.form(), threshold, i.packet)
			n++
		}
	}
	c.write(b.b, n, false, false)
	putWrite(b)
	if s.state == stateClosing {
		c.closeAfterBacklog()
	}
}

// endUpgrade ends the upgrade in progress of a session that has ended. A client that has its 3probe is ending its
// polling, and one that loses the WebSocket before it has done so keeps neither: engine.io-client then never polls
// again, and finds out when the PING is late. So the WebSocket waits until the client has got that far: its next poll
// is refused, or its 5 answered with a close frame. Called with mu held.
func (s *Session) endUpgrade() {
	u := s.upgrade
	if u.noop == nil {
		s.dropCandidate("session closed")
		return
	}
	u.noop.Stop()
	u.timer.Reset(closeGrace)
}

// dropCandidate ends the upgrade in progress; polling goes on. Called with mu held.
func (s *Session) dropCandidate(cause string) {
	u := s.upgrade
	s.upgrade = nil
	u.stop()
	count(&s.srv.counters, s.srv.counters.upgradesFailed, cause)
	u.c.hangUp(closeFrame(nil), true)
}

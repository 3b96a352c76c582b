package transport

import (
	"cmp"
	"time"
)

// A session has one timer. It fires at deadline or before: moving the deadline back does not touch the
// timer, which then finds that it is early. What the deadline means follows from the session's state:
// closing, the end of the wait for the client; EIO3 or awaitingPong, a dead client; else the next PING.
//
// A heartbeat cannot be expected of a client while something large is on its way, in front of the PING or
// of the PONG: see occupied. Node counts that time too; a client that takes what it is sent, or sends what
// takes long, is alive.

// MaxSilence returns how long a client may have been gone at most when the server finds out: its heartbeat, put off
// once, and what it does not take.
func (c Config) MaxSilence() time.Duration {
	return cmp.Or(c.PingInterval, DefaultPingInterval) + 2*cmp.Or(c.PingTimeout, DefaultPingTimeout) +
		cmp.Or(c.WriteTimeout, DefaultWriteTimeout)
}

// startHeartbeat starts the timer of a session that was just accepted. Called with mu held.
// Protocol: Heartbeat.
func (s *Session) startHeartbeat() {
	if s.state != stateOpen {
		return
	}
	if s.proto == 3 {
		s.setDeadline(s.srv.cfg.PingInterval + s.srv.cfg.PingTimeout)
	} else {
		s.setDeadline(s.srv.cfg.PingInterval)
	}
}

// setDeadline makes the timer fire after d. Called with mu held.
func (s *Session) setDeadline(d time.Duration) {
	s.deadline = s.srv.uptime() + d
	if s.beat == nil {
		s.beat = time.AfterFunc(d, s.onDeadline)
		return
	}
	s.beat.Reset(d)
}

func (s *Session) onDeadline() {
	s.mu.Lock()
	defer s.unlock()
	if s.state == stateClosed {
		return
	}
	if d := s.deadline - s.srv.uptime(); d > 0 {
		s.beat.Reset(d)
		return
	}
	switch {
	case s.state == stateClosing:
		s.end(s.ending.reason, nil)
	case s.proto == 3 || s.awaitingPong:
		if s.occupied() {
			s.setDeadline(s.srv.cfg.PingTimeout)
			return
		}
		s.end(ReasonPingTimeout, errPingTimeout)
	default:
		s.awaitingPong, s.extended = true, false
		s.setDeadline(s.srv.cfg.PingTimeout)
		s.sendPacket(enginePacket{kind: kindPing})
	}
}

// occupied reports whether bytes from or to the client are on their way whose own time limits (BodyTimeout,
// WriteTimeout) end the session if they stop. Called with mu held.
func (s *Session) occupied() bool {
	return s.answers > 0 || s.post != nil && !s.post.read || s.ws != nil && s.ws.out != nil
}

// extendPing puts the end of a client off that has sent something while its PONG is awaited, once a PING:
// on a slow line the PONG stands behind what it sends. Node, engine.io/lib/socket.ts, hasRefreshedPingTimeout.
// Called with mu held.
func (s *Session) extendPing() {
	if s.awaitingPong && !s.extended && s.state == stateOpen {
		s.extended = true
		s.deadline = s.srv.uptime() + s.srv.cfg.PingTimeout
	}
}

// silence is how long the client may be silent from now on until the heartbeat would end the session.
// Called with mu held.
func (s *Session) silence() time.Duration {
	left := s.srv.cfg.PingTimeout
	if s.beat != nil { // else the heartbeat begins later
		left = s.deadline - s.srv.uptime()
		if s.proto != 3 && !s.awaitingPong {
			left += s.srv.cfg.PingTimeout
		}
	}
	return max(left, 0)
}

// onPong takes the answer to a PING. One that was not asked for only puts the next PING off, as in Node.
func (s *Session) onPong() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != stateOpen {
		return
	}
	sooner := s.awaitingPong && s.srv.cfg.PingInterval < s.srv.cfg.PingTimeout
	s.awaitingPong = false
	s.deadline = s.srv.uptime() + s.srv.cfg.PingInterval
	if sooner {
		// The timer is set for the end of PingTimeout, which is after the next PING is due.
		s.beat.Reset(s.srv.cfg.PingInterval)
	}
}

// onPing answers the heartbeat of a client of protocol 3.
func (s *Session) onPing() {
	s.mu.Lock()
	defer s.unlock()
	if s.state != stateOpen {
		return
	}
	s.deadline = s.srv.uptime() + s.srv.cfg.PingInterval + s.srv.cfg.PingTimeout
	s.sendPacket(enginePacket{kind: kindPong})
}

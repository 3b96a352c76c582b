package transport

import (
	"time"

	"github.com/gobwas/ws"
)

// A WebSocket ends in one of these ways. RFC 6455, section 7.
//
//	Session.Close     what waits leaves, a close frame behind it; the session has ended when that has
//	                  left, the connection when the client has answered
//	Session.Abort     a close frame if it can leave at once; the connection ends
//	a client's fault  a close frame with the code; our side of the connection is closed, as the client's
//	                  answer would not be understood, and the rest when the client has closed its own
//	a close frame     is answered; the connection ends
//	the connection    ends
//
// In all but the first the session has ended at once.

// closeAfterBacklog sends what waits and a close frame, and then ends the session. Called with mu held.
func (c *wsConn) closeAfterBacklog() {
	c.flushGathered()
	c.write(closeFrame(c.s.closeCode()), 0, false, false)
	c.unpark()
	c.life = max(c.life, lifeClosing)
	c.backlogGone()
}

// closeCode is the body of the close frame of a session that the server ends: 1001 (going away) when it
// shuts down, or gives up a client that does not answer its pings. Node gives no code, which the C++ client
// (WebSocket++) takes for 1000, and then stays away.
// Called with mu held.
func (s *Session) closeCode() []byte {
	if s.ending.reason == ReasonServerShuttingDown || s.ending.reason == ReasonPingTimeout {
		return ws.NewCloseFrameBody(ws.StatusGoingAway, "")
	}
	return nil
}

// backlogGone ends a closing session when its close frame has left. Called with mu held.
func (c *wsConn) backlogGone() {
	if c.life == lifeClosing && c.out.empty() && c.s.ws == c {
		c.hangUp(nil, true)
		c.s.end(c.s.ending.reason, nil)
	}
}

// hangUp sends frame, if not nil and if it can leave, and lets the reader end c: at once, or if linger
// when the client has answered, or closeGrace has passed. Without the latter a client that is still
// sending would get a reset instead of the frame. It does nothing the second time. Called with mu held.
func (c *wsConn) hangUp(frame []byte, linger bool) { c.end(lifeHungUp, frame, linger) }

// end is hangUp for the life to, lifeHungUp or lifeDeaf.
func (c *wsConn) end(to life, frame []byte, linger bool) {
	c.flushGathered() // which may overflow, and so end c
	if c.life >= lifeHungUp {
		return
	}
	c.unpark()
	leaves := frame != nil && c.life < lifeFailed && (linger || c.out.empty())
	c.life = to
	if leaves {
		c.put(frame, 0, false, false)
	}
	if linger {
		c.stream.setDeadline(time.Now().Add(closeGrace))
		c.endWriting()
		return
	}
	c.out.clear()
	c.stream.setDeadline(longAgo())
}

// endWriting closes the connection's sending half behind the last frame, if the client's answer to it
// cannot be read: the client then need not wait for closeGrace. Called with mu held.
func (c *wsConn) endWriting() {
	if c.life == lifeDeaf && c.out == nil {
		c.stream.endWriting()
	}
}

// answerClose answers the client's close frame with its code, unless one was sent. Called with mu held.
func (c *wsConn) answerClose(data []byte) {
	if c.life >= lifeHungUp {
		return
	}
	if len(data) > 2 {
		data = data[:2]
	}
	c.flushGathered()
	if c.life != lifeClosing {
		c.write(closeFrame(data), 0, false, false)
	}
	if c.life < lifeHungUp { // else the write overflowed
		c.life = lifeHungUp
		c.stream.setDeadline(time.Now().Add(closeGrace))
	}
}

// closeFrame returns a close frame; body is its code, or nothing.
func closeFrame(body []byte) []byte { return appendFrame(nil, ws.OpClose, body) }

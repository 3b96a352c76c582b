package transport

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// closeWait is how long a closing session waits at most until what is left has reached its client.
	// Node, transports/polling.ts, closeTimeout.
	closeWait = 30 * time.Second
	// shutdownPollGrace is how long a session between two polls waits for the next while the server shuts down. Node does not wait at all then.
	shutdownPollGrace = 2 * time.Second
)

type sessionState uint8

const (
	stateOpen    sessionState = iota + 1
	stateClosing              // Close was called, something still has to leave
	stateClosed
)

// Session is one Engine.IO client. All methods may be called from any goroutine, and none blocks but Ready.
type Session struct {
	// What sending looks at stands together, and so do the flags, whatever they are of: a broadcast waits
	// for fewer lines of memory, and a session is smaller.

	// Set by newSession, then read only.
	srv   *Server
	proto uint8 // 3 or 4
	b64   bool  // EIO3: polls take no binary

	answers uint16 // guarded by mu; answers of polls that are being written

	// opened is set when the OPEN packet has been queued: until then nobody else may see the session, or
	// something could be sent before.
	opened atomic.Bool
	// receiving is state == stateOpen, for the goroutine that calls recv.
	receiving atomic.Bool

	// rx is held by who may call recv, and by Accept. Packets come from one goroutine at a time except around
	// an upgrade, where a POST and the WebSocket may meet; and a session's end is reported after the last
	// Receive. Taken before mu.
	rx sync.Mutex

	mu sync.Mutex
	// Guarded by mu: its life. See unlock.
	state    sessionState
	finished bool // finish was started
	// Guarded by mu: the Work in progress. See turn.go.
	gathering bool
	working   bool
	// Guarded by mu: the heartbeat. See heartbeat.go.
	awaitingPong bool
	extended     bool // the wait for the PONG, once
	// Guarded by mu: the WebSocket takes no binary (EIO3). As in Node, by its own handshake, not by the
	// session's: the Swift client polls with b64=1 and upgrades without.
	wsB64 bool
	odd   uint8 // guarded by mu; requests of it that net/http had to see to; see maxOdd

	writing uint16 // guarded by mu; WebSockets, candidates too, with output that the kernel has not taken

	// Guarded by mu: the transport. ws is nil while that is polling.
	ws      *wsConn
	poll    *poll    // the GET that waits
	post    *post    // the POST being read
	upgrade *upgrade // the WebSocket that may become the transport
	waiting *backlog // what waits for a poll, or is being written for one; nil if nothing does

	// Set by newSession, then read only.
	hs  *Handshake
	sid string
	num uint64

	// recv is set by accept before rx is first given back.
	recv Receiver

	ending   *ending       // guarded by mu; nil until the session is closing or closed
	turn     uint64        // guarded by mu
	takeover *takeover     // guarded by mu; the Work in progress
	beat     *time.Timer   // guarded by mu
	deadline time.Duration // guarded by mu; the server's uptime then
}

// ending is why a session ends.
type ending struct {
	reason CloseReason
	cause  error
	quiet  signal // given when nothing is being written any more
}

// unlock ends a section under mu in which the session may have ended. If it has, what remains is done by a
// goroutine of its own: the caller may hold rx, and locks that the receiver's Closed takes.
func (s *Session) unlock() {
	last := s.state == stateClosed && !s.finished
	if last {
		s.finished = true
	}
	s.mu.Unlock()
	if last {
		go s.finish()
	}
}

// finish removes the session and reports its end, when nobody is inside its receiver any more. It runs once,
// as the session's own entry in Server.wg.
func (s *Session) finish() {
	s.rx.Lock()
	s.rx.Unlock() //nolint:staticcheck // waited for; whoever has it next finds that nothing is received any more
	defer s.srv.release(s.hs.Addr())
	defer s.awaitOutput()
	s.srv.mu.Lock()
	s.srv.sessions = s.srv.had.Delete(s.srv.sessions, s.sid)
	s.srv.mu.Unlock()
	if !s.opened.Load() {
		return
	}
	count(&s.srv.counters, s.srv.counters.closed, s.ending.reason)
	s.srv.log.Debug("session closed", "session", s.num, "reason", string(s.ending.reason), "cause", s.ending.cause)
	if s.recv != nil { // else Accept panicked, or had no use for the session
		s.reportEnd()
	}
}

// awaitOutput waits until nothing is being written to the client of a session that has ended, and meanwhile keeps the
// session's place: what the client does not read is held as long. A server that stops takes nobody into that place, and
// does not wait.
func (s *Session) awaitOutput() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.answers > 0 || s.writing > 0 {
		quiet := s.ending.quiet.wait()
		s.mu.Unlock()
		select {
		case <-quiet:
		case <-s.srv.stop:
			s.mu.Lock()
			return
		}
		s.mu.Lock()
	}
}

// outputDone lets awaitOutput look again. Called with mu held.
func (s *Session) outputDone() {
	if s.ending != nil {
		s.ending.quiet.give()
	}
}

// end makes the session closed, with what it has open. A session that Close has been called on keeps
// the reason given there. Called with mu held, which must be released with unlock.
func (s *Session) end(reason CloseReason, cause error) {
	if s.state == stateClosed {
		return
	}
	if s.ending == nil { // else Close has said why
		s.ending = &ending{reason: reason}
	}
	if s.ending.cause == nil {
		s.ending.cause = cause
	}
	s.state = stateClosed
	s.receiving.Store(false)
	s.takeWaiting()
	if s.beat != nil {
		s.beat.Stop()
	}
	if s.poll != nil {
		s.answerPoll(kindClose)
	}
	if s.post != nil {
		s.post.abort()
	}
	if s.upgrade != nil {
		s.endUpgrade()
	}
	if s.ws != nil {
		s.ws.out.wake()
		s.ws.hangUp(closeFrame(s.closeCode()), false)
	}
}

// Close sends what waits, ends the session in the protocol's way (a CLOSE packet on polling, a close
// frame on WebSocket) and reports reason to the receiver. It returns at once; only the first call
// counts. What the client sends from now on is dropped. A polling client between two polls is waited
// for, but no longer than for a PONG: up to PingTimeout, the end of its heartbeat, or 30 seconds, whichever
// comes first.
func (s *Session) Close(reason CloseReason) { s.close(reason, nil, closeWait) }

// CloseCause is Close with the cause that the receiver is told beside the reason.
func (s *Session) CloseCause(reason CloseReason, cause error) { s.close(reason, cause, closeWait) }

func (s *Session) close(reason CloseReason, cause error, wait time.Duration) {
	s.mu.Lock()
	defer s.unlock()
	if s.state == stateClosing && wait < s.deadline-s.srv.uptime() {
		s.setDeadline(wait) // Shutdown hurries what is closing already
	}
	if s.state != stateOpen {
		return
	}
	if s.ws == nil && !s.occupied() {
		wait = min(wait, s.srv.cfg.PingTimeout, s.silence())
	}
	s.state = stateClosing
	s.ending = &ending{reason: reason, cause: cause}
	s.receiving.Store(false)
	s.setDeadline(wait)
	if s.ws != nil {
		s.ws.out.wake()
		s.ws.closeAfterBacklog()
		return
	}
	if s.waiting != nil {
		s.waiting.ready.give()
	}
	s.wakePoll()
}

// Abort ends the session at once and drops what waits.
func (s *Session) Abort(reason CloseReason) {
	s.mu.Lock()
	defer s.unlock()
	s.end(reason, nil)
}

// ID returns the session id. It is a credential: never log or share it.
func (s *Session) ID() string { return s.sid }

// Num is the number of the session on this server, for logs. The first is 1.
func (s *Session) Num() uint64 { return s.num }

// Protocol returns the revision of Engine.IO the client speaks: 3 or 4.
func (s *Session) Protocol() int { return int(s.proto) }

// Handshake returns what the request that opened the session said.
func (s *Session) Handshake() *Handshake { return s.hs }

// Transport returns the transport in use now.
func (s *Session) Transport() Name {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ws != nil {
		return WebSocket
	}
	return Polling
}

// closed reports whether the session has ended: for its answers that are being written.
func (s *Session) closed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state == stateClosed
}

// Open reports whether the session is neither closing nor closed.
func (s *Session) Open() bool { return s.receiving.Load() }

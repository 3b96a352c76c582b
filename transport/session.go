package transport

import (
	"net/http"
	"strconv"
	"strings"
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

	// Guarded by mu: the transport. ws is nil while that is polling.
	ws      *wsConn
	poll    *poll    // the GET that waits
	post    *post    // the POST being read
	upgrade *upgrade // the WebSocket that may become the transport
	waiting *backlog // what waits for a poll; nil if nothing does

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
}

// handshake opens a session for req, which verify let pass.
func (s *Server) handshake(req *request) {
	addr, secure := s.cfg.ClientAddr(req.r)
	addr = strings.ReplaceAll(addr, fieldEnd, "") // or the Handshake would tell another
	if handshakeSize(req.r, addr) > s.cfg.MaxHandshakeBytes {
		s.refused(req, CodeBadRequest, CodeBadRequest.message(), causeTooLarge, map[string]any{"name": "HANDSHAKE_TOO_LARGE"})
		writeRefusal(req, http.StatusRequestHeaderFieldsTooLarge, CodeBadRequest, CodeBadRequest.message())
		return
	}
	if cause := s.admit(addr); cause != "" {
		s.refuseUnavailable(req, addr, cause)
		return
	}
	var session *Session
	func() {
		defer func() { // also if a hook panics
			if session == nil {
				s.release(addr)
			}
		}()
		session = s.prepare(req, addr, secure)
	}()
	if session == nil {
		return
	}
	// From here on the session's end gives back what admit reserved.
	if req.upgrade {
		session.openWebSocket(req)
		return
	}
	session.mu.Lock()
	session.queue(item{packet: enginePacket{kind: kindOpen, data: session.openPacket(Polling)}})
	session.mu.Unlock()
	session.accept(Polling)
	session.servePoll(req)
}

// prepare does what is left to check and registers the session, or answers with a refusal and returns
// nil. Nobody may call the session's receiver, which it does not have yet, until accept.
func (s *Server) prepare(req *request, addr string, secure bool) *Session {
	if s.cfg.AllowRequest != nil {
		if err := s.cfg.AllowRequest(req.r); err != nil {
			s.refuse(req, CodeForbidden, causeForbidden, map[string]any{"message": err.Error()})
			return nil
		}
	}
	protocol := req.query.protocol()
	if protocol == 3 && !s.cfg.AllowEIO3 {
		s.refuse(req, CodeUnsupportedProtocolVersion, causeProtocol, map[string]any{"protocol": protocol})
		return nil
	}
	if req.upgrade && !checkUpgrade(req) {
		s.refused(req, CodeBadRequest, CodeBadRequest.message(), causeNoUpgrade,
			map[string]any{"name": "TRANSPORT_HANDSHAKE_ERROR"})
		return nil
	}
	session := &Session{
		srv:   s,
		hs:    newHandshake(req.r, addr, secure),
		num:   s.nextNum.Add(1),
		proto: uint8(protocol),
		b64:   req.query.b64,
		wsB64: req.query.b64,
		state: stateOpen,
	}
	session.rx.Lock()
	session.receiving.Store(true)
	var err error
	if s.cfg.GenerateID != nil {
		session.sid, err = s.cfg.GenerateID(req.r)
	} else {
		session.sid = newSID(s.node)
	}
	if err != nil || !s.register(session) {
		context := map[string]any{"name": "ID_GENERATION_ERROR"}
		if err != nil {
			context["error"] = err
		}
		s.refuse(req, CodeBadRequest, causeID, context)
		return nil
	}
	return session
}

// register adds session unless its id is empty or taken.
func (s *Server) register(session *Session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if session.sid == "" || s.sessions[session.sid] != nil {
		return false
	}
	s.sessions[session.sid] = session
	return true
}

// openPacket returns the data of the OPEN packet. Protocol: Handshake.
func (s *Session) openPacket(transport Name) []byte {
	cfg := &s.srv.cfg
	b := append(make([]byte, 0, 128), `{"sid":`...)
	b = strconv.AppendQuoteToASCII(b, s.sid)
	b = append(b, `,"upgrades":[`...)
	if transport == Polling && s.srv.websocket && !cfg.DisallowUpgrades {
		b = append(b, `"websocket"`...)
	}
	b = append(b, `],"pingInterval":`...)
	b = strconv.AppendInt(b, cfg.PingInterval.Milliseconds(), 10)
	b = append(b, `,"pingTimeout":`...)
	b = strconv.AppendInt(b, cfg.PingTimeout.Milliseconds(), 10)
	b = append(b, `,"maxPayload":`...)
	b = strconv.AppendInt(b, cfg.MaxHTTPBufferSize, 10)
	return append(b, '}')
}

// accept hands the session to the application and starts its heartbeat.
func (s *Session) accept(transport Name) {
	count(&s.srv.counters, s.srv.counters.opened, transport)
	s.srv.log.Debug("session opened", "session", s.num, "transport", string(transport))
	s.opened.Store(true)
	var recv Receiver
	defer func() {
		s.mu.Lock()
		s.recv = recv
		if recv == nil { // Accept panicked, or has no use for the session
			s.end(ReasonForcedServerClose, nil)
		}
		s.startHeartbeat()
		s.unlock()
		s.rx.Unlock()
		if s.srv.stopping() { // Shutdown may have looked before the session could be seen
			s.close(ReasonServerShuttingDown, shutdownPollGrace)
		}
	}()
	recv = s.srv.cfg.Accept(s)
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
	s.srv.mu.Lock()
	delete(s.srv.sessions, s.sid)
	s.srv.mu.Unlock()
	if s.recv == nil { // never opened
		return
	}
	reason, cause := s.ending.reason, s.ending.cause
	count(&s.srv.counters, s.srv.counters.closed, reason)
	s.srv.log.Debug("session closed", "session", s.num, "reason", string(reason), "cause", cause)
	s.recv.Closed(reason, cause)
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
	s.ending.cause = cause
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
		s.dropCandidate("session closed")
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
func (s *Session) Close(reason CloseReason) { s.close(reason, closeWait) }

func (s *Session) close(reason CloseReason, wait time.Duration) {
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
	s.ending = &ending{reason: reason}
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

// Open reports whether the session is neither closing nor closed.
func (s *Session) Open() bool { return s.receiving.Load() }

// setHeaders sets the headers of an answer of the session, initial being the first.
func (s *Server) setHeaders(h http.Header, r *http.Request, initial bool) {
	cfg := &s.cfg
	if initial && cfg.InitialHeaders != nil {
		cfg.InitialHeaders(h, r)
	}
	if cfg.Headers != nil {
		cfg.Headers(h, r)
	}
}

package transport

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

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
		var err error
		s.away(req, func() { err = s.cfg.AllowRequest(req.r) })
		if err != nil {
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
	session.hs.others.Store(s.ofOthers(req.r))
	if s.cfg.KeepContext {
		session.hs.ctx = context.WithoutCancel(req.r.Context())
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
			s.close(ReasonServerShuttingDown, nil, shutdownPollGrace)
		}
	}()
	count(&s.srv.counters, s.srv.counters.opened, transport)
	s.opened.Store(true)
	s.srv.log.Debug("session opened", "session", s.num, "transport", string(transport))
	recv = s.srv.cfg.Accept(s)
}

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

// Handshake describes the request that opened a session. It is one string from which the maps are built
// when asked for: most sessions are never asked, and http.Header alone costs more than a kilobyte each.
type Handshake struct {
	// text holds the URL, the address and the header's names and values, each ended by fieldEnd.
	text   string
	issued int64 // milliseconds since 1970, as Node's issued
	secure bool
	cross  bool
	others atomic.Bool
	ctx    context.Context // nil unless Config.KeepContext
}

// fieldEnd cannot be in a header value (RFC 9110 section 5.5) nor in a request line.
const fieldEnd = "\x00"

// target returns the path and the raw query of r, as the client sent them.
func target(r *http.Request) string {
	if strings.HasPrefix(r.RequestURI, "/") {
		return r.RequestURI
	}
	return r.URL.RequestURI() // an absolute form, or a request made by hand
}

// handshakeSize returns how many bytes the Handshake of r has.
func handshakeSize(r *http.Request, addr string) int {
	size := len(target(r)) + len(addr) + len("Host") + len(r.Host) + 4
	for name, values := range r.Header {
		for _, v := range values {
			size += len(name) + len(v) + 2
		}
	}
	return size
}

// newHandshake takes down r, which it does not keep. addr is the client's address without port.
func newHandshake(r *http.Request, addr string, secure bool) *Handshake {
	var b strings.Builder
	b.Grow(handshakeSize(r, addr))
	put := func(s string) {
		// A server never passes on a field with a NUL; the fields after it would move.
		if strings.Contains(s, fieldEnd) {
			s = strings.ReplaceAll(s, fieldEnd, "")
		}
		b.WriteString(s)
		b.WriteString(fieldEnd)
	}
	put(target(r))
	put(addr)
	if r.Host != "" { // net/http takes Host out of the header
		put("Host")
		put(r.Host)
	}
	for name, values := range r.Header {
		for _, v := range values {
			put(name)
			put(v)
		}
	}
	return &Handshake{
		text:   b.String(),
		issued: time.Now().UnixMilli(),
		secure: secure,
		cross:  r.Header.Get("Origin") != "",
	}
}

// Header returns a copy of the request's header, Host included, with the names in canonical form.
func (h *Handshake) Header() http.Header {
	out := make(http.Header, strings.Count(h.text, fieldEnd)/2)
	for name, value := range h.Fields() {
		out[name] = append(out[name], value)
	}
	return out
}

// Fields are the lines of Header, one after the other, without a copy.
func (h *Handshake) Fields() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		_, rest, _ := strings.Cut(h.text, fieldEnd)
		_, rest, _ = strings.Cut(rest, fieldEnd)
		for rest != "" {
			var name, value string
			name, rest, _ = strings.Cut(rest, fieldEnd)
			value, rest, _ = strings.Cut(rest, fieldEnd)
			if !yield(name, value) {
				return
			}
		}
	}
}

// Query returns a copy of the URL's query. Parts that are not valid are left out.
func (h *Handshake) Query() url.Values {
	_, raw, _ := strings.Cut(h.URL(), "?")
	q, _ := url.ParseQuery(raw)
	return q
}

// URL returns the path and the raw query, as the client sent them.
func (h *Handshake) URL() string {
	u, _, _ := strings.Cut(h.text, fieldEnd)
	return u
}

// Addr returns the client's address without port, as Config.ClientAddr told it.
func (h *Handshake) Addr() string {
	_, rest, _ := strings.Cut(h.text, fieldEnd)
	addr, _, _ := strings.Cut(rest, fieldEnd)
	return addr
}

// Context has the values of the context of the request that opened the session, if Config.KeepContext says so. It
// never ends.
func (h *Handshake) Context() context.Context {
	if h.ctx == nil {
		return context.Background()
	}
	return h.ctx
}

// Secure reports whether the client came over TLS, as Config.ClientAddr told it.
func (h *Handshake) Secure() bool { return h.secure }

// CrossOrigin reports whether the request had an Origin header (Node: xdomain).
func (h *Handshake) CrossOrigin() bool { return h.cross }

// OfOthers reports whether a page has opened the session, or used it since, that is neither the server's own nor of Config.CORS's list:
// without a list any page may.
func (h *Handshake) OfOthers() bool { return h.others.Load() }

// Time returns when the session was opened, to the millisecond.
func (h *Handshake) Time() time.Time { return time.UnixMilli(h.issued) }

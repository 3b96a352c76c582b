package transport

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/beanpole/beanpole/internal/limit"
)

// request is one HTTP request on its way through the server.
type request struct {
	w       http.ResponseWriter
	r       *http.Request
	query   query
	upgrade bool // asks for the WebSocket protocol
}

// query holds the parameters of Engine.IO. Protocol: Query parameters.
type query struct {
	transport, sid, eio string
	b64                 bool // EIO3: the client takes no binary
	jsonp               bool // has j
}

// protocol returns the revision asked for. Node, server.ts, handshake: what is not 4 is 3.
func (q *query) protocol() int {
	if q.eio == "4" {
		return 4
	}
	return 3
}

// parseQuery reads the parameters without building a map: it runs for every poll. Of doubled
// parameters the last counts, as in Node (Object.fromEntries).
func parseQuery(raw string) query {
	var q query
	for raw != "" {
		var pair string
		pair, raw, _ = strings.Cut(raw, "&")
		key, value, _ := strings.Cut(pair, "=")
		switch key {
		case "transport":
			q.transport = unescape(value)
		case "sid":
			q.sid = unescape(value)
		case "EIO":
			q.eio = unescape(value)
		case "b64":
			q.b64 = value != ""
		case "j":
			q.jsonp = true
		}
	}
	return q
}

func unescape(s string) string {
	if u, err := url.QueryUnescape(s); err == nil {
		return u
	}
	return s
}

// isUpgrade reports whether r asks for the WebSocket protocol. RFC 6455, section 4.2.1.
func isUpgrade(r *http.Request) bool {
	return headerHasToken(r.Header, "Connection", "upgrade") && headerHasToken(r.Header, "Upgrade", "websocket")
}

// headerHasToken reports whether the comma-separated header key contains the token, in any case.
func headerHasToken(h http.Header, key, token string) bool {
	for _, line := range h[key] {
		for line != "" {
			var item string
			item, line, _ = strings.Cut(line, ",")
			if strings.EqualFold(strings.TrimSpace(item), token) {
				return true
			}
		}
	}
	return false
}

// Causes of refusal, the keys of Stats.Refused.
const (
	causeTransport  = "transport unknown"
	causeOrigin     = "invalid origin"
	causeForeign    = "origin not allowed"
	causeHost       = "host not allowed"
	causeJSONP      = "jsonp"
	causeSession    = "session unknown"
	causeMismatch   = "transport mismatch"
	causeMethod     = "bad handshake method"
	causeNoUpgrade  = "websocket handshake"
	causeForbidden  = "forbidden"
	causeProtocol   = "unsupported protocol version"
	causeID         = "id generation"
	causeTooLarge   = "handshake too large"
	causeDraining   = "draining"
	causeSessions   = "too many sessions"
	causeAddress    = "too many sessions of one address"
	causeHandshakes = "too many handshakes"
	causeMemory     = "short of memory"

	causeAddressRate   = "too many handshakes of one address"
	causeOtherProtocol = "protocol mismatch"
)

// verify refuses req, or returns the session it is for, nil for a handshake. The order of the checks is
// that of Node, server.ts, verify and handshake; the client's address and number are checked in between, and
// pages that may not connect are refused before they can learn whether a session exists.
func (s *Server) verify(req *request) (session *Session, ok bool) {
	q, r := &req.query, req.r
	if !(q.transport == string(Polling) && s.polling || q.transport == string(WebSocket) && s.websocket) {
		s.refuse(req, CodeTransportUnknown, causeTransport, map[string]any{"transport": q.transport})
		return nil, false
	}
	if origin := r.Header.Get("Origin"); invalidHeader(origin) {
		s.refuse(req, CodeBadRequest, causeOrigin, map[string]any{"name": "INVALID_ORIGIN", "origin": origin})
		return nil, false
	}
	if s.foreign(r) {
		s.refuse(req, CodeForbidden, causeForeign, map[string]any{"message": causeForeign, "origin": r.Header.Get("Origin")})
		return nil, false
	}
	protocol := q.protocol()
	switch {
	case q.sid != "":
		session = s.lookup(q.sid)
		if session == nil {
			if s.offer(req) {
				return nil, false
			}
			s.refuse(req, CodeSessionUnknown, causeSession, map[string]any{"sid": q.sid})
			return nil, false
		}
		if previous := session.Transport(); !req.upgrade && string(previous) != q.transport ||
			req.upgrade && q.transport != string(WebSocket) {
			s.refuseMismatch(req, previous)
			return nil, false
		}
		if !session.hs.others.Load() && s.ofOthers(r) {
			session.hs.others.Store(true)
		}
		if asked := q.protocol(); asked != session.Protocol() {
			s.refuse(req, CodeBadRequest, causeOtherProtocol, map[string]any{
				"name": "PROTOCOL_MISMATCH", "protocol": asked, "previousProtocol": session.Protocol(),
			})
			return nil, false
		}
		protocol = session.Protocol()
	case r.Method != http.MethodGet:
		s.refuse(req, CodeBadHandshakeMethod, causeMethod, map[string]any{"method": r.Method})
		return nil, false
	case (q.transport == string(WebSocket)) != req.upgrade:
		s.refuse(req, CodeBadRequest, causeNoUpgrade, map[string]any{"name": "TRANSPORT_HANDSHAKE_ERROR"})
		return nil, false
	}
	if q.jsonp && !req.upgrade && !s.cfg.JSONP.serves(protocol) {
		s.refuse(req, CodeBadRequest, causeJSONP, map[string]any{"name": "JSONP_NOT_ALLOWED", "protocol": protocol})
		return nil, false
	}
	return session, true
}

// offer offers req, whose session this server does not hold, to Config.UnknownSession, and reports whether that
// has answered.
func (s *Server) offer(req *request) (answered bool) {
	if s.cfg.UnknownSession == nil {
		return false
	}
	s.away(req, func() { answered = s.cfg.UnknownSession(offered{req.w, s.cfg.WriteTimeout}, req.r, req.query.sid) })
	return answered
}

// offered writes an answer that another gives, which its client has to take like ours.
type offered struct {
	http.ResponseWriter
	timeout time.Duration
}

// Write writes a part of the body.
func (o offered) Write(b []byte) (int, error) {
	return limit.WriteParts(o.ResponseWriter, b, o.timeout, nil)
}

// FlushError sends what has been written. http.ResponseController finds it here.
func (o offered) FlushError() error {
	return limit.Within(o.ResponseWriter, o.timeout, http.NewResponseController(o.ResponseWriter).Flush)
}

// Unwrap is for http.ResponseController.
func (o offered) Unwrap() http.ResponseWriter { return o.ResponseWriter }

// bound gives req the time in which its body has to come and its answer has to be taken; net/http reads what is
// left of a body before it answers, whoever the request is for.
func (s *Server) bound(req *request) {
	control, now := http.NewResponseController(req.w), time.Now()
	answer := now.Add(s.cfg.WriteTimeout)
	if req.r.ContentLength != 0 {
		_ = control.SetReadDeadline(now.Add(s.cfg.BodyTimeout))
		answer = answer.Add(s.cfg.BodyTimeout)
	}
	_ = control.SetWriteDeadline(answer) // net/http takes it back behind the answer
}

// away calls fn, which waits for others than the client of req: without a deadline, which over HTTP/2 would reset
// the stream. What is left to be done for req then is bounded anew.
func (s *Server) away(req *request, fn func()) {
	_ = http.NewResponseController(req.w).SetWriteDeadline(time.Time{})
	fn()
	s.bound(req)
}

// refuseMismatch refuses a request for a transport that its session does not use (any more).
func (s *Server) refuseMismatch(req *request, previous Name) {
	s.refuse(req, CodeBadRequest, causeMismatch, map[string]any{
		"name": "TRANSPORT_MISMATCH", "transport": req.query.transport, "previousTransport": string(previous),
	})
}

// invalidHeader reports whether v holds a byte that a header may not. Node, checkInvalidHeaderChar.
func invalidHeader(v string) bool {
	for i := range len(v) {
		if c := v[i]; c < ' ' && c != '\t' || c == 0x7f {
			return true
		}
	}
	return false
}

// refuse answers req with code and tells the hook and the counters of it. A "message" in context
// replaces the code's. Node, server.ts, abortRequest and abortUpgrade.
func (s *Server) refuse(req *request, code ErrorCode, cause string, context map[string]any) {
	status := http.StatusBadRequest
	if code == CodeForbidden && !req.upgrade {
		status = http.StatusForbidden
	}
	message := code.message()
	s.refused(req, code, message, cause, context)
	if m, ok := context["message"].(string); ok && m != "" {
		message = m
	}
	writeRefusal(req, status, code, message)
}

// refused tells the hook and the counters that req is not served.
func (s *Server) refused(req *request, code ErrorCode, message, cause string, context map[string]any) {
	count(&s.counters, s.counters.refused, cause)
	s.log.Debug("request refused", "cause", cause)
	if s.cfg.ConnectionError != nil {
		s.cfg.ConnectionError(&ConnectionError{Request: req.r, Code: code, Message: message, Context: context})
	}
}

func writeRefusal(req *request, status int, code ErrorCode, message string) {
	h := req.w.Header()
	// Caches may keep a refusal unasked, and whose page it was of is not in the URL.
	h.Set("Cache-Control", "no-store")
	for _, name := range []string{"Origin", "Sec-Fetch-Site"} {
		if !headerHasToken(h, "Vary", name) {
			h.Add("Vary", name)
		}
	}
	if req.upgrade {
		h.Set("Connection", "close")
		h.Set("Content-Type", "text/html")
		h.Set("Content-Length", strconv.Itoa(len(message)))
		req.w.WriteHeader(status)
		_, _ = req.w.Write([]byte(message))
		return
	}
	body := append([]byte(`{"code":`), strconv.Itoa(int(code))...)
	body = append(body, `,"message":`...)
	// Only invalid UTF-8 is an error, and it is replaced all the same.
	body, _ = jsontext.AppendQuote(body, message)
	body = append(body, '}')
	h.Set(nosniff, "nosniff")
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	req.w.WriteHeader(status)
	_, _ = req.w.Write(body)
}

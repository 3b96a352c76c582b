package transport

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// A GET that waits keeps in net/http two goroutines, two buffers and the request: 28 KB. So one that has
// waited for pollParkDelay leaves it: its handler takes the connection over and returns, and what is left
// is the connection, parked like a silent WebSocket, and the head of the answer. When there is something
// to say, a goroutine writes the answer by hand. The connection may be a proxy's, which sends other
// clients' requests on it next, so it then waits, parked, for the next request, and goes back to the
// http.Server by way of Returns with the request's first byte: not before, since http.Server allows a new
// connection less time than one it has kept.
//
// Measured with 4,000 waiting sessions: 3.7 to 5.6 KB of RSS each after a collection instead of 32 KB.

const (
	// pollParkDelay is how long a GET waits in net/http. The way out and back costs some 20 microseconds,
	// more than is saved for those who get their messages sooner.
	pollParkDelay = 500 * time.Millisecond
	// pollIdleTimeout is how long a connection may wait for its next request: longer than the 60 to 75
	// seconds of proxies, which would otherwise meet a connection that is just being closed.
	pollIdleTimeout = 90 * time.Second
)

// leave takes the connection of req, the GET p, away from net/http. It reports false if that cannot be;
// else the caller has nothing more to do with req.
func (s *Session) leave(p *poll, req *request) bool {
	if !s.mayLeave(req) {
		return false
	}
	c := &pollConn{srv: s.srv, session: s, poll: p}
	c.prepare(req)
	conn, rw, err := takeOver(req.w)
	if err != nil {
		s.srv.returns.open.Store(false) // it will not be possible later either
		return false
	}
	c.conn, c.early = unwrap(conn), buffered(rw.Reader)
	switch c.conn.(type) {
	case *net.TCPConn, *net.UnixConn:
		c.raw, _ = c.conn.(syscall.Conn).SyscallConn()
	}
	gone := req.r.Context().Err() != nil // as long as the handler runs, that is the client's doing
	s.mu.Lock()
	p.conn = c
	switch {
	case p.woken:
		s.unlock()
		c.answer() // here, since the session may have ended, and nothing be counted any more
		return true
	case gone:
		s.abortPoll(p)
		_ = conn.Close()
	default:
		p.wake = nil
		c.listen()
	}
	s.unlock()
	return true
}

// mayLeave reports whether the connection of req may be taken over: HTTP/1.1 that is to be kept.
func (s *Session) mayLeave(req *request) bool {
	r := req.r
	return req.query.sid != "" && s.srv.returns.open.Load() &&
		r.ProtoMajor == 1 && r.ProtoMinor == 1 && r.TLS == nil && !r.Close &&
		r.ContentLength == 0 && !headerHasToken(r.Header, "Connection", "close") &&
		!headerHasToken(req.w.Header(), "Connection", "close") && bare(req.w)
}

// bare reports whether w is net/http's own ResponseWriter, to which nothing is added when the head of the
// answer is written: what another would add, an answer written by hand would not have.
func bare(w http.ResponseWriter) bool {
	for {
		t := reflect.TypeOf(w)
		if t.Kind() != reflect.Pointer {
			return false
		}
		switch t.Elem().PkgPath() {
		case "net/http":
			return t.Elem().Name() == "response" // and not a TimeoutHandler's
		case "github.com/gin-gonic/gin":
			inner, ok := w.(interface{ Unwrap() http.ResponseWriter })
			if !ok {
				return false
			}
			w = inner.Unwrap()
		default:
			return false
		}
	}
}

// pollConn is the connection of a GET that has left net/http. It belongs to its session's poll, then to
// the goroutine that answers, then it is idle, and then it is net/http's or closed.
type pollConn struct {
	// Set by leave, then read only.
	srv      *Server
	conn     net.Conn
	raw      syscall.RawConn // nil if conn is no socket
	early    []byte          // what the client sent behind the request
	head     []byte          // of the answer, shared with others
	encoding string          // that the client accepts, or ""
	jsonp    *string         // the callback's index

	// Guarded by Session.mu until the answer is written, then by mu.
	armed bool // the parker's

	mu      sync.Mutex
	session *Session    // guarded by mu; nil once the poll has been answered
	poll    *poll       // guarded by mu; likewise
	idle    bool        // guarded by mu; waits for the next request
	timer   *time.Timer // guarded by mu; ends that
}

// prepare takes down what the answer needs of req.
func (c *pollConn) prepare(req *request) {
	h := req.w.Header().Clone()
	c.session.answerHeaders(h, req.r, false)
	for _, name := range [...]string{"Connection", "Content-Encoding", "Content-Length", "Content-Type", "Date", "Transfer-Encoding"} {
		h.Del(name)
	}
	var b bytes.Buffer
	_ = h.Write(&b) // which replaces line breaks in values
	c.head = c.srv.shareHead(b.Bytes())
	c.encoding = acceptedEncoding(req.r.Header)
	if req.query.jsonp {
		if j, ok := jsonpIndex(req.r.URL.Query()); ok {
			c.jsonp = &j
		}
	}
}

// shareHead returns b, or what it returned last if that is the same: most answers' heads are.
func (s *Server) shareHead(b []byte) []byte {
	if last := s.lastHead.Load(); last != nil && bytes.Equal(*last, b) {
		return *last
	}
	b = slices.Clip(b)
	s.lastHead.Store(&b)
	return b
}

// listen waits for the client to go. Called with Session.mu held.
func (c *pollConn) listen() {
	if c.raw != nil && len(c.early) == 0 {
		_ = c.srv.parker.add(c.raw, &c.armed, c) // else it is found out when the answer is written
	}
}

// wake takes a sign of life: the end of the connection or the next request. The parker calls it.
func (c *pollConn) wake() {
	c.mu.Lock()
	idle, s, p := c.endIdle(), c.session, c.poll
	c.mu.Unlock()
	switch {
	case idle:
		c.giveBack()
		return
	case s == nil:
		return
	}
	s.mu.Lock()
	defer s.unlock()
	if p.woken { // the answer is on its way, and what comes after it will be seen then
		return
	}
	switch pending, err := peek(c.raw); {
	case errors.Is(err, errNothing):
		c.listen()
	case err != nil:
		s.abortPoll(p)
		_ = c.conn.Close()
	case pending > 0: // a client that does not wait for answers; a proxy would not do that
	}
}

// answer writes the answer of the poll.
func (c *pollConn) answer() {
	s, p := c.session, c.poll
	s.mu.Lock()
	items, kinds := s.takePoll(p)
	s.unlock()
	out := takeWrite()
	defer putWrite(out)
	err := c.write(out, items, kinds)
	s.answered(p, err)
	if err != nil || c.raw == nil {
		if c.raw != nil {
			c.srv.parker.remove(c.raw) // it would keep the session until the descriptor is used again
		}
		_ = c.conn.Close()
		return
	}
	c.rest()
}

// write writes the answer with room in out.
func (c *pollConn) write(out *buffer, items []item, kinds []byte) error {
	payload := takeWrite()
	defer putWrite(payload)
	contentType, compress := c.session.appendPoll(payload, items, kinds)
	body := payload.b
	if c.jsonp != nil {
		body, contentType = appendJSONP(nil, *c.jsonp, body), jsonpType
	}
	c.srv.counters.bytesOut.Add(uint64(len(body)))
	b := append(out.b, "HTTP/1.1 200 OK\r\n"...)
	b = append(b, c.head...)
	if compress && c.srv.cfg.HTTPCompression.worth(len(body)) {
		b = append(b, "Vary: Accept-Encoding\r\n"...)
		if c.encoding != "" {
			b = append(append(append(b, "Content-Encoding: "...), c.encoding...), "\r\n"...)
			body = appendCompressed(nil, c.encoding, body)
		}
	}
	if c.raw == nil { // it cannot be given back
		b = append(b, "Connection: close\r\n"...)
	}
	b = append(append(append(b, "Content-Type: "...), contentType...), "\r\nDate: "...)
	b = time.Now().UTC().AppendFormat(b, http.TimeFormat)
	b = append(b, "\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(body)), 10)
	b = append(append(b, "\r\n\r\n"...), body...)
	out.b = b
	for {
		_ = c.conn.SetWriteDeadline(time.Now().Add(c.srv.cfg.WriteTimeout))
		n, err := c.conn.Write(b)
		if err == nil {
			return c.conn.SetWriteDeadline(time.Time{})
		}
		if b = b[n:]; n == 0 || !isTimeout(err) || c.session.closed() {
			return err
		}
	}
}

// rest waits for the next request on the connection.
func (c *pollConn) rest() {
	c.mu.Lock()
	c.session, c.poll, c.head = nil, nil, nil
	c.idle = true
	c.timer = time.AfterFunc(pollIdleTimeout, c.abandon)
	if len(c.early) == 0 && c.srv.parker.add(c.raw, &c.armed, c) {
		c.mu.Unlock()
		return
	}
	c.endIdle()
	c.mu.Unlock()
	c.giveBack()
}

// endIdle reports whether the connection was idle, and makes it the caller's then. Called with mu held.
func (c *pollConn) endIdle() bool {
	was := c.idle
	if was {
		c.idle = false
		c.timer.Stop()
	}
	return was
}

// abandon closes the connection if it is idle.
func (c *pollConn) abandon() {
	c.mu.Lock()
	idle := c.endIdle()
	c.mu.Unlock()
	if idle {
		c.srv.parker.remove(c.raw)
		_ = c.conn.Close()
	}
}

// giveBack gives the connection to net/http.
func (c *pollConn) giveBack() {
	conn := c.conn
	if len(c.early) > 0 {
		conn = &earlyConn{Conn: conn, early: c.early}
	}
	c.srv.returns.put(conn)
}

// abortPoll ends the session, whose client has given up p, if that still waits. Called with mu held.
func (s *Session) abortPoll(p *poll) {
	if s.poll == p {
		s.poll = nil
		s.end(ReasonTransportError, errPollAborted)
	}
}

// errNothing means that there is neither a byte to read nor an end.
var errNothing = errors.New("nothing to read")

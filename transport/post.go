package transport

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// post is a POST being read.
type post struct {
	control *http.ResponseController
	read    bool // the whole body; guarded by Session.mu
}

// abort ends the reading of the body. Called with Session.mu held, and so before the handler returns.
func (p *post) abort() {
	if !p.read {
		_ = p.control.SetReadDeadline(longAgo())
	}
}

// What is wrong with a POST's body. Either ends the session, as in Node.
var (
	errBodyTooBig  = errors.New("payload too large")
	errBodyTooSlow = errors.New("post took longer than BodyTimeout")
)

// servePost works off a POST of the session: its packets are received, it is answered, and then the
// application works on them.
func (s *Session) servePost(req *request) {
	isBinary := req.r.Header.Get("Content-Type") == "application/octet-stream"
	s.mu.Lock()
	switch {
	case s.state == stateClosed:
		s.mu.Unlock()
		s.srv.refuse(req, CodeSessionUnknown, causeSession, map[string]any{"sid": s.sid})
		return
	case s.ws != nil:
		s.mu.Unlock()
		s.srv.refuseMismatch(req, WebSocket)
		return
	case s.post != nil:
		s.end(ReasonTransportError, errPostOverlap)
		s.unlock()
		req.w.WriteHeader(http.StatusBadRequest)
		return
	case isBinary && s.proto == 4:
		s.end(ReasonTransportError, errBinaryPost)
		s.unlock()
		req.w.WriteHeader(http.StatusBadRequest)
		return
	}
	p := &post{control: http.NewResponseController(req.w)}
	s.post = p
	defer s.abandonPost(p)
	s.mu.Unlock()

	body := takeWrite()
	defer putWrite(body)
	err := readBody(body, req.r, s.srv.cfg.MaxHTTPBufferSize)
	s.srv.counters.bytesIn.Add(uint64(len(body.b)))
	s.srv.seeBody(req, len(body.b), err)
	if err != nil {
		s.failPost(req, err)
		return
	}
	s.srv.away(req, func() { err = s.deliver(body.b, isBinary, req.query.jsonp, ownWriter(req.w)) })
	switch {
	case err == nil:
	case errors.Is(err, errUpgraded):
		s.srv.refuseMismatch(req, WebSocket)
		return
	default:
		req.w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.answerHeaders(req.w.Header(), req.r, false)
	h := req.w.Header()
	// Not text/plain, for which some browsers offer a download. Node, polling.ts, onDataRequest.
	h.Set("Content-Type", "text/html")
	h.Set("Content-Length", strconv.Itoa(len("ok")))
	if writeParts(req.w, []byte("ok"), s.srv.cfg.WriteTimeout, nil) == nil {
		s.keep(req)
	}
}

// abandonPost ends the session if p was not worked off because the application's code panicked or ended the
// goroutine.
func (s *Session) abandonPost(p *post) {
	s.mu.Lock()
	defer s.unlock()
	if s.post == p {
		s.post = nil
		s.end(ReasonForcedServerClose, errExited)
	}
}

// failPost answers a POST whose body could not be read, and ends the session: in this order, as Node does, or a
// client would hear of the end by its poll and not of the reason by its POST.
func (s *Session) failPost(req *request, err error) {
	s.mu.Lock()
	aborted := s.state == stateClosed
	s.mu.Unlock()
	status := http.StatusBadRequest
	switch {
	case errors.Is(err, errBodyTooBig):
		status = http.StatusRequestEntityTooLarge
	case isTimeout(err) && !aborted: // else the deadline was abort's
		status, err = http.StatusRequestTimeout, errBodyTooSlow
	default:
		err = errPostAborted
	}
	req.w.Header().Set("Content-Length", "0")
	req.w.WriteHeader(status)
	_ = writeParts(req.w, nil, s.srv.cfg.WriteTimeout, nil)
	s.mu.Lock()
	defer s.unlock()
	s.post = nil
	s.end(ReasonTransportError, err)
}

// readBody appends the body of r to b, counting while reading: a length may be missing or a lie.
func readBody(b *buffer, r *http.Request, limit int64) error {
	if r.ContentLength > limit {
		return errBodyTooBig
	}
	// What is promised is believed up to a point.
	into := bytes.NewBuffer(b.b)
	if n := min(r.ContentLength, maxPooledBuffer); n > 0 {
		into.Grow(int(n) + bytes.MinRead)
	}
	n, err := into.ReadFrom(io.LimitReader(r.Body, limit+1))
	b.b = into.Bytes()
	if n > limit {
		return errBodyTooBig
	}
	return err
}

// seeBody says so when a middleware has read the body of a POST, or a part of it: of a client that has sent less than it
// promised net/http says otherwise.
func (s *Server) seeBody(req *request, got int, err error) {
	read := err == nil && int64(got) < req.r.ContentLength || errors.Is(err, http.ErrBodyReadAfterClose)
	if read && s.notice.News("body", time.Now()) {
		s.log.Warn("the body of a POST had been read before it came here, so that nothing arrives of what clients on polling say: leave the path "+
			"of Socket.IO out of the middleware that reads bodies, or have it put the body back", "length", req.r.ContentLength, "left", got)
	}
}

// unheard knows sessions that poll, as long as no POST has come, whoever's.
type unheard struct {
	known atomic.Bool // that POSTs come, or that they do not

	mu       sync.Mutex
	sessions int           // guarded by mu
	last     uint64        // guarded by mu; the session counted last
	first    time.Duration // guarded by mu; uptime when the first was
}

// over notes that a POST has come.
func (u *unheard) over() {
	if !u.known.Load() {
		u.known.Store(true)
	}
}

// minUnheard is how many sessions must have polled without a word; and a slow POST may be behind its poll by slowPost.
const (
	minUnheard = 3
	slowPost   = 5 * time.Second
)

// polled notes a poll, and says so when clients begin anew again and again and none is heard: each that is polls and sends a
// POST at once, or a PONG after a PingInterval, whose end the first of these has not reached.
func (u *unheard) polled(s *Session) {
	if u.known.Load() {
		return
	}
	u.mu.Lock()
	now := s.srv.uptime()
	if u.sessions == 0 {
		u.first = now
	}
	if s.num > u.last {
		u.last, u.sessions = s.num, u.sessions+1
	}
	n, in := u.sessions, now-u.first
	u.mu.Unlock()
	if cfg := &s.srv.cfg; n >= minUnheard && in >= cfg.PingInterval+min(cfg.PingTimeout, slowPost) && !u.known.Swap(true) {
		s.srv.log.Warn("clients poll, and no POST has ever come: they begin anew again and again, as nothing arrives of what they say. Let the path of "+
			"Socket.IO be for all methods, as mux.Handle(\"/socket.io/\", io) and Any of gin and echo have it, and not for GET alone; in a proxy too", "sessions", n)
	}
}

// errUpgraded is the fate of a POST whose session was upgraded while its body was read.
var errUpgraded = errors.New("session upgraded")

// deliver hands the packets of a POST's body to the session. An error has ended the session, errUpgraded
// excepted. What the client closed in its own way is none. own is the writer of the answer, whose goroutine works on
// what has been received when that has been sent, or nil.
func (s *Session) deliver(body []byte, isBinary, jsonp bool, own *pollWriter) error {
	s.mu.Lock()
	s.post.read = true
	s.extendPing()
	s.mu.Unlock()
	s.rx.Lock()
	defer s.rx.Unlock()
	s.mu.Lock()
	if s.ws != nil || s.state == stateClosed {
		err := errPostAborted
		if s.ws != nil {
			err = errUpgraded
		}
		s.post = nil
		s.unlock()
		return err
	}
	s.mu.Unlock()

	received, packets, piece := false, uint64(0), 0
	err := s.decode(body, isBinary, jsonp, func(p enginePacket) error {
		if piece += len(p.data) + 1; piece > readBuffer && received {
			received, piece = false, len(p.data)+1
			s.workBetween()
		}
		packets++
		message, err := s.onPacket(p)
		received = received || message
		return err
	})
	s.srv.counters.packetsIn.Add(packets)

	s.mu.Lock()
	s.post = nil
	var invalid packetError
	switch {
	case err == nil:
	case errors.Is(err, errClientClosed):
		if s.poll != nil {
			s.answerPoll(kindNoop) // Node, polling.ts, onClose
		}
		s.end(ReasonTransportClose, nil)
		err = nil
	case errors.As(err, &invalid):
		s.end(ReasonParseError, err)
	default:
		s.end(ReasonTransportError, err)
	}
	if received {
		s.srv.wg.Add(1) // the session is not finished, so it is counted
		if own != nil {
			own.works = s
		} else {
			go s.workOnPost()
		}
	}
	s.unlock()
	return err
}

// decode calls fn for the packets of a POST's body.
func (s *Session) decode(body []byte, isBinary, jsonp bool, fn func(enginePacket) error) error {
	if jsonp {
		var err error
		if body, err = decodeJSONPForm(body); err != nil {
			return err
		}
	}
	if s.proto == 3 {
		return decodePayload3(body, isBinary, fn)
	}
	return decodePayload4(body, fn)
}

// workBetween lets the application work on a piece of a POST's body, of the size of a WebSocket's read,
// before the next is received: a body of many small packets would overflow what waits for a handler
// otherwise, however fast that is. A Work that blocks is not waited for, as with a WebSocket.
func (s *Session) workBetween() {
	done := make(chan struct{})
	s.srv.wg.Add(1) // rx is held, so the session is not finished and is counted
	go func() {
		defer close(done)
		s.workOnPost()
	}()
	late := time.NewTimer(takeoverAfter)
	defer late.Stop()
	select {
	case <-done:
	case <-late.C:
	}
}

// workOnPost lets the application work on what a POST brought. Its first takeoverAfter are a turn: what
// is sent then leaves together. Measured, sixteen messages whose handlers take 30 microseconds each: one poll
// instead of 3.5, and a tenth less processor time; with one message it makes no difference.
func (s *Session) workOnPost() {
	defer s.srv.wg.Done()
	s.mu.Lock()
	var turn uint64
	if s.ws == nil && !s.working {
		s.beginTurn()
		turn = s.beginWork(nil)
	}
	s.mu.Unlock()
	s.work(turn)
}

// workHere is workOnPost on the goroutine that reads c, which has brought the POST. It reports whether that still is the
// caller: a Work that blocks loses it, as with a WebSocket. A goroutine for it cost a sixth of a polling echo.
func (s *Session) workHere(c *pollConn) (mine bool) {
	s.mu.Lock()
	if s.ws != nil || s.working {
		s.mu.Unlock()
		go s.workOnPost()
		return true
	}
	defer s.srv.wg.Done()
	s.beginTurn()
	turn := s.beginWork(c)
	s.mu.Unlock()
	return s.work(turn)
}

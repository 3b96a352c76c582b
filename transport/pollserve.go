package transport

import (
	"bytes"
	"errors"
	"log"
	"net/http"
	"runtime/debug"
	"slices"
	"time"

	"github.com/beanpole/beanpole/internal/limit"
)

// The requests of a session that come on a pollConn are read here and go to the handler of its http.Server, as
// net/http would call it, middleware included: what is left out is net/http's share of a poll, which was 79 % of it
// (two goroutines, deadlines, buffers, a copy of the header). They are those that parseHead takes, of a session of this
// server, with no more of them behind; every other goes to net/http with all its bytes, by way of Returns, and what it
// means is decided there.
//
// Measured, polling echo: see docs/performance.md.

// headWait is how long the rest of a head may take that has come in part, before net/http waits for it.
const headWait = time.Second

// maxOdd is how many requests of a session net/http had to see to, until its connections stay there: a
// client that sends such a one sends them all so, and the way there and back costs some 20 microseconds.
const maxOdd = 3

// serve reads c until it ends, is parked or given away, is held by a GET that waits, or until a turn's Work has lost
// the reader.
func (c *pollConn) serve() {
	over := false
	defer func() {
		if !over { // a handler has ended the goroutine
			c.lost()
		}
	}()
	in := new(reading)
	for next := true; next; {
		var works *Session
		next, works = c.serveOne(in)
		if works != nil {
			over = true // if Work ends the goroutine, another has c
			if next {
				next = works.workHere(c)
			} else {
				works.workOnPost()
			}
			over = false
		}
		if next && c.reads == readsWoke {
			next = !c.rest()
		}
	}
	over = true
}

// readLoop is serve, in the place of another.
func (c *pollConn) readLoop() {
	c.srv.wg.Done() // c is counted by itself
	c.serve()
}

// serveOne reads and serves a request. It reports whether to read on, and the session that has to work on what it
// got, if one has.
func (c *pollConn) serveOne(in *reading) (next bool, works *Session) {
	b, err := c.receive(in)
	switch {
	case err == nil:
	case c.reads < readsSilence || !isTimeout(err):
		c.lost()
		return false, nil
	default:
		return !c.quiet(), nil
	}
	defer func() { in.put(b) }()
	if c.reads == readsSilence {
		c.reads = readsSpeech
	}
	c.mu.Lock()
	if c.gone || c.poll != nil {
		c.held, c.early = true, bytes.Clone(b.b)
		c.mu.Unlock()
		return false, nil
	}
	c.busy = true
	c.mu.Unlock()

	h, session := c.understand(b)
	if session == nil {
		c.giveBack(bytes.Clone(b.b))
		return false, nil
	}
	w := &pollRequest{writer: pollWriter{c: c, header: make(http.Header, 8)}, context: pollContext{Context: c.ctx}}
	goes := c.handle(&h, w, b.b[h.size:])
	c.posted = h.method == http.MethodPost
	c.mu.Lock()
	c.busy = false
	goes = goes && (!c.ending || c.poll != nil)
	c.mu.Unlock()
	if !goes {
		c.close()
	}
	return goes, w.writer.works
}

// receive returns what has come, or waits for it.
func (c *pollConn) receive(in *reading) (*buffer, error) {
	if len(c.early) > 0 {
		b := in.take() // which has room for as much as net/http, or a read, may have had
		b.b = append(b.b[:0], c.early...)
		c.early = nil
		return b, nil
	}
	if c.reads == readsOn {
		c.watch()
	}
	return c.stream.read(in)
}

// watch has who reads notice silence.
func (c *pollConn) watch() {
	d := c.srv.cfg.ParkAfter
	if d <= 0 {
		d = DefaultParkAfter
	}
	c.stream.setReadDeadline(time.Now().Add(d))
	c.reads = readsSilence
}

// quiet takes the end of watch's time. It reports whether there is nothing to read any more: c was parked, or has been
// idle for too long.
func (c *pollConn) quiet() bool {
	if c.reads == readsSpeech {
		c.reads, c.silent = readsOn, 0
		return false
	}
	c.reads, c.restedAt, c.woken = readsOn, 0, 0
	if c.park() {
		return true
	}
	c.mu.Lock()
	idle := c.poll == nil
	c.mu.Unlock()
	c.silent += max(c.srv.cfg.ParkAfter, time.Second)
	if d := c.idleTimeout(); idle && d > 0 && c.silent >= d {
		c.close()
		return true
	}
	return false
}

// rest parks c again after the first request since it was woken, unless that happens again and again.
func (c *pollConn) rest() (parked bool) {
	c.reads = readsOn
	now := c.srv.uptime()
	recent := c.restedAt != 0 && now-c.restedAt < c.srv.cfg.ParkAfter
	c.restedAt = now
	if !recent {
		c.woken = 0
	}
	c.woken++
	return c.woken <= keepAwake && c.park()
}

// understand returns the head in b and the session that it is of, or nil if the request is for net/http.
func (c *pollConn) understand(b *buffer) (head, *Session) {
	breaks := 0
	if c.posted { // some clients send line breaks behind a body, of which net/http takes so many
		breaks = 4
	}
	h, state := parseNext(b, &breaks)
	if state == headPart {
		c.stream.setReadDeadline(time.Now().Add(headWait))
		c.reads = readsOn
		for in := new(reading); state == headPart && len(b.b) < cap(b.b); h, state = parseNext(b, &breaks) {
			n, err := readTo(c.stream, in, b.b[len(b.b):cap(b.b)])
			if err != nil {
				break // net/http finds that out
			}
			b.b = b.b[:len(b.b)+n]
		}
	}
	if h.path <= 0 {
		return h, nil
	}
	q := parseQuery(h.query())
	session := c.srv.lookup(q.sid)
	switch most := c.web.MaxHeaderBytes; {
	case session == nil || q.transport != string(Polling):
		return h, nil
	case state != headGood, most > 0 && h.size > most, h.length > c.srv.cfg.MaxHTTPBufferSize:
		session.noteOdd()
		return h, nil
	case int64(len(b.b)-h.size) > h.length: // more requests
		return h, nil
	}
	return h, session
}

// parseNext is parseHead behind as many line breaks as there may be, which it takes out of b. RFC 9112 section 2.2.
func parseNext(b *buffer, breaks *int) (head, headState) {
	n := 0
	for n < min(len(b.b), *breaks) && (b.b[n] == '\r' || b.b[n] == '\n') {
		n++
	}
	*breaks -= n
	b.b = slices.Delete(b.b, 0, n)
	return parseHead(b.b)
}

// noteOdd takes down that net/http had to see to a request of s.
func (s *Session) noteOdd() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.odd = min(s.odd+1, maxOdd)
}

// isOdd reports whether it has had to for so often that connections are better left there.
func (s *Session) isOdd() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.odd == maxOdd
}

// readTo reads to p what comes next.
func readTo(from stream, in *reading, p []byte) (int, error) {
	in.into = p
	b, err := from.read(in)
	if err != nil {
		in.into = nil
		return 0, err
	}
	n := len(b.b)
	in.put(b)
	return n, nil
}

// handle has the handler serve the request, of whose body early has come. It reports whether the connection goes on.
func (c *pollConn) handle(h *head, q *pollRequest, early []byte) (goes bool) {
	w := &q.writer
	r := h.request().WithContext(&q.context)
	r.RemoteAddr = c.remote
	if h.length > 0 {
		q.body.stream, q.body.early, q.body.left = c.stream, early, h.length
		w.in, r.Body = &q.body, &q.body
	}
	exits := true
	defer func() {
		switch v := recover(); {
		case v != nil:
			c.failed(v)
			goes = false
		case exits && w.works != nil:
			go w.works.workOnPost()
		}
		q.context.cancel()
		w.end()
		read, waited := w.in.end()
		if waited {
			c.reads = readsOn // the deadline is not watch's any more
		}
		goes = goes && read
	}()
	c.note(http.StateActive)
	handler := c.web.Handler
	if handler == nil {
		handler = http.DefaultServeMux
	}
	handler.ServeHTTP(w, r)
	exits = false
	if w.taken {
		return !c.isGone()
	}
	if !w.finish() {
		return false
	}
	c.note(http.StateIdle)
	return true
}

// failed says what a handler has panicked with, as net/http does.
func (c *pollConn) failed(v any) {
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		return
	}
	printf := log.Printf
	if c.web.ErrorLog != nil {
		printf = c.web.ErrorLog.Printf
	}
	printf("http: panic serving %v: %v\n%s", c.remote, v, debug.Stack())
}

// write writes b. Each part of it may take timeout, and when ended, which may be nil, says that the session goes on
// no more, what is left may take it once.
func (c *pollConn) write(b []byte, timeout time.Duration, ended func() bool) error {
	n, err := c.stream.tryWrite(b)
	if b = b[n:]; err != nil || len(b) == 0 {
		return err
	}
	for last := false; err == nil && len(b) > 0; b = b[n:] {
		if !last {
			c.stream.setWriteDeadline(time.Now().Add(timeout))
			last = ended != nil && ended()
		}
		n, err = c.stream.write([][]byte{b[:min(len(b), limit.Part)]})
	}
	if err == nil {
		c.stream.setWriteDeadline(time.Time{})
	}
	return err
}

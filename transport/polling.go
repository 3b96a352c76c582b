package transport

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// poll is a GET that waits.
type poll struct {
	// Guarded by Session.mu.
	woken  bool
	taken  bool // the answer is being written
	answer kind // if not zero, the session has let go of the poll, which answers with this packet

	wake chan struct{} // of size 1; gets one value when there is something to answer
	conn *pollConn     // instead of wake, if the poll waits without a handler
	left *leftPoll     // likewise; set before conn
}

// servePoll answers a GET of the session: at once if something waits, else when something does.
func (s *Session) servePoll(req *request) {
	initial := req.query.sid == ""
	if !initial {
		s.srv.unheard.polled(s)
	}
	s.mu.Lock()
	switch {
	case s.state == stateClosed && !initial:
		s.mu.Unlock()
		s.srv.refuse(req, CodeSessionUnknown, causeSession, map[string]any{"sid": s.sid})
		return
	case s.ws != nil:
		s.mu.Unlock()
		s.srv.refuseMismatch(req, WebSocket)
		return
	case s.poll != nil:
		s.end(ReasonTransportError, errPollOverlap)
		s.unlock()
		req.w.WriteHeader(http.StatusBadRequest)
		return
	}
	p := &poll{}
	s.poll = p
	left := false
	err := errPollAborted
	defer func() {
		if !left {
			s.answered(p, err) // also if a hook has panicked
		}
	}()
	if s.state == stateClosed { // Accept aborted it
		s.answerPoll(kindClose)
	} else if !s.pollReady() {
		s.mu.Unlock()
		if left = s.leave(p, req) || s.await(p, req); left {
			return
		}
		s.mu.Lock()
	}
	items, kinds := s.takePoll(p)
	s.unlock()
	if err = s.writePoll(req, items, kinds, initial); err == nil {
		s.keep(req)
	}
}

// answered notes that the answer of p has been written, or ends the session if it has not: its packets are
// lost then, whatever the client has of them.
func (s *Session) answered(p *poll, err error) {
	s.mu.Lock()
	defer s.unlock()
	if p.taken {
		s.answers--
		s.outputDone()
	} else if s.poll == p {
		s.poll = nil
	}
	if isTimeout(err) {
		err = errWriteTimeout
	}
	if err != nil {
		s.end(ReasonTransportError, err)
	}
	if p.taken && p.answer == 0 {
		s.hasLeft()
	}
	s.wakePoll() // which may have waited for this one's end
}

// await waits in the handler until there is something to answer, where the poll cannot leave. It returns true when the
// client has gone, which has ended the session.
func (s *Session) await(p *poll, req *request) (gone bool) {
	s.mu.Lock()
	if p.answer != 0 || s.poll == p && s.pollReady() {
		s.mu.Unlock()
		return false
	}
	p.wake = make(chan struct{}, 1)
	s.mu.Unlock()
	s.srv.seeDeadline(req)
	// Deadlines that count from the request's arrival would end the wait. Nobody reads a body now, but net/http
	// will before it answers.
	control := http.NewResponseController(req.w)
	if req.r.ContentLength == 0 {
		_ = control.SetReadDeadline(time.Time{})
	}
	_ = control.SetWriteDeadline(time.Time{})
	select {
	case <-p.wake:
		return false
	case <-req.r.Context().Done():
		s.mu.Lock()
		s.abortPoll(p)
		s.unlock()
		return true
	}
}

// seeDeadline says so when a middleware is going to end a poll that waits, and with it the session, before a ping would
// have been its answer.
func (s *Server) seeDeadline(req *request) {
	end, ok := req.r.Context().Deadline()
	if !ok {
		return
	}
	now := time.Now()
	if in := end.Sub(now); in < s.cfg.PingInterval && s.notice.News("deadline", now) {
		s.log.Warn("polls are cut off by a deadline, which ends their sessions: leave the path of Socket.IO out of the middleware that "+
			"sets it, as http.TimeoutHandler must; a poll waits for an event or a ping", "ends_in", in.Round(time.Millisecond),
			"ping_interval", s.cfg.PingInterval, "writer", fmt.Sprintf("%T", innermost(req.w)))
	}
}

// pollReady reports whether a poll is to be answered now. One that comes while the answer before is still being
// written waits: a client that has it all may be faster than who has written it, and one that does not read it
// gets nothing more. Called with mu held.
func (s *Session) pollReady() bool {
	return s.answers == 0 && (s.state == stateClosing || s.waiting.pending() && !s.gathering)
}

// wakePoll lets the pending poll go, if there is a reason to. Called with mu held.
func (s *Session) wakePoll() {
	if p := s.poll; p != nil && s.pollReady() {
		s.letGo(p)
	}
}

// claimPoll is wakePoll, but for a poll that has left: it is the caller's to answer then. Called with mu held.
func (s *Session) claimPoll() *poll {
	p := s.poll
	if p == nil || !s.pollReady() {
		return nil
	}
	if p.conn == nil || p.woken {
		s.letGo(p)
		return nil
	}
	p.woken = true
	return p
}

// answerPoll lets go of the pending poll, which answers with a packet of kind k only. Called with mu
// held.
func (s *Session) answerPoll(k kind) {
	p := s.poll
	s.poll = nil
	p.answer = k
	s.letGo(p)
}

// letGo has p answered, if it waits. Called with mu held.
func (s *Session) letGo(p *poll) {
	switch {
	case p.woken:
	case p.conn != nil:
		p.woken = true
		s.srv.wg.Add(1) // the session is not finished, so it is counted
		go func() {
			defer s.srv.wg.Done()
			p.answerLeft(s)
		}()
	case p.wake != nil:
		p.woken = true
		p.wake <- struct{}{}
	}
}

// takePoll returns what p is to answer: what waits, and packets of the kinds behind it. Called with mu
// held, which must be released with unlock.
func (s *Session) takePoll(p *poll) (items []item, kinds []byte) {
	p.taken = true
	s.answers++
	if p.answer != 0 {
		return nil, []byte{byte(p.answer)}
	}
	s.poll = nil
	items = s.takeAnswer()
	switch {
	case s.state == stateClosing && len(items) == 0:
		// Never behind messages: socket.io-client 4.6 and later acts on a CLOSE at once but on messages in
		// the next tick, and so would take "io server disconnect" for "transport close" and come back.
		kinds = []byte{byte(kindClose)}
		s.end(s.ending.reason, nil)
	case len(items) == 0:
		kinds = []byte{byte(kindNoop)}
	}
	return items, kinds
}

// writePoll answers req with items and packets of the kinds.
func (s *Session) writePoll(req *request, items []item, kinds []byte, initial bool) error {
	out := takeWrite()
	defer putWrite(out)
	contentType, compress := s.appendPoll(out, items, kinds)
	body := out.b
	if req.query.jsonp {
		if j, ok := jsonpIndex(req.r.URL.Query()); ok {
			body, contentType = appendJSONP(nil, j, body), jsonpType
		}
	}
	s.srv.counters.bytesOut.Add(uint64(len(body)))
	s.answerHeaders(req.w.Header(), req.r, initial)
	return s.srv.writeBody(req.w, req.r, contentType, body, compress, s.closed)
}

// appendPoll appends the payload of items and packets of the kinds. It returns its type, and whether it
// may be compressed.
func (s *Session) appendPoll(out *buffer, items []item, kinds []byte) (contentType string, compress bool) {
	for _, k := range kinds {
		items = append(items, item{packet: enginePacket{kind: kind(k)}, options: SendOptions{NoCompress: true}})
	}
	f := payload4
	if s.proto == 3 {
		f = payload3Text
		for _, i := range items {
			if !s.b64 && (i.packet.binary || i.prepared != nil && i.prepared.binary) {
				f = payload3Binary
			}
		}
	}
	packets := 0
	for n, i := range items {
		if i.prepared != nil {
			out.b = i.prepared.appendTo(out.b, f, n == 0)
			packets += len(i.prepared.msgs)
		} else {
			out.b = appendPayload(out.b, f, i.packet, n == 0)
			packets++
		}
		compress = compress || !i.options.NoCompress
	}
	s.srv.counters.packetsOut.Add(uint64(packets))
	if f == payload3Binary {
		return "application/octet-stream", compress
	}
	return "text/plain; charset=UTF-8", compress
}

// answerHeaders sets in h the headers of an answer of polling to r.
func (s *Session) answerHeaders(h http.Header, r *http.Request, initial bool) {
	// Old Internet Explorers take a poll's answer for an attack. Node, polling.ts, headers.
	if ua := r.UserAgent(); strings.Contains(ua, ";MSIE") || strings.Contains(ua, "Trident/") {
		h.Set("X-XSS-Protection", "0")
	}
	h.Set("Cache-Control", "no-store")
	if initial && s.srv.cfg.Cookie != nil {
		h.Add("Set-Cookie", s.srv.cfg.Cookie.header(s.sid))
	}
	s.srv.setHeaders(h, r, initial)
}

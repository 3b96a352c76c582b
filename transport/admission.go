package transport

import (
	"net/http"
	"time"

	"github.com/beanpole/beanpole/internal/limit"
)

// retryAfter is what a client is asked to wait that was refused for want of room, in seconds.
const retryAfter = "5"

// addressBurst is how many seconds' worth of handshakes one address may make at once: after a deployment
// all clients behind one address come back together.
const addressBurst = 10

// admit reserves room for one session of addr and returns "", or the cause of the refusal. What it
// reserves is given back with release.
func (s *Server) admit(addr string) (cause string) {
	if s.refusing.Load() {
		return causeDraining
	}
	if s.short.Load() {
		return causeMemory
	}
	now := time.Now()
	addr = limit.Address(addr)
	if !s.byAddrRate.Take(addr, now) {
		return causeAddressRate
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.shutdown:
		return causeDraining
	case s.cfg.MaxSessions > 0 && s.admitted >= s.cfg.MaxSessions:
		return causeSessions
	case s.cfg.MaxSessionsPerAddr > 0 && s.byAddr[addr] >= s.cfg.MaxSessionsPerAddr:
		return causeAddress
	case !s.bucket.Take(now):
		return causeHandshakes
	}
	s.reserve(addr)
	return ""
}

// Linger keeps a place among the sessions that MaxSessions and MaxSessionsPerAddr bound, and that Shutdown waits for,
// until done is called, once: for what the session makes the server do when it has ended. It is called by the
// receiver's Closed, before the session's own place is given back.
func (s *Session) Linger() (done func()) {
	srv, addr := s.srv, s.hs.Addr()
	srv.mu.Lock()
	srv.reserve(limit.Address(addr))
	srv.mu.Unlock()
	return func() { srv.release(addr) }
}

// reserve takes a place for addr, which release gives back. Called with mu held.
func (s *Server) reserve(addr string) {
	s.admitted++
	if s.cfg.MaxSessionsPerAddr > 0 {
		s.byAddr[addr]++
	}
	s.wg.Add(1)
}

// release gives back what reserve has taken for addr.
func (s *Server) release(addr string) {
	addr = limit.Address(addr)
	s.mu.Lock()
	s.admitted--
	if s.cfg.MaxSessionsPerAddr > 0 {
		if s.byAddr[addr]--; s.byAddr[addr] == 0 {
			s.byAddr = s.hadAddrs.Delete(s.byAddr, addr)
		}
	}
	if s.shutdown && s.admitted == 0 {
		close(s.noSession)
	}
	s.mu.Unlock()
	s.wg.Done()
}

// refuseUnavailable answers a handshake that admit refused: 429 when it is for the client's own address, 503
// when it is for the server. Node has neither; its clients try again later after any answer that is no 200.
func (s *Server) refuseUnavailable(req *request, addr, cause string) {
	status, name, message := http.StatusServiceUnavailable, "UNAVAILABLE", "Service unavailable"
	if cause == causeAddress || cause == causeAddressRate {
		status, name, message = http.StatusTooManyRequests, "TOO_MANY_REQUESTS", "Too many requests"
	}
	if cause != causeDraining && s.notice.News(cause, time.Now()) {
		s.log.Warn("handshakes are refused: a limit is reached", "cause", cause, "client", addr)
	}
	s.refused(req, CodeForbidden, message, cause, map[string]any{"name": name, "cause": cause})
	req.w.Header().Set("Retry-After", retryAfter)
	writeRefusal(req, status, CodeForbidden, message)
}

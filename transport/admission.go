package transport

import (
	"net/http"
	"time"
)

// retryAfter is what a client is asked to wait that was refused for want of room, in seconds.
const retryAfter = "5"

// bucket is a token bucket of so many tokens per second and as many at once. The zero bucket gives
// always.
type bucket struct {
	rate   float64
	tokens float64
	last   time.Time
}

func newBucket(rate int) bucket { return bucket{rate: float64(rate), tokens: float64(rate)} }

// take takes a token, if there is one.
func (b *bucket) take(now time.Time) bool {
	if b.rate == 0 {
		return true
	}
	if !b.last.IsZero() {
		b.tokens = min(b.rate, b.tokens+now.Sub(b.last).Seconds()*b.rate)
	}
	b.last = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// admit reserves room for one session of addr and returns "", or the cause of the refusal. What it
// reserves is given back with release.
func (s *Server) admit(addr string) (cause string) {
	if s.refusing.Load() {
		return causeDraining
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
	case !s.bucket.take(time.Now()):
		return causeHandshakes
	}
	s.admitted++
	if s.cfg.MaxSessionsPerAddr > 0 {
		s.byAddr[addr]++
	}
	s.wg.Add(1)
	return ""
}

// release gives back what admit reserved for addr.
func (s *Server) release(addr string) {
	s.mu.Lock()
	s.admitted--
	if s.cfg.MaxSessionsPerAddr > 0 {
		if s.byAddr[addr]--; s.byAddr[addr] == 0 {
			delete(s.byAddr, addr)
		}
	}
	if s.shutdown && s.admitted == 0 {
		close(s.noSession)
	}
	s.mu.Unlock()
	s.wg.Done()
}

// refuseUnavailable answers a handshake that admit refused.
func (s *Server) refuseUnavailable(req *request, cause string) {
	const message = "Service unavailable"
	s.refused(req, CodeForbidden, message, cause, map[string]any{"name": "UNAVAILABLE", "cause": cause})
	req.w.Header().Set("Retry-After", retryAfter)
	writeRefusal(req, http.StatusServiceUnavailable, CodeForbidden, message)
}

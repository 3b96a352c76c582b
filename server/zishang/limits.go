package zishang

import (
	"sync/atomic"
	"time"

	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/internal/limit"
	"github.com/beanpole/beanpole/server"
)

// eventBurst is how many seconds' worth of events may come at once.
const eventBurst = 2

// bounds are the limits of a server that hold over several sessions.
type bounds struct {
	// Set by New, then read only.
	events     bool // some limit of events is on
	addresses  *limit.Table
	identities *limit.Table
	holders    *limit.Holders[*session] // the sessions of each identity

	notice limit.Notice
}

func (b *bounds) init(l *server.Limits) {
	b.events = l.EventsPerSecond > 0 || l.EventsPerSecondPerAddr > 0 || l.EventsPerSecondPerIdentity > 0
	b.addresses = limit.NewTable(l.EventsPerSecondPerAddr, eventBurst)
	b.identities = limit.NewTable(l.EventsPerSecondPerIdentity, eventBurst)
	b.holders = limit.NewHolders[*session](l.MaxSessionsPerIdentity)
}

// SetIdentity says whose socket it is: the name of an account, as the application has found out, for the
// limits per identity in Config.Limits. It is called in a middleware, which hands its result to next:
//
//	io.Use(func(s *socket.Socket, next func(*socket.ExtendedError)) { next(zishang.SetIdentity(s, nameOf(s))) })
//
// The result is not nil when the identity has Limits.MaxSessionsPerIdentity sessions on this server already;
// its data are those of a *server.LimitError. Sockets of one session count once. A recovered socket that
// skips the middlewares has no identity until the connection handler sets it. On a socket that has gone, or
// is of no server made by New, it does nothing.
func SetIdentity(s *socket.Socket, id string) *socket.ExtendedError {
	m := memberOf(s)
	if m == nil {
		return nil
	}
	conn := m.seat.session
	b := &conn.h.bounds
	if id != "" && !b.holders.Enter(id, conn) {
		if b.notice.News(server.LimitSessionsPerIdentity, time.Now()) {
			conn.log().Warn("sockets are refused: a limit is reached", "limit", server.LimitSessionsPerIdentity)
		}
		m.limited.Store(true)
		err := &server.LimitError{Limit: server.LimitSessionsPerIdentity, Max: b.holders.Max()}
		return socket.NewExtendedError(err.Error(), err)
	}
	m.mu.Lock()
	old := id // which a socket that has gone gives back at once
	if !m.over.Load() {
		old, m.identity = m.identity, id
	}
	m.mu.Unlock()
	conn.giveUp(old)
	return nil
}

// Identity returns what SetIdentity has set, or "".
func Identity(s *socket.Socket) string {
	if m := memberOf(s); m != nil {
		return m.owner()
	}
	return ""
}

func (m *member) owner() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.identity
}

// takeIdentity returns the identity of a socket that is over, for the last time. Called with mu held; what
// it returns is given up without.
func (m *member) takeIdentity() (id string) {
	id, m.identity = m.identity, ""
	return id
}

// giveUp takes back one Enter of the session.
func (s *session) giveUp(identity string) {
	if identity != "" {
		s.h.bounds.holders.Leave(identity, s)
	}
}

// exceeds reports whether one more event of the socket is beyond a limit, and counts it; and whether the event has
// still to be counted for an identity (see counted): there is none yet.
func (s *session) exceeds(m *member) (beyond, owed bool) {
	b := &s.h.bounds
	if !b.events {
		return false, false
	}
	now := time.Now()
	id := m.owner()
	switch {
	case !s.bucket.Take(now):
		s.rateLimited("session", nil)
	case b.addresses != nil && !b.addresses.Take(limit.Address(s.session.Handshake().Addr()), now):
		s.rateLimited("address", &s.h.stats.rateLimitedAddr)
	case b.identities != nil && id != "" && !b.identities.Take(id, now):
		s.rateLimited("identity", &s.h.stats.rateLimitedIdentity)
	default:
		return false, b.identities != nil && id == ""
	}
	return true, false
}

// rateLimited counts a session that is closed for its events, and says so in the log.
func (s *session) rateLimited(cause string, counter *atomic.Uint64) {
	s.h.stats.rateLimited.Add(1)
	if counter != nil {
		counter.Add(1)
	}
	if s.h.bounds.notice.News(cause, time.Now()) {
		s.log().Warn("sessions are closed: a limit of events is reached", "of", cause, "client", s.session.Handshake().Addr())
	}
}

// counted counts an event that came before the socket had an identity, now that it is handed on. It reports false
// when that is beyond the limit, which has closed the session.
func (m *member) counted() bool {
	s := m.seat.session
	id := m.owner()
	if id == "" || s.h.bounds.identities.Take(id, time.Now()) {
		return true
	}
	if s.session.Open() { // the first of those that came
		s.rateLimited("identity", &s.h.stats.rateLimitedIdentity)
		s.session.Close(server.ReasonRateLimited)
	}
	return false
}

package server

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/beanpole/beanpole/internal/limit"
)

// eventBurst is how many seconds' worth of events may come at once.
const eventBurst = 2

// bounds are the limits of a server that hold over several sessions.
type bounds struct {
	// Set by New, then read only.
	events     bool // some limit of events is on
	addresses  *limit.Table
	identities *limit.Table
	holders    *limit.Holders[*client] // the sessions of each identity

	vain *limit.Tally // of recoveries that bring a client the same events; see Socket.inVain

	notice   limit.Notice
	asked    asked
	kept     kept
	watchers atomic.Int32 // see Socket.watchConnection
}

func (b *bounds) init(l *Limits) {
	b.events = l.EventsPerSecond > 0 || l.EventsPerSecondPerAddr > 0 || l.EventsPerSecondPerIdentity > 0
	b.addresses = limit.NewTable(l.EventsPerSecondPerAddr, eventBurst)
	b.identities = limit.NewTable(l.EventsPerSecondPerIdentity, eventBurst)
	b.holders = limit.NewHolders[*client](l.MaxSessionsPerIdentity)
	b.vain = limit.NewTally(maxVain, 10*time.Minute)
}

// LimitError says that a socket is refused because a limit is reached. Returned by a middleware, its fields
// are the data of the client's connect_error.
type LimitError struct {
	Limit string `json:"limit"` // what is bounded: LimitSessionsPerIdentity and so on
	Max   int    `json:"max"`   // how many there may be
}

// The values of LimitError.Limit.
const (
	LimitSessionsPerIdentity = "sessions per identity"
	LimitEventsPerIdentity   = "events per second of one identity"
	LimitAuthBytes           = "bytes of auth payloads"
	LimitNamespaceBytes      = "bytes of the name of a namespace"
)

// Error names the limit.
func (e *LimitError) Error() string { return fmt.Sprintf("too many %s", e.Limit) }

// SetIdentity says whose socket it is: the name of an account, as the application has found out, for the
// limits per identity. It is called in a middleware, which returns its error: a *LimitError when the
// identity has Limits.MaxSessionsPerIdentity sessions on this server already, or, as a CONNECT is an event to
// the limits, is beyond Limits.EventsPerSecondPerIdentity; ErrDisconnected when the client has gone, and
// ErrOtherIdentity when the socket was recovered from the session of another. Sockets of one session count
// once. Another identity takes the place of the one before; "" is none. A recovered socket has the identity it
// had.
func (s *Socket) SetIdentity(id string) error {
	srv := s.client.server
	if r := s.recovery; r != nil && r.identity != "" && id != r.identity && s.state.Load() == stateConnecting {
		return ErrOtherIdentity
	}
	if id != "" && s.state.Load() == stateConnecting && !srv.bounds.identities.Take(id, time.Now()) {
		return s.limited(LimitEventsPerIdentity, srv.cfg.Limits.EventsPerSecondPerIdentity)
	}
	if id != "" && !srv.bounds.holders.Enter(id, s.client) {
		return s.limited(LimitSessionsPerIdentity, srv.bounds.holders.Max())
	}
	gone := false
	old := id // which a socket that has gone gives back at once
	s.hook(func(h *hooks) {
		if gone = s.gone(); !gone {
			old, h.identity = h.identity, id
		}
	})
	s.client.giveUp(old)
	if gone {
		return ErrDisconnected
	}
	return nil
}

// limited returns the error of a limit that is reached, and says so in the log.
func (s *Socket) limited(what string, most int) error {
	if s.client.server.bounds.notice.News(what, time.Now()) {
		s.client.log().Warn("sockets are refused: a limit is reached", "limit", what)
	}
	return &LimitError{what, most}
}

// Identity returns what SetIdentity has set, or "".
func (s *Socket) Identity() string { return s.hooked().identity }

// dropIdentity gives back the identity of a socket that has gone.
func (s *Socket) dropIdentity() {
	s.mu.Lock()
	id := ""
	if s.hooks != nil {
		id, s.hooks.identity = s.hooks.identity, ""
	}
	s.mu.Unlock()
	s.client.giveUp(id)
}

// giveUp takes back one Enter of the client.
func (c *client) giveUp(identity string) {
	if identity != "" {
		c.server.bounds.holders.Leave(identity, c)
	}
}

// exceeds returns the limit that one more event of the socket is beyond, or "", and whether the event has still to
// be counted for an identity (see counted): there is none yet. A CONNECT has no socket; SetIdentity counts it.
func (c *client) exceeds(s *Socket) (cause string, owed bool) {
	b := &c.server.bounds
	now := time.Now()
	if !c.bucket.Take(now) {
		return causeRate, false
	}
	if b.addresses != nil && !b.addresses.Take(limit.Address(c.session.Handshake().Addr()), now) {
		return causeAddressRate, false
	}
	if b.identities == nil || s == nil {
		return "", false
	}
	id := s.Identity()
	if id != "" && !b.identities.Take(id, now) {
		return causeIdentityRate, false
	}
	return "", id == ""
}

// counted counts an event that came before the socket had an identity, now that it is handed on. It reports false
// when that is beyond the limit, which has closed the session.
func (s *Socket) counted() bool {
	id := s.owner()
	if id == "" || s.client.server.bounds.identities.Take(id, time.Now()) {
		return true
	}
	if s.client.session.Open() { // the first of those that came
		s.client.rateLimited(causeIdentityRate)
	}
	return false
}

// owner is Identity, also of a socket that has left and whose events are still to be handled.
func (s *Socket) owner() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hooks != nil && s.hooks.identity != "" {
		return s.hooks.identity
	}
	if s.border != nil {
		return s.border.identity
	}
	return ""
}

// The causes for which an event is beyond a limit.
const (
	causeRate         = "rate limited"
	causeAddressRate  = "rate limited, address"
	causeIdentityRate = "rate limited, identity"
)

// rateLimited closes the session of a client whose event is beyond a limit.
func (c *client) rateLimited(cause string) {
	srv := c.server
	srv.stats.rateLimited.Add(1)
	switch cause {
	case causeAddressRate:
		srv.stats.rateLimitedAddr.Add(1)
	case causeIdentityRate:
		srv.stats.rateLimitedIdentity.Add(1)
	}
	if srv.bounds.notice.News(cause, time.Now()) {
		c.log().Warn("sessions are closed: a limit of events is reached", "cause", cause,
			"client", c.session.Handshake().Addr())
	}
	c.refusedPacket(ReasonRateLimited, errRateLimited)
}

// The causes for which a socket is refused, the keys of Stats.RefusedBy.
const (
	RefusedNamespace  = "invalid namespace"
	RefusedNamespaces = "too many namespaces"
	RefusedIdentity   = "too many sessions of one identity"
	RefusedRate       = "too many events of one identity"
	RefusedAuth       = "auth payloads too large"
	RefusedMiddleware = "middleware" // of the application
)

// refusalCause returns the cause for which a socket is refused with err.
func refusalCause(err error) string {
	var l *LimitError
	switch {
	case errors.Is(err, errInvalidNamespace):
		return RefusedNamespace
	case errors.Is(err, errTooManyNamespaces):
		return RefusedNamespaces
	case errors.As(err, &l):
		switch l.Limit {
		case LimitEventsPerIdentity:
			return RefusedRate
		case LimitAuthBytes:
			return RefusedAuth
		case LimitNamespaceBytes:
			return RefusedNamespace
		}
		return RefusedIdentity
	}
	return RefusedMiddleware
}

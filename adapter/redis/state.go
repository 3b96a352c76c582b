package redis

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
)

// PartKind is a part of a Cluster that may fail while others work.
type PartKind uint8

// The parts. While one of those up to PartReading fails, events reach the sockets of this node only, and others as far
// as Redis comes back before they are too old.
const (
	PartStart      PartKind = 1 + iota // nothing that was published has come back yet
	PartSending                        // publishing, to each master of Redis
	PartListening                      // each connection with subscriptions
	PartHeartbeat                      // what is published comes back
	PartRole                           // Redis is no replica
	PartReading                        // each stream
	PartChannels                       // each connection's subscriptions, which Redis may refuse to this user
	PartOutbox                         // there is room for what is to be published
	PartMembership                     // the list of servers in Redis
	PartAgreement                      // the servers are configured alike, and understand each other; well again as recovery is
	PartForwarding                     // this server's address in Redis; whether it leads the others here ("reach"), and theirs there ("out"); and the secret that they share ("secrets")
	PartRecovery                       // states of sessions in Redis; well again when nothing has failed for a minute
	PartRefusals                       // channels that Redis lets this user publish to, by master; well again as recovery is
)

var partNames = [...]string{"", "start", "sending", "listening", "heartbeat", "role", "reading", "channels", "outbox", "membership",
	"agreement", "forwarding", "recovery", "refusals"}

// String returns one word.
func (k PartKind) String() string {
	if int(k) >= len(partNames) {
		k = 0
	}
	return partNames[k]
}

// Part is how one part of a Cluster does.
type Part struct {
	Kind  PartKind
	Of    string    // which of them: the address of a server of a Redis Cluster, or the name of a stream
	Err   error     // the latest; nil while it works
	Since time.Time // of the last change between working and not
}

// part names a Part.
type part struct {
	kind PartKind
	of   string
}

const (
	// steady is how long all parts must have worked until it is said that they do again.
	steady = 2 * time.Second
	// recoveredAfter is how long nothing of recovery may have failed, or been refused, until it is taken for well.
	recoveredAfter = time.Minute
)

// state is the state of a cluster: up when all its parts work. That it is not is logged once for each thing that a
// person may do about it, until it is up again.
type state struct {
	log    *slog.Logger
	uid    string                   // of this node
	losses func() map[string]uint64 // what could not be published, by cause; nil if nobody counts
	steady time.Duration            // zero if nobody calls tick

	mu     sync.Mutex
	parts  map[part]*Part
	up     bool
	since  time.Time
	said   map[string]time.Time // by advice: failures logged since it was last said to be up, and when they were last seen
	saidUp bool                 // what was logged last
	lost   uint64               // of losses, when that was last said
}

func newState(log *slog.Logger) *state {
	s := &state{log: log, steady: steady, parts: map[part]*Part{}, said: map[string]time.Time{}, since: time.Now()}
	s.parts[part{PartStart, ""}] = &Part{Kind: PartStart, Err: errStarting, Since: s.since}
	return s
}

// set notes what became of what a part did.
func (s *state) set(kind PartKind, of string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.parts[part{kind, of}]
	if p == nil {
		p = &Part{Kind: kind, Of: of, Since: time.Now()}
		s.parts[part{kind, of}] = p
	}
	well, failed := p.Err == nil, p.fails()
	if p.Err = err; well != (err == nil) || failed != p.fails() || err != nil && p.passes() { // of the last
		p.Since = time.Now()
		s.turn()
	}
	s.say(p)
}

// turn looks whether all parts work. Called with mu held.
func (s *state) turn() {
	up := true
	for _, p := range s.parts {
		up = up && !p.fails()
	}
	if up != s.up {
		s.up, s.since = up, time.Now()
	}
}

// say logs what has changed; p, if not nil, has just been heard of. Called with mu held: the logger takes its time on a
// goroutine of its own.
func (s *state) say(p *Part) {
	switch {
	case p != nil && p.Err != nil && p.Kind != PartStart:
		a := advice(p.Err)
		_, known := s.said[a]
		if s.said[a] = time.Now(); known {
			return
		}
		text := "cluster degraded: not all of it works"
		switch {
		case !p.fails():
			text = "no requests are forwarded to this server"
		case p.Kind <= PartReading:
			text = "cluster degraded: events reach the clients of this node only"
		}
		s.saidUp = s.saidUp && !p.fails()
		s.log.Warn(text, "part", p.Kind.String(), "of", p.Of, "cause", p.Err, "advice", a)
	case s.up && !s.saidUp && (len(s.said) == 0 || time.Since(s.since) >= s.steady):
		s.forget(0)
		s.saidUp = true
		s.log.Info("cluster up", "node", s.uid)
		s.sum()
	}
}

// sum says what could not be published while the cluster was not up. Called with mu held.
func (s *state) sum() {
	if s.losses == nil {
		return
	}
	n, causes := uint64(0), s.losses()
	for _, x := range causes {
		n += x
	}
	if n > s.lost {
		s.log.Warn("messages of this server were lost while the cluster was not up", "messages", n-s.lost, "since start, by cause", fmt.Sprint(causes))
	}
	s.lost = n
}

// tick says that the cluster is up when that has lasted.
func (s *state) tick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.parts {
		if p.passes() && p.Err != nil && time.Since(p.Since) > recoveredAfter {
			p.Err, p.Since = nil, time.Now()
			s.turn()
		}
	}
	s.say(nil)
	s.forget(recoveredAfter)
}

// forget lets a failure that has been over for so long be logged when it comes again, though another part may stay as it
// is for good. Called with mu held.
func (s *state) forget(after time.Duration) {
	now := time.Now()
	for _, p := range s.parts {
		if p.Err != nil {
			if a := advice(p.Err); !s.said[a].IsZero() {
				s.said[a] = now
			}
		}
	}
	maps.DeleteFunc(s.said, func(_ string, seen time.Time) bool { return seen != now && now.Sub(seen) >= after })
}

// fails reports whether the part fails, which a known fact about how this server is set up is not.
func (p *Part) fails() bool {
	var nowhere *Unlocated
	return p.Err != nil && !(errors.As(p.Err, &nowhere) && nowhere.Known)
}

// passes reports whether nothing shows that the part works again, but that it does not fail.
func (p *Part) passes() bool {
	return p.Kind == PartRecovery || p.Kind == PartRefusals || p.Kind == PartAgreement && p.Of == ofMessages
}

// ofMessages is the PartAgreement of what other servers send.
const ofMessages = "messages"

// recovery notes what Redis has answered to a recovery: that there is no such state is no failure.
func (s *state) recovery(err error) { s.report(PartRecovery, "", err) }

// report is set for a part of which nothing is known before it fails.
func (s *state) report(kind PartKind, of string, err error) {
	s.mu.Lock()
	p := s.parts[part{kind, of}]
	s.mu.Unlock()
	if err != nil || p != nil {
		s.set(kind, of, err)
	}
}

// works reports whether events reach other nodes and come from them. While it starts that is not known yet.
func (s *state) works() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.parts {
		if p.Err != nil && p.Kind <= PartChannels && p.Kind != PartStart {
			return false
		}
	}
	return true
}

// get returns how the parts do, the first in need first.
func (s *state) get() (up bool, since time.Time, err error, parts []Part) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.parts {
		parts = append(parts, *p)
	}
	slices.SortFunc(parts, func(a, b Part) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Of, b.Of)) })
	for _, p := range parts {
		if p.fails() && (err == nil || err == errStarting) {
			err = p.Err
		}
	}
	return s.up, s.since, err, parts
}

// reaches reports whether events go out to other nodes and come in, as far as that has shown; other parts may be down.
func (s *state) reaches() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.parts {
		if p.Err != nil && p.Kind <= PartReading {
			return false
		}
	}
	return true
}

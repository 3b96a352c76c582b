package redis

import (
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Status says how the cluster does, as seen from this node.
type Status struct {
	// Up is true when what this node publishes comes back to it: publishing and subscriptions work.
	// While it is false, events reach the sockets of this node only, and others as far as Redis
	// comes back before they are too old.
	Up    bool
	Since time.Time // of the last change of Up
	Err   error     // why it is not up, nil otherwise
	Nodes int       // live Beanpole nodes, this one included
	// Lag is how long a message of this node takes through Redis and back: the last heartbeat, or the
	// one on its way if that has taken longer already.
	Lag time.Duration
	// StreamLag is how far this node is behind the end of a stream, in streams mode, by the times at which entries
	// were added; zero when it has read all.
	StreamLag time.Duration
}

// Stats are counters of a Cluster since New.
type Stats struct {
	Published uint64 // commands Redis has acknowledged
	Received  uint64 // messages from channels and streams
	Skipped   uint64 // messages dropped before decoding: own, or for rooms without members here
	Malformed uint64 // messages that could not be understood
	// Lost counts what was not published, by cause: "outbox full", "too old", "refused", "too large", "closed"; and
	// "unconfirmed", which Redis may have published, though its answer was lost, in a namespace that servers of
	// Node have, too, or from an Emitter: Beanpole's servers ask for what did not come. And
	// what others published and this node has missed: "not kept", which its sender no longer held, "trimmed" and
	// "stream lost", the same of entries that a stream dropped before they were read, and that Redis has lost;
	// "sender gone", "no answer", of one that did not send it again, and "output limit", an event so large that Redis
	// closes the subscription on which it is sent.
	Lost map[string]uint64
	// LostOf counts what this node has missed of others, by their UID.
	LostOf map[string]uint64
	// Fetched counts messages of others that this node had missed and got from their sender.
	Fetched uint64
	// Reconnects counts subscription connections that had to be made again.
	Reconnects uint64
	// Waiting and WaitingBytes are what is in the outbox now.
	Waiting, WaitingBytes int
}

// The causes of loss.
const (
	lostFull = iota
	lostAge
	lostRefused
	lostUnconfirmed
	lostClosed
	lostTrimmed
	lostLarge
	lostForgotten
	lostGone
	lostUnanswered
	lostOutput
	lostStream
	lostCauses
)

var lostNames = [lostCauses]string{"outbox full", "too old", "refused", "unconfirmed", "closed", "trimmed", "too large", "not kept", "sender gone", "no answer", "output limit",
	"stream lost"}

const outputAdvice = "if the log of Redis speaks of output buffer limits: set client-output-buffer-limit pubsub (default 32mb 8mb 60) " +
	"to several times the largest event at least"

// lostAdvice says what a person may do about a cause.
var lostAdvice = [lostCauses]string{
	lostForgotten: "raise MaxResendBytes or MaxResendAge of the sender: it must hold what is sent while a node is away",
	lostGone:      "the sender ended before it could send again what Redis had not passed on",
	lostOutput:    outputAdvice,
	lostTrimmed: "raise MaxStreamLen: it must hold what is sent in a burst, and during an outage; and MaxResendBytes of the sender, " +
		"which is asked for what is trimmed",
	lostStream: "Redis has been emptied, started without its data, or failed over: have it keep them (appendonly yes), keep others from " +
		"emptying it, and raise MaxResendBytes of the sender, which is asked for what is missing",
	lostUnanswered: "look whether the sender runs and may subscribe to its own channel, see docs/adapters.md",
}

type counters struct {
	published, received, skipped, malformed, reconnects, fetched atomic.Uint64
	lost                                                         [lostCauses]atomic.Uint64
}

// state is the state of a cluster: up when no part has a complaint. A change is logged once.
type state struct {
	log *slog.Logger

	mu         sync.Mutex
	complaints map[string]error
	up         bool
	since      time.Time
	known      bool                 // up was decided once
	said       map[string]time.Time // by error: when a refusal was last logged
}

func newState(log *slog.Logger) *state {
	return &state{log: log, since: time.Now(), complaints: map[string]error{"start": errStarting}, said: map[string]time.Time{}}
}

// refused logs that Redis has refused a command for a key, or channel: once a minute for each error.
func (s *state) refused(err error, key string) {
	text, _, _ := strings.Cut(err.Error(), " ")
	s.mu.Lock()
	again := time.Since(s.said[text]) < time.Minute
	if !again {
		s.said[text] = time.Now()
	}
	s.mu.Unlock()
	if !again {
		s.log.Warn("redis refuses commands", "error", err, "key", key, "advice", advice(err))
	}
}

// set notes what part complains of; nil takes the complaint back.
func (s *state) set(part string, err error) {
	s.mu.Lock()
	if err == nil {
		delete(s.complaints, part)
	} else {
		s.complaints[part] = err
	}
	up := len(s.complaints) == 0
	changed := up != s.up
	if changed {
		s.up, s.since = up, time.Now()
	}
	first := err != nil && !up && !s.known && part != "start"
	s.known = s.known || changed || first
	s.mu.Unlock()
	switch {
	case changed && up:
		s.log.Info("cluster up")
	case changed, first:
		s.log.Warn("cluster degraded: events reach the clients of this node only", "part", part, "cause", err,
			"advice", advice(err))
	}
}

func (s *state) get() (up bool, since time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.complaints {
		if err == nil || errors.Is(err, errStarting) {
			err = e
		}
	}
	return s.up, s.since, err
}

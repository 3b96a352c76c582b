package redis

import (
	"sync/atomic"
	"time"
)

// Status says how the cluster does, as seen from this node.
type Status struct {
	// Up is true when all parts work. That there is no way to forward requests to this node (Unlocated.Known) is no failure.
	Up    bool
	Since time.Time // of the last change of Up
	Err   error     // of the first part that does not work, nil when all do
	// Parts are those that have shown whether they work, in the order of PartKind.
	Parts []Part
	Nodes int // live Beanpole nodes, this one included
	// Lag is how long a message of this node takes through Redis and back: the last heartbeat, or the
	// one on its way if that has taken longer already.
	Lag time.Duration
	// StreamLag is how far this node is behind the end of a stream, in streams mode, by the times at which entries
	// were added; zero when it has read all.
	StreamLag time.Duration
	// FetchLag is for how long something has been missing that was sent over channels, which what came behind it waits
	// for: so far clients of this node are behind the events of another. Zero when nothing is.
	FetchLag time.Duration
}

// Stats are counters of a Cluster since New.
type Stats struct {
	Published uint64 // messages and states of sessions that Redis has taken; not heartbeats
	Received  uint64 // messages of namespaces, from channels and streams
	Skipped   uint64 // messages dropped before decoding: own, or for rooms without members here
	Malformed uint64 // messages that could not be understood
	// Lost counts what was not published, by cause: "outbox full", "too old", "refused", "closed", and "too large", of what
	// others have asked for, as who sends what is too large has the error; and
	// "unconfirmed", which Redis may have published, though its answer was lost, in a namespace that servers of
	// Node have, too: Beanpole's servers ask for what did not come. And
	// what others published and this node has missed: "not kept", which its sender no longer held, "trimmed" and
	// "stream lost", the same of entries that a stream dropped before they were read, and that Redis has lost;
	// "sender gone", "no answer", of one that did not send it again, and "output limit", an event so large that Redis
	// closes the subscription on which it is sent; "not understood", of a server of another version, for instance.
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
	lostLarge
	lostUnpublished // those before are of what was to be published
	lostTrimmed     = iota - 1
	lostForgotten
	lostGone
	lostUnanswered
	lostOutput
	lostStream
	lostGarbled
	lostCauses
)

var lostNames = [lostCauses]string{"outbox full", "too old", "refused", "unconfirmed", "closed", "too large", "trimmed", "not kept", "sender gone", "no answer", "output limit",
	"stream lost", "not understood"}

const outputAdvice = "if the log of Redis speaks of output buffer limits: set client-output-buffer-limit pubsub (default 32mb 8mb 60) " +
	"to several times the largest event at least"

const garbledAdvice = "give all servers the same version; if they have it, something else publishes on the channels or to the stream of this Prefix"

// lostAdvice says what a person may do about a cause.
var lostAdvice = [lostCauses]string{
	lostForgotten: "raise MaxResendBytes or MaxResendAge of the sender: it must hold what is sent while a node is away",
	lostGone:      "the sender ended before it could send again what Redis had not passed on",
	lostOutput:    outputAdvice,
	lostTrimmed: "raise MaxStreamLen, or MaxStreamBytes where events are large: it must hold what is sent in a burst, and during an outage; and MaxResendBytes of the sender, " +
		"which is asked for what is trimmed",
	lostStream: "Redis has been emptied, started without its data, or failed over: have it keep them (appendonly yes), keep others from " +
		"emptying it, and raise MaxResendBytes of the sender, which is asked for what is missing",
	lostGarbled:    garbledAdvice,
	lostUnanswered: "look whether the sender runs and may subscribe to its own channel, see docs/adapters.md",
}

type counters struct {
	published, received, skipped, malformed, reconnects, fetched atomic.Uint64
	lost                                                         [lostCauses]atomic.Uint64
}

// losses returns what was lost by the first n causes.
func (c *counters) losses(n int) map[string]uint64 {
	list := map[string]uint64{}
	for i := range n {
		if x := c.lost[i].Load(); x > 0 {
			list[lostNames[i]] = x
		}
	}
	return list
}

// Package simnet is a network inside one process, for the simulation: hosts by name, connections with latency,
// bounded windows and fragments, and the faults that networks have. What a connection draws (latencies, where
// it is cut into pieces) comes from its own source of randomness, which only the seed, its two ends and its
// number decide, so that one connection less changes nothing for the others.
//
// The files: simnet.go (Net, Listener, Link), conn.go (what programs hold), stream.go (one direction), gate.go
// (hosts that stand still). Where a program is not built for wasip1 the same names stand for real connections on
// loopback, with the same faults: real.go (Net, Listener), relay.go (Link, what is between the two ends).
package simnet

import (
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"net"
	"time"
)

// Profile is how the connections between two kinds of hosts behave.
type Profile struct {
	// Latency is the least time a byte takes, Jitter what is added at most, drawn for each write.
	Latency, Jitter time.Duration
	// Fragments is how likely a write arrives in pieces, at different times.
	Fragments float64
	// Window is how many bytes may be under way or unread before a write waits.
	Window int
}

// Side says who notices that a connection is cut.
type Side uint8

// The sides.
const (
	Both       Side = iota // both ends get a reset
	ClientOnly             // who opened it gets a reset; the other end hears nothing any more
	ServerOnly             // the other way round
	Nobody                 // both hear nothing any more
)

// Rand returns the source of randomness of one part of a simulation, by its name.
func Rand(seed uint64, name string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// Bar has a host reach an address no more, or again: connections are refused, and those that there are cut.
func (n *Net) Bar(from, to string, is bool) {
	n.mu.Lock()
	n.barred[from+">"+to] = is
	n.mu.Unlock()
	if is {
		for _, l := range n.Links(func(l *Link) bool { return l.From == from && l.To == to }) {
			l.Cut(Both)
		}
	}
}

// IsTimeout reports whether err is that of a deadline.
func IsTimeout(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}

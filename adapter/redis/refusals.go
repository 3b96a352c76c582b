package redis

import (
	"fmt"
	"strings"
	"time"
)

// What Redis refuses is lost, or waits, though the connection is well and other commands are taken: PING and heartbeats
// say nothing of it. So a sender remembers what was refused until the same is taken, or, when an application has nothing
// more to send, as long as refusals of recovery are. The same is a command, which its user
// may not have or a server out of memory does not do; or that command for one stream, which is the only way of its
// namespaces. A channel that a user may not have is a fault of that channel, and leaves the others: it is noted apart.

// barred is why Redis has refused something, and when it last did.
type barred struct {
	err error
	at  time.Time
}

// refuses notes that Redis has refused c.
func (s *sender) refuses(c *command, err error) {
	switch {
	case c.op == opSet:
		s.state.recovery(err)
	case c.op == opXAdd || strings.Contains(err.Error(), "command"):
		s.barred[barrier(c)] = barred{err, time.Now()}
	default:
		s.state.set(PartRefusals, s.addr, fmt.Errorf("%w: %s", err, c.key))
	}
}

// takes notes that Redis has taken c.
func (s *sender) takes(c *command) {
	if len(s.barred) > 0 {
		delete(s.barred, barrier(c))
	}
}

// barrier names what is the same as c.
func barrier(c *command) string {
	if c.op == opXAdd {
		return c.key
	}
	return string('0' + rune(c.op))
}

// sends says how sending does when Redis can be reached.
func (s *sender) sends() {
	var err error
	for key, x := range s.barred {
		if time.Since(x.at) > recoveredAfter {
			delete(s.barred, key)
			continue
		}
		err = x.err
	}
	s.state.set(PartSending, s.addr, err)
}

package main

import (
	"bufio"
	"io"
	"testing"
	"time"
)

// TestAnswerThatWaitsForAPoll: an acknowledgement is overdue, but not of a client whose poll is with another server, that asks
// Redis whose it is while that is away.
func TestAnswerThatWaitsForAPoll(t *testing.T) {
	for _, x := range []struct{ astray, away, overdue bool }{{false, false, true}, {true, false, true}, {false, true, true}, {true, true, false}} {
		w := &world{out: bufio.NewWriter(io.Discard), counts: map[string]int{}, began: time.Now().Add(-time.Minute)}
		w.model.init(w)
		if x.away {
			w.model.trouble = []window{{from: 20 * second}}
		}
		c := newClient(w, 1)
		c.engine = &engine{c: c, strayed: x.astray}
		l := &life{sid: "s", nsp: "/", client: c}
		l.conns = []*conn{{node: &node{w: w}, number: 1, told: 1, shaky: 1000 * second}}
		s := &sock{c: c, nsp: "/", state: "connected", number: 1, life: l, acks: map[int]pending{0: {sent: &sent{event: "up"}, from: 30 * second}}}
		if s.overdue(); (len(w.violations) > 0) != x.overdue {
			t.Errorf("%+v: %v", x, w.violations)
		}
	}
}

package redis

import (
	"fmt"
	"slices"
	"testing"

	"github.com/beanpole/beanpole/adapter"
)

// TestResumedGetsNothingTwice: a master that another has taken the place of goes on for a moment, and brings a reader what the
// other has too, under another id: who is being resumed gets of both one.
func TestResumedGetsNothingTwice(t *testing.T) {
	l := newLine(&namespace{c: &Cluster{uid: "here"}}, nil)
	event := func(ms, seq uint64) tailEvent {
		return tailEvent{m: adapter.Message{Data: fmt.Appendf(nil, `["n",%d]`, seq)}, id: streamID{ms: ms}, uid: "there", seq: seq, source: "there"}
	}
	follow := &tail{events: []tailEvent{event(21, 2), event(22, 3), event(23, 1), event(24, 4)}}
	l.tails[follow] = struct{}{}
	s := &adapter.Session{SID: "m", Trail: adapter.Trail{Stays: []adapter.Stay{{Room: "m", From: "9-0"}}}}
	var got []string
	l.join(follow, []tailEvent{event(11, 2), event(12, 3)}, map[string]uint64{"there": 3}, offset{id: streamID{ms: 10}}, s,
		func(m adapter.Message) { got = append(got, string(m.Data[:6])) }, func() {})
	emitted := func(ms uint64, instance string) tailEvent {
		e := event(ms, 9)
		e.uid, e.source = emitterUID, instance
		return e
	}
	// Two emitters, which begin to count anew, are two.
	l.join(&tail{}, []tailEvent{emitted(11, "one"), emitted(12, "other")}, map[string]uint64{}, offset{id: streamID{ms: 10}}, s,
		func(m adapter.Message) { got = append(got, string(m.Data[:6])) }, func() {})
	if want := []string{`["n",2`, `["n",3`, `["n",1`, `["n",4`, `["n",9`, `["n",9`}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

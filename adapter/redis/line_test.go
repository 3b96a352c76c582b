package redis

import (
	"fmt"
	"slices"
	"testing"
	"time"

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

// TestOwnEntryThatIsLostIsAHole: an event of this node that its reader has passed and not met is a hole in the stream, of which
// others may not know, until something of this node comes behind it.
func TestOwnEntryThatIsLostIsAHole(t *testing.T) {
	r := &reader{c: &Cluster{uid: "here"}, start: streamID{ms: 10}, pos: streamID{ms: 30}, begun: true}
	r.c.cfg.BlockTime = time.Minute
	l := newLine(&namespace{c: r.c}, r)
	whole := func() (streamID, error) { return r.places.whole(t.Context()) }
	l.own = []ownEvent{{seq: 1, id: streamID{ms: 9}}} // from before the reader began
	if l.follow(); len(l.own) > 0 {
		t.Error("what is from before the reader began is on its way")
	}
	if from, err := whole(); err != nil || from != (streamID{}) {
		t.Error("what is in the stream from before the reader began is taken for lost")
	}
	l.own = []ownEvent{{seq: 2, id: streamID{ms: 20}}, {seq: 3, id: streamID{ms: 40}}}
	if l.follow(); len(l.own) != 1 {
		t.Errorf("%d of this node are on their way", len(l.own))
	}
	if _, err := whole(); err == nil {
		t.Error("the stream is said to have all, though one is lost")
	}
	r.mend(r.window([]byte("here")), streamID{ms: 40})
	if from, err := whole(); err != nil || from != (streamID{ms: 40}) {
		t.Errorf("behind what is missing it has all from %v on, %v", from, err)
	}
}

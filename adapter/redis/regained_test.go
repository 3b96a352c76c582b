package redis

import (
	"testing"
	"time"
)

// TestRegainedSinceTheFirstBreak: a connection breaks again before all subscriptions are there. What those of them that were had
// missed until then has not been reported, and is not forgotten for what the second break may have cost.
func TestRegainedSinceTheFirstBreak(t *testing.T) {
	b := &bus{wants: map[subscription]*want{}}
	l := newLink(b, "", nil)
	one, two := subscription{subChannel, "one"}, subscription{subChannel, "two"}
	first := time.Now().Add(-time.Minute)
	for _, s := range []subscription{one, two} {
		b.wants[s] = &want{link: l, confirmed: true, at: first.Add(-time.Minute)}
	}
	connect := func(at time.Time) {
		b.of(l) // the one before is gone
		l.proven.Store(at.UnixNano())
		l.heard.Store(at.UnixNano())
	}
	l.proven.Store(first.UnixNano())
	l.heard.Store(first.UnixNano())
	var got []regained
	b.regained = func(list []regained) { got = append(got, list...) }
	connect(first.Add(30 * time.Second))
	b.confirm(l, one, true)
	connect(first.Add(40 * time.Second))
	b.confirm(l, one, true)
	b.confirm(l, two, true)
	if len(got) != 2 {
		t.Fatalf("regained %v", got)
	}
	for _, x := range got {
		if want := first.Add(-slack); !x.since.Equal(want) {
			t.Errorf("%s since %v, want %v", x.sub.name, x.since, want)
		}
	}
	if since, ok := b.brokenSince([]subscription{one, two}); ok {
		t.Errorf("still broken since %v", since)
	}
}

package redis

import (
	"log/slog"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// What waits is too old when Redis has been out of reach for so long, and not when this process stood still, or was not let
// run, with Redis well.
func TestWhatWaitsAgesWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client()
	p := &publisher{client: client, keeper: &keeper{}, stats: &counters{}, state: newState(slog.New(slog.DiscardHandler)), maxAge: time.Minute}
	box := newOutbox(10, 1<<20)
	s := newSender(p, "", client, box)
	waits := func() {
		t.Helper()
		if err := box.put(&command{op: opPublish, key: "x", route: "x", data: []byte("x")}); err != nil {
			t.Fatal(err)
		}
		s.pending = box.take(nil, 10, 1<<20)
		s.pending[0].at = time.Now().Add(-time.Hour)
	}
	for name, away := range map[string]time.Duration{"reached": 0, "out of reach for a moment": time.Second, "out of reach": 2 * time.Minute} {
		waits()
		if s.failed = 0; away > 0 {
			s.fails()
			s.down = time.Now().Add(-away)
		}
		before := p.stats.lost[lostAge].Load()
		s.expire(s.box, s.since())
		s.outdate()
		if err := s.send(t.Context()); err != nil || len(s.pending) > 0 {
			t.Errorf("%s: %v, %d wait", name, err, len(s.pending))
		}
		if lost := p.stats.lost[lostAge].Load() > before; lost != (away > p.maxAge) {
			t.Errorf("%s: lost is %v", name, lost)
		}
	}
}

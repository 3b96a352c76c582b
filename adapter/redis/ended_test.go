package redis_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// absence is a pair of nodes of which the second cannot reach Redis while the first publishes, to all and to a room in
// which nothing was heard before.
type absence struct {
	*flow
	room *adaptertest.Member
	// here is the way of the first node to Redis, there that of the second.
	here, there *redistest.Proxy
}

const absent = 100 // events to all, and as many to the room

func newAbsence(t *testing.T, mode string) *absence {
	t.Helper()
	s := redistest.Start(t)
	a := &absence{room: adaptertest.NewMember("member-0000000000009"), here: redistest.NewProxy(t, s.Addr()), there: redistest.NewProxy(t, s.Addr())}
	a.flow = pair(t, channels()[mode], a.here.URL(), a.there.URL())
	a.nodes[1].Join(a.room, "room")
	ready(t, a.clusters...)
	a.emit(t, 10)
	a.flow.there.Wait(t, 10)
	a.there.Cut(true)
	a.emit(t, absent, "room")
	a.emit(t, absent)
	published(t, a.clusters[0])
	return a
}

func (a *absence) emit(t *testing.T, n int, rooms ...string) {
	t.Helper()
	for range n {
		say(t, a.nodes[0], a.sent, rooms...)
		a.sent++
	}
}

// check wants all events to have arrived, or to have been counted by the second node: from least to most.
func (a *absence) check(t *testing.T, least, most int) {
	t.Helper()
	adaptertest.Eventually(t, func() error {
		s := a.clusters[1].Stats()
		got, lost := len(numbers(a.room)), int(s.Lost["sender gone"])
		if lost < least || lost > most || got+lost != a.sent || len(s.Lost) > 1 || s.LostOf[a.clusters[0].UID()] != uint64(lost) {
			return fmt.Errorf("%d of %d events arrived: %+v", got, a.sent, s)
		}
		return nil
	})
}

// stop closes the first node.
func (a *absence) stop(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), adaptertest.Patience)
	defer cancel()
	if err := a.clusters[0].Close(ctx); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// A node that is closed answers one that could not reach Redis, and is back in time.
func TestCloseWaitsForThoseWhoAreAway(t *testing.T) {
	t.Parallel()
	for mode := range channels() {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			a := newAbsence(t, mode)
			stopped := make(chan struct{})
			began := time.Now()
			go func() { defer close(stopped); a.stop(t) }()
			pass(t, 300*time.Millisecond)
			a.there.Cut(false)
			<-stopped
			most := 0
			if time.Since(began) > 5*time.Second { // it did not come back in time, on a busy machine
				most = 2 * absent
			}
			a.check(t, 0, most)
		})
	}
}

// What one missed that was away until another had ended is counted, to the number.
func TestWhatIsMissedOfAServerThatEndedIsCounted(t *testing.T) {
	t.Parallel()
	for mode := range channels() {
		t.Run(mode+"/closed", func(t *testing.T) {
			t.Parallel()
			a := newAbsence(t, mode)
			a.stop(t)
			a.there.Cut(false)
			a.check(t, 2*absent, 2*absent)
		})
		t.Run(mode+"/killed", func(t *testing.T) {
			t.Parallel()
			a := newAbsence(t, mode)
			pass(t, time.Second)
			a.here.Cut(true)
			a.there.Cut(false)
			a.check(t, 2*absent, 2*absent)
		})
	}
}

// One that stands still is in no list after some seconds, and has what others miss of it when it goes on.
func TestWhatIsMissedOfAServerThatStoodStillIsFetched(t *testing.T) {
	t.Parallel()
	for mode := range channels() {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			a := newAbsence(t, mode)
			pass(t, time.Second) // until what it has published is recorded
			a.here.Block()
			a.there.Cut(false)
			adaptertest.Eventually(t, func() error {
				if s := a.clusters[1].Status(); s.Nodes != 1 {
					return fmt.Errorf("%+v", s)
				}
				return nil
			})
			pass(t, 5*time.Second) // it is looked who has ended some seconds behind the break
			a.here.Unblock()
			a.check(t, 0, 0)
		})
	}
}

// One that came, published and ended while another was away is counted by that, too; and not one that ended before, of
// which everything was heard.
func TestWhatIsMissedOfAnUnknownServerIsCounted(t *testing.T) {
	t.Parallel()
	for mode, cfg := range channels() {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			a := newAbsence(t, mode)
			a.there.Cut(false)
			a.check(t, 0, 0)
			a.stop(t)
			a.there.Cut(true)
			cfg.URL, cfg.Prefix, cfg.HeartbeatInterval = a.here.URL(), a.prefix, 200*time.Millisecond
			c := start(t, cfg)
			a.nodes[0], a.clusters[0] = adaptertest.NewNode(t, "/fault", c.Adapter()), c
			a.emit(t, absent, "room")
			a.emit(t, absent)
			a.stop(t)
			a.there.Cut(false)
			a.check(t, 2*absent, 2*absent)
		})
	}
}

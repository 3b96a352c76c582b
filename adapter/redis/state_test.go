package redis

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
)

// One line for each thing that a person may do something about, whatever fails because of it, and however often it
// comes and goes; and one when all works again, and has for a moment.
func TestStateIsSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := newState(slog.New(slog.NewTextHandler(&log, nil)))
		says := func(want ...string) {
			t.Helper()
			lines := strings.Split(strings.TrimSpace(log.String()), "\n")
			if log.Len() == 0 {
				lines = nil
			}
			for i, w := range want {
				if i >= len(lines) || !strings.Contains(lines[i], w) {
					t.Errorf("want a line with %q, got %q", w, lines)
				}
			}
			if len(lines) > len(want) {
				t.Errorf("got %q", lines)
			}
			log.Reset()
		}
		down, forbidden := errors.New("EOF"), refusal("NOPERM this channel")
		s.set(PartStart, "", nil)
		says("cluster up")
		for _, kind := range []PartKind{PartSending, PartListening, PartReading, PartMembership} {
			s.set(kind, "", down)
		}
		says("this node only\" part=sending")
		if s.works() || s.reaches() {
			t.Error("it works")
		}
		s.set(PartListening, "", errors.New("refused"))
		if _, _, err, parts := s.get(); err != down || len(parts) != 5 || parts[2].Err.Error() != "refused" {
			t.Errorf("%v, %v", err, parts)
		}
		for _, kind := range []PartKind{PartSending, PartListening, PartReading, PartMembership} {
			s.set(kind, "", nil)
		}
		s.tick()
		says()
		time.Sleep(steady) // of the bubble
		s.tick()
		says("cluster up")
		for range 100 { // it flaps
			s.set(PartChannels, "", forbidden)
			s.set(PartChannels, "", nil)
			time.Sleep(steady / 2)
			s.tick()
		}
		says("part=channels")
		time.Sleep(steady)
		s.tick()
		says("cluster up")
		s.recovery(redis.ErrPoolTimeout)
		says("not all of it works\" part=recovery")
		if !s.works() {
			t.Error("it does not work")
		}
		time.Sleep(recoveredAfter + time.Second)
		s.tick()
		time.Sleep(steady)
		s.tick()
		says("cluster up")
		// What is known about how this server is set up is said once and no failure. A part that is down for good hides no
		// other's failure, and keeps nobody from Redis.
		for _, nowhere := range []*Unlocated{
			{Err: errors.New("no address"), Advice: "name one", Known: true},
			{Err: errors.New("no answer"), Advice: "wait a moment"},
		} {
			s.set(PartForwarding, "", nowhere)
			says(fmt.Sprintf("part=forwarding of=\"\" cause=%q advice=%q", nowhere.Err, nowhere.Advice))
			if up, _, err, _ := s.get(); up != nowhere.Known || (err == nil) != nowhere.Known || !s.reaches() {
				t.Errorf("up is %v, %v", up, err)
			}
			for range 2 {
				s.set(PartSending, "", down)
				says("part=sending")
				s.set(PartSending, "", nil)
				for range 2 {
					time.Sleep(recoveredAfter)
					s.set(PartForwarding, "", nowhere)
					s.tick()
				}
				if nowhere.Known {
					says("cluster up")
				} else {
					says()
				}
			}
		}
	})
}

// What Redis has refused is known until it takes the same, or for a minute when nothing is sent any more.
func TestRefusalsPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &publisher{state: newState(slog.New(slog.DiscardHandler))}
		p.state.set(PartStart, "", nil)
		s := newSender(p, "", nil, nil)
		up := func(want bool, when string) {
			t.Helper()
			s.sends()
			if up, _, _, _ := p.state.get(); up != want {
				t.Errorf("%s: up is %v", when, !want)
			}
		}
		add, other := &command{op: opXAdd, key: "stream"}, &command{op: opPublish, key: "channel"}
		refuse := func() { s.refuses(add, errors.New("NOPERM this user has no permissions to run the 'xadd' command")) }
		refuse()
		up(false, "refused")
		s.takes(other)
		up(false, "another command is taken")
		s.takes(add)
		up(true, "it is taken")
		refuse()
		time.Sleep(recoveredAfter - time.Second)
		up(false, "a minute is not over")
		refuse()
		time.Sleep(recoveredAfter)
		up(false, "refused again")
		time.Sleep(time.Second)
		up(true, "nothing was refused for a minute")
	})
}

// What Redis has refused of the last that was sent there is no failure for ever.
func TestIdleSenderForgetsRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newState(slog.New(slog.DiscardHandler))
		box := newOutbox(1, 1)
		x := newSender(&publisher{state: s, box: box}, "", nil, box)
		x.refuses(&command{op: opXAdd, key: "stream"}, errors.New("NOPERM"))
		x.sends()
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { x.run(ctx) })
		time.Sleep(recoveredAfter / 2)
		if _, _, err, _ := s.get(); err == nil || s.works() {
			t.Errorf("err %v, works %v", err, s.works())
		}
		time.Sleep(recoveredAfter)
		if !s.works() {
			t.Error("it fails")
		}
		cancel()
		wg.Wait()
	})
}

package redis

import (
	"context"
	"errors"
	"testing"
	"time"
)

// Places are bounded: where there have been more, who comes back with less than the last of them begins anew.
func TestPlacesAreBounded(t *testing.T) {
	p := places{keep: time.Minute}
	start := uint64(1_700_000_000_000)
	from := func() streamID {
		t.Helper()
		from, err := p.whole(t.Context())
		if err != nil {
			t.Error(err)
		}
		return from
	}
	for i := range uint64(3 * maxPlaces) { // one a second: those of the last two minutes count
		p.repeat(streamID{ms: start + i*1000})
	}
	last := streamID{ms: start + (3*maxPlaces-1)*1000}
	if !p.repeated(last) {
		t.Error("the last is not known")
	}
	if n := len(p.repeats); n > maxPlaces {
		t.Errorf("%d places are remembered", n)
	}
	if from() != (streamID{}) {
		t.Error("something may be missing, though all that count are remembered")
	}
	for i := range uint64(2 * maxPlaces) { // all at once
		p.repeat(streamID{ms: last.ms + 1, seq: i})
	}
	if n := len(p.repeats); n > maxPlaces {
		t.Errorf("%d places are remembered", n)
	}
	if !last.less(from()) {
		t.Error("who has the stream up to before places that were forgotten is said to miss nothing")
	}
	r := &reader{c: &Cluster{}}
	for range maxPlaces + 2 { // of senders of which nothing came again
		r.tear(&window{})
	}
	if n := len(r.places.open); n > maxPlaces {
		t.Errorf("%d holes without an end are remembered", n)
	}
	if _, ok := r.places.open[nil]; !ok {
		t.Error("those that were forgotten may have an end")
	}
}

// TestWhatIsInDoubt: nobody is told that a stream is whole before it is known whether what has just been read hangs together
// with what was read before; and where something is missing, nobody before others have had the time to notice.
func TestWhatIsInDoubt(t *testing.T) {
	r := &reader{c: &Cluster{}}
	r.c.cfg.BlockTime = time.Minute
	p := &r.places
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	p.begin()
	if _, err := p.whole(ended); !errors.Is(err, context.Canceled) {
		t.Error("whole, though that is not known")
	}
	asked := make(chan bool)
	ask := func() {
		_, err := p.whole(t.Context())
		asked <- err == nil
	}
	go ask()
	p.end()
	if !<-asked {
		t.Error("not whole, though all hangs together")
	}
	p.begin()
	go ask()
	r.tear(nil)
	if <-asked {
		t.Error("whole, though something is missing")
	}
	p.end()
	p.expire(streamID{ms: 5}, time.Now())
	if _, err := p.whole(t.Context()); err == nil {
		t.Error("whole, though others may not know yet")
	}
	p.expire(streamID{ms: 7}, time.Now().Add(time.Hour))
	if from, err := p.whole(t.Context()); err != nil || from != (streamID{ms: 7}) {
		t.Errorf("from %v on, %v; want what was read when others had had the time", from, err)
	}
}

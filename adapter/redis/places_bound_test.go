package redis

import (
	"testing"
	"time"
)

// Places are bounded: where there have been more, who comes back with less than the last of them begins anew.
func TestPlacesAreBounded(t *testing.T) {
	p := places{keep: time.Minute}
	start := uint64(1_700_000_000_000)
	for i := range uint64(3 * maxPlaces) { // one a second: those of the last two minutes count
		p.note(streamID{ms: start + i*1000}, i%2 == 0)
	}
	last := streamID{ms: start + (3*maxPlaces-2)*1000}
	if torn, repeats := p.at(last); !torn || repeats {
		t.Errorf("the last hole: torn %v, repeats %v", torn, repeats)
	}
	if n := len(p.torn); n > maxPlaces {
		t.Errorf("%d places are remembered", n)
	}
	if p.miss(last) {
		t.Error("who has the stream up to the last place may miss something, though all that count are remembered")
	}
	for i := range uint64(2 * maxPlaces) { // all at once
		p.note(streamID{ms: last.ms + 1, seq: i}, true)
	}
	if n := len(p.torn); n > maxPlaces {
		t.Errorf("%d places are remembered", n)
	}
	if !p.miss(last) {
		t.Error("who has the stream up to before places that were forgotten is said to miss nothing")
	}
	r := &reader{c: &Cluster{}}
	for range maxPlaces + 1 { // of senders of which nothing came again
		r.tear(&window{})
	}
	if n := len(r.places.open); n > maxPlaces {
		t.Errorf("%d holes without an end are remembered", n)
	}
	if !r.places.miss(streamID{ms: 1}) {
		t.Error("who has less than what was forgotten is said to miss nothing")
	}
	if end := (streamID{ms: last.ms + 1, seq: 2*maxPlaces - 1}); p.miss(end) {
		t.Error("who has the stream up to the last place may miss something")
	}
}

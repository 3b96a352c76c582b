package redis

import (
	"slices"
	"strings"
	"testing"
)

// Whatever names lanes have, a letter has maxLetter bytes or is about one of them, and none is left out.
func TestLettersAreBounded(t *testing.T) {
	var list []ending
	for i := range 5000 {
		list = append(list, ending{key: laneKey{strings.Repeat("n", i%7*i), strings.Repeat("r", i%256)}, n: uint64(i)})
	}
	list = append(list, ending{key: laneKey{nsp: strings.Repeat("n", 2*maxLetter)}})
	var got []ending
	for part := range lettersOf(list, ending.lane) {
		l := newLetter(tellTails, "0123456789abcdef")
		if l.tails(part); len(l.b) > maxLetter+100 && len(part) > 1 {
			t.Errorf("%d bytes of %d lanes", len(l.b), len(part))
		}
		got = append(got, part...)
	}
	if !slices.Equal(got, list) {
		t.Errorf("%d lanes of %d", len(got), len(list))
	}
}

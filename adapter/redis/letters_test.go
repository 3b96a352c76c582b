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

// A letter that says of many lanes that nothing is to be sent again has each as it was, or is refused.
func TestNothingOfManyLanes(t *testing.T) {
	l := newLetter(tellNothing, "0123456789abcdef")
	list := []piece{{ending: ending{key: laneKey{"/a", ""}, n: 3, count: 2, base: 1}, floor: 4, below: 5}, {ending: ending{key: laneKey{"/b", "r"}}}}
	for i := range list {
		l.head(&list[i])
	}
	_, _, got := openLetter(l.b)
	for i, p := range got.readHeads() {
		if p.ending != list[i].ending || p.floor != list[i].floor || p.below != list[i].below {
			t.Errorf("%+v, want %+v", p, list[i])
		}
	}
	_, _, got = openLetter(l.b[:len(l.b)-1])
	if n := len(got.readHeads()); n > 0 || !got.bad {
		t.Errorf("%d lanes of a letter that is cut", n)
	}
}

package main

import (
	"errors"
	"testing"
)

// TestOrderThatIsNotDone: an order that has returned an error, as one of a server that has stopped meanwhile does, need not
// come to anybody.
func TestOrderThatIsNotDone(t *testing.T) {
	w := &world{}
	w.model.init(w)
	l := &life{sid: "s", nsp: "/", client: &client{w: w}, stays: []*stay{{room: "b", in0: 1, in1: 2}}}
	o := order{rooms: []string{"b"}, from: 3, to: 4}
	if must, may := o.meets(l, 5); !must || !may {
		t.Errorf("done: must %v, may %v", must, may)
	}
	o.err = errors.New("closed")
	if must, may := o.meets(l, 5); must || !may {
		t.Errorf("not done: must %v, may %v", must, may)
	}
}

// TestRoomWithoutAName: a server may say that a socket is in any room, as one that is broken does, and the world goes on.
func TestRoomWithoutAName(t *testing.T) {
	w := &world{}
	w.model.init(w)
	l := &life{sid: "s", nsp: "/", client: &client{w: w}}
	if l.possibly("", 1, 2) || l.fits([]string{"s", ""}) {
		t.Error("it may be in a room without a name")
	}
	if !l.possibly("x1", 1, 2) || !l.fits([]string{"s", "x1"}) {
		t.Error("a server may have put it into a room")
	}
}

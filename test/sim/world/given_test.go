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

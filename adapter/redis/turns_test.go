package redis

import (
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

// TestTheOldestQuestionIsCompletedFirst: beyond what may be gathered only the oldest goes on, and the others in their order when it
// is over.
func TestTheOldestQuestionIsCompletedFirst(t *testing.T) {
	t.Parallel()
	f := newInflow(time.Now)
	clients := &request{id: "to clients, who take their time", kind: kindBroadcast}
	f.allow(clients, 1)
	defer f.end(clients, true)
	var list []*request
	for _, id := range []string{"a", "b", "c"} {
		r := &request{id: id, kind: kindFetch}
		if waited, err := f.enter(t.Context(), r, []string{"node"}, firstPiece); waited || err != nil {
			t.Fatal(waited, err)
		}
		f.came(loanKey{id, "node", 0})
		list = append(list, r)
	}
	f.gather(list[1], maxGathered+1)
	var asked []string
	for _, i := range []int{2, 1, 0} {
		f.wait(&turn{list[i], []string{"node"}, 1, nextPiece, func() { asked = append(asked, list[i].id) }})
	}
	if !slices.Equal(asked, []string{"a"}) {
		t.Errorf("asked for pieces: %v", asked)
	}
	f.end(list[0], true)
	if !slices.Equal(asked, []string{"a", "b"}) {
		t.Errorf("asked for pieces: %v", asked)
	}
	f.end(list[1], true)
	f.end(list[2], true)
	if f.gathered != 0 || len(f.open) > 1 || len(f.waiting) > 0 {
		t.Errorf("left: %+v", f)
	}
}

// TestFewQuestionsFetchAtATime: the others wait, and those that are asked only then need not.
func TestFewQuestionsFetchAtATime(t *testing.T) {
	t.Parallel()
	f := newInflow(time.Now)
	var asked []int
	piece := func(r *request, number, piece int) {
		f.wait(&turn{r, []string{"node"}, piece, nextPiece, func() { asked = append(asked, number) }})
	}
	var list []*request
	for i := range maxFetching + 2 {
		r := &request{id: strconv.Itoa(i)}
		if waited, err := f.enter(t.Context(), r, []string{"node"}, firstPiece); waited || err != nil {
			t.Fatal(i, waited, err)
		}
		piece(r, i, 1)
		f.came(loanKey{r.id, "node", 0})
		list = append(list, r)
	}
	piece(list[1], 1, 2)
	f.came(loanKey{"1", "node", 1}) // the next of the same goes on
	f.came(loanKey{"0", "node", 1})
	if want := []int{0, 1, 2, 1, 3}; !slices.Equal(asked, want) {
		t.Errorf("pieces of questions %v, want %v", asked, want)
	}
	for _, r := range list {
		f.end(r, true)
	}
	for i := range list {
		for p := range 3 {
			f.came(loanKey{strconv.Itoa(i), "node", p})
		}
	}
	if f.coming != 0 || len(f.fetching)+len(f.loans)+len(f.waiting) > 0 {
		t.Errorf("left: %+v", f)
	}
}

// TestWhatComesSlowlyIsNotLost: only the first of what a silent node was asked for is, when this one hears itself, and what came later was
// overtaken by.
func TestWhatComesSlowlyIsNotLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var deaf time.Time
		f := newInflow(func() time.Time {
			if deaf.IsZero() {
				return time.Now()
			}
			return deaf
		})
		r := &request{id: "r"}
		nodes := []string{"dead", "slow", "well"}
		if _, err := f.enter(t.Context(), r, nodes, firstPiece); err != nil {
			t.Fatal(err)
		}
		ask := func(uid string, piece int) {
			f.wait(&turn{r, []string{uid}, piece, nextPiece, func() {}})
		}
		expects := func(uid string) bool { return f.expects(loanKey{"r", uid, 0}) }
		ask("slow", 1)
		time.Sleep(lostAfter / 2)
		ask("slow", 2)
		ask("well", 1)
		time.Sleep(lostAfter/2 - time.Millisecond)
		if !expects("dead") || !expects("slow") || !expects("well") {
			t.Error("lost too soon")
		}
		f.came(loanKey{"r", "slow", 1})
		f.came(loanKey{"r", "well", 1})
		time.Sleep(time.Second)
		if f.tick(); expects("dead") || !expects("slow") || expects("well") {
			t.Errorf("on their way: dead %v, slow %v, well %v", expects("dead"), expects("slow"), expects("well"))
		}
		deaf = time.Now().Add(-10 * lostAfter)
		time.Sleep(lostAfter)
		if f.tick(); !expects("slow") {
			t.Error("lost while this node does not hear itself")
		}
		deaf = time.Time{}
		time.Sleep(relook)
		if f.tick(); expects("slow") || !f.expects(loanKey{"r", "slow", 2}) {
			t.Error("not one piece alone is lost of a node that is silent")
		}
		time.Sleep(lostAfter)
		f.tick()
		time.Sleep(lostAfter)
		f.end(r, true)
		if f.tick(); f.coming != 0 || len(f.loans)+len(f.heard) > 0 {
			t.Errorf("left: %+v", f)
		}
	})
}

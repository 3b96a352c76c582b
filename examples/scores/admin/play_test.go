package main

import (
	"math/rand/v2"
	"testing"

	"github.com/beanpole/beanpole/examples/scores/match"
)

func TestAfternoonAddsUp(t *testing.T) {
	a := newAfternoon(rand.New(rand.NewPCG(7, 1)))
	kinds := make(map[string]int)
	for !a.over() {
		for _, e := range a.minute() {
			kinds[e.Kind]++
			e.ID = "x"
			if err := e.Check(); err != nil {
				t.Errorf("%+v: %v", e, err)
			}
		}
	}
	goals := 0
	for _, m := range a.matches {
		if len(m.Goals) != m.Score[0]+m.Score[1] || m.Minute != full || m.Phase != "Full time" {
			t.Errorf("match ends as %+v", m)
		}
		goals += len(m.Goals)
	}
	if kinds[match.KickOff] != 4 || kinds[match.Whistle] != 8 || kinds[match.GoalShot] != goals || goals == 0 {
		t.Errorf("%v with %d goals", kinds, goals)
	}
}

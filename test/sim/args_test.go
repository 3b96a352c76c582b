package main

import (
	"strings"
	"testing"
)

// TestWhatThereIsNotIsRefused: in one line, which says what is allowed. A run without it would pass.
func TestWhatThereIsNotIsRefused(t *testing.T) {
	for _, x := range []struct{ args, want string }{
		{"-seeds 9-5", `-seeds: "9-5" is not the first and the last of them, as in 1-100`},
		{"-seeds 1-2-3", "as in 1-100"},
		{"-seeds x", "as in 1-100"},
		{"-seed x", "invalid value"},
		{"-n 0", "-n: 0 is not from 1 to"},
		{"-jobs 0", "-jobs: 0 is not from 1 to"},
		{"-clients -1", "-clients: -1 is not from 0 to 1000"},
		{"-nodes 10", "-nodes: 10 is not from 0 to 9"},
		{"-seconds -5", "-seconds: -5 is not from 0 to 300"},
		{"-seed 7 cut", `"cut": only flags are allowed`},
		{"-defects -defect nosuch", `-defect: there is no "nosuch", only event-lost, `},
		{"-defect nosuch", `-defect: there is no "nosuch"`},
		{"-defect ack-lost,ack-twice", "one at a time"},
		{"-defects -faults cut", "a world of its own"},
		{"-defects -clients 9", "a world of its own"},
		{"-chaos -defect ack-lost", "in the simulation alone"},
		{"-faults kut", `-faults: there is no "kut", only one, cut, `},
		{"-faults one,cut", `"one" stands alone`},
		{"-load x", `-load: there is no "x"`},
		{"-mode x", `-mode: there is no "x"`},
		{"-nosuch", "-help lists them"},
	} {
		_, err := read(strings.Fields(x.args))
		if err == nil || !strings.Contains(err.Error(), x.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", x.args, err)
		}
	}
	a, err := read(strings.Fields("-seeds 5-9 -mode all -faults one -load none -defect ack-lost"))
	if err != nil || a.seed != 5 || a.n != 5 || len(a.modes) != 6 || len(a.plan.Load) != 0 || a.planting[0].Name != "ack-lost" {
		t.Errorf("%v: %+v", err, a)
	}
}

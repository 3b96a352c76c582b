package main

import (
	"slices"
	"testing"

	"github.com/beanpole/beanpole/test/sim/plan"
)

// TestShrinkFindsTheSmallest: what is left is what the violation needs, and the flags printed run it again.
func TestShrinkFindsTheSmallest(t *testing.T) {
	p := plan.Plan{Seed: 7, Mode: "streams+", Faults: plan.Faults, Seconds: 12, Nodes: 3, Clients: 9}.Fill()
	runs := 0
	run := func(q plan.Plan) (*outcome, error) {
		runs++
		out := &outcome{}
		if q.Has(plan.Cut) && q.Has(plan.Kill) && q.Does(plan.Acks) && q.Clients >= 3 && q.Seconds >= 5 && q.Nodes >= 2 {
			out.Violations = []plan.Violation{{Promise: "once"}, {Promise: "order"}}
		}
		return out, nil
	}
	found := &outcome{Result: plan.Result{Violations: []plan.Violation{{Promise: "order"}}}}
	q, out := shrink(p, found, run)
	want := "-seed 7 -mode streams+ -nodes 2 -clients 3 -seconds 5 -masters 1 -faults cut,kill -load acks"
	if slices.Sort(q.Faults); q.String() != want {
		t.Errorf("left is %s, want %s", q, want)
	}
	if out.Violations[0].Promise != "order" {
		t.Errorf("the first violation is of %q, want that which was looked for", out.Violations[0].Promise)
	}
	if len(p.Load) != len(plan.Loads) || len(p.Faults) != len(plan.Faults) {
		t.Error("the plan that was given has changed")
	}
	if runs > 100 {
		t.Errorf("%d runs", runs)
	}
}

// TestOneFault: as many seeds as there are faults that follow each other have each fault once.
func TestOneFault(t *testing.T) {
	var got []string
	for seed := range uint64(len(plan.Faults)) {
		got = append(got, plan.Plan{Seed: 10001 + seed, Faults: []string{plan.One}}.Fill().Faults...)
	}
	slices.Sort(got)
	if want := slices.Sorted(slices.Values(plan.Faults)); !slices.Equal(got, want) {
		t.Errorf("faults %v, want %v", got, want)
	}
}

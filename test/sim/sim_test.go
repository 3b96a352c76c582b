package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/beanpole/beanpole/test/sim/defects"
	"github.com/beanpole/beanpole/test/sim/plan"
)

var (
	seeds = flag.Int("seeds", 2, "how many seeds of each mode")
	from  = flag.Uint64("from", 1, "the first seed")
)

// world is built once for all tests, with the defects, of which none is planted but where a test wants it: to build
// another takes longer than to run it.
var world = sync.OnceValues(func() (*runner, error) { return newRunner(context.Background(), true) })

// turns bounds the runs at a time: each wants a processor.
var turns = make(chan struct{}, runtime.NumCPU())

func runOne(t *testing.T, r *runner, p plan.Plan) *outcome {
	t.Helper()
	turns <- struct{}{}
	defer func() { <-turns }()
	out, err := r.run(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestPromises runs some seeds of each mode, with the faults that each draws.
func TestPromises(t *testing.T) {
	r, err := world()
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range plan.Modes {
		for i := range uint64(*seeds) {
			p := plan.Plan{Seed: *from + i, Mode: mode}.Fill()
			t.Run(fmt.Sprintf("%s/%d", mode, p.Seed), func(t *testing.T) {
				t.Parallel()
				out := runOne(t, r, p)
				if len(out.Violations) > 0 {
					var b strings.Builder
					out.print(&b)
					t.Errorf("%s\nreplay with: make sim %s", b.String(), replay(p))
				}
				if out.Counts["received"] == 0 {
					t.Errorf("nothing was received: %s", out.summary())
				}
			})
		}
	}
}

// TestSameSeedSameHistory: a seed is one history, to the last byte, and another seed another.
func TestSameSeedSameHistory(t *testing.T) {
	r, err := world()
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range []string{"memory", "streams+"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			p := plan.Plan{Seed: 7, Mode: mode, Seconds: 5, Faults: plan.Faults}.Fill()
			first, again := runOne(t, r, p), runOne(t, r, p)
			if !bytes.Equal(first.history, again.history) {
				t.Errorf("two histories of one seed: %s, %s", first.hash, again.hash)
			}
			p.Seed = 8
			if other := runOne(t, r, p); bytes.Equal(first.history, other.history) {
				t.Error("one history of two seeds")
			}
		})
	}
}

// TestDefectsAreFound plants some of the defects; make sim-defects plants all.
func TestDefectsAreFound(t *testing.T) {
	r, err := world()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range defects.All {
		switch d.Name {
		case "except-ignored", "ack-twice", "leave-forgotten", "never-asked":
			t.Run(d.Name, func(t *testing.T) {
				t.Parallel()
				turns <- struct{}{}
				defer func() { <-turns }()
				if _, out, err := r.find(t.Context(), d, 1, 4); err != nil || out == nil {
					t.Errorf("not found: %v", err)
				}
			})
		}
	}
}

// TestSlotsMove runs worlds in which slots of a Redis Cluster move while they are used. Whether a command comes at such a moment
// is another with each build: a sweep says how many did.
func TestSlotsMove(t *testing.T) {
	r, err := world()
	if err != nil {
		t.Fatal(err)
	}
	moved := 0
	for _, mode := range []string{"pubsub", "sharded", "streams+"} {
		p := plan.Plan{Seed: 1, Mode: mode, Masters: 3, Faults: []string{plan.Failover}}.Fill()
		out := runOne(t, r, p)
		if len(out.Violations) > 0 {
			var b strings.Builder
			out.print(&b)
			t.Errorf("%s\nreplay with: make sim %s", b.String(), replay(p))
		}
		moved += out.Counts["fault slots move"]
	}
	if moved == 0 {
		t.Error("no slots moved")
	}
}

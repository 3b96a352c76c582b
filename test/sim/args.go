package main

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/beanpole/beanpole/test/sim/defects"
	"github.com/beanpole/beanpole/test/sim/plan"
)

// args is what the command is asked for.
type args struct {
	plan     plan.Plan
	modes    []string
	seed     uint64 // the first
	n        int    // of them
	jobs     int
	history  string
	shrink   bool
	chaos    bool
	defects  bool
	planting []defects.Defect // with defects
}

// The most that a world is made for: the name of a server has one digit.
const (
	mostNodes   = 9
	mostClients = 1000
	mostSeconds = 300
	mostMasters = 5
)

// read reads the arguments. Its error is one line that says what is allowed: what there is not would be a run without
// it, which passes.
func read(list []string) (a args, err error) {
	set := flag.NewFlagSet("sim", flag.ContinueOnError)
	set.Usage = func() {}
	var errs []error
	wrong := func(name, format string, args ...any) {
		errs = append(errs, fmt.Errorf("-%s: "+format, append([]any{name}, args...)...))
	}
	seeds := ""
	set.Uint64Var(&a.seed, "seed", 1, "the seed, or the first of them")
	set.IntVar(&a.n, "n", 1, "how many seeds")
	set.StringVar(&seeds, "seeds", "", "the first and the last of them, instead: 1-100")
	mode := set.String("mode", "", "those of "+strings.Join(plan.Modes, ", ")+"; all: each seed in each; empty: of the seed")
	set.IntVar(&a.plan.Nodes, "nodes", 0, "how many servers; 0: of the seed")
	set.IntVar(&a.plan.Clients, "clients", 0, "how many clients; 0: of the seed")
	set.IntVar(&a.plan.Seconds, "seconds", 0, "of load, in the simulation's time; 0: of the seed")
	set.IntVar(&a.plan.Masters, "masters", 0, "how many masters Redis has, more than one are a Redis Cluster; 0: of the seed")
	faults := set.String("faults", "", "those of "+strings.Join(plan.Faults, ", ")+"; none; all; one: another with each seed; empty: of the seed")
	load := set.String("load", "", "those of "+strings.Join(plan.Loads, ", ")+"; none; empty: all")
	set.StringVar(&a.plan.Defect, "defect", "", "a defect of package defects to plant; with -defects, those")
	set.BoolVar(&a.defects, "defects", false, "plant each defect in turn, or those of -defect, and look for it with n seeds at most")
	set.StringVar(&a.history, "history", "", "a file for the whole history; with -n, of those that failed, the seed behind its name")
	set.BoolVar(&a.shrink, "shrink", false, "look for a smaller run with the same violation, of many seeds for the first of each promise")
	set.BoolVar(&a.chaos, "chaos", false, "real connections, a real Redis, real time and the race detector instead of the simulation")
	set.IntVar(&a.jobs, "jobs", runtime.NumCPU(), "runs at a time")
	set.SetOutput(io.Discard)
	if err := set.Parse(list); err == flag.ErrHelp {
		set.SetOutput(os.Stdout)
		set.PrintDefaults()
		os.Exit(0)
	} else if err != nil {
		return a, fmt.Errorf("%w; flags begin with -, and -help lists them", err)
	}
	if set.NArg() > 0 {
		return a, fmt.Errorf("%q: only flags are allowed, which begin with -", set.Arg(0))
	}
	if seeds != "" {
		a.seed, a.n, err = span(seeds)
		if err != nil {
			return a, err
		}
	}
	for _, x := range []struct {
		name           string
		n, least, most int
	}{{"n", a.n, 1, 1 << 30}, {"jobs", a.jobs, 1, 1 << 10}, {"nodes", a.plan.Nodes, 0, mostNodes},
		{"clients", a.plan.Clients, 0, mostClients}, {"masters", a.plan.Masters, 0, mostMasters}, {"seconds", a.plan.Seconds, 0, mostSeconds}} {
		if x.n < x.least || x.n > x.most {
			wrong(x.name, "%d is not from %d to %d", x.n, x.least, x.most)
		}
	}
	known := func(name string, list, all []string) {
		for _, what := range list {
			if !slices.Contains(all, what) {
				wrong(name, "there is no %q, only %s", what, strings.Join(all, ", "))
			}
		}
	}
	a.plan.Faults, a.plan.Load, a.modes = plan.List(*faults, plan.Faults), plan.List(*load, plan.Loads), plan.List(*mode, plan.Modes)
	if known("faults", a.plan.Faults, append([]string{plan.One}, plan.Faults...)); len(a.plan.Faults) > 1 && slices.Contains(a.plan.Faults, plan.One) {
		wrong("faults", "%q stands alone", plan.One)
	}
	known("load", a.plan.Load, plan.Loads)
	known("mode", a.modes, plan.Modes)
	var names []string
	for _, d := range defects.All {
		names = append(names, d.Name)
	}
	var planted []string
	if a.plan.Defect != "" {
		planted = strings.Split(a.plan.Defect, ",")
	}
	known("defect", planted, names)
	for _, d := range defects.All {
		if planted == nil || slices.Contains(planted, d.Name) {
			a.planting = append(a.planting, d)
		}
	}
	switch {
	case len(planted) > 1 && !a.defects:
		wrong("defect", "one at a time, or with -defects")
	case a.chaos && (a.defects || planted != nil):
		wrong("chaos", "defects are planted in the simulation alone")
	case a.chaos && a.plan.Masters > 1:
		wrong("masters", "a Redis Cluster is there in the simulation alone")
	case a.defects && (a.shrink || a.history != "" || a.modes != nil || a.plan.Faults != nil || a.plan.Load != nil ||
		a.plan.Nodes+a.plan.Masters+a.plan.Clients+a.plan.Seconds > 0):
		wrong("defects", "each has a world of its own, and neither -load, -history nor -shrink: use -defect NAME without -defects")
	}
	if a.chaos {
		a.plan.Masters = 1
	}
	return a, cmp.Or(errs...)
}

// span reads the first seed and the last.
func span(text string) (first uint64, n int, err error) {
	from, to, ok := strings.Cut(text, "-")
	if !ok {
		to = from
	}
	first, err = strconv.ParseUint(from, 10, 64)
	last, e := strconv.ParseUint(to, 10, 64)
	if err != nil || e != nil || last < first || last-first >= 1<<30 {
		return 0, 0, fmt.Errorf("-seeds: %q is not the first and the last of them, as in 1-100", text)
	}
	return first, int(last-first) + 1, nil
}

// Command sim runs the simulation of a whole cluster: one seed is one history, to the last byte.
//
//	go run . -seed 7              one run; what was violated, and the history around it
//	go run . -seed 1 -n 1000      many, on all cores; those that failed, with the command that replays each, and what
//	                              they contained; with -mode all each seed in each mode
//	go run . -defects -n 20       plants each defect of package defects, and says what found it
//	go run . -chaos -n 20         real connections, a real Redis, real time and the race detector
//	go run . -seed 7 -shrink      the smallest run of that seed in which the same promise is not kept; with -n of the
//	                              first seed for each promise
//
// The world itself is in world, a program for wasip1 that unmodified Go builds and wazero runs: one thread runs
// everything, randomness comes from the seed, sleeping costs nothing. docs/promises.md says what is checked.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/beanpole/beanpole/test/sim/defects"
	"github.com/beanpole/beanpole/test/sim/plan"
)

// known ends the program if a list has what there is not.
func known(name string, list, all []string) {
	for _, what := range list {
		if !slices.Contains(all, what) {
			fmt.Fprintf(os.Stderr, "-%s: there is no %q, only %s\n", name, what, strings.Join(all, ", "))
			os.Exit(2)
		}
	}
}

func main() {
	var p plan.Plan
	seed := flag.Uint64("seed", 1, "the seed, or the first of them")
	n := flag.Int("n", 1, "how many seeds")
	mode := flag.String("mode", "", "those of "+strings.Join(plan.Modes, ", ")+"; all: each seed in each; empty: of the seed")
	flag.IntVar(&p.Nodes, "nodes", 0, "how many servers; 0: of the seed")
	flag.IntVar(&p.Clients, "clients", 0, "how many clients; 0: of the seed")
	flag.IntVar(&p.Seconds, "seconds", 0, "of load, in the simulation's time; 0: of the seed")
	faults := flag.String("faults", "", "those of "+strings.Join(plan.Faults, ", ")+"; none; all; one: another with each seed; empty: of the seed")
	load := flag.String("load", "", "those of "+strings.Join(plan.Loads, ", ")+"; empty: all")
	flag.StringVar(&p.Defect, "defect", "", "a defect of package defects to plant; with -defects, those")
	all := flag.Bool("defects", false, "plant each defect in turn, or those of -defect, and look for it with n seeds at most")
	history := flag.String("history", "", "a file for the whole history; with -n, of those that failed, the seed behind its name")
	minimise := flag.Bool("shrink", false, "look for a smaller run with the same violation, of many seeds for the first of each promise")
	chaos := flag.Bool("chaos", false, "real connections, a real Redis, real time and the race detector instead of the simulation")
	jobs := flag.Int("jobs", runtime.NumCPU(), "runs at a time")
	flag.Parse()
	p.Faults, p.Load = plan.List(*faults, plan.Faults), plan.List(*load, plan.Loads)
	// What there is not would be a run without it, which passes.
	known("faults", p.Faults, append([]string{plan.One}, plan.Faults...))
	known("load", p.Load, plan.Loads)
	known("mode", plan.List(*mode, plan.Modes), plan.Modes)
	err := error(nil)
	if *all {
		list := slices.DeleteFunc(slices.Clone(defects.All), func(d defects.Defect) bool {
			return p.Defect != "" && !slices.Contains(strings.Split(p.Defect, ","), d.Name)
		})
		err = plant(context.Background(), list, *seed, *n)
	} else {
		err = run(p, plan.List(*mode, plan.Modes), *seed, *n, *jobs, *history, *minimise, *chaos)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// worlds runs worlds: simulated, or real.
type worlds interface {
	run(context.Context, plan.Plan) (*outcome, error)
	close(context.Context)
	target() string // of make, that runs them
}

func run(p plan.Plan, modes []string, seed uint64, n, jobs int, history string, minimise, chaos bool) error {
	ctx := context.Background()
	began := time.Now()
	var r worlds
	var err error
	if chaos {
		r, err = newReal(ctx)
	} else {
		r, err = newRunner(ctx, p.Defect != "")
	}
	if err != nil {
		return err
	}
	defer r.close(ctx)
	fmt.Printf("the world is built in %.1fs\n", time.Since(began).Seconds())
	if n > 1 || len(modes) > 1 {
		return sweep(ctx, r, p, modes, seed, n, jobs, history, minimise)
	}
	p.Seed = seed
	if len(modes) == 1 {
		p.Mode = modes[0]
	}
	p = p.Fill()
	began = time.Now()
	out, err := r.run(ctx, p)
	if err != nil {
		return err
	}
	fmt.Printf("ran in %.1fs\n", time.Since(began).Seconds())
	if history != "" {
		if err := os.WriteFile(history, out.history, 0o644); err != nil {
			return err
		}
	}
	fmt.Printf("%s\n%s\n", p, out.summary())
	if len(out.Violations) == 0 {
		return nil
	}
	if minimise {
		p, out = shrink(p, out, func(q plan.Plan) (*outcome, error) { return r.run(ctx, q) })
	}
	out.print(os.Stdout)
	fmt.Printf("\nreplay with: make %s %s\n", r.target(), replay(p))
	return fmt.Errorf("seed %d: %d violations", p.Seed, len(out.Violations))
}

// plant plants each defect and looks for it, with n seeds at most.
func plant(ctx context.Context, list []defects.Defect, seed uint64, n int) error {
	r, err := newRunner(ctx, true)
	if err != nil {
		return err
	}
	defer r.close(ctx)
	var missed []string
	const row = "| %-16s | %-8s | %-11s | %-16s | %4v | %6.1f s | %s |\n"
	fmt.Printf(strings.Replace(row, "%6.1f s", "%-8s", 1), "Defect", "Mode", "Faults", "Found by", "Seed", "CPU", "What was seen")
	fmt.Printf("|%s\n", strings.Repeat("---|", 7))
	for _, d := range list {
		used := processor()
		p, out, err := r.find(ctx, d, seed, n)
		if err != nil {
			return err
		}
		found, with, what := fmt.Sprintf("NOT FOUND with %d", n), any(""), ""
		if out == nil {
			missed = append(missed, d.Name)
		} else {
			v := out.Violations[0]
			found, with, what = v.Promise, p.Seed, fmt.Sprintf("`%.70s`", strings.NewReplacer("|", "/", "`", "'").Replace(strings.SplitN(v.What, "\n", 2)[0]))
		}
		fmt.Printf(row, d.Name, d.Mode, cmp.Or(strings.Join(d.Faults, ","), "none"), found, with, (processor() - used).Seconds(), what)
	}
	if len(missed) > 0 {
		return fmt.Errorf("not found: %s", strings.Join(missed, ", "))
	}
	return nil
}

// find plants a defect and looks for it, with n seeds at most. The outcome is nil when nothing was seen.
func (r *runner) find(ctx context.Context, d defects.Defect, seed uint64, n int) (plan.Plan, *outcome, error) {
	for i := range uint64(n) {
		p := plan.Plan{Seed: seed + i, Mode: d.Mode, Faults: append([]string{}, d.Faults...), Defect: d.Name}.Fill()
		out, err := r.run(ctx, p)
		if err != nil || len(out.Violations) > 0 {
			return p, out, err
		}
	}
	return plan.Plan{}, nil, nil
}

// replay is the arguments of make sim that run p again.
func replay(p plan.Plan) string {
	_, rest, _ := strings.Cut(p.String(), " -mode")
	return fmt.Sprintf("SEED=%d SIM='-mode%s'", p.Seed, rest)
}

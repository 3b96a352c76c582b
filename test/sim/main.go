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
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/beanpole/beanpole/test/sim/defects"
	"github.com/beanpole/beanpole/test/sim/plan"
)

func main() {
	watching()
	a, err := read(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if a.defects {
		err = plant(context.Background(), a.planting, a.seed, a.n)
	} else {
		err = run(a)
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

func run(a args) error {
	p := a.plan
	ctx := context.Background()
	began := time.Now()
	var r worlds
	var err error
	if a.chaos {
		r, err = newReal(ctx)
	} else {
		r, err = newRunner(ctx, p.Defect != "")
	}
	if err != nil {
		return err
	}
	defer r.close(ctx)
	fmt.Printf("the world is built in %.1fs\n", time.Since(began).Seconds())
	if a.n > 1 || len(a.modes) > 1 {
		return sweep(ctx, r, p, a.modes, a.seed, a.n, a.jobs, a.history, a.shrink)
	}
	p.Seed = a.seed
	if len(a.modes) == 1 {
		p.Mode = a.modes[0]
	}
	p = p.Fill()
	began = time.Now()
	out, err := r.run(ctx, p)
	if err != nil {
		return err
	}
	fmt.Printf("ran in %.1fs\n", time.Since(began).Seconds())
	fmt.Printf("%s\n%s\n", p, out.summary())
	if a.history != "" {
		err = os.WriteFile(a.history, out.history, 0o644)
	}
	if len(out.Violations) == 0 {
		return err
	}
	if a.shrink {
		p, out = shrink(p, out, func(q plan.Plan) (*outcome, error) { return r.run(ctx, q) })
	}
	out.print(os.Stdout)
	fmt.Printf("\nreplay with: make %s %s\n", r.target(), replay(p))
	return errors.Join(err, fmt.Errorf("seed %d: %d violations", p.Seed, len(out.Violations)))
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
		p := d.Plan()
		p.Seed = max(p.Seed, seed) + i
		p = p.Fill()
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

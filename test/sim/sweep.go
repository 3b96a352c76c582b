package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/beanpole/beanpole/test/sim/plan"
)

// tally is what the runs of a sweep had in them, by mode.
type tally struct {
	counts map[string]map[string]int // by what, then by mode
	modes  map[string]int            // runs
}

func newTally() *tally { return &tally{counts: map[string]map[string]int{}, modes: map[string]int{}} }

func (t *tally) add(mode string, counts map[string]int) {
	t.modes[mode]++
	for what, n := range counts {
		if t.counts[what] == nil {
			t.counts[what] = map[string]int{}
		}
		t.counts[what][mode] = add(what, t.counts[what][mode], n)
	}
}

// add adds a count of a run to that of others, or is the larger one of what is no count.
func add(what string, a, b int) int {
	if strings.HasPrefix(what, "slowest") {
		return max(a, b)
	}
	return a + b
}

// print prints one column for each mode, and the sum.
func (t *tally) print() {
	modes := slices.DeleteFunc(slices.Clone(plan.Modes), func(m string) bool { return t.modes[m] == 0 })
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(what string, by map[string]int) {
		sum := 0
		for _, m := range modes {
			sum = add(what, sum, by[m])
			fmt.Fprintf(w, "%d\t", by[m])
		}
		fmt.Fprintf(w, "%d\t %s\n", sum, what)
	}
	fmt.Fprintf(w, "%s\tsum\t\n", strings.Join(modes, "\t"))
	row("runs", t.modes)
	for _, what := range slices.Sorted(maps.Keys(t.counts)) {
		row(what, t.counts[what])
	}
	_ = w.Flush()
}

// sweep runs many seeds, each in each of the modes if there are any, and says which failed and what they contained. An
// interrupt ends it early.
func sweep(ctx context.Context, r worlds, p plan.Plan, modes []string, seed uint64, n, jobs int, history string, minimise bool) error {
	var plans []plan.Plan
	for i := range uint64(n) {
		p.Seed = seed + i
		for _, p.Mode = range modes {
			plans = append(plans, p.Fill())
		}
		if len(modes) == 0 {
			plans = append(plans, p.Fill())
		}
	}
	var (
		mu     sync.Mutex
		next   int
		ran    int
		total  = newTally()
		failed int
		kinds  = map[string]int{}
		first  = map[string]plan.Plan{} // the first run that failed for each promise
		found  = map[string]*outcome{}
		wg     sync.WaitGroup
	)
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	began, used := time.Now(), processor()
	for range jobs {
		wg.Go(func() {
			for {
				mu.Lock()
				if next == len(plans) || ctx.Err() != nil {
					mu.Unlock()
					return
				}
				q := plans[next]
				next++
				mu.Unlock()
				out, err := r.run(ctx, q)
				mu.Lock()
				switch {
				case err != nil:
					failed++
					fmt.Printf("%v: make %s %s\n", err, r.target(), replay(q))
				case len(out.Violations) > 0:
					v := out.Violations[0]
					failed++
					fmt.Printf("%s: %s: %.800s\n    make %s %s\n", v.Promise, v.About, v.What, r.target(), replay(q))
					if history != "" {
						file := fmt.Sprintf("%s.%s.%d", history, q.Mode, q.Seed)
						if err := os.WriteFile(file, out.history, 0o644); err != nil {
							fmt.Println(err)
						}
						fmt.Println("   ", file)
					}
					if kinds[v.Promise]++; kinds[v.Promise] == 1 {
						first[v.Promise], found[v.Promise] = q, out
					}
				}
				if ran++; ran%250 == 0 {
					fmt.Printf("%d of %d runs, %d failed\n", ran, len(plans), failed)
				}
				if out != nil {
					total.add(q.Mode, out.Counts)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	total.print()
	took := time.Since(began)
	used = processor() - used
	if ran == 0 {
		return context.Cause(ctx)
	}
	fmt.Printf("%d runs in %s, %d at a time; %s of the processor for 1,000: %d failed", ran, took.Round(time.Second), jobs,
		(used * 1000 / time.Duration(ran)).Round(time.Second), failed)
	worst := slices.SortedFunc(maps.Keys(kinds), func(a, b string) int { return cmp.Or(cmp.Compare(kinds[b], kinds[a]), cmp.Compare(a, b)) })
	for _, k := range worst {
		fmt.Printf(", %s %d", k, kinds[k])
	}
	fmt.Println()
	if minimise {
		for _, k := range worst {
			fmt.Printf("\nlooking for the smallest run of seed %d in which %s is violated\n", first[k].Seed, k)
			q, out := shrink(first[k], found[k], func(q plan.Plan) (*outcome, error) { return r.run(ctx, q) })
			out.print(os.Stdout)
			fmt.Printf("\nreplay with: make %s %s\n", r.target(), replay(q))
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d runs failed", failed, ran)
	}
	return nil
}

// processor is the time that this process has had of the processors.
func processor() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

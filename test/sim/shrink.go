package main

import (
	"fmt"

	"github.com/beanpole/beanpole/test/sim/plan"
)

// shrink looks for a smaller run in which the same promise is not kept: fewer faults and kinds of load, fewer
// clients and servers, a shorter time. Each part of a world draws from a source of its own, so that what is
// left behaves much as before.
func shrink(p plan.Plan, found *outcome, run func(plan.Plan) (*outcome, error)) (plan.Plan, *outcome) {
	promise := found.Violations[0].Promise
	try := func(q plan.Plan) bool {
		out, err := run(q)
		if err != nil {
			return false
		}
		for i, v := range out.Violations {
			if v.Promise == promise {
				out.Violations[0], out.Violations[i] = out.Violations[i], out.Violations[0]
				p, found = q, out
				fmt.Printf("smaller: %s\n", p)
				return true
			}
		}
		return false
	}
	for again := true; again; {
		again = false
		for i := 0; i < len(p.Faults); i++ {
			q := p
			q.Faults = without(p.Faults, i)
			if try(q) {
				again = true
				i--
			}
		}
		for i := 0; i < len(p.Load); i++ {
			q := p
			q.Load = without(p.Load, i)
			if try(q) {
				again = true
				i--
			}
		}
		for _, less := range []func(*plan.Plan) bool{
			func(q *plan.Plan) bool { q.Clients /= 2; return q.Clients > 0 },
			func(q *plan.Plan) bool { q.Clients--; return q.Clients > 0 },
			func(q *plan.Plan) bool { q.Seconds /= 2; return q.Seconds > 0 },
			func(q *plan.Plan) bool { q.Seconds--; return q.Seconds > 0 },
			func(q *plan.Plan) bool { q.Nodes--; return q.Nodes > 0 },
			func(q *plan.Plan) bool { q.Masters--; return q.Masters > 0 },
		} {
			for {
				q := p
				if !less(&q) || !try(q) {
					break
				}
				again = true
			}
		}
	}
	return p, found
}

// without is a copy of list without its element i.
func without(list []string, i int) []string {
	out := append([]string{}, list[:i]...)
	return append(out, list[i+1:]...)
}

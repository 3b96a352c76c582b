package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Verdict is what a check comes to.
type Verdict string

// The verdicts.
const (
	OK            Verdict = "ok"
	Warning       Verdict = "warning"
	Failure       Verdict = "failure"
	NotApplicable Verdict = "not applicable"
)

// severity orders verdicts.
func (v Verdict) severity() int {
	return slices.Index([]Verdict{NotApplicable, OK, Warning, Failure}, v)
}

// Result is one finding of a check: what was seen on the instances that it names.
type Result struct {
	Check    string  `json:"check"`
	Instance string  `json:"instance,omitempty"` // names with commas; empty when it is not about some of several
	Verdict  Verdict `json:"verdict"`
	Seen     string  `json:"seen"`
	Means    string  `json:"means,omitempty"` // empty when all is well
	Do       string  `json:"do,omitempty"`
}

// Instance is one of those that were found.
type Instance struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	// Beanpole is the version of the library.
	Beanpole string `json:"beanpole,omitempty"`
	Seen     int    `json:"seen"` // answers of it, of those that went to anybody
}

// Report is all findings, in the order of the checks.
type Report struct {
	URL       string     `json:"url"`
	Began     time.Time  `json:"began"`
	Seconds   float64    `json:"seconds"`
	Instances []Instance `json:"instances,omitempty"`
	Results   []Result   `json:"results"`
}

// Worst returns the worst verdict: Failure, Warning or OK.
func (r Report) Worst() Verdict {
	if worst := worst(r.Results); worst != NotApplicable {
		return worst
	}
	return OK
}

// Of returns the worst finding of a check, or the zero Result.
func (r Report) Of(check string) (of Result) {
	for _, c := range r.Results {
		if c.Check == check && (of.Check == "" || c.Verdict.severity() > of.Verdict.severity()) {
			of = c
		}
	}
	return of
}

func worst(list []Result) Verdict {
	worst := NotApplicable
	for _, r := range list {
		if r.Verdict.severity() > worst.severity() {
			worst = r.Verdict
		}
	}
	return worst
}

func ok(format string, args ...any) Result {
	return Result{Verdict: OK, Seen: fmt.Sprintf(format, args...)}
}

func none(format string, args ...any) Result {
	return Result{Verdict: NotApplicable, Seen: fmt.Sprintf(format, args...)}
}

func warn(seen, means, do string) Result {
	return Result{Verdict: Warning, Seen: seen, Means: means, Do: do}
}

func fail(seen, means, do string) Result {
	return Result{Verdict: Failure, Seen: seen, Means: means, Do: do}
}

// settle has a check run until two of at most three runs agree, and returns what is in the middle: one packet that was
// lost on the way here is nobody's fault.
func settle(run func() []Result) []Result {
	first := run()
	if worst(first).severity() <= OK.severity() {
		return first
	}
	runs := [][]Result{first, run()}
	if worst(runs[1]) != worst(first) {
		runs = append(runs, run())
	}
	slices.SortStableFunc(runs, func(a, b []Result) int { return worst(a).severity() - worst(b).severity() })
	middle := runs[1]
	if worst(middle) == OK {
		middle[0].Seen += "; once of three times: " + runs[2][0].Seen
	}
	return middle
}

// merge makes one finding of those that say the same of several instances.
func merge(names []string, each []Result) []Result {
	type group struct {
		Result
		names, seen []string
	}
	var groups []*group
	for i, r := range each {
		at := slices.IndexFunc(groups, func(g *group) bool { return g.Verdict == r.Verdict && g.Means == r.Means && g.Do == r.Do })
		if at < 0 {
			at = len(groups)
			groups = append(groups, &group{Result: r})
		}
		g := groups[at]
		g.names, g.seen = append(g.names, names[i]), append(g.seen, r.Seen)
	}
	var out []Result
	for _, g := range groups {
		if len(groups) > 1 {
			g.Instance = strings.Join(g.names, ", ")
		}
		switch {
		case !slices.ContainsFunc(g.seen, func(s string) bool { return s != g.seen[0] }):
		case g.Verdict == OK: // they differ in milliseconds
			g.Seen = g.names[0] + ": " + g.Seen + " (and so on " + strings.Join(g.names[1:], ", ") + ")"
		default:
			for i := range g.seen {
				g.seen[i] = g.names[i] + ": " + g.seen[i]
			}
			g.Seen = strings.Join(g.seen, "; ")
		}
		out = append(out, g.Result)
	}
	return out
}

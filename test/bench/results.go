package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

// resultsFile keeps the numbers, so that the document can be made again, and a part of the scenarios be
// measured anew.
const resultsFile = "results.json"

// values are the figures of one run, by metric.
type values map[string]float64

// results are all that is known.
type results struct {
	Machine   machine                       `json:"machine"`
	Scenarios map[string]map[string]*series `json:"scenarios"` // by scenario and server
}

// series are the runs of one server in one scenario.
type series struct {
	Date   string         `json:"date"`
	Rounds []values       `json:"rounds"`
	Faults map[string]int `json:"faults,omitempty"`
}

// machine is where a run took place.
type machine struct {
	Cores                        int
	CPU, Kernel, Go, Node, Redis string
	Descriptors                  string
}

func thisMachine() machine {
	m := machine{Cores: runtime.NumCPU(), Go: runtime.Version()}
	m.Kernel = output("uname", "-sr")
	m.Node = output("node", "--version")
	m.Redis = output("redis-server", "--version")
	m.Descriptors = output("sh", "-c", "ulimit -Hn")
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				m.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	return m
}

func output(name string, args ...string) string {
	b, err := exec.Command(name, args...).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// loadResults reads what former runs have left, if anything.
func loadResults() *results {
	r := &results{Scenarios: make(map[string]map[string]*series)}
	if b, err := os.ReadFile(resultsFile); err == nil {
		_ = json.Unmarshal(b, r)
	}
	return r
}

func (r *results) save() error {
	b, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(resultsFile, append(b, '\n'), 0o644)
}

// forget drops what is known of a scenario, before it is measured anew.
func (r *results) forget(scenario string) { delete(r.Scenarios, scenario) }

// add adds one run.
func (r *results) add(scenario, server string, v values, faults map[string]int) {
	of := r.Scenarios[scenario]
	if of == nil {
		of = make(map[string]*series)
		r.Scenarios[scenario] = of
	}
	s := of[server]
	if s == nil {
		s = &series{Date: time.Now().UTC().Format(time.DateOnly)}
		of[server] = s
	}
	s.Rounds = append(s.Rounds, v)
	for name, n := range faults {
		if s.Faults == nil {
			s.Faults = make(map[string]int)
		}
		s.Faults[name] += n
	}
}

// median returns the middle of a metric's rounds.
func (r *results) median(scenario, server, metric string) (float64, bool) {
	s := r.Scenarios[scenario][server]
	if s == nil {
		return 0, false
	}
	var all []float64
	for _, v := range s.Rounds {
		if f, ok := v[metric]; ok {
			all = append(all, f)
		}
	}
	if len(all) == 0 {
		return 0, false
	}
	slices.Sort(all)
	mid := len(all) / 2
	if len(all)%2 == 0 {
		return (all[mid-1] + all[mid]) / 2, true
	}
	return all[mid], true
}

// ratio returns the ratio of two servers' medians.
func (r *results) ratio(scenario, metric, of, to string) (float64, bool) {
	a, ok := r.median(scenario, of, metric)
	b, ok2 := r.median(scenario, to, metric)
	if !ok || !ok2 || b == 0 {
		return 0, false
	}
	return a / b, true
}

// ratioToBest is the ratio to the least median of a peer. Node's alone, with which the others have not been measured, is not
// the best.
func (r *results) ratioToBest(scenario, metric, of string) (most float64, ok bool) {
	for name := range peers {
		if ratio, measured := r.ratio(scenario, metric, of, name); measured {
			most, ok = max(most, ratio), ok || name != "node"
		}
	}
	return most, ok
}

// number writes f with three digits that count.
func number(f float64) string {
	switch abs := max(f, -f); {
	case abs >= 1000:
		return group(int64(f + 0.5))
	case abs >= 100:
		return fmt.Sprintf("%.0f", f)
	case abs >= 10:
		return fmt.Sprintf("%.1f", f)
	default:
		return fmt.Sprintf("%.2f", f)
	}
}

// group writes n with commas between thousands.
func group(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

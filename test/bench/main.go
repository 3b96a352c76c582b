package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

func main() {
	quick := flag.Bool("quick", false, "one short round")
	only := flag.String("only", "", "regular expression of the scenarios to measure")
	servers := flag.String("servers", "", "servers to measure, separated by commas; empty means all")
	rounds := flag.Int("rounds", 0, "rounds; 0 means 3, or 1 if quick")
	write := flag.Bool("write", false, "write docs/performance.md, its picture and "+resultsFile)
	render := flag.Bool("render", false, "write the document from "+resultsFile+" and measure nothing")
	profile := flag.String("profile", "", "folder for CPU and heap profiles of the Go servers")
	against := flag.String("against", "", "binary of servers/beanpole from another commit, measured beside as \"before\"")
	flag.Parse()
	debug.SetGCPercent(800) // the generator's own collections are not to be seen in latencies
	b := &bench{quick: *quick, rounds: *rounds, profile: *profile, against: *against}
	if *servers != "" {
		b.servers = strings.Split(*servers, ",")
	}
	if err := b.main(*only, *write, *render); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is one call of the command.
type bench struct {
	quick   bool
	rounds  int
	servers []string
	profile string
	against string   // the server "before", or ""
	bin     string   // the Go servers
	missing []string // the peers that could not be built here
	results *results
}

func (b *bench) main(only string, write, render bool) error {
	b.results = loadResults()
	if render {
		return b.document()
	}
	if !write {
		b.results = &results{Scenarios: make(map[string]map[string]*series)}
	}
	b.results.Machine = thisMachine()
	choice, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	if err := b.build(); err != nil {
		return err
	}
	defer os.RemoveAll(b.bin)
	for _, sc := range scenarios() {
		if !choice.MatchString(sc.name) || b.quick && sc.full {
			continue
		}
		if err := b.measure(&sc); err != nil {
			return err
		}
		printScenario(os.Stdout, b.results, &sc)
	}
	printGoals(os.Stdout, b.results)
	if !write {
		return nil
	}
	if err := b.results.save(); err != nil {
		return err
	}
	return b.document()
}

// build makes the servers.
func (b *bench) build() error {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	b.bin = dir
	cmd := exec.Command("go", "build", "-o", dir+string(filepath.Separator), "./servers/...")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build the servers: %w", err)
	}
	if b.against != "" {
		binary, err := os.ReadFile(b.against)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "before"), binary, 0o755); err != nil {
			return err
		}
	}
	for name := range peers {
		if b.servers != nil && !slices.Contains(b.servers, name) {
			continue
		}
		if err := makePeer(name); err != nil {
			fmt.Fprintf(os.Stderr, "%s is left out: %v\n", name, err)
			b.missing = append(b.missing, name)
		}
	}
	return nil
}

// measure runs one scenario, the servers in turn.
func (b *bench) measure(sc *scenario) error {
	rounds := b.rounds
	if rounds == 0 {
		rounds = 3
		if b.quick {
			rounds = 1
		}
	}
	if sc.rounds > 0 {
		rounds = min(rounds, sc.rounds)
	}
	if b.against != "" {
		for _, v := range slices.Backward(slices.Clone(sc.variants)) {
			if v.server == "beanpole" {
				v.name, v.server = strings.TrimSuffix("before, "+v.name, ", beanpole"), "before"
				sc.variants = slices.Insert(slices.Clone(sc.variants), 0, v)
			}
		}
	}
	var order []variant
	for _, v := range sc.variants {
		if (b.servers == nil || slices.Contains(b.servers, v.server)) && !slices.Contains(b.missing, v.server) {
			order = append(order, v)
		}
	}
	if sc.redis {
		addr, stop, err := startRedis()
		if err != nil {
			return err
		}
		defer stop()
		for i := range order {
			order[i].args = append(order[i].args, "-redis", addr)
		}
	}
	b.results.forget(sc.name)
	for round := range rounds {
		for _, v := range order {
			if v.server == "zishang" && round > 0 {
				continue // far behind; one round says enough
			}
			if err := b.one(sc, &v, round); err != nil {
				fmt.Fprintf(os.Stderr, "%s %s: %v\n", sc.name, v.name, err)
			}
		}
		slices.Reverse(order)
	}
	return nil
}

// one is one run: a fresh process.
func (b *bench) one(sc *scenario, v *variant, round int) error {
	began := time.Now()
	p, err := start(b.bin, v.server, v.args...)
	if err != nil {
		return err
	}
	defer p.stop()
	r := &run{
		server: v.server, n: v.n, bin: b.bin, args: v.args, quick: b.quick, process: p, profile: b.profile, values: make(values),
	}
	err = sc.run(r)
	b.results.add(sc.name, v.name, r.values, r.faults)
	fmt.Fprintf(os.Stderr, "%-15s %-9s round %d  %5.1f s %s\n", sc.name, v.name, round+1, time.Since(began).Seconds(), faultText(r.faults))
	return err
}

func faultText(faults map[string]int) string {
	var out []string
	for name, n := range faults {
		out = append(out, fmt.Sprintf("%s: %d", name, n))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

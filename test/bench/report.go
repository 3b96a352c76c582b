package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// printScenario writes the scenario's tables in markdown. Ratios are to the first server.
func printScenario(w io.Writer, r *results, sc *scenario) {
	for _, t := range sc.tables {
		printTable(w, r, sc, &t)
	}
	for _, v := range sc.variants {
		if s := r.Scenarios[sc.name][v.name]; s != nil && len(s.Faults) > 0 {
			fmt.Fprintf(w, "Faults of %s: %s.\n\n", v.name, faultText(s.Faults))
		}
	}
}

func printTable(w io.Writer, r *results, sc *scenario, t *table) {
	fmt.Fprintf(w, "#### %s\n\n| |", t.title)
	for _, c := range t.columns {
		fmt.Fprintf(w, " %s |", c.title)
	}
	fmt.Fprintf(w, "\n|---|%s\n", strings.Repeat("--:|", len(t.columns)))
	first := ""
	for _, v := range sc.variants {
		server := v.name
		if r.Scenarios[sc.name][server] == nil {
			continue
		}
		if first == "" {
			first = server
		}
		fmt.Fprintf(w, "| %s |", server)
		for _, c := range t.columns {
			f, ok := r.median(sc.name, server, c.metric)
			if !ok {
				fmt.Fprint(w, " |")
				continue
			}
			fmt.Fprintf(w, " %s", number(f))
			if ratio, ok := r.ratio(sc.name, c.metric, server, first); ok && server != first && !strings.HasSuffix(c.metric, "busy") {
				fmt.Fprintf(w, " (%s×)", number(ratio))
			}
			fmt.Fprint(w, " |")
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w)
}

// The document holds what was measured between these two lines.
const (
	document    = "../../docs/performance.md"
	picture     = "../../docs/images/performance.svg"
	markerBegin = "<!-- bench: begin -->"
	markerEnd   = "<!-- bench: end -->"
)

// document writes the tables into the document, and draws the picture.
func (b *bench) document() error {
	text, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(text), markerBegin)
	_, after, ok2 := strings.Cut(rest, markerEnd)
	if !ok || !ok2 {
		return fmt.Errorf("%s: markers not found", document)
	}
	var out strings.Builder
	out.WriteString(before + markerBegin + "\n\n")
	m := b.results.Machine
	fmt.Fprintf(&out, "Machine: %d cores (%s), %s, %s, Node %s, %s, at most %s descriptors a process.\n\n",
		m.Cores, m.CPU, m.Kernel, m.Go, m.Node, redisVersion(m.Redis), m.Descriptors)
	out.WriteString("### Goals\n\n")
	printGoals(&out, b.results)
	out.WriteString("### Figures\n\n")
	for _, sc := range scenarios() {
		if b.results.Scenarios[sc.name] != nil {
			printScenario(&out, b.results, &sc)
		}
	}
	out.WriteString(markerEnd + after)
	if err := os.WriteFile(document, []byte(out.String()), 0o644); err != nil {
		return err
	}
	return draw(b.results, picture)
}

func redisVersion(s string) string {
	for _, f := range strings.Fields(s) {
		if v, ok := strings.CutPrefix(f, "v="); ok {
			return "Redis " + v
		}
	}
	return "no Redis"
}

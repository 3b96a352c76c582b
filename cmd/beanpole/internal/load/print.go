package load

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// say is milliseconds with three digits, and their unit.
func say(ms float64) string {
	switch {
	case ms >= 100_000:
		return fmt.Sprintf("%.0f s", ms/1000)
	case ms >= 1000:
		return fmt.Sprintf("%.2f s", ms/1000)
	case ms >= 100:
		return fmt.Sprintf("%.0f ms", ms)
	case ms >= 10:
		return fmt.Sprintf("%.1f ms", ms)
	}
	return fmt.Sprintf("%.2f ms", ms)
}

// line is what a report says of one thing.
type line struct {
	What  string
	Count string
	Of    Latency
}

// lines are what the text and the page show.
func (x *Report) lines() []line {
	s := x.Sessions
	list := []line{{"connect", fmt.Sprintf("%d of %d sessions", s.Connected, s.Wanted), s.Connect}}
	if s.Reconnect.Count+int64(s.Cut)+int64(s.Replaced) > 0 {
		list = append(list, line{"reconnect", fmt.Sprintf("%d cut, %d replaced", s.Cut, s.Replaced), s.Reconnect})
	}
	if m := x.Events; m != nil {
		list = append(list, line{"acknowledged", fmt.Sprintf("%d of %d events", m.Arrived, m.Sent), m.Latency})
	}
	if m := x.Broadcasts; m != nil {
		list = append(list, line{"delivered", fmt.Sprintf("%d times, of %d broadcasts", m.Arrived, m.Sent), m.Latency})
	}
	return append(list, line{"sent late by", fmt.Sprintf("this process, with %.0f %% of %d processors", x.Generator.Busy*100, x.Generator.Processors), x.Generator.Late})
}

// Cells are the latencies of a line, as they are shown.
func (l line) Cells() []string {
	if l.Of.Count == 0 {
		return []string{"-", "-", "-", "-", "-"}
	}
	return []string{say(l.Of.P50), say(l.Of.P90), say(l.Of.P99), say(l.Of.P999), say(l.Of.Max)}
}

// tallies says what was counted of messages.
func (x *Report) tallies() (list []string) {
	for _, k := range []struct {
		what string
		m    *Messages
	}{{"events", x.Events}, {"broadcasts", x.Broadcasts}} {
		if m := k.m; m != nil {
			list = append(list, fmt.Sprintf("%s: %d lost, %d doubled, %d reordered, %d wrong, %d unsent; %d cut off with their connection",
				k.what, m.Lost, m.Doubled, m.Reordered, m.Wrong, m.Unsent, m.Cut))
		}
	}
	return list
}

// Print writes the report as text.
func (x *Report) Print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, load for %.1f s\n\n", x.URL, x.Seconds)
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\t\tp50\tp90\tp99\tp99.9\tmax")
	for _, l := range x.lines() {
		fmt.Fprintf(t, "%s\t%s\t%s\n", l.What, l.Count, strings.Join(l.Cells(), "\t"))
	}
	_ = t.Flush() // to memory
	fmt.Fprintln(&b)
	for _, s := range x.tallies() {
		fmt.Fprintln(&b, s)
	}
	for _, f := range x.Faults {
		fmt.Fprintln(&b, "FAULT:", f)
	}
	if x.Interrupted {
		fmt.Fprintln(&b, "interrupted: what was on its way is not judged")
	}
	if len(x.Faults) == 0 {
		fmt.Fprintln(&b, "nothing amiss")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

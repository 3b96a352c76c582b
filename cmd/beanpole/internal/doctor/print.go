package doctor

import (
	"fmt"
	"io"
	"strings"
)

// width is where lines are broken, in letters.
const width = 100

// Print writes the report as a table that is read from top to bottom.
func (r Report) Print(w io.Writer) {
	fmt.Fprintf(w, "%s, %.1f s\n\n", r.URL, r.Seconds)
	count := make(map[Verdict]int)
	for _, c := range r.Results {
		count[c.Verdict]++
		mark := map[Verdict]string{OK: "ok", Warning: "WARNING", Failure: "FAILURE", NotApplicable: "-"}[c.Verdict]
		seen := c.Seen
		if c.Instance != "" {
			seen = "on " + c.Instance + ": " + seen
		}
		fmt.Fprintf(w, "%-16s %-8s %s\n", c.Check, mark, wrap(seen))
		if c.Means != "" {
			fmt.Fprintf(w, "%-16s %-8s %s\n", "", "means", wrap(c.Means))
		}
		if c.Do != "" {
			fmt.Fprintf(w, "%-16s %-8s %s\n", "", "do", wrap(c.Do))
		}
	}
	fmt.Fprintf(w, "\n%d ok, %s, %s, %d not applicable\n", count[OK], several(count[Warning], "warning"),
		several(count[Failure], "failure"), count[NotApplicable])
}

// several is a number of things: 1 warning, 2 warnings.
func several(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

// wrap breaks text into lines that stand under each other.
func wrap(text string) string {
	const indent = 26
	var out strings.Builder
	at := 0
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
		case at+1+len(word) > width-indent:
			out.WriteString("\n" + strings.Repeat(" ", indent))
			at = 0
		default:
			out.WriteByte(' ')
			at++
		}
		out.WriteString(word)
		at += len(word)
	}
	return out.String()
}

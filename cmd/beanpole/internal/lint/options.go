package lint

import (
	_ "embed" // the list of options
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/beanpole/beanpole/internal/near"
)

//go:embed options.tsv
var optionList string

// anyOption marks namespaces whose option names are free.
const anyOption = "*"

// option is what the developer guide says of one option.
type option struct {
	values, network string // what is allowed; network is "" when a network load balancer takes the same
	sent            string // what eb create sends of itself; "" when it sends nothing, or what it is told
}

// options is what may be set, by namespace and option. Namespaces that end with ":" are followed by a name.
var options = sync.OnceValue(func() map[string]map[string]option {
	all := make(map[string]map[string]option)
	for line := range strings.Lines(optionList) {
		column := strings.Split(strings.TrimSpace(line), "\t")
		if len(column) < 3 || strings.HasPrefix(line, "#") {
			continue
		}
		var o option
		if len(column) > 3 {
			_, o.sent, _ = strings.Cut(column[3], "cli=")
		}
		o.values, o.network, _ = strings.Cut(column[2], " network:")
		if all[column[0]] == nil {
			all[column[0]] = make(map[string]option)
		}
		all[column[0]][column[1]] = o
	}
	return all
})

// wants returns "" for a value that is allowed behind that load balancer, or what is.
func (o option) wants(value, balancer string) string {
	allowed := o.values
	if balancer == "network" && o.network != "" {
		allowed = o.network
	}
	kind, rest, _ := strings.Cut(allowed, " ")
	low, high, span := strings.Cut(allowed, "..")
	switch {
	case allowed == "text":
		return ""
	case allowed == "bool": // Elastic Beanstalk takes them in small letters
		return oneOf(value, "true", "false")
	case allowed == "json":
		if !json.Valid([]byte(value)) {
			return "a JSON document"
		}
		return ""
	case kind == "prefix":
		for part := range strings.SplitSeq(value, ",") {
			if !strings.HasPrefix(strings.TrimSpace(part), rest) {
				return rest + "…"
			}
		}
		return ""
	case kind == "codes":
		return codes(value, rest)
	case span && number(low) <= number(high):
		if n := number(value); n < number(low) || n > number(high) {
			return fmt.Sprintf("a number from %s to %s", low, high)
		}
		return ""
	}
	return oneOf(value, strings.Split(allowed, "|")...)
}

func oneOf(value string, values ...string) string {
	if slices.Contains(values, value) {
		return ""
	}
	return strings.Join(values, ", ")
}

// number returns the number that s is, or -1: none of the options has negative ones.
func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return -1
	}
	return n
}

// codes is MatcherHTTPCode: numbers and ranges of them.
func codes(value, span string) string {
	low, high, _ := strings.Cut(span, "..")
	for part := range strings.SplitSeq(value, ",") {
		from, to, ranged := strings.Cut(part, "-")
		if !ranged {
			to = from
		}
		if number(from) < number(low) || number(to) > number(high) || number(to) < number(from) {
			return fmt.Sprintf("codes from %s to %s such as 200 or 200-299", low, high)
		}
	}
	return ""
}

// lookup returns the options of a namespace.
func lookup(namespace string) (map[string]option, bool) {
	if o, ok := options()[namespace]; ok {
		return o, true
	}
	for prefix, o := range options() {
		if name, ok := strings.CutPrefix(namespace, prefix); ok && strings.HasSuffix(prefix, ":") && name != "" {
			return o, true
		}
	}
	return nil, false
}

// didYouMean proposes the name that is nearest.
func didYouMean(name string, among []string) string {
	best, least := "", 4+len(name)/5
	for _, other := range among {
		if d := near.Distance(strings.ToLower(name), strings.ToLower(other)); d < least || (d == least && other < best) {
			best, least = other, d
		}
	}
	if best == "" {
		return "see the developer guide of Elastic Beanstalk, configuration options"
	}
	return "did you mean " + best + "?"
}

func keys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

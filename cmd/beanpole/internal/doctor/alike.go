package doctor

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// maxSkew is how far apart clocks are before it is said.
const maxSkew = 30 * time.Second

// checkAlike compares what the instances have said of themselves.
func (d *doctor) checkAlike(ctx context.Context) []Result {
	if len(d.clients) < 2 {
		return []Result{none("only one instance was seen")}
	}
	facts := []struct {
		name      string
		of        func(*client) string
		means, do string
	}{
		{"version", func(c *client) string { return c.spoke.Version }, "a deployment is under way, or has stopped half-way", "wait for it, or deploy again; an instance that stays behind is terminated, and its group makes a new one"},
		{"Beanpole", func(c *client) string { return c.spoke.Beanpole }, "a deployment is under way, or has stopped half-way", "wait for it, or deploy again; an instance that stays behind is terminated, and its group makes a new one"},
		{"pings", func(c *client) string {
			return fmt.Sprintf("%v and %v", c.open.interval(), c.open.silence()-c.open.interval())
		}, "one has another configuration", "the same BEANPOLE_PING_INTERVAL and BEANPOLE_PING_TIMEOUT on all: see whether a configuration change has reached it"},
		{"largest message", func(c *client) string { return fmt.Sprint(c.open.MaxPayload) }, "one has another configuration: what some take others refuse", "the same BEANPOLE_MAX_PAYLOAD on all: see whether a configuration change has reached it"},
		{"transports", func(c *client) string {
			switch {
			case !c.polls():
				return "WebSocket alone"
			case len(c.open.Upgrades) == 0:
				return "no upgrade"
			}
			return "polling and upgrade"
		}, "one has another configuration", "the same BEANPOLE_TRANSPORTS and BEANPOLE_NO_UPGRADES on all: see whether a configuration change has reached it"},
	}
	var out []Result
	for _, f := range facts {
		values := make(map[string][]string)
		for _, c := range d.clients {
			if c.open == nil {
				return []Result{c.noPolls()}
			}
			if c.spoke.Version == "" && c.spoke.Beanpole == "" { // it says nothing of itself, as has been told
				continue
			}
			values[f.of(c)] = append(values[f.of(c)], c.label)
		}
		if len(values) < 2 {
			continue
		}
		out = append(out, different(f.name, values, f.means, f.do))
	}
	var clocks []time.Duration
	for _, c := range d.clients {
		clocks = append(clocks, c.clock)
	}
	if slices.Max(clocks)-slices.Min(clocks) > maxSkew {
		values := make(map[string][]string)
		middle := median(clocks)
		for _, c := range d.clients {
			ahead := (c.clock - middle).Round(maxSkew)
			values[ahead.String()] = append(values[ahead.String()], c.label)
		}
		out = append(out, different("clock ahead", values, "one clock is wrong: beyond five minutes no instance takes requests that it forwards, and logs cannot be put in order",
			"chronyc tracking on the instance; Amazon's time is at 169.254.169.123"))
	}
	out = append(out, d.slow(ctx)...)
	if len(out) > 0 {
		return out
	}
	return []Result{ok("%d instances have one version and one configuration", len(d.clients))}
}

// slow names instances that take much longer than the quickest for an answer that costs nothing: one that seemed to is
// asked again, as it may just have been started.
func (d *doctor) slow(ctx context.Context) []Result {
	quickest := slices.MinFunc(d.clients, func(a, b *client) int { return cmp.Compare(a.took, b.took) })
	slower := func(c *client) bool { return c.took > 3*quickest.took && c.took-quickest.took > d.hold/4 }
	var names, seen []string
	for _, c := range d.clients {
		if slower(c) {
			if r, err := c.ask(ctx); err == nil {
				c.took = min(c.took, r.took)
			}
		}
		if slower(c) {
			names, seen = append(names, c.label), append(seen, fmt.Sprintf("%s %v", c.label, about(c.took)))
		}
	}
	if len(names) == 0 {
		return nil
	}
	r := warn(fmt.Sprintf("an answer takes %s, on %s %v", strings.Join(seen, ", "), quickest.label, about(quickest.took)), "slower than the others by far: overloaded, throttled (a t-type without credits), or far away",
		"see its processor, its credits and its memory; the load balancer goes on sending clients there")
	r.Instance = strings.Join(names, ", ")
	return []Result{r}
}

// different names those that are not as the most are.
func different(what string, values map[string][]string, means, do string) Result {
	var list, odd []string
	most := ""
	for _, v := range sortedKeys(values) {
		list = append(list, fmt.Sprintf("%s on %s", orElse(v, "none"), strings.Join(values[v], ", ")))
		if len(values[v]) > len(values[most]) {
			most = v
		}
	}
	for _, v := range sortedKeys(values) {
		if len(values[v]) < len(values[most]) {
			odd = append(odd, values[v]...)
		}
	}
	r := warn(what+" "+strings.Join(list, "; "), means, do)
	r.Instance = strings.Join(odd, ", ")
	return r
}

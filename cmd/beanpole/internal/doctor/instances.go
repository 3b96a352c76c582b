package doctor

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/beanpole/beanpole/transport"
)

// sample is what came of one request to anybody.
type sample struct {
	c   *client
	r   *reply
	err error
}

// sampled sends many requests at once, each of a new client. They are not paired with others: a balancer that takes turns
// would send all of them to one.
func (d *doctor) sampled(n int, send func(*client) (*reply, error)) []sample {
	list := make([]sample, n)
	var wg sync.WaitGroup
	for i := range list {
		wg.Go(func() {
			c := d.anybody(true)
			r, err := send(c)
			list[i] = sample{c, r, err}
		})
	}
	wg.Wait()
	return list
}

// checkInstances asks often, each time as a new client, and finds who serves and who does not.
func (d *doctor) checkInstances(ctx context.Context) []Result {
	served := make(map[string][]sample)
	failed := make(map[cause][]sample)
	asked, passes := 0, make(map[cause]int)
	// A failure is looked for again, and again when it may have been a moment's.
	moment := func(c cause) bool { return passes[c] < 2 || len(failed[c]) < 3 }
	for pass := 0; pass < 1 || pass < 3 && slices.ContainsFunc(keys(failed), moment); pass++ {
		again := make(map[cause]bool)
		for _, s := range d.sampled(d.Samples, func(c *client) (*reply, error) { return c.ask(ctx) }) {
			asked++
			if s.err == nil && (s.r.name() != "" || s.r.code() >= 0) {
				served[s.r.name()] = append(served[s.r.name()], s)
				continue
			}
			if s.err == nil {
				s.err = errAnswer{s.r}
			}
			c := explain(s.err)
			failed[c] = append(failed[c], s)
			again[c] = true
		}
		for c := range again {
			passes[c]++
		}
		if len(served) == 0 || ctx.Err() != nil {
			break
		}
	}
	for _, name := range sortedKeys(served) {
		d.pin(ctx, name, served[name])
	}
	if len(served) == 1 {
		d.tellApart(ctx)
	}
	d.measure(served)
	for _, c := range d.clients {
		d.found = append(d.found, c.spoke)
	}
	results := []Result{d.said()}
	for c, list := range failed {
		seen := fmt.Sprintf("%d of %d requests: %s", len(list), asked, say(list[0].err))
		switch {
		case len(served) == 0:
			return []Result{fail(seen, "nobody can connect: "+c.means, c.do)}
		case moment(c): // or a packet lost on the way
			results[0].Seen += "; " + seen
			continue
		}
		d.dead = true
		one := max(1, len(list)*len(d.clients)/max(1, asked-len(list)))
		results = append(results, Result{Instance: fmt.Sprintf("%d without a name", one), Verdict: Failure, Seen: seen,
			Means: c.means + ". The others serve; clients that are sent there cannot connect, and sticky ones stay there until the health check has noticed",
			Do:    c.do + ". See the health of each instance, and make the check quick: HealthCheckInterval 10, UnhealthyThresholdCount 2"})
	}
	return results
}

// said is the finding about the instances that serve.
func (d *doctor) said() Result {
	var list []string
	named := !slices.ContainsFunc(d.clients, func(c *client) bool { return c.spoke.Version == "" })
	twice := make(map[string]bool)
	for _, i := range d.found {
		list = append(list, fmt.Sprintf("%s %d×", i.Name, i.Seen))
		base, _, again := strings.Cut(i.Name, "#")
		if again && base != "" {
			twice[base] = true
		}
	}
	seen := strings.Join(list, ", ")
	switch {
	case !named:
		return warn(orElse(seen, "the application tells no instance"), "the application does not say which instance has answered: what is found cannot be told of one of them", "leave BEANPOLE_NO_INSTANCE_HEADER unset")
	case len(twice) > 0:
		return warn(seen, "several instances call themselves "+strings.Join(sortedKeys(twice), ", ")+": reports, logs and metrics cannot tell them apart",
			"BEANPOLE_INSTANCE unset, or different on each: environment properties are the same on all")
	case d.Instances > 0 && len(d.found) != d.Instances:
		return warn(fmt.Sprintf("%d of %d: %s", len(d.found), d.Instances, seen), "the others get no clients: they are not registered, not healthy, or not there",
			"see the targets of the target group, and why their health check fails; behind a network load balancer one address sees one instance")
	}
	return ok("%s", seen)
}

// pin makes a client that reaches one instance alone: by the cookies of one of its answers when they lead there again.
func (d *doctor) pin(ctx context.Context, name string, list []sample) {
	first := list[0]
	c := first.c
	c.label = orElse(name, "no name")
	_, version, _ := strings.Cut(first.r.header.Get(instanceHeader), " ")
	version, library, _ := strings.Cut(version, " beanpole/") // which servers before 0.1.0 do not say
	c.spoke = Instance{Name: c.label, Version: version, Beanpole: library, Seen: len(list)}
	c.keep()
	for range 4 {
		if r, err := c.ask(ctx); err == nil && r.name() != name { // whoever it is, as it has no name yet
			c.stays = false
		}
	}
	c.name = name
	if !c.stays {
		c.jar = nil
	}
	d.clients = append(d.clients, c)
}

// tellApart looks for several instances of one name, or of none, by their session ids.
func (d *doctor) tellApart(ctx context.Context) {
	const handshakes = 8
	nodes := make(map[transport.NodeID]*session)
	list := d.sampled(handshakes, func(c *client) (*reply, error) {
		s, err := c.tryHandshake(ctx)
		if err != nil {
			return nil, err
		}
		defer s.end(ctx)
		return s.open.reply, nil
	})
	for _, s := range list {
		if s.err != nil {
			continue
		}
		if id, ok := transport.NodeOf(sidOf(s.r.body)); ok && nodes[id] == nil {
			nodes[id] = &session{c: s.c}
		}
	}
	if len(nodes) < 2 || len(nodes) > handshakes/2 { // ids of another kind of server are different each time
		return
	}
	one := d.clients[0]
	d.clients = nil
	for id, s := range nodes {
		c := s.c
		c.spoke, c.label = one.spoke, fmt.Sprintf("%s#%d", one.label, len(d.clients)+1)
		c.spoke.Name, c.spoke.Seen = c.label, one.spoke.Seen/len(nodes)
		again, err := c.tryHandshake(ctx)
		if err != nil {
			continue
		}
		defer again.end(ctx)
		if same, _ := transport.NodeOf(again.sid); same != id || len(c.jar.Cookies(d.base)) == 0 {
			d.clients = []*client{one} // they can be seen and not be reached one by one
			one.spoke.Name = one.label + "#" + fmt.Sprint(len(nodes))
			return
		}
		c.keep()
		d.clients = append(d.clients, c)
	}
}

// measure takes the median of how long an answer took, and how far the clocks are ahead.
func (d *doctor) measure(served map[string][]sample) {
	var took []time.Duration
	for _, c := range d.clients {
		var ahead, own []time.Duration
		for _, s := range served[c.name] {
			took, own = append(took, s.r.took), append(own, s.r.took)
			if at, err := http.ParseTime(s.r.header.Get("Date")); err == nil && s.r.header.Get("Age") == "" {
				ahead = append(ahead, at.Add(500*time.Millisecond).Sub(s.r.began.Add(s.r.took/2)))
			}
		}
		c.clock, c.took = median(ahead), median(own)
	}
	d.rtt = median(took)
}

// median is the middle one, or zero.
func median(list []time.Duration) time.Duration {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	return list[len(list)/2]
}

// maxSkew is how far apart clocks are before it is said.
const maxSkew = 30 * time.Second

// checkAlike compares what the instances have said of themselves.
func (d *doctor) checkAlike(context.Context) []Result {
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
		{"upgrades", func(c *client) string { return fmt.Sprint(c.open.Upgrades) }, "one has another configuration", "the same BEANPOLE_TRANSPORTS and BEANPOLE_NO_UPGRADES on all: see whether a configuration change has reached it"},
	}
	var out []Result
	for _, f := range facts {
		values := make(map[string][]string)
		for _, c := range d.clients {
			if c.open == nil {
				return []Result{c.noPolls()}
			}
			values[f.of(c)] = append(values[f.of(c)], c.label)
		}
		if len(values) == 1 {
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
	out = append(out, d.slow()...)
	if len(out) > 0 {
		return out
	}
	return []Result{ok("%d instances have one version and one configuration", len(d.clients))}
}

// slow names instances that take much longer than the quickest for an answer that costs nothing.
func (d *doctor) slow() []Result {
	quickest := slices.MinFunc(d.clients, func(a, b *client) int { return cmp.Compare(a.took, b.took) })
	var names, seen []string
	for _, c := range d.clients {
		if c.took > 3*quickest.took && c.took-quickest.took > d.hold/4 {
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

func keys[K comparable, V any](m map[K]V) []K { return slices.Collect(maps.Keys(m)) }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

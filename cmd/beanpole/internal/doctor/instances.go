package doctor

import (
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

// serves reports whether the application of an instance has answered.
func (r *reply) serves() bool { return r.name() != "" || r.code() >= 0 }

// checkInstances asks often, each time as a new client, and finds who serves and who does not.
func (d *doctor) checkInstances(ctx context.Context) []Result {
	served := make(map[string][]sample)
	failed := make(map[cause][]sample)
	asked, passes := 0, make(map[cause]int)
	// A failure is looked for again, and again when it may have been a moment's; so are others where one was seen but once.
	moment := func(c cause) bool { return passes[c] < 2 || len(failed[c]) < 3 }
	few := func() bool {
		return len(served) < d.Instances || slices.ContainsFunc(keys(served), func(name string) bool { return len(served[name]) < 2 })
	}
	for pass := 0; pass < 1 || pass < 3 && (few() || slices.ContainsFunc(keys(failed), moment)); pass++ {
		again := make(map[cause]bool)
		for _, s := range d.sampled(d.Samples, func(c *client) (*reply, error) { return c.ask(ctx) }) {
			asked++
			if s.err == nil && s.r.serves() {
				served[s.r.name()] = append(served[s.r.name()], s)
				continue
			}
			c := s.cause()
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
		d.pin(ctx, name, served[name], len(served) == 1)
	}
	if len(served) == 1 {
		d.tellApart(ctx)
	}
	d.measure(served)
	var names []string
	for _, c := range d.clients {
		d.found, names = append(d.found, c.spoke), append(names, c.label)
	}
	nameless, passing := 0, ""
	var results []Result
	for c, list := range failed {
		seen := fmt.Sprintf("%d of %d requests: %s", len(list), asked, say(list[0].problem()))
		if len(served) == 0 {
			return []Result{fail(seen, "nobody can connect: "+c.means, c.do)}
		}
		if moment(c) { // or a packet lost on the way
			passing += "; " + seen
			continue
		}
		r := fail(seen, c.means, c.do)
		switch met := d.met(ctx, c); len(met) {
		case 0:
			n := max(1, len(list)*len(d.clients)/max(1, asked-len(list)))
			nameless += n
			r.Instance = fmt.Sprintf("%d without a name", n)
			r.Means += fmt.Sprintf(". %s well: clients that are sent there cannot connect, and sticky ones stay there until the health check has noticed", serve(names))
			r.Do += ". See the health of each instance, and make the check quick: HealthCheckInterval 10, UnhealthyThresholdCount 2"
		case 1:
			r.Instance = met[0]
			r.Means += ". It serves other requests: it ends again and again, or is overloaded"
			r.Do += ". See what it does just then (web.stdout.log, eb-engine.log), and its memory"
		default:
			d.front = true
			r.Means += ". It is on the way to all instances, and hits some of the requests: clients lose their sessions by it"
		}
		results = append(results, r)
	}
	said := d.said(nameless)
	said.Seen += passing
	return append([]Result{said}, results...)
}

// serve says that they do.
func serve(names []string) string {
	if len(names) == 1 {
		return names[0] + " serves"
	}
	return strings.Join(names, ", ") + " serve"
}

// problem is why a sample was not served.
func (s sample) problem() error {
	if s.err == nil {
		return errAnswer{s.r}
	}
	return s.err
}

func (s sample) cause() cause { return explain(s.problem()) }

// met returns who of those that are kept at an instance which serves meet the cause too: then it is no fault of another.
func (d *doctor) met(ctx context.Context, c cause) (labels []string) {
	if len(d.clients) < 2 {
		return nil
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	for _, one := range d.clients {
		for range max(4, d.Samples/2) {
			wg.Go(func() {
				if !one.stays {
					return
				}
				r, err := one.ask(ctx)
				if err == nil && r.serves() || (sample{r: r, err: err}).cause() != c {
					return
				}
				mu.Lock()
				defer mu.Unlock()
				labels = append(labels, one.label)
			})
		}
	}
	wg.Wait()
	slices.Sort(labels)
	return slices.Compact(labels)
}

// said is the finding about the instances that serve.
func (d *doctor) said(nameless int) Result {
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
	case d.Instances > 0 && len(d.found) > d.Instances:
		return warn(fmt.Sprintf("%d instead of %d: %s", len(d.found), d.Instances, seen), "the environment has grown, or one of another environment is behind the same name",
			"see the targets of the target group, and the records of the name")
	case len(d.found)+nameless < d.Instances:
		return warn(fmt.Sprintf("%d of %d: %s", len(d.found), d.Instances, seen), "the others get no clients: they are not registered, not healthy, or not there",
			"see the targets of the target group, and why their health check fails; behind a network load balancer one address sees one instance")
	}
	return ok("%s", seen)
}

// pin makes a client that reaches one instance alone: by the cookies of one of its answers when they lead there again. What
// answers for it in between says nothing of cookies, but where there may be nobody else to lead to.
func (d *doctor) pin(ctx context.Context, name string, list []sample, alone bool) {
	first := list[0]
	c := first.c
	c.label, c.first = orElse(name, "no name"), first.r
	_, version, _ := strings.Cut(first.r.header.Get(instanceHeader), " ")
	version, library, _ := strings.Cut(version, " beanpole/") // which servers before 0.1.0 do not say
	c.spoke = Instance{Name: c.label, Version: version, Beanpole: library, Seen: len(list)}
	c.keep()
	const patience = 24 // answers, or a third as many requests without one
	for own, spent := 0, 0; c.stays && own < 4; {
		r, err := c.ask(ctx) // of whoever it is, as it has no name yet
		switch spent++; {
		case err == nil && r.serves() && r.name() == name, err != nil && alone:
			own++
		case err == nil && (r.serves() || alone):
			c.stays = false
		case err != nil:
			spent += 2
		}
		if spent >= patience { // few got through: who did was the one that the cookies lead to
			c.stays = c.stays && own > 0
			break
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
			s.c.first = s.r
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

// measure takes the median of how long an answer took, of each instance the quickest, as one that is slow always is, and
// how far the clocks are ahead.
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
		c.clock, c.took = median(ahead), 0
		if len(own) > 0 {
			c.took = slices.Min(own)
		}
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

func keys[K comparable, V any](m map[K]V) []K { return slices.Collect(maps.Keys(m)) }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

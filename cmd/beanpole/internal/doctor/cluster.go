package doctor

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// probeNamespace is host.ProbeNamespace.
const probeNamespace = "/beanpole-probe"

// edge is a way from one instance to another.
type edge struct{ from, to int }

// cutOff names the instances that ways which do not work part from the most of them.
func (d *doctor) cutOff(bad map[edge]bool) string {
	var best []int
	for i := range d.clients {
		group := []int{i}
		for j := range d.clients {
			if j != i && !bad[edge{i, j}] && !bad[edge{j, i}] {
				group = append(group, j)
			}
		}
		if len(group) > len(best) {
			best = group
		}
	}
	var odd []string
	if len(best) > 1 {
		for i, c := range d.clients {
			if !contains(best, i) {
				odd = append(odd, c.label)
			}
		}
	}
	return strings.Join(odd, ", ")
}

func contains(list []int, n int) bool {
	for _, l := range list {
		if l == n {
			return true
		}
	}
	return false
}

// ways lists those that do not work.
func (d *doctor) ways(bad map[edge]bool) string {
	var list []string
	for i := range d.clients {
		for j := range d.clients {
			if bad[edge{i, j}] {
				list = append(list, d.clients[i].label+" to "+d.clients[j].label)
			}
		}
	}
	return strings.Join(list, ", ")
}

// checkCookieless sends requests of a session to each other instance, as a client does that keeps no cookies: many on
// phones, and Node's without withCredentials.
func (d *doctor) checkCookieless(ctx context.Context) []Result {
	switch list := d.polling(); {
	case len(list) == 0:
		return []Result{d.clients[0].noPolls()}
	case len(list) < 2:
		return []Result{ok("only one instance was seen")}
	}
	const means = "fine for browsers; clients that keep no cookies (Java, Swift, Node before 4.7) break on polling"
	do := "have instances forward to each other (REDIS_URL, BEANPOLE_NO_FORWARDING unset, BEANPOLE_NODE_URL and the rule between nodes), or transports: [\"websocket\"] in those clients"
	bad := make(map[edge]bool)
	tried, late := 0, 0
	var last error
	for i, c := range d.clients {
		if !c.polls() {
			continue
		}
		s, err := c.handshake(ctx)
		if err != nil { // the checks of handshakes and limits say so
			last = err
			continue
		}
		for j, other := range d.clients {
			if j == i || !other.polls() {
				continue
			}
			tried++
			way := &client{doctor: d, jar: other.jar}
			if !other.stays { // whoever it is: the next in turn
				way = d.anybody(false)
			}
			var e errAnswer
			switch err := s.by(ctx, way, "40"+noNamespace+","); {
			case errors.As(err, &e) && !d.counts(e.name()):
			case unknown(err):
				bad[edge{j, i}] = true
			case err == nil || d.failed:
			case ofAll(err) && other.answers(ctx): // it waits for the one that holds the session, or for Redis
				bad[edge{j, i}] = true
				late++
			default:
				s.end(ctx)
				return []Result{d.broken(err, "requests that come to another instance fail")}
			}
		}
		s.end(ctx)
	}
	odd := d.cutOff(bad)
	for way := range bad {
		if d.clients[way.from].degraded || d.clients[way.to].degraded {
			do = "mend what the check of health says first: instances forward to each other over Redis, at their addresses"
		}
	}
	switch {
	case tried == 0:
		return []Result{none("not looked at: %s", say(last))}
	case len(bad) == 0:
		return []Result{ok("instances forward to each other")}
	case odd == "" || !d.clients[0].stays:
		seen := fmt.Sprintf("%d of %d requests that came to another instance did not find their session", len(bad), tried)
		if late > 0 {
			seen += fmt.Sprintf(", %d of them as they had no answer in time, while that instance answers others", late)
		}
		return []Result{warn(seen, means, do)}
	}
	r := fail("not forwarded: "+d.ways(bad), "some instances forward to each other and some do not: another Redis or prefix, or no way between them",
		"the same REDIS_URL and BEANPOLE_REDIS_PREFIX on all, BEANPOLE_NODE_URL, and the rule between nodes in the security group; see the check of health")
	r.Instance = odd
	return []Result{r}
}

// checkBroadcast looks whether what each instance emits reaches clients of each other.
func (d *doctor) checkBroadcast(ctx context.Context) []Result {
	if d.ProbeToken == "" {
		return []Result{none("no --probe-token given")}
	}
	if len(d.clients) < 2 {
		return []Result{none("only one instance was seen")}
	}
	room := "doctor-" + rand.Text()
	sockets := make([]*socket, len(d.clients)) // nil where no WebSocket comes about, which has been said
	reached := 0
	for i, c := range d.clients {
		s, err := c.probe(ctx)
		if s == nil && err.Verdict == NotApplicable {
			continue
		} else if s == nil {
			return []Result{err}
		}
		defer s.close()
		sockets[i] = s
		reached++
		joined := s.emit("1", "join", room)
		if joined == nil {
			_, joined = s.expect(ctx, d.Timeout, "43"+probeNamespace+",1[")
		}
		if joined != nil {
			return []Result{d.broken(joined, "the probe namespace does not answer")}
		}
	}
	if reached < 2 {
		return []Result{none("not two instances take WebSockets")}
	}
	start := time.Now()
	words := make(map[string]int)
	for i, from := range sockets {
		if from == nil {
			continue
		}
		word := rand.Text()
		words[word] = i
		if err := from.emit("", "tell", room, word); err != nil {
			return []Result{d.broken(err, "the probe namespace does not answer")}
		}
	}
	heard := make([]map[int]bool, len(sockets))
	var wg sync.WaitGroup
	for i, to := range sockets {
		if to != nil {
			wg.Go(func() { heard[i] = to.heard(ctx, d.Timeout, words) })
		}
	}
	wg.Wait()
	took := time.Since(start)
	bad := make(map[edge]bool)
	for _, from := range words {
		for to := range heard {
			if heard[to] != nil && !heard[to][from] {
				bad[edge{from, to}] = true
			}
		}
	}
	if len(bad) == 0 {
		return []Result{ok("from each to each, in %v", about(took))}
	}
	r := fail("what one emits does not reach clients of another: "+d.ways(bad), "the instances are not joined: rooms and broadcasts end at each",
		"the same REDIS_URL, BEANPOLE_REDIS_PREFIX and BEANPOLE_REDIS_MODE on every instance, the security group of Redis open to them, rediss:// where it wants TLS; see /healthz for `degraded`")
	r.Instance = d.cutOff(bad)
	return []Result{r}
}

// probe connects to the probe namespace of an instance. The Result says why not.
func (c *client) probe(ctx context.Context) (*socket, Result) {
	s, err := c.dial(ctx, nil)
	if err != nil {
		return nil, none("%s", say(err))
	}
	if c.foreign(s.open.reply) {
		s.close()
		return nil, none("a WebSocket%s", c.place(s.open.reply))
	}
	auth, _ := json.Marshal(map[string]string{"token": c.ProbeToken}) // strings always can
	err = s.send("40" + probeNamespace + "," + string(auth))
	p := ""
	if err == nil {
		p, err = s.expect(ctx, c.Timeout, "4")
	}
	switch {
	case err != nil:
		s.close()
		return nil, c.broken(ctx, err, "the probe namespace does not answer")
	case !strings.HasPrefix(p, "40"+probeNamespace):
		s.close()
		r := warn("the probe namespace says "+p, "whether instances reach each other cannot be seen", "BEANPOLE_PROBE_TOKEN on every instance, and the same as --probe-token")
		if len(c.clients) > 1 {
			r.Instance = c.label
		}
		return nil, r
	}
	return s, Result{}
}

// emit sends an event of the probe namespace.
func (s *socket) emit(id string, args ...string) error {
	list, _ := json.Marshal(args) // strings always can
	return s.send("42" + probeNamespace + "," + id + string(list))
}

// heard waits for the words of all, and returns whose have come.
func (s *socket) heard(ctx context.Context, timeout time.Duration, words map[string]int) map[int]bool {
	of := make(map[int]bool)
	until := time.Now().Add(timeout)
	for len(of) < len(words) {
		p, err := s.expect(ctx, time.Until(until), "42"+probeNamespace)
		if err != nil {
			break
		}
		for word, from := range words {
			if strings.Contains(p, word) {
				of[from] = true
			}
		}
	}
	return of
}

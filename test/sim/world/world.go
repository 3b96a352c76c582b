// Command world is the simulated cluster: nodes, Redis, a network, clients, what they do, and the checker that
// watches it all. It is built for wasip1 and run by the program in the folder above, which gives it randomness
// from a seed and clocks that move when everybody waits; one thread runs it, so that one seed is one history.
//
// The files: world.go (World, the history), model.go (what was emitted and who is where), check.go (what must
// have come of it), node.go and load.go (the servers and what they do), app.go and library.go (their applications),
// handlers.go, sent.go (what clients send, and what comes of that), given.go (rooms that servers put others' sockets
// into), putout.go (clients that are disconnected everywhere), dying.go (servers that are killed while they are asked),
// ends.go (that nothing ends without a cause), questions.go and said.go (what servers ask sockets and each other),
// burst.go (what waits for an upgrade), deflate.go and jsonp.go (other forms of what clients and servers send), bounds.go (how little servers keep), loss.go, engine.go, poll.go, upgrade.go, wire.go, client.go, connect.go,
// socket.go, break.go and old.go (the clients, from the protocols), balance.go (who sends requests where), redis.go,
// topology.go, cluster.go, slots.go, replica.go, faults.go, redisfaults.go, end.go and held.go (what must be left: nothing).
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/beanpole/beanpole/test/sim/plan"
	"github.com/beanpole/beanpole/test/sim/simnet"
)

// Times of the world. They are shorter than the defaults, so that a short run sees their end.
const (
	pingInterval   = 2 * time.Second
	pingTimeout    = 1500 * time.Millisecond
	connectTimeout = 6 * time.Second
	upgradeTimeout = 3 * time.Second
	requestTimeout = 4 * time.Second
	fetchTimeout   = 5 * time.Second // of who asks without one. Source: server/broadcast.go, server/zishang/broadcast.go
)

// world is everything.
type world struct {
	plan     plan.Plan
	net      *simnet.Net
	deflater deflater // of the clients
	bounds   bounds
	began    time.Time
	redis    *topology // nil in memory

	mu sync.Mutex
	// Guarded by mu.
	out        *bufio.Writer
	violations []plan.Violation
	counts     map[string]int
	slots      []*node // the node of each address now
	all        []*node // every node there ever was
	clients    []*client
	model      model

	stopping  chan struct{} // closed when the load ends
	finishing chan struct{} // closed when clients are to take their leave
	load      sync.WaitGroup
	leaving   sync.WaitGroup
}

// maxAway is MaxDisconnection, in some runs so short that clients come back too late.
func (w *world) maxAway() time.Duration {
	return []time.Duration{20, 20, 3}[w.rng("away").IntN(3)] * time.Second
}

// rng returns the source of randomness of one part of the world.
func (w *world) rng(name string) *rand.Rand { return simnet.Rand(w.plan.Seed, name) }

// now is the time since the world began. No two calls return the same.
func (w *world) now() int64 { return int64(time.Since(w.began)) }

// note writes one line of the history.
func (w *world) note(who, format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.line(who, fmt.Sprintf(format, args...))
}

func (w *world) line(who, text string) {
	at := time.Since(w.began)
	if len(text) > 400 {
		text = text[:400] + "…"
	}
	fmt.Fprintf(w.out, "%10.6f %-8s %s\n", at.Seconds(), who, strings.ReplaceAll(text, "\n", " | "))
}

// count counts what a run contains.
func (w *world) count(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[what]++
}

// violated notes that a promise was not kept. about is what to look for in the history.
func (w *world) violated(promise, about, format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.violate(promise, about, format, args...)
}

// violate is violated, called with mu held.
func (w *world) violate(promise, about, format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	w.line("CHECK", fmt.Sprintf("violated: %s: %s: %s", promise, about, what))
	if len(w.violations) < 100 {
		w.violations = append(w.violations, plan.Violation{Promise: promise, What: what, About: about, At: w.now()})
	}
}

// stopped reports whether the load has ended.
func (w *world) stopped() bool {
	select {
	case <-w.stopping:
		return true
	default:
		return false
	}
}

// pause waits, or returns false when the load has ended.
func (w *world) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-w.stopping:
		return false
	}
}

// between draws a time.
func between(rng *rand.Rand, a, b time.Duration) time.Duration {
	return a + time.Duration(rng.Int64N(int64(b-a)+1))
}

// limit is when a run that does not end is given up.
const limit = 10 * time.Minute

func main() {
	var p plan.Plan
	if err := json.Unmarshal([]byte(os.Getenv("SIM_PLAN")), &p); err != nil {
		fmt.Println("SIM_PLAN:", err)
		os.Exit(2)
	}
	w := &world{plan: p, net: simnet.New(p.Seed), began: time.Now(), out: bufio.NewWriterSize(os.Stdout, 1<<16),
		counts: map[string]int{}, stopping: make(chan struct{}), finishing: make(chan struct{})}
	w.model.init(w)
	w.bounds.draw(w)
	ends := limit
	if w.weighs() {
		ends += remembered
	}
	time.AfterFunc(ends, func() {
		if !w.mu.TryLock() { // nor will it: a server has caught the panic of a handler that held it
			panic("the run has not ended, and the world is locked: " + stacks())
		}
		w.mu.Unlock()
		w.violated("ends", "CHECK", "the run has not ended after %s; goroutines: %s", ends, stacks())
		w.finish()
	})
	w.run()
	w.finish()
}

// finish prints what was found and ends the program.
func (w *world) finish() {
	w.mu.Lock()
	res, err := json.Marshal(plan.Result{Violations: w.violations, Counts: w.counts, Virtual: time.Since(w.began).Seconds()})
	if err != nil {
		panic(err)
	}
	fmt.Fprintf(w.out, "RESULT %s\n", res)
	_ = w.out.Flush()
	os.Exit(0)
}

// run is the life of the world.
func (w *world) run() {
	w.note("WORLD", "%s", w.plan)
	w.net.Profile = w.profile
	if w.plan.Redis() {
		w.redis = newTopology(w)
	}
	w.slots = make([]*node, w.plan.Nodes)
	for i := range w.slots {
		w.start(i)
	}
	for _, n := range w.slots {
		n.open()
	}
	for i := range w.plan.Clients {
		w.clients = append(w.clients, newClient(w, i))
	}
	for _, c := range w.clients {
		w.leaving.Go(c.run)
	}
	time.Sleep(time.Second)
	for i := range w.slots {
		w.load.Go(func() { w.drive(i) })
	}
	w.load.Go(w.faults)
	if w.redis != nil && w.plan.Has(plan.Failover) {
		w.load.Go(w.replicate)
	}
	time.Sleep(time.Duration(w.plan.Seconds) * time.Second)
	w.note("WORLD", "the load ends")
	close(w.stopping)
	w.load.Wait()
	w.end()
}

// profile is what the connections of the world are like.
func (w *world) profile(from, to string) simnet.Profile {
	rng := w.rng("profile " + from + to)
	p := simnet.Profile{
		Latency: between(rng, 50*time.Microsecond, 2*time.Millisecond), Jitter: between(rng, 0, 3*time.Millisecond),
		Fragments: 0.05, Window: 32 << 10,
	}
	if ofRedisHost(to) {
		p = simnet.Profile{Latency: 100 * time.Microsecond, Jitter: time.Millisecond, Fragments: 0.02, Window: 256 << 10}
	}
	if rng.IntN(5) == 0 { // somebody far away
		p.Latency += 30 * time.Millisecond
		p.Jitter += 20 * time.Millisecond
	}
	return p
}

// stacks is what all goroutines do.
func stacks() string {
	for b := make([]byte, 1<<20); ; b = make([]byte, 2*len(b)) {
		if n := runtime.Stack(b, true); n < len(b) {
			return string(b[:n])
		}
	}
}

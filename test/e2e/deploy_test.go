package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// crowd is how many clients live through a deployment, half of them on polling.
const crowd = 200

// traffic sends numbers to the room of all until ctx is done, from an instance that serves, and returns how many.
func (e *environment) traffic(ctx context.Context, say func(n int) bool) int {
	n := 0
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return n
		case <-tick.C:
			if say(n + 1) {
				n++
			}
		}
	}
}

// serving is the set of instances that may be asked to emit.
type serving struct {
	mu   sync.Mutex
	up   [2]bool
	last int       // who emitted last
	rest time.Time // nobody emits before: order is promised for one emitter, and what it sent is on its way for a while
}

// say has one of them emit. It holds the lock meanwhile, so that none is stopped in the midst of it.
func (s *serving) say(e *environment, n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.up[s.last] {
		s.last, s.rest = 1-s.last, time.Now().Add(500*time.Millisecond)
	}
	if !s.up[s.last] || time.Now().Before(s.rest) {
		return false
	}
	return e.instances[s.last].say("all", n) == nil
}

func (s *serving) set(i int, up bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.up[i] = up
}

// deployment is one way to deploy.
type deployment struct {
	name    string
	hook    bool // the drain hook of the bundle
	rolling bool // one instance after the other, each taken out of the load balancer first
}

// outcome is what the clients saw.
type outcome struct {
	refused                      [2]time.Duration // per instance, how long new requests were refused
	gaps                         []time.Duration
	unrecovered                  int
	reasons                      map[string]int
	missing, doubled, disordered int
	sent                         int
}

func (e *environment) deploy(t *testing.T, d deployment) (o outcome) {
	t.Helper()
	e.empty(t)
	c := connect(t, e.url(), crowd, "half")
	c.joined(t)
	up := &serving{up: [2]bool{true, true}}
	ctx, cancel := context.WithCancel(t.Context())
	sent := make(chan int, 1)
	go func() { sent <- e.traffic(ctx, func(n int) bool { return up.say(e, n) }) }()

	// A client that has heard nothing has no offset to recover from.
	c.await(t, "that all hear something", 20*time.Second, func(list []event) bool { return len(by(list, "said")) == crowd })
	for i, in := range e.instances {
		if d.rolling {
			e.deregister(t, in.name)
		}
		up.set(i, false)
		o.refused[i] = in.flip(t, d.hook)
		up.set(i, true)
		if d.rolling {
			e.delayOver(t, in.name)
			e.register(t, in.name)
		}
	}
	// Whoever was thrown off last comes back within a few attempts.
	end := time.Now().Add(20 * time.Second)
	for time.Now().Before(end) {
		if gaps, _, reasons := outages(c.seen()); len(gaps) == total(reasons) {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	cancel()
	o.sent = <-sent
	if up.say(e, o.sent+1) {
		o.sent++
	}
	c.heard(t, o.sent, 20*time.Second)
	list := c.seen()
	o.gaps, o.unrecovered, o.reasons = outages(list)
	o.missing, o.doubled, o.disordered = exactlyOnce(list, crowd, o.sent)
	c.close()
	return o
}

func total(m map[string]int) (n int) {
	for _, k := range m {
		n += k
	}
	return n
}

// check deploys, says what the clients saw, and with the hook wants them to have missed nothing.
func (e *environment) check(t *testing.T, d deployment) {
	t.Helper()
	o := e.deploy(t, d)
	median, longest := time.Duration(0), time.Duration(0)
	if n := len(o.gaps); n > 0 {
		median, longest = o.gaps[n/2], o.gaps[n-1]
	}
	t.Logf("%-34s refused a %.1f s, b %.1f s; %d reconnects, median %.1f s, longest %.1f s; %v; %d events to %d clients: %d missing, %d doubled, %d out of order, %d not recovered",
		d.name, o.refused[0].Seconds(), o.refused[1].Seconds(), len(o.gaps), median.Seconds(), longest.Seconds(), o.reasons,
		o.sent, crowd, o.missing, o.doubled, o.disordered, o.unrecovered)
	if !d.hook {
		return // printed to be compared with
	}
	if o.missing+o.doubled+o.disordered+o.unrecovered > 0 {
		t.Errorf("%d missing, %d doubled, %d out of order, %d not recovered", o.missing, o.doubled, o.disordered, o.unrecovered)
	}
	for reason := range o.reasons {
		if reason != "transport close" {
			t.Errorf("clients were disconnected with %q", reason)
		}
	}
}

// TestDeployments replays deployments in the platform's own order under traffic. With the drain hook and recovery
// every event reaches every client exactly once.
func TestDeployments(t *testing.T) {
	// The real timers: 200 clients on a busy machine may be late for a tenth of them.
	e := start(t, settings{idle: "60s", env: []string{"BEANPOLE_PING_INTERVAL=25s", "BEANPOLE_PING_TIMEOUT=20s", "BEANPOLE_IDLE_TIMEOUT=60s"}})
	for _, d := range []deployment{
		{"rolling, with the drain hook", true, true},
		{"in place, with the drain hook", true, false},
		{"in place, without the drain hook", false, false},
	} {
		if !d.hook && !*compare {
			continue // asserts nothing
		}
		t.Run(d.name, func(t *testing.T) { e.check(t, d) })
	}
}

// TestDoctorWatchesADeployment has doctor beside a deployment, as an operator would: it tells what its clients saw, and finds nothing wrong
// where nothing is. The instances, which look for each other meanwhile, say nothing of each other.
func TestDoctorWatchesADeployment(t *testing.T) {
	ofNginx(t)
	t.Parallel()
	e := start(t, settings{idle: "60s", env: []string{"BEANPOLE_PING_INTERVAL=25s", "BEANPOLE_PING_TIMEOUT=20s", "BEANPOLE_IDLE_TIMEOUT=60s"}})
	for _, c := range []struct {
		name, says, not string
		d               deployment
	}{
		{"rolling, with the drain hook", "reconnect, in the ordered way", "cut without a close", deployment{hook: true, rolling: true}},
		{"in place, without it", "10_drain.sh", "", deployment{}},
	} {
		e.empty(t)
		process, report := doctorStarts(t, fmt.Sprintf("https://127.0.0.1:%d", e.https), "--insecure", "--origin", origin, "--probe-token", probeToken,
			"--idle", "60s", "--samples", "8", "--instances", "2", "--watch", "10m")
		// No other check has ten sessions at rest.
		for rest, end := 0, time.Now().Add(2*time.Minute); rest < 10; time.Sleep(50 * time.Millisecond) {
			if rest++; e.instances[0].sessions(t)+e.instances[1].sessions(t) != 10 {
				rest = 0
			}
			if time.Now().After(end) {
				t.Fatal("doctor does not watch")
			}
		}
		for _, in := range e.instances {
			if c.d.rolling {
				e.deregister(t, in.name)
			}
			in.flip(t, c.d.hook)
			if c.d.rolling {
				e.delayOver(t, in.name)
				e.register(t, in.name)
			}
			e.healthy(t, in.name)
		}
		for end := time.Now().Add(30 * time.Second); e.instances[0].sessions(t)+e.instances[1].sessions(t) < 10; time.Sleep(50 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: not all clients are back", c.name)
			}
		}
		if err := process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		watched := false
		for _, f := range report() {
			switch {
			case f.Check == "watch":
				watched = f.Verdict == "warning" && strings.Contains(f.Seen, "came back") && strings.Contains(f.Means+f.Do, c.says) && (c.not == "" || !strings.Contains(f.Seen, c.not))
				if !watched {
					t.Errorf("%s: %s: %s | %s | %s", c.name, f.Verdict, f.Seen, f.Means, f.Do)
				}
			case f.Verdict == "failure" || f.Verdict == "warning":
				t.Errorf("%s: %s is %s on %q: %s | %s", c.name, f.Check, f.Verdict, f.Instance, f.Seen, f.Means)
			}
		}
		if !watched {
			t.Errorf("%s: nothing of the watch", c.name)
		}
	}
	for _, in := range e.instances {
		log, err := os.ReadFile(filepath.Join(in.dir, "app.log"))
		if err != nil {
			t.Fatal(err)
		}
		if text := string(log); strings.Contains(text, "part=forwarding") || !strings.Contains(text, "sessions are forwarded between servers") {
			t.Errorf("instance %s says of forwarding:\n%s", in.name, text)
		}
	}
}

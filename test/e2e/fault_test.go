package e2e

import (
	"syscall"
	"testing"
	"time"
)

// saw logs what the clients saw of a fault and returns how long they were away.
func saw(t *testing.T, fault string, c *clients) []time.Duration {
	t.Helper()
	gaps, unrecovered, reasons := outages(c.seen())
	var median, longest time.Duration
	if n := len(gaps); n > 0 {
		median, longest = gaps[n/2], gaps[n-1]
	}
	t.Logf("%-28s %d of %d clients were away, median %.1f s, longest %.1f s, %d without their state; %v", fault, len(gaps), c.number,
		median.Seconds(), longest.Seconds(), unrecovered, reasons)
	return gaps
}

// back waits until everybody who went away has come back, at least least of them.
func back(t *testing.T, c *clients, least int) {
	t.Helper()
	c.await(t, "that all come back", 40*time.Second, func(list []event) bool {
		gaps, _, reasons := outages(list)
		return len(gaps) >= least && len(gaps) == total(reasons)
	})
}

func TestApplicationKilled(t *testing.T) {
	t.Parallel()
	e := start(t, settings{})
	c := connect(t, e.url(), 20, "half")
	c.joined(t)
	e.instances[0].app.stop(syscall.SIGKILL, time.Second)
	back(t, c, 1)
	saw(t, "application killed", c)
}

func TestNginxStopped(t *testing.T) {
	ofNginx(t)
	t.Parallel()
	e := start(t, settings{})
	c := connect(t, e.url(), 20, "half")
	c.joined(t)
	took := e.instances[0].nginx.stop(syscall.SIGQUIT, 5*time.Second)
	back(t, c, 1)
	saw(t, "nginx stopped", c)
	if took > 4*time.Second {
		t.Errorf("nginx took %v to end: worker_shutdown_timeout is not in force", took)
	}
}

func TestInstanceDeregistered(t *testing.T) {
	t.Parallel()
	e := start(t, settings{})
	c := connect(t, e.url(), 20, "websocket")
	c.joined(t)
	e.deregister(t, "a")
	time.Sleep(3 * time.Second) // WebSockets stay while the delay lasts
	if _, _, reasons := outages(c.seen()); len(reasons) > 0 {
		t.Errorf("WebSockets were cut when the instance was deregistered: %v", reasons)
	}
	e.delayOver(t, "a")
	back(t, c, 1)
	saw(t, "deregistration delay over", c)
}

func TestRedisStopped(t *testing.T) {
	t.Parallel()
	e := start(t, settings{})
	c := connect(t, e.url(), 20, "half")
	c.joined(t)
	e.redis.Kill()
	time.Sleep(2 * time.Second)
	if _, _, reasons := outages(c.seen()); len(reasons) > 0 {
		t.Errorf("clients were disconnected because Redis stopped: %v", reasons)
	}
	// Local delivery goes on: each instance reaches its own clients.
	for i, in := range e.instances {
		if err := in.say("all", i+1); err != nil {
			t.Errorf("instance %s: %v", in.name, err)
		}
	}
	c.await(t, "that each client hears its own instance", 10*time.Second, func(list []event) bool { return len(by(list, "said")) == c.number })
	e.redis.Run()
	c.await(t, "that all hear each other again", 30*time.Second, func([]event) bool {
		c.mu.Unlock()
		_ = e.instances[0].say("all", 99)
		time.Sleep(300 * time.Millisecond)
		c.mu.Lock()
		heard := make(map[int]bool)
		for _, e := range c.events {
			if e.E == "said" && e.N == 99 {
				heard[e.C] = true
			}
		}
		return len(heard) == c.number
	})
	saw(t, "Redis stopped and started", c)
}

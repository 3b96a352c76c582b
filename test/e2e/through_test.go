package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// finding is what a check of doctor has found.
type finding struct{ Check, Instance, Verdict, Seen, Means, Do string }

// findings runs `beanpole doctor`.
func findings(t *testing.T, url string, args ...string) []finding {
	t.Helper()
	_, report := doctorStarts(t, url, args...)
	return report()
}

// doctorStarts starts `beanpole doctor`, and returns its process and what waits for its report.
func doctorStarts(t *testing.T, url string, args ...string) (*os.Process, func() []finding) {
	t.Helper()
	cmd := exec.Command(built.beanpole, append([]string{"doctor", "--json", url}, args...)...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	var ended error
	wait := func() { once.Do(func() { ended = cmd.Wait() }) }
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // if nobody has waited for its report
		wait()
	})
	return cmd.Process, func() []finding {
		t.Helper()
		wait()
		var exit *exec.ExitError
		if ended != nil && !errors.As(ended, &exit) {
			t.Fatal(ended)
		}
		var r struct{ Results []finding }
		if err := json.Unmarshal(out.Bytes(), &r); err != nil {
			t.Fatalf("%v: %s%s", err, out.String(), said.String())
		}
		for _, c := range r.Results {
			t.Logf("%-16s %-8s %s %s", c.Check, c.Verdict, c.Instance, c.Seen)
		}
		return r.Results
	}
}

// doctor returns verdict and what was seen by check, the worst of each.
func doctor(t *testing.T, url string, args ...string) map[string][2]string {
	t.Helper()
	results := make(map[string][2]string)
	for _, c := range findings(t, url, args...) {
		if old := results[c.Check][0]; old != "failure" && (old != "warning" || c.Verdict == "failure") {
			results[c.Check] = [2]string{c.Verdict, c.Seen}
		}
	}
	return results
}

func TestDoctorFindsTheEnvironmentHealthy(t *testing.T) {
	t.Parallel()
	e := start(t, settings{})
	https := fmt.Sprintf("https://127.0.0.1:%d", e.https)
	for check, got := range doctor(t, https, "--insecure", "--origin", origin, "--probe-token", probeToken, "--deep", "--idle", "6s") {
		switch {
		case got[0] == "ok":
		case check == "connections" || check == "watch":
		default:
			t.Errorf("%s: %s: %s", check, got[0], got[1])
		}
	}
}

func TestClientsOfEveryKind(t *testing.T) {
	t.Parallel()
	e := start(t, settings{})
	quiet := make(map[string]*clients)
	for _, transports := range []string{"polling", "websocket", "both"} {
		c := connectTo(t, e.url(), 6, transports, transports)
		quiet[transports] = c
		c.joined(t)
		if transports == "both" {
			c.await(t, "that all upgrade", 10*time.Second, func(list []event) bool { return len(by(list, "upgrade")) == 6 })
		}
		instances := make(map[string]int)
		for _, j := range by(c.seen(), "joined") {
			instances[j.Instance]++
		}
		if len(instances) != 2 {
			t.Errorf("%s: clients are on %v, want both instances", transports, instances)
		}
		const n = 20
		for i := 1; i <= n; i++ {
			if err := e.instances[i%2].say(transports, i); err != nil {
				t.Fatal(err)
			}
		}
		// Two servers emit, so the last number need not come last.
		c.await(t, "that all hear all", 20*time.Second, func(list []event) bool {
			missing, _, _ := exactlyOnce(list, 6, n)
			return missing == 0
		})
		if missing, doubled, _ := exactlyOnce(c.seen(), 6, n); missing+doubled > 0 {
			t.Errorf("%s: %d missing, %d doubled", transports, missing, doubled)
		}
	}
	// Longer than the idle timeout of the load balancer: heartbeats keep all alive.
	time.Sleep(8 * time.Second)
	for transports, c := range quiet {
		if _, _, reasons := outages(c.seen()); len(reasons) > 0 {
			t.Errorf("quiet clients over %s were cut: %v", transports, reasons)
		}
	}
}

func TestThreeThousandWebSocketsThroughOneNginx(t *testing.T) {
	e := start(t, settings{alone: true})
	url := fmt.Sprintf("http://127.0.0.1:%d", e.instances[0].port)
	if got := doctor(t, url, "--connections", "3000")["connections"]; got[0] != "ok" {
		t.Errorf("connections: %s: %s", got[0], got[1])
	}
}

func TestStockNginxEndsAtAThousand(t *testing.T) {
	ofNoHost(t)
	e := start(t, settings{alone: true, stock: true})
	url := fmt.Sprintf("http://127.0.0.1:%d", e.instances[0].port)
	if got := doctor(t, url, "--connections", "3000")["connections"]; got[0] != "failure" {
		t.Errorf("connections: %s: %s; the overlay would not be needed", got[0], got[1])
	}
}

func TestIdleTimeoutBelowThePing(t *testing.T) {
	t.Parallel()
	e := start(t, settings{idle: "1s"})
	if got := doctor(t, e.url(), "--deep", "--timeout", "3s")["idle"]; got[0] != "failure" {
		t.Errorf("idle: %s: %s", got[0], got[1])
	}
}

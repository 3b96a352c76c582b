package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// metadata is that of both instances, and EC2 Auto Scaling, as far as a termination goes.
type metadata struct {
	*httptest.Server

	mu        sync.Mutex
	leaving   string // guarded by mu; the instance that has to go
	completed chan string
}

func newMetadata(t *testing.T) *metadata {
	t.Helper()
	m := &metadata{completed: make(chan string, 9)}
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /{name}/latest/api/token", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "token") })
	mux.HandleFunc("GET /{name}/latest/meta-data/{item...}", func(w http.ResponseWriter, r *http.Request) {
		m.mu.Lock()
		state := map[bool]string{true: "Terminated", false: "InService"}[m.leaving == r.PathValue("name")]
		m.mu.Unlock()
		value, ok := map[string]string{
			"autoscaling/target-lifecycle-state": state, "instance-id": "i-" + r.PathValue("name"), "placement/region": "eu-central-1",
			"iam/security-credentials/": "role", "iam/security-credentials/role": `{"AccessKeyId":"id","SecretAccessKey":"key","Token":"token"}`,
		}[r.PathValue("item")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, value)
	})
	mux.HandleFunc("POST /{$}", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("Action") == "CompleteLifecycleAction" {
			m.completed <- r.FormValue("InstanceId")
			return
		}
		fmt.Fprint(w, `<R><DescribeAutoScalingInstancesResult><AutoScalingInstances><member><AutoScalingGroupName>g</AutoScalingGroupName>`+
			`</member></AutoScalingInstances></DescribeAutoScalingInstancesResult></R>`)
	})
	m.Server = httptest.NewServer(mux)
	t.Cleanup(m.Close)
	return m
}

// TestScaleIn takes an instance away in the order of Auto Scaling: out of the load balancer, its target state, the wait of
// the lifecycle hook until the action is completed, and the machine's end. Clients lose nothing.
func TestScaleIn(t *testing.T) {
	t.Parallel()
	m := newMetadata(t)
	e := start(t, settings{metadata: m.URL, idle: "60s", env: []string{"BEANPOLE_PING_INTERVAL=25s", "BEANPOLE_PING_TIMEOUT=20s", "BEANPOLE_IDLE_TIMEOUT=60s",
		"BEANPOLE_LIFECYCLE_HOOK=beanpole-drain", "AWS_ENDPOINT_URL_AUTO_SCALING=" + reached(t, m.URL)}})
	const crowd = 40
	c := connect(t, e.url(), crowd, "half")
	c.joined(t)
	a, b := e.instances[0], e.instances[1]
	ctx, cancel := context.WithCancel(t.Context())
	sent := make(chan int, 1)
	go func() { sent <- e.traffic(ctx, func(n int) bool { return a.say("all", n) == nil }) }()
	c.await(t, "that all hear something", 20*time.Second, func(list []event) bool { return len(by(list, "said")) == crowd })

	began := time.Now()
	e.deregister(t, "b")
	m.mu.Lock()
	m.leaving = "b"
	m.mu.Unlock()
	select {
	case id := <-m.completed:
		if id != "i-b" {
			t.Errorf("the action of %s is completed", id)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("the action is not completed: %s", tail(b.app.log))
	}
	took := time.Since(began)
	b.nginx.stop(syscall.SIGKILL, time.Second)
	b.app.stop(syscall.SIGKILL, time.Second)
	e.delayOver(t, "b")
	back(t, c, 1)
	cancel()
	n := <-sent
	c.heard(t, n, 20*time.Second)
	_, unrecovered, reasons := outages(c.seen())
	missing, doubled, disordered := exactlyOnce(c.seen(), crowd, n)
	gaps := saw(t, "scaled in", c)
	t.Logf("%d clients moved, the action completed after %.1f s: of %d events to %d clients %d missing, %d doubled, %d out of order; %d begin anew; %v",
		len(gaps), took.Seconds(), n, crowd, missing, doubled, disordered, unrecovered, reasons)
	if missing+doubled+disordered+unrecovered > 0 {
		t.Error("a scale-in loses something")
	}
	for reason := range reasons {
		if !strings.HasPrefix(reason, "transport close") {
			t.Errorf("clients were disconnected with %q", reason)
		}
	}
}

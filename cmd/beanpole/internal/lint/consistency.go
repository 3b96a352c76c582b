package lint

import (
	"fmt"
	"strconv"
	"time"

	"github.com/beanpole/beanpole/server/host"
)

// checkLoadBalancer looks at what stands in front of the instances.
func checkLoadBalancer(m *model) {
	kind, _ := m.get(nsEnvironment, "LoadBalancerType")
	switch m.balancer() {
	case "classic":
		m.add(Finding{Check: "classic-load-balancer", Severity: Error, File: kind.file, Line: kind.line, What: "the load balancer is a classic one",
			Why: "its HTTP listeners cannot upgrade to WebSocket, and its TCP listeners cannot be sticky", Fix: "LoadBalancerType: application, in a new environment"})
		return
	case "application":
		m.checkApplicationBalancer()
	case "network":
		m.checkNetworkBalancer()
	}
	if kind.line == 0 && len(m.configs) > 0 && !m.single() {
		m.add(Finding{Check: "load-balancer-unset", Severity: Warning, File: kind.file, What: "LoadBalancerType is not set",
			Why: "the API's default is classic, which cannot upgrade to WebSocket, and it can be chosen only once", Fix: "LoadBalancerType: application, and eb create --elb-type application"})
	}
}

func (m *model) checkApplicationBalancer() {
	if s, ok := m.get(nsEnvironment, "LoadBalancerIsShared"); ok && s.value == "true" {
		if idle, ok := m.get(nsBalancer, "IdleTimeout"); ok {
			m.add(Finding{Check: "shared-idle-timeout", Severity: Error, File: idle.file, Line: idle.line, What: "IdleTimeout cannot be set on a shared load balancer",
				Why: "only SharedLoadBalancer and SecurityGroups are taken", Fix: "set it on the load balancer itself"})
		}
	}
}

// checkHeartbeat holds the server's silence against what others bear.
func checkHeartbeat(m *model) {
	interval, is := m.duration("BEANPOLE_PING_INTERVAL", 25*time.Second)
	timeout, ts := m.duration("BEANPOLE_PING_TIMEOUT", 20*time.Second)
	silence := interval + timeout
	at := is
	if at.line == 0 {
		at = ts
	}
	idle, by := m.idle()
	if at.line == 0 {
		at = by
	}
	if idle > 0 && silence >= idle {
		m.add(Finding{Check: "ping-above-idle", Severity: Error, File: at.file, Line: at.line,
			What: fmt.Sprintf("pingInterval + pingTimeout is %v, the load balancer's idle timeout %v (%s)", silence, idle, by.where()),
			Why:  "quiet connections are cut before the next ping comes, and polls get 504",
			Fix:  "a shorter BEANPOLE_PING_INTERVAL, or a longer IdleTimeout together with nginx's proxy_read_timeout"})
	}
	if declared, s := m.duration("BEANPOLE_IDLE_TIMEOUT", 0); s.line > 0 && idle > 0 && declared > idle {
		m.add(Finding{Check: "idle-mismatch", Severity: Warning, File: s.file, Line: s.line, What: fmt.Sprintf("BEANPOLE_IDLE_TIMEOUT is %v, the load balancer's %v (%s)", declared, idle, by.where()),
			Why: "the server checks its heartbeat against a number that is not true", Fix: "make both the same"})
	}
}

// checkDeployment looks at how instances are updated.
func checkDeployment(m *model) {
	policy, ok := m.get(nsCommand, "DeploymentPolicy")
	switch {
	case policy.value == "TrafficSplitting" && m.polling():
		m.add(Finding{Check: "traffic-splitting", Severity: Error, File: policy.file, Line: policy.line, What: "DeploymentPolicy is TrafficSplitting while polling is allowed",
			Why: "a polling session may be moved to the other version's instances in its midst", Fix: "RollingWithAdditionalBatch, or BEANPOLE_TRANSPORTS: websocket"})
	case (!ok || policy.value == "AllAtOnce") && !m.single() && len(m.configs) > 0:
		m.add(Finding{Check: "all-at-once", Severity: Warning, File: policy.file, Line: policy.line, What: "all instances are deployed at once",
			Why: "every client is thrown off at the same moment and there is nowhere to go", Fix: "DeploymentPolicy: RollingWithAdditionalBatch, BatchSizeType: Fixed, BatchSize: \"1\""})
	case m.single() && ok && policy.value != "AllAtOnce" && policy.value != "Immutable":
		m.add(Finding{Check: "single-rolling", Severity: Error, File: policy.file, Line: policy.line, What: "a single instance cannot be deployed by " + policy.value,
			Why: "the environment refuses it", Fix: "DeploymentPolicy: AllAtOnce"})
	}
	if s, ok := m.get("aws:autoscaling:trigger", "MeasureName"); !m.single() && len(m.configs) > 0 && (!ok || s.value == "NetworkOut") {
		m.add(Finding{Check: "scaling-trigger", Severity: Warning, File: s.file, Line: s.line, What: "instances are taken away by NetworkOut",
			Why: "one that is full of quiet WebSockets sends little: it goes first, with all of them", Fix: "MeasureName: CPUUtilization with a low LowerThreshold"})
	}
	drain, _ := m.duration("BEANPOLE_DRAIN_TIME", host.DefaultDrainTime)
	stop, _ := m.duration("BEANPOLE_SHUTDOWN_TIMEOUT", host.DefaultShutdownTimeout)
	if within := m.option(nsCommand, "Timeout", "600"); number(within.value) > 0 && time.Duration(number(within.value))*time.Second < drain+stop {
		m.add(Finding{Check: "command-timeout", Severity: Warning, File: within.file, Line: within.line, What: fmt.Sprintf("a deployment may take %s s, and drain and stop alone up to %v", within.value, drain+stop),
			Why: "it is given up in the midst, and the instance counts as failed", Fix: `Timeout: "600", or a shorter BEANPOLE_DRAIN_TIME`})
	}
	limit, platform := 90*time.Second, "systemd kills the application 90 s after SIGTERM"
	if m.platform == Docker {
		limit, platform = 10*time.Second, "docker kills the container 10 s after SIGTERM"
	}
	if d, s := m.duration("BEANPOLE_SHUTDOWN_TIMEOUT", 0); d >= limit {
		m.add(Finding{Check: "shutdown-timeout", Severity: Error, File: s.file, Line: s.line, What: fmt.Sprintf("BEANPOLE_SHUTDOWN_TIMEOUT is %v", d),
			Why: platform + ": what is not closed by then is cut off", Fix: fmt.Sprintf("less than %v", limit)})
	}
}

func atoi(s string, def int) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return def
	}
	return n
}

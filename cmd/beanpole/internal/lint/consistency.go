package lint

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// checkLoadBalancer looks at what stands in front of the instances.
func checkLoadBalancer(m *model) {
	kind, _ := m.get(nsEnvironment, "LoadBalancerType")
	switch m.balancer() {
	case "classic":
		m.add(Finding{Check: "classic-load-balancer", Severity: Error, File: kind.file, Line: kind.line, What: "the load balancer is a classic one",
			Why: "its HTTP listeners cannot upgrade to WebSocket, and its TCP listeners cannot be sticky", Fix: "LoadBalancerType: application, in a new environment"})
		return
	case "none":
		return
	case "application":
		m.checkApplicationBalancer()
	case "network":
		m.checkNetworkBalancer()
	}
	if kind.line == 0 && len(m.configs) > 0 {
		m.add(Finding{Check: "load-balancer-unset", Severity: Warning, File: kind.file, What: "LoadBalancerType is not set",
			Why: "the API's default is classic, which cannot upgrade to WebSocket, and it can be chosen only once", Fix: "LoadBalancerType: application, and eb create --elb-type application"})
	}
	if path, ok := m.get(nsProcess, "HealthCheckPath"); !ok || path.value == "/" {
		m.add(Finding{Check: "health-path", Severity: Warning, File: path.file, Line: path.line, What: "the health check asks for /",
			Why: "a server without a page answers 404 and is taken out; one with a page is never seen to drain", Fix: "HealthCheckPath: /healthz"})
	}
	interval, _ := m.get(nsProcess, "HealthCheckInterval")
	timeout, _ := m.get(nsProcess, "HealthCheckTimeout")
	i, t := atoi(interval.value, 15), atoi(timeout.value, 5)
	if t >= i {
		m.add(Finding{Check: "health-timing", Severity: Error, File: timeout.file, Line: timeout.line, What: fmt.Sprintf("HealthCheckTimeout is %d s, HealthCheckInterval %d s", t, i),
			Why: "the environment refuses it", Fix: "a timeout below the interval"})
	}
	threshold, _ := m.get(nsProcess, "UnhealthyThresholdCount")
	if n := i * atoi(threshold.value, 5); n > 60 {
		m.add(Finding{Check: "health-slow", Severity: Warning, File: threshold.file, Line: threshold.line, What: fmt.Sprintf("a dead application is noticed after %d s", n),
			Why: "its sticky clients get 502 until then", Fix: `HealthCheckInterval: "10", UnhealthyThresholdCount: "2"`})
	}
	if hops := m.property("BEANPOLE_TRUSTED_HOPS", "0"); true {
		want := map[string]string{"application": "2", "network": "1"}[m.balancer()]
		if hops.value != want {
			m.add(Finding{Check: "trusted-hops", Severity: Warning, File: hops.file, Line: hops.line, What: fmt.Sprintf("BEANPOLE_TRUSTED_HOPS is %s", hops.value),
				Why: fmt.Sprintf("%s proxies append to X-Forwarded-For here: clients share an address, or can make one up", want), Fix: "BEANPOLE_TRUSTED_HOPS: " + strconv.Quote(want)})
		}
	}
}

func (m *model) checkApplicationBalancer() {
	sticky, ok := m.get(nsProcess, "StickinessEnabled")
	if m.polling() && (!ok || sticky.value != "true") {
		m.add(Finding{Check: "stickiness-off", Severity: Error, File: sticky.file, Line: sticky.line, What: "stickiness is off while polling is allowed",
			Why: "requests of a polling session go to instances that do not know it: 400 Session ID unknown, or a forward for each",
			Fix: `StickinessEnabled: "true" in ` + nsProcess + ", or BEANPOLE_TRANSPORTS: websocket"})
	}
	if p, _ := m.get(nsProcess, "Protocol"); p.value == "TCP" {
		m.add(Finding{Check: "process-protocol", Severity: Error, File: p.file, Line: p.line, What: "the process of an application load balancer has protocol TCP",
			Why: "the environment refuses it", Fix: "Protocol: HTTP"})
	}
	if s, ok := m.get(nsEnvironment, "LoadBalancerIsShared"); ok && s.value == "true" {
		if idle, ok := m.get(nsBalancer, "IdleTimeout"); ok {
			m.add(Finding{Check: "shared-idle-timeout", Severity: Error, File: idle.file, Line: idle.line, What: "IdleTimeout cannot be set on a shared load balancer",
				Why: "only SharedLoadBalancer and SecurityGroups are taken", Fix: "set it on the load balancer itself"})
		}
	}
	for _, s := range m.settings {
		port, ok := strings.CutPrefix(s.namespace, "aws:elbv2:listener:")
		if !ok || s.option != "Protocol" {
			continue
		}
		if s.value == "TCP" || s.value == "TLS" {
			m.add(Finding{Check: "listener-protocol", Severity: Error, File: s.file, Line: s.line, What: fmt.Sprintf("listener %s has protocol %s", port, s.value),
				Why: "an application load balancer has HTTP and HTTPS", Fix: "Protocol: HTTPS"})
		}
		if _, certificate := m.get(s.namespace, "SSLCertificateArns"); s.value == "HTTPS" && !certificate {
			m.add(Finding{Check: "listener-certificate", Severity: Error, File: s.file, Line: s.line, What: fmt.Sprintf("listener %s has no certificate", port),
				Why: "the environment refuses it", Fix: "SSLCertificateArns: arn:aws:acm:…"})
		}
	}
}

func (m *model) checkNetworkBalancer() {
	if m.polling() {
		s := m.property("BEANPOLE_TRANSPORTS", "polling,websocket")
		m.add(Finding{Check: "network-polling", Severity: Error, File: s.file, Line: s.line, What: "polling is allowed behind a network load balancer",
			Why: "it knows no cookies: requests of one polling session go to several instances", Fix: "BEANPOLE_TRANSPORTS: websocket, or an application load balancer"})
	}
	for _, option := range []string{"StickinessEnabled", "HealthCheckTimeout"} {
		if s, ok := m.get(nsProcess, option); ok && s.value != "false" {
			m.add(Finding{Check: "network-option", Severity: Error, File: s.file, Line: s.line, What: option + " is for application load balancers",
				Why: "the environment refuses it", Fix: "delete it"})
		}
	}
	if p, ok := m.get(nsProcess, "Protocol"); ok && p.value != "TCP" {
		m.add(Finding{Check: "process-protocol", Severity: Error, File: p.file, Line: p.line, What: "the process of a network load balancer has protocol " + p.value,
			Why: "the environment refuses it", Fix: "Protocol: TCP"})
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
	limit, platform := 90*time.Second, "systemd kills the application 90 s after SIGTERM"
	if m.platform == Docker {
		limit, platform = 10*time.Second, "docker kills the container 10 s after SIGTERM"
	}
	if d, s := m.duration("BEANPOLE_SHUTDOWN_TIMEOUT", 0); d >= limit {
		m.add(Finding{Check: "shutdown-timeout", Severity: Error, File: s.file, Line: s.line, What: fmt.Sprintf("BEANPOLE_SHUTDOWN_TIMEOUT is %v", d),
			Why: platform + ": what is not closed by then is cut off", Fix: fmt.Sprintf("less than %v", limit)})
	}
	delay, _ := m.get(nsProcess, "DeregistrationDelay")
	drain, _ := m.duration("BEANPOLE_DRAIN_TIME", 5*time.Second)
	if d := time.Duration(atoi(delay.value, 20)) * time.Second; !m.single() && d < drain {
		m.add(Finding{Check: "deregistration-delay", Severity: Warning, File: delay.file, Line: delay.line, What: fmt.Sprintf("DeregistrationDelay is %v, a drain takes %v", d, drain),
			Why: "sessions are cut by the load balancer before the drain has closed them", Fix: `DeregistrationDelay: "30"`})
	}
}

// checkRedis looks at what joins the instances.
func checkRedis(m *model) {
	if m.single() || len(m.configs) == 0 {
		return
	}
	most, _ := m.get("aws:autoscaling:asg", "MaxSize")
	url, ok := m.get(nsProperties, "REDIS_URL")
	_, secret := m.get(nsSecrets, "REDIS_URL")
	if !ok && !secret && atoi(most.value, 4) > 1 {
		m.add(Finding{Check: "no-redis", Severity: Error, File: url.file, What: fmt.Sprintf("up to %d instances and no REDIS_URL", atoi(most.value, 4)),
			Why: "what one instance emits does not reach the clients of the others", Fix: "take over .ebextensions/30-redis.config or set REDIS_URL"})
	}
	least, _ := m.get("aws:autoscaling:asg", "MinSize")
	if a, b := atoi(least.value, 1), atoi(most.value, 4); a > b {
		m.add(Finding{Check: "bad-value", Severity: Error, File: least.file, Line: least.line, What: fmt.Sprintf("MinSize is %d, MaxSize %d", a, b),
			Why: "the environment refuses it", Fix: "MinSize not above MaxSize"})
	}
	for _, c := range m.configs {
		for name, r := range c.resources {
			encrypted, _ := find(r.node, "Properties")
			v, _ := find(encrypted, "TransitEncryptionEnabled")
			if strings.HasPrefix(r.kind, "AWS::ElastiCache::") && strings.Contains(url.value, name) && scalar(v) == "true" && !strings.Contains(url.value, "rediss://") {
				m.add(Finding{Check: "redis-tls", Severity: Error, File: url.file, Line: url.line, What: "REDIS_URL has no TLS, " + name + " wants it",
					Why: "no connection comes about: the instances are not joined", Fix: "rediss:// with two s"})
			}
		}
	}
}

func atoi(s string, def int) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return def
	}
	return n
}

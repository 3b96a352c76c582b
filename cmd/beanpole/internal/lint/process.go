package lint

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Listeners and rules of the load balancer send requests to processes, which are ports of the instances, each with a
// health check and a stickiness of its own.

const (
	nsProcesses = "aws:elasticbeanstalk:environment:process:"
	nsListeners = "aws:elbv2:listener:"
	nsRules     = "aws:elbv2:listenerrule:"
)

// option returns a setting, or def when nobody sets it.
func (m *model) option(namespace, option, def string) setting {
	s, ok := m.get(namespace, option)
	if !ok {
		s.value = def
	}
	return s
}

// processOption is option for a process. One that is not set belongs where the process is.
func (m *model) processOption(process, option, def string) setting {
	s := m.option(process, option, def)
	if s.line == 0 {
		at := m.firstOf(process)
		s.file, s.line = at.file, at.line
	}
	return s
}

// named returns the names that follow prefix in the namespaces that are set, in the order of the files.
func (m *model) named(prefix string) (names []string) {
	for _, s := range m.settings {
		if name, ok := strings.CutPrefix(s.namespace, prefix); ok && name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// listeners returns the ports, or "default", of the listeners that are on.
func (m *model) listeners() (on []string) {
	names := m.named(nsListeners)
	if !slices.Contains(names, "default") && !slices.Contains(names, "80") {
		names = append([]string{"default"}, names...)
	}
	for _, name := range names {
		if m.option(nsListeners+name, "ListenerEnabled", "true").value == "true" {
			on = append(on, name)
		}
	}
	return on
}

// secure reports whether clients may come over TLS.
func (m *model) secure() bool {
	return slices.ContainsFunc(m.listeners(), func(l string) bool { return m.option(nsListeners+l, "Protocol", "HTTP").value == "HTTPS" })
}

// list splits a value at its commas.
func list(value string) (words []string) {
	for w := range strings.SplitSeq(value, ",") {
		if w = strings.TrimSpace(w); w != "" {
			words = append(words, w)
		}
	}
	return words
}

// pattern reports whether a PathPatterns of a rule, in which * and ? stand for letters, matches the path.
func pattern(p, path string) bool {
	expression := strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(p))
	ok, err := regexp.MatchString("^"+expression+"$", path)
	return ok && err == nil
}

// sent returns the namespaces of the processes that get requests for path, and of all that get any.
func (m *model) sent(path string) (forPath, any []string) {
	add := func(to []string, process string) []string {
		if ns := nsProcesses + process; !slices.Contains(to, ns) {
			return append(to, ns)
		}
		return to
	}
	for _, l := range m.listeners() {
		rules := list(m.option(nsListeners+l, "Rules", "").value)
		slices.SortStableFunc(rules, func(a, b string) int {
			return number(m.option(nsRules+a, "Priority", "1").value) - number(m.option(nsRules+b, "Priority", "1").value)
		})
		caught := false // by a rule for all hosts
		for _, rule := range rules {
			process := m.option(nsRules+rule, "Process", "default").value
			any = add(any, process)
			paths := list(m.option(nsRules+rule, "PathPatterns", "").value)
			if caught || len(paths) > 0 && !slices.ContainsFunc(paths, func(p string) bool { return pattern(p, path) }) {
				continue
			}
			forPath = add(forPath, process)
			caught = m.option(nsRules+rule, "HostHeaders", "").value == "" && rule != "default"
		}
		process := m.option(nsListeners+l, "DefaultProcess", "default").value
		any = add(any, process)
		if !caught {
			forPath = add(forPath, process)
		}
	}
	if len(forPath) == 0 { // all listeners are off
		return []string{nsProcess}, []string{nsProcess}
	}
	return forPath, any
}

// socketProcesses returns the namespaces of the processes that clients reach.
func (m *model) socketProcesses() []string {
	forPath, _ := m.sent(m.socketPath())
	return forPath
}

// processes returns the namespaces of all processes that get requests.
func (m *model) processes() []string {
	_, any := m.sent(m.socketPath())
	return any
}

// socketProcess returns the first of socketProcesses.
func (m *model) socketProcess() string { return m.socketProcesses()[0] }

// processPort returns the port of the instances that a process is.
func (m *model) processPort(namespace string) string {
	if m.single() {
		return "80"
	}
	return m.option(namespace, "Port", "80").value
}

// direct reports whether the load balancer sends clients to the application's own port, past nginx.
func (m *model) direct() bool {
	port := m.processPort(m.socketProcess())
	return m.platform == Go && port != "80" && port == m.property("PORT", "5000").value
}

// checkProcesses looks at each process that gets requests.
func checkProcesses(m *model) {
	if b := m.balancer(); b != "application" && b != "network" {
		return
	}
	if s := m.firstOf(nsListeners + "default"); len(m.listeners()) == 0 && s.line > 0 {
		m.add(Finding{Check: "listener-none", Severity: Error, File: s.file, Line: s.line, What: "every listener is off", Why: "nobody can connect", Fix: "a listener on 443, with a certificate"})
	}
	if m.direct() {
		for _, p := range m.processes() {
			if path, ok := m.get(p, "HealthCheckPath"); ok || m.balancer() == "application" {
				path.value = m.option(p, "HealthCheckPath", "/").value
				m.healthPath(path, path.value)
			}
		}
	}
	for _, p := range m.processes() {
		interval, timeout := m.processOption(p, "HealthCheckInterval", "15"), m.processOption(p, "HealthCheckTimeout", "5")
		i, t := atoi(interval.value, 15), atoi(timeout.value, 5)
		if t >= i {
			m.add(Finding{Check: "health-timing", Severity: Error, File: timeout.file, Line: timeout.line, What: fmt.Sprintf("HealthCheckTimeout is %d s, HealthCheckInterval %d s", t, i),
				Why: "the environment refuses it", Fix: "a timeout below the interval"})
		}
		threshold := m.processOption(p, "UnhealthyThresholdCount", "5")
		if n := i * atoi(threshold.value, 5); n > 60 {
			m.add(Finding{Check: "health-slow", Severity: Warning, File: threshold.file, Line: threshold.line, What: fmt.Sprintf("a dead application is noticed after %d s", n),
				Why: "its sticky clients get 502 until then", Fix: `HealthCheckInterval: "10", UnhealthyThresholdCount: "2"`})
		}
	}
	for _, p := range m.socketProcesses() {
		name := strings.TrimPrefix(p, nsProcesses)
		sticky := m.processOption(p, "StickinessEnabled", "false")
		if m.balancer() == "application" && m.polling() && sticky.value != "true" {
			m.add(Finding{Check: "stickiness-off", Severity: Error, File: sticky.file, Line: sticky.line, What: "stickiness of process " + name + " is off while polling is allowed",
				Why: "requests of a polling session go to instances that do not know it: 400 Session ID unknown, or a forward for each",
				Fix: `StickinessEnabled: "true" in ` + p + ", or BEANPOLE_TRANSPORTS: websocket"})
		}
		interval, _ := m.duration("BEANPOLE_PING_INTERVAL", 25*time.Second)
		timeout, _ := m.duration("BEANPOLE_PING_TIMEOUT", 20*time.Second)
		life := m.processOption(p, "StickinessLBCookieDuration", "86400")
		if n := time.Duration(atoi(life.value, 86400)) * time.Second; sticky.value == "true" && m.polling() && n <= interval+timeout {
			m.add(Finding{Check: "stickiness-short", Severity: Error, File: life.file, Line: life.line, What: fmt.Sprintf("StickinessLBCookieDuration is %v, pingInterval + pingTimeout %v", n, interval+timeout),
				Why: "a poll that waits outlives its cookie: the next request goes to another instance", Fix: `StickinessLBCookieDuration: "86400"`})
		}
		delay := m.processOption(p, "DeregistrationDelay", "20")
		drain, _ := m.duration("BEANPOLE_DRAIN_TIME", 5*time.Second)
		if d := time.Duration(atoi(delay.value, 20)) * time.Second; d < drain {
			m.add(Finding{Check: "deregistration-delay", Severity: Warning, File: delay.file, Line: delay.line, What: fmt.Sprintf("DeregistrationDelay is %v, a drain takes %v", d, drain),
				Why: "sessions are cut by the load balancer before the drain has closed them", Fix: `DeregistrationDelay: "30"`})
		}
	}
	m.checkPorts()
	m.checkRules()
}

// checkPorts looks whether somebody listens where processes are.
func (m *model) checkPorts() {
	open := []string{"80"}
	if conf, f := m.tree().parse(); f == nil {
		if http := first(conf, "http"); http != nil {
			open = nil
			for _, s := range all(http.block, "server") {
				for _, l := range all(s.block, "listen") {
					open = append(open, listenPort(l))
				}
			}
		}
	}
	if m.platform == Go {
		open = append(open, m.property("PORT", "5000").value)
	}
	for _, p := range m.processes() {
		port := m.option(p, "Port", "80")
		if !slices.Contains(open, port.value) {
			m.add(Finding{Check: "process-port", Severity: Error, File: port.file, Line: port.line, What: fmt.Sprintf("process %s is port %s", strings.TrimPrefix(p, nsProcesses), port.value),
				Why: "nobody listens there: neither nginx (80) nor the application (PORT), so that every instance is unhealthy", Fix: `Port: "80"`})
		}
	}
}

// checkRules looks whether what listeners and rules name is there.
func (m *model) checkRules() {
	used, priorities := make(map[string]bool), make(map[string]setting)
	shared := m.option(nsEnvironment, "LoadBalancerIsShared", "false").value == "true"
	known := m.named(nsRules)
	for _, l := range m.listeners() {
		rules := m.option(nsListeners+l, "Rules", "")
		for _, rule := range list(rules.value) {
			used[rule] = true
			if !slices.Contains(known, rule) && !(shared && rule == "default") {
				m.add(Finding{Check: "rule-unknown", Severity: Error, File: rules.file, Line: rules.line, What: "there is no rule " + rule,
					Why: "the environment refuses it", Fix: didYouMean(rule, known)})
			}
		}
	}
	for _, rule := range known {
		s := m.firstOf(nsRules + rule)
		if !used[rule] {
			m.add(Finding{Check: "rule-unused", Severity: Warning, File: s.file, Line: s.line, What: "no listener has the rule " + rule,
				Why: "it has no effect", Fix: "Rules: " + rule + " in " + nsListeners + "443, or the port it is for"})
		}
		priority := m.option(nsRules+rule, "Priority", "1")
		if other, ok := priorities[priority.value]; ok {
			m.add(Finding{Check: "rule-priority", Severity: Error, File: s.file, Line: s.line, What: "two rules have the priority " + priority.value + ": see " + other.where(),
				Why: "the load balancer refuses the second", Fix: "give each its own Priority"})
		}
		priorities[priority.value] = s
	}
	m.rulePaths(used)
	defined := append(m.named(nsProcesses), "default")
	for _, p := range m.processes() {
		if name := strings.TrimPrefix(p, nsProcesses); !slices.Contains(defined, name) {
			s := m.whoNames(name)
			m.add(Finding{Check: "process-unknown", Severity: Error, File: s.file, Line: s.line, What: "there is no process " + name,
				Why: "the environment refuses it", Fix: didYouMean(name, defined)})
		}
	}
}

// rulePaths looks for rules that are for Socket.IO, and do not match its path.
func (m *model) rulePaths(used map[string]bool) {
	ours := m.socketPath()
	for _, rule := range m.named(nsRules) {
		s, _ := m.get(nsRules+rule, "PathPatterns")
		paths := list(s.value)
		meant := slices.ContainsFunc(paths, func(p string) bool {
			return strings.TrimRight(p, "/*") == "/socket.io" || p == strings.TrimSuffix(ours, "/")
		})
		if !used[rule] || !meant || slices.ContainsFunc(paths, func(p string) bool { return pattern(p, ours) }) {
			continue
		}
		f := Finding{Check: "rule-path", Severity: Warning, File: s.file, Line: s.line, What: fmt.Sprintf("rule %s is for %s, and clients ask for %s", rule, s.value, ours),
			Why: "it has no effect: clients go where they would without it", Fix: "PathPatterns: " + ours + "*"}
		if to := nsProcesses + m.option(nsRules+rule, "Process", "default").value; !slices.Contains(m.socketProcesses(), to) {
			f.Severity, f.Why = Error, "clients are not sent to the process that is meant for them, with its stickiness and its health check"
		}
		m.add(f)
	}
}

// firstOf returns the first setting of a namespace.
func (m *model) firstOf(namespace string) setting {
	for _, s := range m.settings {
		if s.namespace == namespace {
			return s
		}
	}
	return setting{file: m.optionFile()}
}

// whoNames returns the setting that sends requests to a process.
func (m *model) whoNames(process string) setting {
	for _, s := range m.settings {
		if s.value == process && (s.option == "DefaultProcess" || s.option == "Process") {
			return s
		}
	}
	return setting{file: m.optionFile()}
}

package lint

import (
	"fmt"
	"strings"
)

// health asks nginx for health as the load balancer does: by the instance's address, without a client's headers.
func (m *model) health(t tree, http *directive) {
	if m.balancer() != "application" && m.balancer() != "network" {
		return
	}
	for _, p := range m.processes() {
		path, _ := m.get(p, "HealthCheckPath")
		if path.value == "" {
			if m.balancer() == "network" {
				continue // a connection is all that is asked for
			}
			path.value = "/"
		}
		port := m.processPort(p)
		const address = "10.0.0.1" // of the instance
		server := m.serverFor(http, port, address)
		if server == nil {
			continue
		}
		r := request{method: "GET", host: address, path: path.value, port: port, effort: m.effort, header: map[string]string{"user_agent": "ELB-HealthChecker/2.0"}}
		r.path, r.query, _ = strings.Cut(path.value, "?")
		a := serve(http, server, r)
		matcher := m.option(p, "MatcherHTTPCode", "200")
		switch {
		case a.passed():
			m.healthPath(path, a.path)
			m.healthHidden(t, a, matcher.value)
		case matchesCode(matcher.value, a.code):
			file, line := m.at(t, a)
			m.add(Finding{Check: "health-answer", Severity: Warning, File: file, Line: line, What: fmt.Sprintf("nginx answers the health check for %s itself, with %d", r.path, a.code),
				Why: "an application that is dead or drains is never noticed", Fix: "pass it on: location = " + r.path + " { proxy_pass …/healthz; }"})
		default:
			file, line := m.at(t, a)
			m.add(Finding{Check: "health-answer", Severity: Error, File: file, Line: line, What: fmt.Sprintf("nginx answers the health check for %s with %d, MatcherHTTPCode is %s", r.path, a.code, matcher.value),
				Why: "every instance is unhealthy, and replaced", Fix: "leave the path out of what refuses and redirects; the load balancer sends no X-Forwarded-Proto, password or host name"})
		}
	}
}

// healthHidden looks whether nginx says that all is well where it is not.
func (m *model) healthHidden(t tree, a answer, matcher string) {
	for _, state := range []struct {
		code     int
		of       bool // the application answers so
		what, is string
	}{{502, false, "an application that is dead", "dead"}, {503, true, "an application that drains", "draining"}} {
		if by, to := replaced(a.scope, state.code, state.of); by != nil && matchesCode(matcher, to) {
			m.add(Finding{Check: "health-answer", Severity: Warning, File: t.where(by.file), Line: by.line, What: fmt.Sprintf("nginx answers the health check of %s with %d", state.what, to),
				Why: "clients are sent to an instance that is " + state.is + ", and nobody says so", Fix: "no error_page for " + fmt.Sprint(state.code) + " where the health check is: location = " + a.path + " of its own"})
			return
		}
	}
	if d := inherited(a.scope, "auth_request"); d != nil && d.arg() != "off" {
		m.add(Finding{Check: "health-answer", Severity: Warning, File: t.where(d.file), Line: d.line, What: "whether the health check is let in is asked at " + d.arg(),
			Why: "the load balancer sends no cookie, token or password: who asks for one has every instance taken out", Fix: "auth_request off; in a location for the health check"})
	}
}

// healthPath looks at the path that the application is asked for.
func (m *model) healthPath(s setting, path string) {
	f := Finding{Check: "health-path", Severity: Warning, File: s.file, Line: s.line, What: "the health check asks for " + path, Fix: "HealthCheckPath: /healthz"}
	switch path {
	case "/healthz":
		return
	case "/livez":
		f.Why = "it answers 200 while the server drains: clients are sent to an instance that is leaving"
	case "/":
		f.Why = "a server without a page answers 404 and is taken out; one with a page is never seen to drain"
	default:
		f.Why = "the server has /healthz and /livez; unless the application has a route of its own there it answers 404, and with one it is never seen to drain"
	}
	m.add(f)
}

// at is where an answer was decided.
func (m *model) at(t tree, a answer) (file string, line int) {
	d := a.by
	if d == nil {
		d = a.at
	}
	return t.where(d.file), d.line
}

// matchesCode reports whether a MatcherHTTPCode has the code.
func matchesCode(matcher string, code int) bool {
	for part := range strings.SplitSeq(matcher, ",") {
		low, high, ranged := strings.Cut(part, "-")
		if !ranged {
			high = low
		}
		if number(low) <= code && code <= number(high) {
			return true
		}
	}
	return false
}

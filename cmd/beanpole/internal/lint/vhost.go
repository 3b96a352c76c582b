package lint

import (
	"net"
	"slices"
	"strings"
)

// Of several server{} nginx takes one by the port and the Host of a request.

// defaultServer returns the server that a request for an unknown host gets.
func defaultServer(http *directive, port string) (found *directive) {
	for _, s := range all(http.block, "server") {
		for _, l := range all(s.block, "listen") {
			if listenPort(l) == port && (found == nil || slices.Contains(l.args, "default_server") || slices.Contains(l.args, "default")) {
				found = s
			}
		}
	}
	return found
}

// serverFor returns the server that nginx takes for a host: the one that names it; that with the longest name which begins
// or ends with *; that of the first expression that matches; else the default. Source: nginx.org, "Server names".
func (m *model) serverFor(http *directive, port, host string) *directive {
	v := &visit{http: http, r: request{effort: m.effort}}
	var named, byExpression *directive
	longest := -1
	for _, s := range all(http.block, "server") {
		if !slices.ContainsFunc(all(s.block, "listen"), func(l *directive) bool { return listenPort(l) == port }) {
			continue
		}
		for _, line := range all(s.block, "server_name") {
			for _, name := range line.args {
				expression, isExpression := strings.CutPrefix(name, "~")
				begin := strings.TrimSuffix(name, "*")
				switch {
				case isExpression:
					if byExpression == nil && v.match(expression, host, true) != nil {
						byExpression = s
					}
				case strings.EqualFold(name, host):
					return s
				case strings.HasPrefix(name, ".") && strings.HasSuffix("."+host, name), strings.HasPrefix(name, "*.") && strings.HasSuffix(host, name[1:]),
					begin != name && strings.HasPrefix(host, begin):
					if len(name) > longest {
						named, longest = s, len(name)
					}
				}
			}
		}
	}
	for _, s := range []*directive{named, byExpression} {
		if s != nil {
			return s
		}
	}
	return defaultServer(http, port)
}

// anyHosts are names by which clients may come. Nobody knows which they do, and nginx files name none of them.
var anyHosts = []string{"www.client.invalid", "client.invalid", "client.eu-central-1.elasticbeanstalk.com"}

// clientServer returns the server that clients get, of any name that nginx does not know: one that passes them on, if there is.
func (m *model) clientServer(http *directive, port string) *directive {
	for _, host := range anyHosts {
		if s := m.serverFor(http, port, host); s != nil {
			if _, a := m.socketAnswer(http, s, port); a.passed() {
				return s
			}
		}
	}
	return m.serverFor(http, port, anyHosts[0])
}

// proxyProtocol looks whether nginx waits for a line that nobody sends. All that listen at one address wait together.
func (m *model) proxyProtocol(t tree, http *directive, port string) {
	if m.balancer() != "application" {
		return // others, or what somebody has put in front, may be told to send it
	}
	for _, s := range all(http.block, "server") {
		for _, l := range all(s.block, "listen") {
			if listenPort(l) == port && slices.Contains(l.args, "proxy_protocol") {
				m.add(Finding{Check: "nginx-proxy-protocol", Severity: Error, File: t.where(l.file), Line: l.line, What: "nginx waits for the PROXY protocol on port " + port,
					Why: "an application load balancer does not speak it: every request and every health check is refused", Fix: "listen " + port + " default_server; the address of a client is in X-Forwarded-For"})
				return
			}
		}
	}
}

// listenPort is the port of a listen, or "".
func listenPort(l *directive) string {
	at := l.arg()
	if strings.HasPrefix(at, "unix:") {
		return ""
	}
	if _, p, err := net.SplitHostPort(at); err == nil {
		return p
	}
	if number(at) > 0 {
		return at
	}
	return "80"
}

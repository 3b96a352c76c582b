package lint

import (
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// effective looks at what the whole tree means for requests: those of Socket.IO, and those that ask for health.
func (m *model) effective(t tree, conf []*directive) {
	http := first(conf, "http")
	if http == nil {
		m.add(Finding{Check: "nginx-syntax", Severity: Error, File: t.where("nginx.conf"), What: "there is no http{}", Why: "nginx serves nothing", Fix: "start from the platform's nginx.conf"})
		return
	}
	if m.direct() {
		return // nobody's requests come through nginx
	}
	m.workers(t, conf)
	port := m.processPort(m.socketProcess())
	server := m.clientServer(http, port)
	if server == nil {
		m.add(Finding{Check: "nginx-server", Severity: Error, File: t.where("nginx.conf"), Line: http.line, What: "no server{} listens on port " + port,
			Why: "the load balancer's requests are refused", Fix: "start from the platform's nginx.conf"})
		return
	}
	m.proxyProtocol(t, http, port)
	m.health(t, http)
	ours := m.socketPath()
	r, a := m.socketAnswer(http, server, port)
	at := a.by
	if at == nil {
		at = a.at
	}
	switch {
	case a.passed() && !arrives(a, ours):
		m.add(Finding{Check: "nginx-path", Severity: Error, File: t.where(at.file), Line: at.line, What: fmt.Sprintf("a request for %s arrives at the application as %s", r.path, a.path),
			Why: "the application serves Socket.IO at " + ours + " alone, and answers 404", Fix: "proxy_pass without a path, or with " + ours + " as its path; or BEANPOLE_PATH"})
		return
	case a.code >= 300 && a.code < 400:
		m.add(Finding{Check: "nginx-redirect", Severity: Error, File: t.where(at.file), Line: at.line, What: fmt.Sprintf("a request for %s is answered with %d", r.path, a.code),
			Why: "WebSocket clients follow no redirect, and a POST becomes a GET", Fix: "redirect on the listener of the load balancer, or all but " + ours})
		return
	case !a.passed():
		m.add(Finding{Check: "nginx-location", Severity: Error, File: t.where(at.file), Line: at.line, What: "no location passes the Socket.IO path to the application",
			Why: fmt.Sprintf("every request for %s is answered %d by nginx", ours, a.code), Fix: "take over conf.d/elasticbeanstalk/00_application.conf"})
		return
	}
	m.passing(t, http, server, r, a)
	m.timeouts(t, a.scope)
	m.bodies(t, a.scope)
	m.logs(t, http, a.scope)
	m.healthdLog(t, a)
	m.upstream(t, http, a)
}

// socketPath is where the application serves Socket.IO.
func (m *model) socketPath() string {
	return "/" + strings.TrimPrefix(strings.Trim(m.property("BEANPOLE_PATH", "/socket.io/").value, "/")+"/", "/")
}

func arrives(a answer, ours string) bool {
	return strings.TrimSuffix(a.path, "/") == strings.TrimSuffix(ours, "/")
}

// socketAnswer returns what nginx does with a client's first request. Where the application's own path does not arrive, it
// may be another that does: clients are told a path of their own then.
func (m *model) socketAnswer(http, server *directive, port string) (request, answer) {
	ours := m.socketPath()
	r := m.clientRequest(ours, port)
	a := serve(http, server, r)
	if a.passed() && arrives(a, ours) {
		return r, a
	}
	for _, p := range locations(server.block) {
		if p.kind != "" && p.kind != "^~" || p.what == "/" || strings.HasPrefix(p.what, ours) {
			continue // nobody tells clients a path with ours in it twice
		}
		for _, path := range []string{p.what, p.what + strings.TrimPrefix(ours, "/")} {
			other := m.clientRequest(path, port)
			if b := serve(http, server, other); b.passed() && arrives(b, ours) {
				return other, b
			}
		}
	}
	return r, a
}

// clientRequest is the first request of a client that speaks WebSocket.
func (m *model) clientRequest(path, port string) request {
	r := request{method: "GET", host: "www.example.com", path: path, query: "EIO=4&transport=websocket", port: port, effort: m.effort,
		header: map[string]string{"upgrade": "websocket", "connection": "Upgrade", "user_agent": "Mozilla/5.0", "origin": "https://www.example.com",
			"sec_websocket_key": "AAAAAAAAAAAAAAAAAAAAAA==", "sec_websocket_version": "13"}}
	if m.balancer() == "application" {
		proto := "http"
		if m.secure() {
			proto = "https"
		}
		r.header["x_forwarded_proto"], r.header["x_forwarded_for"] = proto, "192.0.2.1"
	}
	return r
}

// inForce returns the directives of a name that hold: all of the innermost block that has some, and none of those around it.
func inForce(scope []*directive, name string) []*directive {
	for _, block := range scope {
		if list := all(block.block, name); len(list) > 0 {
			return list
		}
	}
	return nil
}

// inherited returns the one directive that is in force, or nil.
func inherited(scope []*directive, name string) *directive {
	list := inForce(scope, name)
	if len(list) == 0 {
		return nil
	}
	return list[len(list)-1]
}

// workers looks at how many connections nginx takes.
func (m *model) workers(t tree, conf []*directive) {
	events := first(conf, "events")
	var d *directive
	n := 512
	if events != nil {
		if d = first(events.block, "worker_connections"); d != nil {
			n = atoi(d.arg(), n)
		}
	}
	if n <= 1024 {
		f := Finding{Check: "worker-connections", Severity: Warning, File: ".platform/nginx/nginx.conf", What: fmt.Sprintf("worker_connections is %d", n),
			Why: fmt.Sprintf("a WebSocket takes two: about %d a processor, then connections are reset", n/2), Fix: "take over .platform/nginx/nginx.conf, the only place to raise it"}
		if d != nil && t.ours[d.file] {
			f.File, f.Line = t.where(d.file), d.line
		}
		m.add(f)
	}
	if limit := first(conf, "worker_rlimit_nofile"); limit != nil && d != nil && atoi(limit.arg(), 0) < n {
		m.add(Finding{Check: "worker-files", Severity: Warning, File: t.where(limit.file), Line: limit.line, What: fmt.Sprintf("worker_rlimit_nofile %s is below worker_connections %d", limit.arg(), n),
			Why: "each connection is an open file: `too many open files` comes first", Fix: fmt.Sprintf("worker_rlimit_nofile %d;", 2*n)})
	}
}

// timeouts holds nginx's patience against the heartbeat and the load balancer's.
func (m *model) timeouts(t tree, scope []*directive) {
	interval, _ := m.duration("BEANPOLE_PING_INTERVAL", 25*time.Second)
	timeout, _ := m.duration("BEANPOLE_PING_TIMEOUT", 20*time.Second)
	idle, _ := m.idle()
	read, d := m.seconds(scope, "proxy_read_timeout", time.Minute)
	file, line := m.place(t, d)
	switch {
	case read <= interval+timeout:
		m.add(Finding{Check: "proxy-read-timeout", Severity: Error, File: file, Line: line, What: fmt.Sprintf("proxy_read_timeout is %v, pingInterval + pingTimeout %v", read, interval+timeout),
			Why: "nginx cuts quiet WebSockets and answers polls with 504 before the server sends its ping", Fix: "proxy_read_timeout 75s;"})
	case idle > 0 && read < idle && m.balancer() == "application":
		m.add(Finding{Check: "proxy-read-timeout", Severity: Warning, File: file, Line: line, What: fmt.Sprintf("proxy_read_timeout is %v, the load balancer's idle timeout %v", read, idle),
			Why: "the longer one has no effect: whichever is shorter cuts", Fix: fmt.Sprintf("proxy_read_timeout %ds;", int(idle.Seconds())+15)})
	}
	if declared, s := m.duration("BEANPOLE_IDLE_TIMEOUT", 0); s.line > 0 && declared > read {
		m.add(Finding{Check: "idle-mismatch", Severity: Warning, File: s.file, Line: s.line, What: fmt.Sprintf("BEANPOLE_IDLE_TIMEOUT is %v, nginx's proxy_read_timeout %v", declared, read),
			Why: "the server checks its heartbeat against a number that is not true", Fix: "declare the shorter"})
	}
	if keep, d := m.seconds(scope, "keepalive_timeout", 75*time.Second); m.balancer() == "application" && keep <= idle {
		file, line := m.place(t, d)
		m.add(Finding{Check: "keepalive-race", Severity: Warning, File: file, Line: line, What: fmt.Sprintf("keepalive_timeout is %v, the load balancer's idle timeout %v", keep, idle),
			Why: "the load balancer sends requests into connections that nginx is closing: now and then a 502", Fix: fmt.Sprintf("keepalive_timeout %d;", int(idle.Seconds())+15)})
	}
}

// bodies holds the largest body that nginx takes against the server's.
func (m *model) bodies(t tree, scope []*directive) {
	most, s := int64(1_000_000), m.property("BEANPOLE_MAX_PAYLOAD", "1000000")
	if n, err := strconv.ParseInt(s.value, 10, 64); err == nil {
		most = n
	}
	d := inherited(scope, "client_max_body_size")
	size := int64(1 << 20)
	if d != nil {
		size = bytesOf(d.arg())
	}
	if size != 0 && size < most {
		file, line := m.place(t, d)
		m.add(Finding{Check: "body-size", Severity: Error, File: file, Line: line, What: fmt.Sprintf("client_max_body_size is %d bytes, BEANPOLE_MAX_PAYLOAD %d", size, most),
			Why: "messages that the server would take over WebSocket are refused by nginx over polling: 413", Fix: fmt.Sprintf("client_max_body_size %dm;", most>>20+1)})
	}
}

// withQuery matches the variables of a log format that have the query of a request.
var withQuery = regexp.MustCompile(`\$\{?(request|request_uri|args|query_string)\b`)

// logs looks whether nginx writes down what gives access: the id of a session stands in the query, and often a token.
func (m *model) logs(t tree, http *directive, scope []*directive) {
	m.accessLogs(t, http, scope)
	// Its lines have the whole request, those of alert too.
	add := func(file string, line int) {
		m.add(Finding{Check: "log-query", Severity: Warning, File: file, Line: line, What: "the error log has the queries of Socket.IO requests that fail",
			Why: "ids of sessions, and tokens of clients that send them so, can be used by everybody who reads the log: who uses up the connections has those of others written",
			Fix: "error_log /dev/null emerg; in the location that passes them on: what fails is in the access log"})
	}
	lines := inForce(scope, "error_log")
	for _, l := range lines {
		if l.arg() != "/dev/null" {
			add(t.where(l.file), l.line)
		}
	}
	if len(lines) == 0 {
		add(t.where(scope[0].file), scope[0].line)
	}
}

func (m *model) accessLogs(t tree, http *directive, scope []*directive) {
	for _, l := range inForce(scope, "access_log") {
		format := `"$request"` // combined, which nobody has to define
		if len(l.args) > 1 && !strings.Contains(l.args[1], "=") {
			for _, f := range all(http.block, "log_format") {
				if f.arg() == l.args[1] {
					format = strings.Join(f.args[1:], "")
				}
			}
		}
		if l.arg() != "off" && withQuery.MatchString(format) {
			m.add(Finding{Check: "log-query", Severity: Warning, File: t.where(l.file), Line: l.line, What: "the access log has the queries of Socket.IO requests",
				Why: "ids of sessions, and tokens of clients that send them so, can be used by everybody who reads the log", Fix: "take over the log_format in .platform/nginx/conf.d/beanpole.conf, or access_log off"})
		}
	}
}

// certificate returns where the certificate is set with which the application speaks TLS, if it does.
func (m *model) certificate() (setting, bool) {
	_, set := m.variables()
	s, ok := set["BEANPOLE_TLS_CERT"]
	return s, ok && s.value != ""
}

// upstream holds where nginx passes requests to against where the server listens.
func (m *model) upstream(t tree, http *directive, a answer) {
	p := a.by
	cert, secure := m.certificate()
	switch over := strings.HasPrefix(a.pass, "https://"); {
	case over && !secure:
		m.add(Finding{Check: "upstream-tls", Severity: Error, File: t.where(p.file), Line: p.line, What: "requests are passed on over TLS",
			Why: "the application speaks HTTP: 502 on everything", Fix: "proxy_pass http://…"})
	case secure && !over && !m.direct():
		m.add(Finding{Check: "upstream-tls", Severity: Error, File: cert.file, Line: cert.line, What: "BEANPOLE_TLS_CERT is set, and nginx passes requests on over HTTP",
			Why: "with a certificate the port speaks TLS alone: 400 on everything", Fix: "delete it and BEANPOLE_TLS_KEY, as TLS ends at the load balancer; or proxy_pass https://…"})
	}
	if m.platform == Docker {
		if target(a) != "docker" && t.ours[p.file] {
			m.add(Finding{Check: "port-mismatch", Severity: Error, File: t.where(p.file), Line: p.line, What: "requests are passed to " + p.arg(),
				Why: "the container has an address of its own, which the platform writes into the upstream named docker", Fix: "proxy_pass http://docker;"})
		}
		return
	}
	want := m.property("PORT", "5000")
	list := servers(http, a)
	for _, s := range list {
		// nginx counts failures of the only server of an upstream not at all.
		if len(list) > 1 && !slices.Contains(s.args, "max_fails=0") {
			m.add(Finding{Check: "upstream-fails", Severity: Warning, File: t.where(s.file), Line: s.line, What: s.arg() + " counts as dead for ten seconds when it fails once",
				Why: "all servers of this upstream are the one application: while it starts anew they fail one after the other, and then everything is refused with 502 for longer than it was away", Fix: "max_fails=0 at each of them"})
			break
		}
	}
	for _, s := range list {
		if _, port, err := net.SplitHostPort(s.arg()); err == nil && port != want.value {
			m.add(Finding{Check: "port-mismatch", Severity: Error, File: t.where(s.file), Line: s.line, What: fmt.Sprintf("nginx passes requests to port %s, PORT is %s (%s)", port, want.value, want.where()),
				Why: "nobody listens there: 502 on everything", Fix: "make both the same"})
		}
	}
}

// healthdLog looks for the log that enhanced health takes its figures from, of whatever is passed on.
func (m *model) healthdLog(t tree, a answer) {
	if s, _ := m.get("aws:elasticbeanstalk:healthreporting:system", "SystemType"); s.value != "enhanced" {
		return
	}
	var writes func(scope []*directive) bool
	writes = func(scope []*directive) bool {
		return first(scope[0].block, "proxy_pass") != nil &&
			slices.ContainsFunc(inForce(scope, "access_log"), func(d *directive) bool { return strings.HasPrefix(d.arg(), "/var/log/nginx/healthd/") }) ||
			slices.ContainsFunc(all(scope[0].block, "location"), func(d *directive) bool { return writes(append([]*directive{d}, scope...)) })
	}
	if !writes(a.scope[len(a.scope)-2:]) {
		m.add(Finding{Check: "healthd-none", Severity: Warning, File: t.where(a.at.file), Line: a.at.line, What: "nginx does not write the log of enhanced health",
			Why: "enhanced health sees no requests, and no errors among them", Fix: "access_log /var/log/nginx/healthd/application.log.$year-$month-$day-$hour healthd; as in 00_application.conf"})
	}
}

// target is the host of proxy_pass.
func target(a answer) string {
	_, rest, _ := strings.Cut(a.pass, "://")
	if strings.HasPrefix(rest, "unix:") {
		return rest
	}
	rest, _, _ = strings.Cut(rest, "/")
	return rest
}

// servers returns those of the upstream that a request is passed on to, or the one that proxy_pass names.
func servers(http *directive, a answer) []*directive {
	for _, u := range all(http.block, "upstream") {
		if u.arg() == target(a) {
			return all(u.block, "server")
		}
	}
	return []*directive{{name: "server", args: []string{target(a)}, file: a.by.file, line: a.by.line}}
}

func (m *model) place(t tree, d *directive) (string, int) {
	if d == nil || !t.ours[d.file] {
		return ".platform/nginx", 0
	}
	return t.where(d.file), d.line
}

func (m *model) seconds(scope []*directive, name string, def time.Duration) (time.Duration, *directive) {
	d := inherited(scope, name)
	if d == nil {
		return def, nil
	}
	v := d.arg()
	if n, err := strconv.Atoi(v); err == nil {
		return time.Duration(n) * time.Second, d
	}
	// nginx knows d, w, M and y too, which nobody needs here.
	if n, err := time.ParseDuration(strings.ReplaceAll(v, " ", "")); err == nil {
		return n, d
	}
	if days, err := strconv.Atoi(strings.TrimSuffix(v, "d")); err == nil {
		return time.Duration(days) * 24 * time.Hour, d
	}
	return def, d
}

func bytesOf(v string) int64 {
	shift := 0
	switch strings.ToLower(v[max(0, len(v)-1):]) {
	case "k":
		shift = 10
	case "m":
		shift = 20
	case "g":
		shift = 30
	}
	n, _ := strconv.ParseInt(strings.TrimRight(v, "kKmMgG"), 10, 64)
	return n << shift
}

package lint

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// effective looks at what the whole tree means for a request to the Socket.IO path.
func (m *model) effective(t tree, conf []*directive) {
	http := first(conf, "http")
	if http == nil {
		m.add(Finding{Check: "nginx-syntax", Severity: Error, File: t.where("nginx.conf"), What: "there is no http{}", Why: "nginx serves nothing", Fix: "start from the platform's nginx.conf"})
		return
	}
	m.workers(t, conf)
	server := defaultServer(http)
	if server == nil {
		m.add(Finding{Check: "nginx-server", Severity: Error, File: t.where("nginx.conf"), Line: http.line, What: "no server{} listens on port 80",
			Why: "the load balancer's requests are refused", Fix: "start from the platform's nginx.conf"})
		return
	}
	loc := bestLocation(server, m.property("BEANPOLE_PATH", "/socket.io/").value)
	if loc == nil || first(loc.block, "proxy_pass") == nil {
		m.add(Finding{Check: "nginx-location", Severity: Error, File: t.where(server.file), Line: server.line, What: "no location passes the Socket.IO path to the application",
			Why: "every request is answered 404 by nginx", Fix: "take over conf.d/elasticbeanstalk/00_application.conf"})
		return
	}
	scope := []*directive{loc, server, http}
	if !upgrades(scope...) {
		m.add(Finding{Check: "nginx-upgrade", Severity: Error, File: t.where(loc.file), Line: loc.line, What: "Upgrade and Connection are not passed on over HTTP/1.1",
			Why: "no WebSocket comes about; clients stay on polling, and those without polling cannot connect. One proxy_set_header in a block replaces all those of the blocks around it",
			Fix: "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;"})
	}
	m.timeouts(t, scope)
	m.bodies(t, scope)
	m.upstream(t, http, loc)
}

func defaultServer(http *directive) (found *directive) {
	for _, s := range all(http.block, "server") {
		for _, l := range all(s.block, "listen") {
			port := l.arg()
			if _, p, err := net.SplitHostPort(port); err == nil {
				port = p
			}
			if port == "80" && (found == nil || strings.Contains(strings.Join(l.args, " "), "default_server")) {
				found = s
			}
		}
	}
	return found
}

// bestLocation returns the prefix location that nginx takes for the path.
func bestLocation(server *directive, path string) (best *directive) {
	length := -1
	for _, l := range all(server.block, "location") {
		prefix := l.arg()
		if len(l.args) == 2 && (l.args[0] == "^~" || l.args[0] == "=") {
			prefix = l.args[1]
		}
		if strings.HasPrefix(path, prefix) && len(prefix) > length {
			best, length = l, len(prefix)
		}
	}
	return best
}

// inherited returns the directive that is in force: that of the innermost block that has one.
func inherited(scope []*directive, name string) *directive {
	for _, block := range scope {
		if list := all(block.block, name); len(list) > 0 {
			return list[len(list)-1]
		}
	}
	return nil
}

// upgrades reports whether a WebSocket handshake gets through. Headers are inherited only by blocks that set
// none themselves.
func upgrades(scope ...*directive) bool {
	if v := inherited(scope, "proxy_http_version"); v.arg() != "1.1" {
		return false
	}
	for _, block := range scope {
		headers := all(block.block, "proxy_set_header")
		if len(headers) == 0 {
			continue
		}
		var upgrade, connection bool
		for _, h := range headers {
			if len(h.args) == 2 {
				upgrade = upgrade || strings.EqualFold(h.args[0], "Upgrade") && h.args[1] != ""
				connection = connection || strings.EqualFold(h.args[0], "Connection") && h.args[1] != ""
			}
		}
		return upgrade && connection
	}
	return false
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

// upstream holds the port that nginx passes requests to against the server's.
func (m *model) upstream(t tree, http, loc *directive) {
	if m.platform == Docker {
		if p := first(loc.block, "proxy_pass"); p.arg() != "http://docker" && t.ours[p.file] {
			m.add(Finding{Check: "port-mismatch", Severity: Error, File: t.where(p.file), Line: p.line, What: "requests are passed to " + p.arg(),
				Why: "the container has an address of its own, which the platform writes into the upstream named docker", Fix: "proxy_pass http://docker;"})
		}
		return
	}
	p := first(loc.block, "proxy_pass")
	target := strings.TrimPrefix(p.arg(), "http://")
	at := p
	for _, u := range all(http.block, "upstream") {
		if s := first(u.block, "server"); u.arg() == target && s != nil {
			target, at = s.arg(), s
		}
	}
	if m.platform == Go && target == "docker" {
		m.add(Finding{Check: "port-mismatch", Severity: Error, File: t.where(p.file), Line: p.line, What: "requests are passed to the upstream docker",
			Why: "only the Docker platform writes one", Fix: "use the files for the Go platform"})
		return
	}
	_, port, err := net.SplitHostPort(strings.TrimSuffix(target, "/"))
	want := m.property("PORT", "5000")
	if err == nil && port != want.value {
		m.add(Finding{Check: "port-mismatch", Severity: Error, File: t.where(at.file), Line: at.line, What: fmt.Sprintf("nginx passes requests to port %s, PORT is %s (%s)", port, want.value, want.where()),
			Why: "nobody listens there: 502 on everything", Fix: "make both the same"})
	}
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

package lint

import (
	"fmt"
	"slices"
	"strings"
)

// What nginx does to the requests that it passes on, and to their answers. The application sees the one, browsers the other.

// passing looks at what becomes of a client's requests on their way through.
func (m *model) passing(t tree, http, server *directive, r request, a answer) {
	if !upgrades(http, a.scope, r) {
		m.add(Finding{Check: "nginx-upgrade", Severity: Error, File: t.where(a.at.file), Line: a.at.line, What: "Upgrade and Connection are not passed on over HTTP/1.1",
			Why: "no WebSocket comes about; clients stay on polling, and those without polling cannot connect. One proxy_set_header in a block replaces all those of the blocks around it",
			Fix: "proxy_http_version 1.1, and all five proxy_set_header lines of 00_application.conf: Upgrade $http_upgrade, Connection $connection_upgrade, Host, X-Real-IP and X-Forwarded-For"})
	}
	add := func(d *directive, f Finding) {
		if d == nil {
			d = a.at
		}
		f.File, f.Line = t.where(d.file), d.line
		m.add(f)
	}
	h := passedHeaders(http, a.scope, r)
	for _, need := range neededHeaders {
		sent := r.header[strings.ReplaceAll(strings.ToLower(need.name), "-", "_")]
		if need.name == "Host" {
			sent = r.host
		}
		if got := h[strings.ToLower(need.name)]; !need.same(got.value, sent) {
			f := need.Finding
			f.Severity, f.What = Error, fmt.Sprintf("the application gets the %s %q for %s", need.name, got.value, sent)
			add(got.by, f)
		}
	}
	proxies := strings.Count(h["x-forwarded-for"].value, ",") + 1
	if m.balancer() == "application" && proxies < 2 && inherited(a.scope, "real_ip_header") == nil {
		add(h["x-forwarded-for"].by, Finding{Check: "nginx-forwarded-for", Severity: Error, What: "nginx does not append the load balancer to X-Forwarded-For",
			Why: "the addresses of clients are lost, or not those that BEANPOLE_TRUSTED_HOPS counts to: limits for an address hold for all together", Fix: "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"})
	}
	if !strings.Contains("&"+a.query+"&", "&transport=websocket&") {
		add(a.by, Finding{Check: "nginx-query", Severity: Error, What: fmt.Sprintf("the query arrives at the application as %q", a.query),
			Why: "transport and session are in it: every request is refused with 400", Fix: "proxy_pass without variables, or with $request_uri; no rewrite that ends with ?, no set $args"})
	}
	p := passage{m, http, server, r, a}
	if m.polling() {
		if b := p.serve(p.post()); !b.passed() {
			add(b.by, Finding{Check: "nginx-post", Severity: Error, What: fmt.Sprintf("a POST to %s is answered %d by nginx", r.path, b.code),
				Why: "clients on polling hear and cannot speak: every connection ends after a few seconds", Fix: "let POST through where GET is"})
		}
	}
	if asks := p.preflight(); m.polling() && m.elsewhere().line > 0 {
		if b := p.serve(asks); !b.passed() && b.code >= 300 {
			add(b.by, Finding{Check: "nginx-preflight", Severity: Warning, What: fmt.Sprintf("OPTIONS for %s is answered %d by nginx", r.path, b.code),
				Why: "browsers ask so before what a page elsewhere sends with headers of its own (extraHeaders), and then send nothing", Fix: "let OPTIONS through where GET is"})
		}
	}
	p.altered(add)
	p.clientFiles(t)
	m.limited(add, http, a.scope)
	if ignored := inherited(a.scope, "proxy_ignore_headers"); ignored != nil && slices.ContainsFunc(ignored.args, func(s string) bool { return strings.EqualFold(s, "Cache-Control") }) {
		if cache := inherited(a.scope, "proxy_cache"); cache != nil && cache.arg() != "off" {
			add(cache, Finding{Check: "nginx-cache", Severity: Error, What: "nginx remembers answers to polls, whatever Cache-Control says",
				Why: "one client's session is given to another", Fix: "proxy_cache off; in the location of the Socket.IO path"})
		}
	}
	for _, d := range inForce(a.scope, "add_header") {
		if m.elsewhere().line > 0 && strings.EqualFold(d.arg(), "Access-Control-Allow-Origin") && inherited(a.scope, "proxy_hide_header").arg() == "" {
			add(d, Finding{Check: "nginx-cors", Severity: Error, What: "nginx adds Access-Control-Allow-Origin, and so does the application (" + m.elsewhere().where() + ")",
				Why: "browsers refuse an answer that has two", Fix: "delete the line"})
		}
	}
}

// elsewhere is the setting of the pages that may connect from elsewhere.
func (m *model) elsewhere() setting { return m.property("BEANPOLE_ALLOWED_ORIGINS", "") }

// limited finds limits for an address, which behind a load balancer is that of the load balancer.
func (m *model) limited(add func(*directive, Finding), http *directive, scope []*directive) {
	if m.balancer() != "application" || inherited(scope, "real_ip_header") != nil {
		return
	}
	for _, kind := range []string{"limit_req", "limit_conn"} {
		d := inherited(scope, kind)
		if d == nil {
			continue
		}
		for _, zone := range all(http.block, kind+"_zone") {
			if !strings.Contains(zone.arg(), "remote_addr") || !slices.ContainsFunc(zone.args, func(s string) bool {
				name, _, _ := strings.Cut(strings.TrimPrefix(s, "zone="), ":")
				return name == strings.TrimPrefix(d.arg(), "zone=") && s != name
			}) {
				continue
			}
			add(d, Finding{Check: "nginx-limit", Severity: Error, What: fmt.Sprintf("%s counts by %s, which is the load balancer", kind, zone.arg()),
				Why: "all clients together have what one was meant to have: they are refused with 503, at random", Fix: "BEANPOLE_HANDSHAKES_PER_SECOND_PER_ADDR and BEANPOLE_MAX_SESSIONS_PER_ADDR know the clients"})
		}
	}
}

// header is one that the application gets, with the line that sets it.
type header struct {
	value string
	by    *directive
}

// passedHeaders are those that the application gets, by their names in small letters: the request's, but for what is set.
// Lines are inherited only by blocks that have none themselves.
func passedHeaders(http *directive, scope []*directive, r request) map[string]header {
	passed := map[string]header{"host": {value: "the name in proxy_pass"}, "connection": {value: "close"}}
	none := inherited(scope, "proxy_pass_request_headers")
	for name, value := range r.header {
		switch name = strings.ReplaceAll(name, "_", "-"); {
		case none.arg() == "off":
			passed[name] = header{by: none}
		case name != "connection" && name != "upgrade":
			passed[name] = header{value: value}
		}
	}
	v := &visit{http: http, r: r, path: r.path, scope: scope}
	for _, d := range inForce(scope, "proxy_set_header") {
		if len(d.args) == 2 {
			passed[strings.ToLower(d.args[0])] = header{v.expand(d.args[1]), d}
		}
	}
	return passed
}

// upgrades reports whether a WebSocket handshake gets through.
func upgrades(http *directive, scope []*directive, r request) bool {
	h := passedHeaders(http, scope, r)
	return inherited(scope, "proxy_http_version").arg() == "1.1" && strings.EqualFold(h["upgrade"].value, "websocket") &&
		strings.Contains(strings.ToLower(h["connection"].value), "upgrade")
}

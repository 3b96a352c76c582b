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
	if host := h["host"]; !strings.EqualFold(host.value, r.host) {
		add(host.by, Finding{Check: "nginx-host", Severity: Error, What: fmt.Sprintf("the application gets the Host %q for %s", host.value, r.host),
			Why: "its own pages are of another origin to it, and refused with 403; BEANPOLE_ALLOWED_HOSTS lets nobody in", Fix: "proxy_set_header Host $host;"})
	}
	if page := h["origin"]; page.value != r.header["origin"] {
		add(page.by, Finding{Check: "nginx-origin", Severity: Error, What: fmt.Sprintf("the application gets the Origin %q for %s", page.value, r.header["origin"]),
			Why: "it cannot tell pages that may connect from others: those get no CORS header, and WebSockets of any page are let in", Fix: "delete the line: nginx passes Origin on as it is"})
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
	if post := (request{method: "POST", host: r.host, path: r.path, query: "EIO=4&transport=polling&sid=0", port: r.port, header: r.header, effort: r.effort}); m.polling() {
		if b := serve(http, server, post); !b.passed() {
			add(b.by, Finding{Check: "nginx-post", Severity: Error, What: fmt.Sprintf("a POST to %s is answered %d by nginx", r.path, b.code),
				Why: "clients on polling hear and cannot speak: every connection ends after a few seconds", Fix: "let POST through where GET is"})
		}
	}
	m.limited(add, http, a.scope)
	if ignored := inherited(a.scope, "proxy_ignore_headers"); ignored != nil && slices.ContainsFunc(ignored.args, func(s string) bool { return strings.EqualFold(s, "Cache-Control") }) {
		if cache := inherited(a.scope, "proxy_cache"); cache != nil && cache.arg() != "off" {
			add(cache, Finding{Check: "nginx-cache", Severity: Error, What: "nginx remembers answers to polls, whatever Cache-Control says",
				Why: "one client's session is given to another", Fix: "proxy_cache off; in the location of the Socket.IO path"})
		}
	}
	own := m.property("BEANPOLE_ALLOWED_ORIGINS", "")
	for _, block := range a.scope {
		headers := all(block.block, "add_header")
		for _, d := range headers {
			if own.line > 0 && strings.EqualFold(d.arg(), "Access-Control-Allow-Origin") && inherited(a.scope, "proxy_hide_header").arg() == "" {
				add(d, Finding{Check: "nginx-cors", Severity: Error, What: "nginx adds Access-Control-Allow-Origin, and so does the application (" + own.where() + ")",
					Why: "browsers refuse an answer that has two", Fix: "delete the line"})
			}
		}
		if len(headers) > 0 {
			break // of the innermost block that has some
		}
	}
}

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
	for name, value := range r.header {
		if name != "connection" && name != "upgrade" {
			passed[strings.ReplaceAll(name, "_", "-")] = header{value: value}
		}
	}
	v := &visit{http: http, r: r, path: r.path}
	for _, block := range scope {
		lines := all(block.block, "proxy_set_header")
		for _, d := range lines {
			if len(d.args) == 2 {
				passed[strings.ToLower(d.args[0])] = header{v.expand(d.args[1]), d}
			}
		}
		if len(lines) > 0 {
			break
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

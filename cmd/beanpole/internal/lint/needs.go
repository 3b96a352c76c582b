package lint

import (
	"fmt"
	"slices"
	"strings"
)

// What Socket.IO needs on its way through nginx, as tables: the headers that have to arrive as they were sent, and the
// directives that change or withhold something of a request or of its answer.

// neededHeaders are those of a client's request by which the application decides.
var neededHeaders = []struct {
	name string
	same func(got, sent string) bool
	Finding
}{
	{"Host", strings.EqualFold, Finding{Check: "nginx-host",
		Why: "its own pages are of another origin to it, and refused with 403; BEANPOLE_ALLOWED_HOSTS lets nobody in", Fix: "proxy_set_header Host $host;"}},
	{"Origin", equal, Finding{Check: "nginx-origin",
		Why: "it cannot tell pages that may connect from others: those get no CORS header, and WebSockets of any page are let in", Fix: "delete the line: nginx passes Origin on as it is"}},
	{"Sec-WebSocket-Key", equal, Finding{Check: "nginx-handshake",
		Why: "no WebSocket comes about: clients stay on polling, and those without polling cannot connect", Fix: "delete the line: nginx passes the header on as it is"}},
	{"Sec-WebSocket-Version", equal, Finding{Check: "nginx-handshake",
		Why: "no WebSocket comes about: clients stay on polling, and those without polling cannot connect", Fix: "delete the line: nginx passes the header on as it is"}},
	// Of several, the first is that of the proxy farthest out.
	{"X-Forwarded-Proto", strings.HasPrefix, Finding{Check: "nginx-proto",
		Why: "TLS ends at the load balancer: pages of https:// are of another origin to the application, and refused with 403", Fix: "delete the line: nginx passes on what the load balancer says; or $http_x_forwarded_proto"}},
}

func equal(got, sent string) bool { return got == sent }

// passage is a client's request that gets through.
type passage struct {
	m            *model
	http, server *directive
	r            request
	a            answer
}

// serve is what nginx does with another request to the same server.
func (p passage) serve(r request) answer { return serve(p.http, p.server, r) }

// post is what a client on polling sends.
func (p passage) post() request {
	r := p.r
	r.method, r.query = "POST", "EIO=4&transport=polling&sid=0"
	return r
}

// preflight is what a browser asks before a request of a page elsewhere that is more than plain.
func (p passage) preflight() request {
	r := p.r
	r.method, r.query = "OPTIONS", "EIO=4&transport=polling"
	return r
}

// alterations are directives that spoil a request of Socket.IO, or its answer.
var alterations = []struct {
	directive string
	polling   bool // it spoils polling alone
	spoils    func(p passage, d *directive) bool
	Finding
}{
	{"proxy_pass_request_body", true, func(_ passage, d *directive) bool { return d.arg() == "off" }, Finding{Check: "nginx-body", Severity: Error, What: "nginx passes requests on without their bodies",
		Why: "nothing that clients on polling say arrives: every connection ends after a few seconds", Fix: "delete the line"}},
	{"proxy_set_body", true, func(_ passage, d *directive) bool { return strings.Trim(d.arg(), "${}") != "request_body" }, Finding{Check: "nginx-body", Severity: Error, What: "nginx puts a body of its own in the place of that of a request",
		Why: "nothing that clients on polling say arrives: every connection ends after a few seconds", Fix: "delete the line"}},
	{"proxy_method", false, passage.otherMethod, Finding{Check: "nginx-method", Severity: Error, What: "nginx passes all requests on with one method",
		Why: "GET and POST are two things at the same path: clients cannot speak, or cannot hear", Fix: "delete the line"}},
	{"proxy_hide_header", false, passage.hides, Finding{Check: "nginx-answer", Severity: Error, What: "nginx keeps a header of the answer for itself that clients need",
		Why: "browsers refuse the answer: a WebSocket does not come about, or a page of another site may not read what it polls", Fix: "delete the line"}},
	{"error_page", true, passage.disguises, Finding{Check: "nginx-answer", Severity: Warning, What: "nginx answers with a page where the application refuses a request",
		Why: "clients on polling take the page for packets, and say `parse error` in the place of why they were refused", Fix: "proxy_intercept_errors off; in the location that passes them on"}},
	{"mirror", false, passage.mirrors, Finding{Check: "nginx-twice", Severity: Error, What: "nginx sends each request to the application twice",
		Why: "two polls of one session at once end it, and what a client says arrives twice", Fix: "mirror off; in the location of the Socket.IO path"}},
	{"proxy_next_upstream", true, func(_ passage, d *directive) bool { return slices.Contains(d.args, "non_idempotent") }, Finding{Check: "nginx-twice", Severity: Warning, What: "nginx repeats a POST that has failed",
		Why: "the application may have read it: what a client says arrives twice", Fix: "proxy_next_upstream off;"}},
}

// altered looks for them in what holds for a request.
func (p passage) altered(add func(*directive, Finding)) {
	for _, rule := range alterations {
		for _, d := range inForce(p.a.scope, rule.directive) {
			if (!rule.polling || p.m.polling()) && rule.spoils(p, d) {
				add(d, rule.Finding)
			}
		}
	}
}

func (p passage) otherMethod(d *directive) bool {
	for _, r := range []request{p.r, p.post()} {
		v := &visit{http: p.http, r: r, path: r.path, scope: p.a.scope}
		if v.expand(d.arg()) != r.method && (r.method == "GET" || p.m.polling()) {
			return true
		}
	}
	return false
}

func (p passage) hides(d *directive) bool {
	switch strings.ToLower(d.arg()) {
	case "sec-websocket-accept", "upgrade":
		return true
	case "access-control-allow-origin":
		return p.m.polling() && p.m.elsewhere().line > 0 &&
			!slices.ContainsFunc(inForce(p.a.scope, "add_header"), func(h *directive) bool { return strings.EqualFold(h.arg(), d.arg()) })
	}
	return false
}

// refusals are the codes with which the application refuses a request of Socket.IO.
var refusals = []int{400, 403, 413, 429, 503}

func (p passage) disguises(d *directive) bool {
	return slices.ContainsFunc(refusals, func(code int) bool {
		by, to := replaced(p.a.scope, code, true)
		return by == d && to >= 200 && to < 300
	})
}

// replaced returns the error_page that holds for a code, and what is answered in its place; 0 is what is answered there
// where it leads. What the application answers it holds for if proxy_intercept_errors is on.
// Source: ngx_http_send_header, which puts the code of error_page in the place of any other.
func replaced(scope []*directive, code int, ofApplication bool) (by *directive, to int) {
	if ofApplication && inherited(scope, "proxy_intercept_errors").arg() != "on" {
		return nil, code
	}
	for _, d := range inForce(scope, "error_page") {
		words := d.args[:max(0, len(d.args)-1)] // behind them is where it leads
		if !slices.Contains(words, fmt.Sprint(code)) {
			continue
		}
		if own, ok := strings.CutPrefix(words[len(words)-1], "="); ok {
			return d, max(0, number(own))
		}
		return d, code
	}
	return nil, code
}

// mirrors reports whether what is mirrored comes to the application as what it is.
func (p passage) mirrors(d *directive) bool {
	copied := p.r
	copied.within = d.arg()
	a := p.serve(copied)
	return d.arg() != "off" && a.passed() && arrives(a, p.m.socketPath()) && slices.Equal(addresses(p.http, a), addresses(p.http, p.a))
}

// addresses returns those that a request is passed on to.
func addresses(http *directive, a answer) (list []string) {
	for _, s := range servers(http, a) {
		list = append(list, s.arg())
	}
	return list
}

// clientFiles looks whether a page gets the client from the server, which has it at the Socket.IO path.
func (p passage) clientFiles(t tree) {
	var missing answer
	for _, name := range []string{"socket.io.min.js", "socket.io.js"} {
		r := p.r
		r.path, r.query = p.r.path+name, ""
		a := p.serve(r)
		root, ofBundle := strings.CutPrefix(inherited(a.scope, "root").arg(), "/var/app/current/")
		if a.code != 404 || inherited(a.scope, "alias") != nil || ofBundle && p.m.bundle.has(strings.Trim(root, "/")+r.path) {
			return
		}
		missing = a
	}
	file, line := p.m.at(t, missing)
	p.m.add(Finding{Check: "nginx-client", Severity: Warning, File: file, Line: line, What: p.r.path + "socket.io.js is not passed to the application, which has it",
		Why: "a page that loads the client from there gets 404, and says `io is not defined`", Fix: "location ^~ " + p.r.path + " with what is in location /, or try_files with a location that passes on what is no file"})
}

package lint

import (
	"cmp"
	"slices"
	"strings"
)

// request is one that arrives at nginx.
type request struct {
	method, host, path, query string
	header                    map[string]string // as nginx' variables name them: x_forwarded_proto
	port                      string            // it came in by
	within                    string            // the path of a request that nginx makes for this one; "" is this one
	effort                    *effort           // what following it may take
}

// answer is what nginx does with a request.
type answer struct {
	by    *directive   // what decides, or nil
	code  int          // answered by nginx itself; 0 when it is passed on
	pass  string       // proxy_pass, with the values of its variables
	path  string       // that the application sees
	query string       // that it sees
	scope []*directive // the blocks that hold for it, innermost first
	at    *directive   // the innermost location, or the server
}

// passed reports whether the application gets the request.
func (a answer) passed() bool { return a.pass != "" }

// maxTurns is how often nginx goes over to another path before it gives up with 500.
const maxTurns = 10

// serve returns what nginx does with r, as far as it can be known without running it: what reads the disk finds
// nothing there.
func serve(http, server *directive, r request) answer {
	v := &visit{http: http, server: server, r: r, path: cmp.Or(r.within, r.path), set: make(map[string]string)}
	if a, done := v.rewrite([]*directive{server, http}, new(bool)); done {
		a.at = server
		return a
	}
	name := "" // of a location that try_files names
	for range maxTurns {
		if !r.effort.spend(1 + len(server.block)) {
			break
		}
		chain := v.findLocation(server.block, v.path)
		if name != "" {
			chain = findNamed(server.block, name)
		}
		scope := make([]*directive, 0, len(chain)+2)
		for _, p := range chain {
			scope = append(scope, p.directive)
		}
		scope = append(scope, server, http)
		v.moved, v.again, v.inner, name = false, false, nil, ""
		if len(chain) > 0 {
			if a, done := v.rewrite(scope, new(bool)); done {
				a.at = scope[0]
				return a
			}
		}
		if v.again {
			continue
		}
		at := scope[0]
		if v.inner != nil { // an if whose condition holds is a block of its own
			scope = append([]*directive{v.inner}, scope...)
		}
		if code, by := v.refused(scope); code != 0 {
			return answer{code: code, by: by, scope: scope, at: at}
		}
		d, to := v.tried(scope)
		if d == nil {
			return v.content(scope, at, chain)
		}
		if status, ok := strings.CutPrefix(to, "="); ok {
			return answer{code: max(1, number(status)), by: d, scope: scope, at: at}
		}
		if name, _ = strings.CutPrefix(to, "@"); name == to {
			v.path, name = to, ""
		}
	}
	return answer{code: 500, at: server, scope: []*directive{server, http}}
}

// findNamed returns the location @name.
func findNamed(block []*directive, name string) []location {
	for _, p := range locations(block) {
		if p.kind == "@" && p.what == name {
			return []location{p}
		}
	}
	return nil
}

// content is the last phase: proxy_pass, or files. No block around the location is asked, but by an if.
func (v *visit) content(scope []*directive, at *directive, chain []location) answer {
	a := answer{scope: scope, at: at, code: 404} // there is no file
	for _, block := range []*directive{v.inner, at} {
		if block == nil {
			continue
		}
		if p := first(block.block, "proxy_pass"); p != nil {
			a.by, a.code, a.pass, a.path = p, 0, v.expand(p.arg()), v.upstreamPath(p.arg(), chain)
			a.query = v.upstreamQuery(p.arg())
			return a
		}
		for _, other := range []string{"fastcgi_pass", "uwsgi_pass", "scgi_pass", "grpc_pass", "empty_gif", "stub_status"} {
			if p := first(block.block, other); p != nil {
				a.by = p
				return a
			}
		}
	}
	return a
}

// upstreamPath is the path that arrives at the application. A path in proxy_pass takes the place of the location's, unless
// rewrite has changed it; nginx: proxy_pass.
func (v *visit) upstreamPath(pass string, chain []location) string {
	_, rest, _ := strings.Cut(pass, "://")
	i := strings.IndexByte(rest, '/')
	switch {
	case strings.HasPrefix(rest, "unix:"):
		_, after, ok := strings.Cut(strings.TrimPrefix(rest, "unix:"), ":")
		if !ok {
			return v.path
		}
		rest, i = after, 0
	case i < 0 && strings.Contains(rest, "$"):
		rest = v.expand(rest)
		if i = strings.IndexByte(rest, '/'); i < 0 {
			return v.path
		}
		path, _, _ := strings.Cut(rest[i:], "?")
		return path
	case i < 0 || v.moved:
		return v.path
	}
	if strings.Contains(rest, "$") {
		path, _, _ := strings.Cut(v.expand(rest[i:]), "?")
		return path
	}
	prefix := ""
	for _, p := range chain {
		if p.kind == "" || p.kind == "=" || p.kind == "^~" {
			prefix = p.what
			break
		}
	}
	return rest[i:] + strings.TrimPrefix(v.path, prefix)
}

// upstreamQuery is the query that arrives at the application. Where variables make a path in proxy_pass, it is what they
// make.
func (v *visit) upstreamQuery(pass string) string {
	_, rest, _ := strings.Cut(pass, "://")
	if rest = v.expand(rest); strings.Contains(pass, "$") && strings.Contains(rest, "/") {
		_, query, _ := strings.Cut(rest, "?")
		return query
	}
	return v.value("args")
}

// refused is access by password, address and the answer of another, which neither load balancers nor clients have, also for
// methods that limit_except does not except. What nginx asks by itself is not refused (ngx_http_core_access_phase).
func (v *visit) refused(scope []*directive) (int, *directive) {
	if v.r.within != "" {
		return 0, nil
	}
	for _, d := range all(scope[0].block, "limit_except") {
		if !slices.Contains(d.args, v.r.method) && (v.r.method != "HEAD" || !slices.Contains(d.args, "GET")) {
			scope = append([]*directive{d}, scope...)
		}
	}
	if inherited(scope, "satisfy").arg() == "any" && inherited(scope, "allow") != nil {
		return 0, nil // the load balancer may be among those
	}
	if d := inherited(scope, "auth_basic"); d != nil && d.arg() != "off" {
		return 401, d
	}
	if d := inherited(scope, "auth_request"); d != nil && d.arg() != "off" {
		asked := v.r
		asked.within = d.arg()
		switch a := serve(v.http, v.server, asked); {
		case a.passed() || a.code >= 200 && a.code < 300: // what is answered there is not known
		case a.code == 401 || a.code == 403:
			return a.code, d
		default:
			return 500, d
		}
	}
	for _, block := range scope {
		for _, d := range block.block {
			switch {
			case d.name == "deny" && d.arg() == "all":
				return 403, d
			case d.name == "deny" || d.name == "allow": // whose addresses cannot be known; the innermost rules count
				return 0, nil
			}
		}
	}
	return 0, nil
}

// tried is try_files, which finds no file: what counts is the last word. It returns nil where there is none.
func (v *visit) tried(scope []*directive) (by *directive, to string) {
	for _, block := range scope[:len(scope)-2] {
		if by = first(block.block, "try_files"); by != nil && len(by.args) > 1 {
			to, _, _ = strings.Cut(v.expand(by.args[len(by.args)-1]), "?")
			return by, to
		}
		if block.name == "location" {
			break
		}
	}
	return nil, ""
}

package lint

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// stock are the platform's own nginx files: /etc/nginx of a fresh instance of each platform.
//
//go:embed all:stock
var stock embed.FS

// Stock returns the nginx files that the platform itself writes to /etc/nginx.
func Stock(p Platform) map[string][]byte {
	files := make(map[string][]byte)
	root := "stock/" + string(p)
	_ = fs.WalkDir(stock, root, func(name string, d fs.DirEntry, err error) error { // an embed.FS has no errors
		if err == nil && !d.IsDir() {
			files[strings.TrimPrefix(name, root+"/")], err = stock.ReadFile(name)
		}
		return err
	})
	return files
}

const overlayDir = ".platform/nginx/"

// tree is /etc/nginx of an instance: the platform's files and over them those of the bundle.
type tree struct {
	files map[string][]byte
	ours  map[string]bool
}

// tree lays the bundle's files over the stock ones, as the deployment does: same name replaces, new name adds. The
// platform writes the application's port into its own: on Go that of PORT, on Docker the first that is exposed.
func (m *model) tree() tree {
	t := tree{files: Stock(m.platform), ours: make(map[string]bool)}
	for name, text := range t.files {
		if p := m.applicationPort(); p != "5000" {
			t.files[name] = appAddress.ReplaceAllFunc(text, func(at []byte) []byte {
				return []byte(strings.TrimSuffix(string(at), "5000") + p)
			})
		}
	}
	for _, name := range m.bundle.under(strings.TrimSuffix(overlayDir, "/")) {
		in := strings.TrimPrefix(name, overlayDir)
		t.files[in], t.ours[in] = m.bundle.text(name), true
	}
	return t
}

// appAddress matches where the platform's own files pass requests to.
var appAddress = regexp.MustCompile(`127\.0\.0\.1:5000|172\.17\.0\.2:5000`)

// applicationPort returns the port that the platform passes requests to by itself.
func (m *model) applicationPort() string {
	if m.platform == Docker {
		if port := exposed(m.bundle.instructions()); port != "" {
			return port
		}
		return "5000"
	}
	if s, ok := m.last(nsProperties, "PORT"); ok {
		return s.value
	}
	return "5000"
}

// where returns the name of a file of the tree as the bundle has it.
func (t tree) where(file string) string {
	if t.ours[file] {
		return overlayDir + file
	}
	return "(stock) " + file
}

// parse reads nginx.conf and what it includes, in place.
func (t tree) parse() ([]*directive, *Finding) {
	e := expansion{tree: t}
	return e.file("nginx.conf", nil)
}

// One configuration is so many files and directives: files may be included again and again.
const (
	maxIncludes   = 500
	maxDirectives = 200_000
)

// expansion puts files into the place of their includes.
type expansion struct {
	tree
	read, directives int
}

func (e *expansion) file(name string, by []string) ([]*directive, *Finding) {
	e.read++
	if e.directives += strings.Count(string(e.files[name]), ";"); e.directives > maxDirectives {
		return nil, &Finding{Check: "not-read", Severity: Warning, File: e.where(name), What: fmt.Sprintf("the nginx files have more than %d directives", maxDirectives),
			Why: "nobody has followed a request through them", Fix: notReadFix}
	}
	list, err := parseNginx(name, e.files[name])
	if err != nil {
		f := e.broken("nginx-syntax", name, 0, err.Error(), "mend the file")
		if at := (*nginxError)(nil); errors.As(err, &at) {
			f.Line = at.line
		}
		return nil, f
	}
	return e.expand(list, append(by, name))
}

func (e *expansion) broken(check, file string, line int, what, fix string) *Finding {
	return &Finding{Check: check, Severity: Error, File: e.where(file), Line: line, What: what,
		Why: "nginx -t fails and the deployment with it", Fix: fix}
}

// expand reads the includes of list. by are the files that are being read.
func (e *expansion) expand(list []*directive, by []string) ([]*directive, *Finding) {
	var out []*directive
	for _, d := range list {
		if d.isBlk {
			block, f := e.expand(d.block, by)
			if f != nil {
				return nil, f
			}
			d.block = block
		}
		if d.name != "include" || len(d.args) != 1 {
			out = append(out, d)
			continue
		}
		names := e.included(d.args[0])
		if len(names) == 0 && !strings.ContainsAny(d.args[0], "*?[") {
			out = append(out, d) // nginx says what it means
		}
		for _, name := range names {
			switch {
			case slices.Contains(by, name):
				return nil, e.broken("nginx-include-circle", d.file, d.line, fmt.Sprintf("%s includes itself: %s", name, strings.Join(append(by, name), ", ")),
					"take the include away: conf.d/*.conf and conf.d/elasticbeanstalk/*.conf are included by nginx.conf")
			case e.read >= maxIncludes:
				return nil, e.broken("nginx-include-circle", d.file, d.line, fmt.Sprintf("more than %d files are included", maxIncludes), "include each once")
			}
			more, f := e.file(name, by)
			if f != nil {
				return nil, f
			}
			out = append(out, more...)
		}
	}
	return out, nil
}

// included returns the files of the tree that a pattern means, in nginx's order.
func (e *expansion) included(pattern string) (names []string) {
	pattern = strings.TrimPrefix(pattern, "/etc/nginx/")
	for name := range e.files {
		if ok, _ := path.Match(pattern, name); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// checkOverlay holds .platform/nginx against the stock tree.
func checkOverlay(m *model) {
	b := m.bundle
	for _, name := range b.under(".platform/nginx") {
		m.checkText(name, b.text(name), nginxText)
		in := strings.TrimPrefix(name, overlayDir)
		dir := path.Dir(in)
		if strings.HasPrefix(dir, "conf.d") && (path.Ext(in) == ".config" || path.Ext(in) == ".cfg" || strings.HasSuffix(in, ".conf.txt")) && !m.includes(path.Base(in)) {
			m.add(Finding{Check: "nginx-suffix", Severity: Error, File: name, What: "nginx does not read this file",
				Why: "only files whose names end with .conf are included, and nobody says so", Fix: "rename it to " + strings.TrimSuffix(strings.TrimSuffix(in, ".txt"), path.Ext(in)) + ".conf"})
		}
		if in != "nginx.conf" && path.Ext(in) == ".conf" && dir != "conf.d" && dir != "conf.d/elasticbeanstalk" {
			m.add(Finding{Check: "nginx-folder", Severity: Error, File: name, What: "nginx does not read this folder",
				Why: "only nginx.conf, conf.d/*.conf and conf.d/elasticbeanstalk/*.conf are included", Fix: "move the file"})
		}
	}
	if names := b.under(".platform"); len(names) == 0 && len(b.Files) > 0 {
		m.add(Finding{Check: "no-platform", Severity: Warning, File: ".platform", What: "the bundle has no .platform folder",
			Why: "nginx keeps its 1,024 connections and nothing drains; folders that start with a dot are easily lost when zipping with *",
			Fix: "zip with `zip -r app.zip . -x '.git/*'`, or beanpole pack"})
	}
	if slices.ContainsFunc(b.under(".platform/nginx"), func(name string) bool { return m.unread[name] }) || m.otherPlatform() {
		return
	}
	t := m.tree()
	conf, f := t.parse()
	if f != nil {
		m.add(*f)
		return
	}
	before := len(m.findings)
	if m.placement(t, conf) {
		m.effective(t, conf)
	}
	if m.effort.spent() { // what was found does not hold then
		m.findings = append(m.findings[:before], Finding{Check: "not-read", Severity: Warning, File: ".platform/nginx", What: "a request through the nginx files takes more steps than lint goes",
			Why: "nobody knows what becomes of clients", Fix: "fewer variables, expressions and rewrites"})
	}
}

// includes reports whether some nginx file of the bundle names another.
func (m *model) includes(base string) bool {
	return m.mentions(base, m.bundle.under(".platform/nginx")...)
}

var (
	toDocker   = regexp.MustCompile(`(?m)^[^#\n]*proxy_pass\s+http://docker\b`)
	toLoopback = regexp.MustCompile(`(?m)^[^#\n]*(proxy_pass\s+http://|server\s+)127\.\d+\.\d+\.\d+:`)
)

// otherPlatform reports whether the nginx files are for the other platform, and says so.
func (m *model) otherPlatform() bool {
	sign, other := toDocker, "Docker platform: it writes the upstream docker, and has its location in nginx.conf"
	if m.platform == Docker {
		sign, other = toLoopback, "Go platform: a container has an address of its own, and no port of the instance's loopback"
	}
	for _, name := range m.bundle.under(strings.TrimSuffix(overlayDir, "/")) {
		text := m.bundle.text(name)
		if at := sign.FindIndex(text); at != nil {
			m.add(Finding{Check: "overlay-platform", Severity: Error, File: name, Line: bytes.Count(text[:at[1]], []byte("\n")) + 1, What: "the nginx files are for the " + other,
				Why: fmt.Sprintf("this bundle is for the %s platform: nginx -t fails, or every request is answered 502", m.platform), Fix: "lay deploy/docker over the bundle for Docker, and for Go do not; or lint --platform"})
			return true
		}
	}
	return false
}

// contexts are the blocks in which directives that are often misplaced may stand. Source: nginx.org, verified
// with nginx -t on the stock trees.
var contexts = map[string][]string{
	"location":             {"server", "location"},
	"worker_connections":   {"events"},
	"worker_rlimit_nofile": {"main"}, "worker_processes": {"main"}, "worker_shutdown_timeout": {"main"}, "user": {"main"},
	"proxy_pass": {"location", "if", "limit_except"}, "upstream": {"http"}, "server": {"http", "upstream"}, "map": {"http"}, "log_format": {"http"},
	"proxy_read_timeout": {"http", "server", "location"}, "client_max_body_size": {"http", "server", "location"},
	"keepalive_timeout": {"http", "server", "location", "upstream"}, "proxy_http_version": {"http", "server", "location"},
	"proxy_set_header": {"http", "server", "location"}, "proxy_buffering": {"http", "server", "location"},
	"server_name": {"server"}, "listen": {"server"}, "try_files": {"server", "location"}, "alias": {"location"}, "internal": {"location"},
	"return": {"server", "location", "if"}, "rewrite": {"server", "location", "if"}, "if": {"server", "location"}, "set": {"server", "location", "if"},
	"limit_req_zone": {"http"}, "limit_conn_zone": {"http"}, "proxy_cache_path": {"http"}, "geo": {"http", "stream"}, "split_clients": {"http", "stream"},
	"http": {"main"}, "events": {"main"}, "pid": {"main"},
}

// once are directives that a block may have one time only.
var once = map[string]bool{
	"keepalive_timeout": true, "client_max_body_size": true, "proxy_read_timeout": true, "proxy_send_timeout": true, "gzip": true,
	"client_header_timeout": true, "client_body_timeout": true, "worker_connections": true, "worker_rlimit_nofile": true,
	"proxy_http_version": true, "proxy_buffering": true, "worker_processes": true, "proxy_connect_timeout": true,
}

// placement reports what nginx would refuse for standing where it does. It returns whether all is well.
func (m *model) placement(t tree, conf []*directive) bool {
	before := len(m.findings)
	var walk func(context string, list []*directive)
	walk = func(context string, list []*directive) {
		seen := make(map[string]*directive)
		for _, d := range list {
			allowed, known := contexts[d.name]
			if known && !slices.Contains(allowed, context) {
				m.nginxFinding(t, d, "nginx-context", fmt.Sprintf("%s is not allowed in %s{}", d.name, context), misplaced(d.name))
			}
			key := d.name
			if d.name == "location" {
				key += " " + strings.Join(d.args, " ")
			}
			if old := seen[key]; old != nil && (once[d.name] || d.name == "location") {
				if t.ours[old.file] && !t.ours[d.file] {
					old, d = d, old
				}
				m.nginxFinding(t, d, "nginx-duplicate", fmt.Sprintf("%s stands in %s line %d already", key, t.where(old.file), old.line),
					m.replaceAdvice(d, old))
			}
			seen[key] = d
			if d.isBlk {
				walk(d.name, d.block)
			}
		}
	}
	walk("main", conf)
	m.checkServers(t, conf)
	return len(m.findings) == before
}

func misplaced(name string) string {
	switch name {
	case "location", "proxy_pass", "return", "rewrite", "if", "set", "try_files", "server_name", "listen":
		return "put it into .platform/nginx/conf.d/elasticbeanstalk/, which is inside server{}"
	case "worker_connections", "worker_rlimit_nofile", "worker_processes", "worker_shutdown_timeout", "user", "http", "events", "pid":
		return "only .platform/nginx/nginx.conf can say it: it replaces the whole file"
	case "upstream", "map", "server", "log_format", "limit_req_zone", "limit_conn_zone", "proxy_cache_path", "geo", "split_clients":
		return "put it into .platform/nginx/conf.d/, which is inside http{}"
	}
	return "see where nginx.org allows it"
}

func (m *model) replaceAdvice(d, old *directive) string {
	if d.name == "location" && old.file == "conf.d/elasticbeanstalk/00_application.conf" {
		return "name the file conf.d/elasticbeanstalk/00_application.conf: the same name replaces the platform's"
	}
	if d.name == "location" {
		return "on the Docker platform replace nginx.conf, or use `location /socket.io/`"
	}
	return "set it inside the location, or replace nginx.conf"
}

func (m *model) nginxFinding(t tree, d *directive, check, what, fix string) {
	m.add(Finding{Check: check, Severity: Error, File: t.where(d.file), Line: d.line, What: what,
		Why: "nginx -t fails and the deployment with it", Fix: fix})
}

// checkServers looks at server blocks beside the platform's.
func (m *model) checkServers(t tree, conf []*directive) {
	http := first(conf, "http")
	if http == nil {
		return
	}
	var main *directive
	for _, s := range all(http.block, "server") {
		for _, l := range all(s.block, "listen") {
			if !slices.Contains(l.args, "default_server") {
				continue
			}
			if main != nil && listens(main, l.arg()) {
				m.nginxFinding(t, l, "nginx-default-server", "a second default_server for "+l.arg(), "leave default_server to the platform's server{}")
			}
			main = s
		}
	}
	for _, s := range all(http.block, "server") {
		if s == main || !t.ours[s.file] {
			continue
		}
		r := m.clientRequest(m.socketPath(), "80")
		if a := serve(http, s, r); a.passed() && !upgrades(http, a.scope, r) {
			m.add(Finding{Check: "nginx-upgrade", Severity: Error, File: t.where(a.at.file), Line: a.at.line,
				What: "a server{} of its own passes requests on without Upgrade and Connection",
				Why:  "WebSockets to its host names are refused with 400, while polling works", Fix: "add proxy_http_version 1.1 and both headers, or delete the server{}"})
		}
	}
	if app := t.ours["nginx.conf"]; app && main != nil && !m.direct() && !strings.Contains(string(t.files["nginx.conf"]), "conf.d/elasticbeanstalk/") {
		m.add(Finding{Check: "nginx-include", Severity: Error, File: t.where("nginx.conf"), Line: main.line, What: "conf.d/elasticbeanstalk/*.conf is not included",
			Why: "the log of enhanced health is missing, and the platform's location too", Fix: "add `include conf.d/elasticbeanstalk/*.conf;` to the server{}"})
	}
	for _, d := range all(http.block, "map") {
		if t.ours[d.file] && d.file != "nginx.conf" && !t.ours["nginx.conf"] && slices.Contains(d.args, "$connection_upgrade") {
			m.add(Finding{Check: "nginx-map", Severity: Warning, File: t.where(d.file), Line: d.line, What: "a map of $connection_upgrade of its own",
				Why: "the platform's comes later in nginx.conf and wins: this one has no effect", Fix: "use another name"})
		}
	}
}

func listens(s *directive, on string) bool {
	for _, l := range all(s.block, "listen") {
		if l.arg() == on {
			return true
		}
	}
	return false
}

func all(list []*directive, name string) (out []*directive) {
	for _, d := range list {
		if d.name == name {
			out = append(out, d)
		}
	}
	return out
}

func first(list []*directive, name string) *directive {
	for _, d := range list {
		if d.name == name {
			return d
		}
	}
	return nil
}

package lint

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
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

// tree lays the bundle's files over the stock ones, as the deployment does: same name replaces, new name adds.
func (m *model) tree() tree {
	t := tree{files: Stock(m.platform), ours: make(map[string]bool)}
	for _, name := range m.bundle.under(strings.TrimSuffix(overlayDir, "/")) {
		in := strings.TrimPrefix(name, overlayDir)
		t.files[in], t.ours[in] = m.bundle.text(name), true
	}
	return t
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
	return t.parseFile("nginx.conf", 0)
}

func (t tree) parseFile(file string, depth int) ([]*directive, *Finding) {
	list, err := parseNginx(file, t.files[file])
	if err != nil {
		f := &Finding{Check: "nginx-syntax", Severity: Error, File: t.where(file), What: err.Error(),
			Why: "nginx -t fails and the deployment with it", Fix: "mend the file"}
		if at := (*nginxError)(nil); errors.As(err, &at) {
			f.Line = at.line
		}
		return nil, f
	}
	return t.expand(list, depth)
}

func (t tree) expand(list []*directive, depth int) ([]*directive, *Finding) {
	var out []*directive
	for _, d := range list {
		if d.name == "include" && len(d.args) == 1 && depth < 8 {
			pattern := strings.TrimPrefix(d.args[0], "/etc/nginx/")
			var names []string
			for name := range t.files {
				if ok, _ := path.Match(pattern, name); ok {
					names = append(names, name)
				}
			}
			slices.Sort(names)
			for _, name := range names {
				more, f := t.parseFile(name, depth+1)
				if f != nil {
					return nil, f
				}
				out = append(out, more...)
			}
			continue
		}
		if d.isBlk {
			block, f := t.expand(d.block, depth)
			if f != nil {
				return nil, f
			}
			d.block = block
		}
		out = append(out, d)
	}
	return out, nil
}

// checkOverlay holds .platform/nginx against the stock tree.
func checkOverlay(m *model) {
	b := m.bundle
	for _, name := range b.under(".platform/nginx") {
		m.checkText(name, b.text(name))
		in := strings.TrimPrefix(name, overlayDir)
		dir := path.Dir(in)
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
	t := m.tree()
	conf, f := t.parse()
	if f != nil {
		m.add(*f)
		return
	}
	if m.placement(t, conf) {
		m.effective(t, conf)
	}
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
	case "location", "proxy_pass":
		return "put it into .platform/nginx/conf.d/elasticbeanstalk/, which is inside server{}"
	case "worker_connections", "worker_rlimit_nofile", "worker_processes", "worker_shutdown_timeout", "user":
		return "only .platform/nginx/nginx.conf can say it: it replaces the whole file"
	case "upstream", "map", "server", "log_format":
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
		for _, l := range all(s.block, "location") {
			if first(l.block, "proxy_pass") != nil && !upgrades(l, s, http) {
				m.add(Finding{Check: "nginx-upgrade", Severity: Error, File: t.where(l.file), Line: l.line,
					What: "a server{} of its own passes requests on without Upgrade and Connection",
					Why:  "WebSockets to its host names are refused with 400, while polling works", Fix: "add proxy_http_version 1.1 and both headers, or delete the server{}"})
			}
		}
	}
	if app := t.ours["nginx.conf"]; app && main != nil && !strings.Contains(string(t.files["nginx.conf"]), "conf.d/elasticbeanstalk/") {
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

package lint

import (
	"context"
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/beanpole/beanpole/cmd/beanpole/internal/foreign"
)

// checkNginx runs nginx -t on the stock tree with the overlay, as the deployment does. Without an nginx on
// this machine the checks of ours have to do.
func (m *model) checkNginx(ctx context.Context) {
	bin := m.nginx
	if bin == "" {
		bin = "nginx"
	}
	bin, err := exec.LookPath(bin)
	if err != nil {
		return
	}
	if bin, err = filepath.Abs(bin); err != nil {
		return
	}
	for _, f := range m.findings {
		if (strings.HasPrefix(f.Check, "nginx-") || f.Check == "overlay-platform") && f.Severity == Error || f.Check == "not-read" && strings.HasPrefix(f.File, ".platform/nginx") {
			return // known to fail, or not known
		}
	}
	t := m.tree()
	conf, broken := t.parse()
	if broken != nil {
		return // which is why it is known
	}
	dir, err := os.MkdirTemp("", "beanpole-nginx-")
	if err != nil {
		return
	}
	defer os.RemoveAll(dir)
	r := trial{tree: t, dir: dir, bin: bin, modules: t.modules()}
	if f := r.unknown(ctx, conf); f != nil {
		m.add(*f)
		return
	}
	if f := r.run(ctx, conf); f != nil {
		m.add(*f)
	}
}

// trial is one look of nginx -t at a tree. nginx gets no file of the bundle: it gets what lint has read of it, written down anew
// in one file, with its own logs, sockets and folders, and without whatever else it would load, open, make or ask for. What it
// is to understand is so what lint has understood, and nothing stands in it but what nginx.txt has.
type trial struct {
	tree
	dir, bin string
	modules  bool // the bundle loads some, whose directives nobody knows here
}

// modules reports whether the tree has nginx load modules.
func (t tree) modules() bool {
	for _, text := range t.files {
		if strings.Contains(string(text), "load_module") || strings.Contains(string(text), "/modules/") {
			return true
		}
	}
	return false
}

const (
	maxUnknown = 8 // names that nginx is asked for
	maxTrials  = 8 // runs with less each time
)

var (
	emergency        = regexp.MustCompile(`(?m)\[emerg\](?: \d+#\d+:)? (.*?)(?: in \S+:(\d+))?$`)
	unknownDirective = regexp.MustCompile(`^unknown directive "`)
)

// nginx has nginx read a file and returns what it says last, and the line, or 0.
func (r trial) nginx(ctx context.Context, text string) (what string, line int, content bool) {
	file := filepath.Join(r.dir, "nginx.conf")
	if os.WriteFile(file, []byte(text), 0o600) != nil {
		return "", 0, true
	}
	said, content, err := foreign.Program(ctx, r.dir, nil, r.bin, "-t", "-q", "-e", filepath.Join(r.dir, "error"), "-p", r.dir+"/", "-c", file)
	if err != nil || content {
		return "", 0, true
	}
	found := emergency.FindStringSubmatch(said)
	if found == nil {
		return "", 0, true // it was not asked for what it can tell
	}
	line, _ = strconv.Atoi(found[2])
	return found[1], line, false
}

// unknown asks nginx for names that nginx.txt does not have, each by itself and without a word behind it, which nothing comes
// of: what nginx knows is not allowed there, or needs more.
func (r trial) unknown(ctx context.Context, conf []*directive) (f *Finding) {
	if r.modules {
		return nil
	}
	asked := make(map[string]bool)
	var walk func([]*directive)
	walk = func(list []*directive) {
		for _, d := range list {
			if f != nil || ctx.Err() != nil {
				return
			}
			if !handed[d.name] && inPlace[d.name] == nil && !asked[d.name] && len(asked) < maxUnknown {
				asked[d.name] = true
				if what, _, content := r.nginx(ctx, quote(d.name)+";\n"); !content && unknownDirective.MatchString(what) {
					f = r.finding(d, what)
				}
			}
			if d.isBlk && handed[d.name] && !ofData[d.name] {
				walk(d.block)
			}
		}
	}
	walk(conf)
	return f
}

func (r trial) finding(d *directive, what string) *Finding {
	f := &Finding{Check: "nginx-test", Severity: Error, File: ".platform/nginx", What: "nginx -t: " + what,
		Why: "the deployment runs the same test and stops", Fix: "mend it; this is nginx's own word on the platform's files with yours over them"}
	if d != nil {
		f.File, f.Line = r.where(d.file), d.line
	}
	return f
}

// run has nginx read the whole. A directive that this machine's nginx does not have, and others do, is left out.
func (r trial) run(ctx context.Context, conf []*directive) *Finding {
	without := make(map[string]bool)
	for range maxTrials {
		w := writing{trial: r, without: without, pools: upstreams(conf), sockets: make(map[string]string)}
		w.all("", conf)
		what, n, content := r.nginx(ctx, w.text.String())
		if content {
			return nil
		}
		l := written{}
		if n > 0 && n <= len(w.lines) {
			l = w.lines[n-1]
		}
		if unknownDirective.MatchString(what) {
			if without[l.name] {
				return nil
			}
			without[l.name] = true
			continue
		}
		if n > 0 && l.by == nil {
			return nil // of ours
		}
		for address, socket := range w.sockets {
			what = strings.ReplaceAll(what, socket, address)
		}
		what = strings.ReplaceAll(what, filepath.Join(r.dir, "missing"), "/etc/nginx")
		return r.finding(l.by, strings.ReplaceAll(what, r.dir, "/etc/nginx"))
	}
	return nil
}

// written is a line of what nginx gets: the directive that it is of, or nil for one of lint's.
type written struct {
	name string
	by   *directive
}

// writing is the file that nginx gets.
type writing struct {
	trial
	text    strings.Builder
	lines   []written
	without map[string]bool
	pools   map[string]bool   // names of upstream{}
	sockets map[string]string // for the addresses that are listened on
}

//go:embed nginx.txt
var nginxNames string

// handed are the directives that nginx gets as they stand.
var handed = names(nginxNames)

// ofData are blocks whose lines are data and no directives.
var ofData = map[string]bool{"map": true, "geo": true, "types": true, "split_clients": true, "charset_map": true}

func names(text string) map[string]bool {
	all := make(map[string]bool)
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			for name := range strings.FieldsSeq(line) {
				all[name] = true
			}
		}
	}
	return all
}

func (w *writing) line(by *directive, name string, args []string, end string) {
	w.text.WriteString(quote(name))
	for _, arg := range args {
		w.text.WriteString(" " + quote(arg))
	}
	w.text.WriteString(end + "\n")
	w.lines = append(w.lines, written{name, by})
}

// own writes a line of lint's.
func (w *writing) own(name string, args ...string) {
	if !w.without[name] {
		w.line(nil, name, args, ";")
	}
}

// all writes what stands in a block, or at the top.
func (w *writing) all(context string, list []*directive) {
	switch context {
	case "":
		w.own("error_log", filepath.Join(w.dir, "log"))
		w.own("pid", filepath.Join(w.dir, "pid"))
		if os.Geteuid() == 0 {
			w.own("user", me()...)
		}
	case "http":
		for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
			w.own(kind+"_temp_path", filepath.Join(w.dir, kind))
		}
	}
	for _, d := range list {
		args, ok := d.args, handed[d.name]
		switch other := inPlace[d.name]; {
		case w.without[d.name]:
			continue
		case ofData[context]:
			ok = d.name != "include" && !d.isBlk
		case d.name == "server" && context == "upstream":
			args = address(d.args, 0, nil)
		case other != nil:
			args, ok = other(w, d.args)
		}
		switch {
		case !ok:
		case d.isBlk:
			w.line(d, d.name, args, " {")
			w.all(d.name, d.block)
			w.text.WriteString("}\n")
			w.lines = append(w.lines, written{d.name, d})
		default:
			w.line(d, d.name, args, ";")
		}
	}
}

// quote is a word as nginx reads it: whatever is in it, it is one, and the same.
func quote(word string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(word) + `"`
}

// upstreams returns the names of the upstream{} of a configuration.
func upstreams(conf []*directive) map[string]bool {
	all := make(map[string]bool)
	if http := first(conf, "http"); http != nil {
		for _, d := range http.block {
			if d.name == "upstream" {
				all[d.arg()] = true
			}
		}
	}
	return all
}

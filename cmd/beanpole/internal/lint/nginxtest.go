package lint

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// nginxTimeout bounds one run of nginx -t.
const nginxTimeout = 20 * time.Second

// checkNginx runs nginx -t on the stock tree with the overlay, as the deployment does. Without an nginx on
// this machine the checks of ours have to do.
func (m *model) checkNginx(ctx context.Context) {
	bin := m.nginx
	if bin == "" {
		var err error
		if bin, err = exec.LookPath("nginx"); err != nil {
			return
		}
	}
	for _, f := range m.findings {
		if (strings.HasPrefix(f.Check, "nginx-") || f.Check == "overlay-platform") && f.Severity == Error {
			return // known to fail
		}
	}
	dir, err := os.MkdirTemp("", "beanpole-nginx-")
	if err != nil {
		return
	}
	defer os.RemoveAll(dir)
	t := m.tree()
	if err := Render(t.files, dir, Substitutes{}); err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, nginxTimeout)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, bin, "-t", "-q", "-p", dir+"/", "-c", filepath.Join(dir, "nginx.conf"))
	cmd.Stderr = &out
	if cmd.Run() == nil {
		return
	}
	m.nginxOutput(t, dir, out.String())
}

var emerg = regexp.MustCompile(`\[emerg\](?: \d+#\d+:)? (.*?)(?: in (\S+):(\d+))?$`)

func (m *model) nginxOutput(t tree, dir, out string) {
	for line := range strings.Lines(out) {
		found := emerg.FindStringSubmatch(strings.TrimSpace(line))
		if found == nil {
			continue
		}
		what := strings.ReplaceAll(found[1], dir, "/etc/nginx")
		// Certificates lie on the instance, not here.
		if strings.Contains(what, "cannot load certificate") || strings.Contains(what, "host not found") {
			continue
		}
		f := Finding{Check: "nginx-test", Severity: Error, File: ".platform/nginx", What: "nginx -t: " + what,
			Why: "the deployment runs the same test and stops", Fix: "mend it; this is nginx's own word on the platform's files with yours over them"}
		if found[2] != "" {
			if rel, err := filepath.Rel(dir, found[2]); err == nil {
				f.File = t.where(filepath.ToSlash(rel))
			}
			f.Line, _ = strconv.Atoi(found[3])
		}
		m.add(f)
	}
}

// Substitutes say what an instance's nginx files become on this machine.
type Substitutes struct {
	Listen string // address for port 80; "" means a socket in the folder
	App    string // address of the application; "" leaves it
}

var (
	userLine   = regexp.MustCompile(`(?m)^\s*user\s+[^;]*;`)
	listenLine = regexp.MustCompile(`(?m)(^\s*listen\s+)(\[::\]:)?(?:0\.0\.0\.0:)?(\d+)\b`)
	appAddress = regexp.MustCompile(`127\.0\.0\.1:5000|172\.17\.0\.2:5000`)
)

// Render writes the files of an instance's /etc/nginx to dir so that nginx can be run there, with its logs and
// its pid below it. Lines stay where they are.
func Render(files map[string][]byte, dir string, s Substitutes) error {
	for _, sub := range []string{"log/healthd", "html", "run"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return err
		}
	}
	me := "root"
	if u, err := user.Current(); err == nil {
		me = u.Username
	}
	for name, text := range files {
		if !clean(name) {
			return fmt.Errorf("nginx: %q leads out of the folder", name)
		}
		out := string(text)
		out = strings.ReplaceAll(out, "/var/log/nginx", filepath.Join(dir, "log"))
		out = strings.ReplaceAll(out, "/var/run/", filepath.Join(dir, "run")+"/")
		out = strings.ReplaceAll(out, "/etc/nginx/", dir+"/")
		out = userLine.ReplaceAllString(out, "user "+me+";")
		if s.Listen != "" {
			out = listenLine.ReplaceAllString(out, "${1}"+s.Listen)
		} else {
			out = listenLine.ReplaceAllStringFunc(out, func(l string) string {
				part := listenLine.FindStringSubmatch(l)
				return part[1] + "unix:" + filepath.Join(dir, "run", strconv.Itoa(len(part[2]))+"-"+part[3]+".sock")
			})
		}
		if s.App != "" {
			out = appAddress.ReplaceAllString(out, s.App)
		}
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(out), 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "mime.types"), []byte("types { text/html html; application/javascript js; text/css css; }\n"), 0o644)
}

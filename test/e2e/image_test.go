package e2e

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// step is an instruction of the Dockerfile.
type step struct{ name, args string }

func dockerfile(t *testing.T) (list []step) {
	t.Helper()
	text, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	joined := strings.ReplaceAll(string(text), "\\\n", " ")
	for line := range strings.Lines(joined) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, args, _ := strings.Cut(line, " ")
		list = append(list, step{name, strings.TrimSpace(args)})
	}
	return list
}

// TestImageStages runs the stages of the Dockerfile by hand, for machines without a Docker engine: the build in a
// folder with exactly what .dockerignore lets through, the result in a root that has nothing else, as the user and
// with the command and health check that the image names.
func TestImageStages(t *testing.T) {
	ofNoHost(t)
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("chroot takes root")
	}
	src, root := t.TempDir(), t.TempDir()
	buildContext(t, src)
	env := []string{"HOME=" + os.Getenv("HOME"), "PATH=" + os.Getenv("PATH"), "GOTOOLCHAIN=local"}
	env = append(env, "GOPROXY="+goenv(t, "GOPROXY"), "GOMODCACHE="+goenv(t, "GOMODCACHE"), "GOCACHE="+goenv(t, "GOCACHE"))
	var user, command, health, exposed string
	variables := map[string]string{}
	stages := 0
	for _, s := range dockerfile(t) {
		switch s.name {
		case "FROM":
			stages++
			if stages == 2 && s.args != "scratch" {
				t.Fatalf("the last stage begins with %s", s.args)
			}
		case "ARG":
			if name, value, ok := strings.Cut(s.args, "="); ok {
				variables[name] = value
			}
		case "ENV":
			if name, value, ok := strings.Cut(s.args, "="); ok {
				env = append(env, name+"="+value)
			}
		case "RUN":
			line := os.Expand(s.args, func(name string) string { return variables[name] })
			if strings.Contains(line, "go mod download") {
				continue // what is built is in the cache already
			}
			line = strings.ReplaceAll(line, "/out/", filepath.Join(root, "bin")+"/")
			cmd := exec.Command("sh", "-c", line)
			cmd.Dir, cmd.Env = src, env
			if said, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v: %s", line, err, said)
			}
		case "USER":
			user = s.args
		case "EXPOSE":
			exposed += s.args
		case "CMD":
			command = s.args
		case "HEALTHCHECK":
			_, health, _ = strings.Cut(s.args, "CMD ")
		}
	}
	if user != "65532:65532" || exposed != "5000" {
		t.Fatalf("user %q, port %q", user, exposed)
	}
	port := ports(t, 2)
	inside := &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
	app := exec.Command(words(t, command)[0])
	app.Dir, app.SysProcAttr = "/", inside
	app.Env = []string{fmt.Sprintf("PORT=%d", port[0]), fmt.Sprintf("BEANPOLE_ADMIN_PORT=%d", port[1]), "BEANPOLE_SHUTDOWN_TIMEOUT=8s"}
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	url := fmt.Sprintf("http://127.0.0.1:%d", port[0])
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if res, err := http.Get(url + "/livez"); err == nil {
			_ = res.Body.Close()
			break
		}
		if time.Now().After(end) {
			t.Fatal("the server does not answer")
		}
	}
	args := words(t, health)
	check := exec.Command(args[0], args[1:]...)
	check.Env = app.Env
	check.Dir, check.SysProcAttr = "/", inside
	if said, err := check.CombinedOutput(); err != nil {
		t.Errorf("health check: %v: %s", err, said)
	}
	// docker stop
	start := time.Now()
	if err := app.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := app.Wait(); err != nil {
		t.Errorf("the server ended with %v", err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("the stop took %v: Docker kills after 10 s", took)
	}
}

// words reads the exec form.
func words(t *testing.T, form string) (list []string) {
	t.Helper()
	if err := json.Unmarshal([]byte(form), &list); err != nil || len(list) == 0 {
		t.Fatalf("%q is not in exec form", form)
	}
	return list
}

func goenv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// buildContext copies what .dockerignore lets through.
func buildContext(t *testing.T, to string) {
	t.Helper()
	text, err := os.ReadFile("../../.dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	patterns := strings.Fields(regexp.MustCompile(`(?m)^#.*$`).ReplaceAllString(string(text), ""))
	ignored := func(name string) bool {
		for _, p := range patterns {
			part := name
			if deep, ok := strings.CutPrefix(p, "**/"); ok {
				p, part = deep, path.Base(name)
			}
			if ok, _ := path.Match(p, part); ok {
				return true
			}
		}
		return false
	}
	err = fs.WalkDir(os.DirFS("../.."), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		out := filepath.Join(to, name)
		switch {
		case ignored(name) && d.IsDir():
			return fs.SkipDir
		case ignored(name):
			return nil
		case d.IsDir():
			return os.MkdirAll(out, 0o755)
		}
		content, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			return err
		}
		return os.WriteFile(out, content, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
}

package e2e

import (
	"archive/zip"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

// tutorial is one run of docs/tutorial.md.
type tutorial struct {
	t           *testing.T
	bin, dir    string // of the commands; where the reader is
	environment *environment
	created     int // zips that were deployed
}

// TestTutorial does what docs/tutorial.md says, in its order: it runs each command and writes each file. The EB CLI is one that
// deploys into the environment of these tests.
func TestTutorial(t *testing.T) {
	ofNoHost(t)
	t.Parallel()
	text, err := os.ReadFile("../../docs/tutorial.md")
	if err != nil {
		t.Fatal(err)
	}
	repository, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	u := &tutorial{t: t, bin: t.TempDir(), dir: repository}
	if err := os.WriteFile(filepath.Join(u.bin, "eb"), []byte("#!/bin/sh\necho \"$@\" >>\"$0.calls\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	elsewhere := t.TempDir()
	part := regexp.MustCompile("(?ms)([^\n]*)\n\n```([a-z]+)\n(.*?)^```$")
	ran := 0
	for _, m := range part.FindAllStringSubmatch(string(text), -1) {
		before, language, code := m[1], m[2], m[3]
		start := time.Now()
		switch {
		case language == "sh":
			if strings.HasPrefix(code, "beanpole init") {
				u.dir = elsewhere
			}
			u.run(code)
		case language == "go" && strings.HasSuffix(before, "is what the application does:"):
			if got := u.read("app.go"); got != code {
				t.Fatalf("app.go of a new project is\n%s\nand not what the tutorial shows:\n%s", got, code)
			}
		case language == "go":
			names := regexp.MustCompile("`([a-z_]+\\.go)`").FindStringSubmatch(before)
			if names == nil {
				t.Fatalf("no name for this file: %s", code)
			}
			if err := os.WriteFile(filepath.Join(u.dir, names[1]), []byte(code), 0o644); err != nil {
				t.Fatal(err)
			}
		default:
			t.Fatalf("nobody tries this: %s", code)
		}
		ran++
		first, _, _ := strings.Cut(code, "\n")
		t.Logf("%4.1f s  %s", time.Since(start).Seconds(), first)
	}
	if ran < 18 || u.created != 2 {
		t.Errorf("%d parts of the tutorial and %d deployments were found", ran, u.created)
	}
}

func (u *tutorial) read(name string) string {
	u.t.Helper()
	text, err := os.ReadFile(filepath.Join(u.dir, name))
	if err != nil {
		u.t.Fatal(err)
	}
	return string(text)
}

// run runs a block of commands, and stays in the folder where it ends.
func (u *tutorial) run(block string) {
	u.t.Helper()
	if block == "BEANPOLE_DEVELOPMENT=true go run .\n" {
		u.serve()
		return
	}
	for line := range strings.Lines(block) {
		if url := regexp.MustCompile(`http://\S+elasticbeanstalk\.com`); url.MatchString(line) {
			line = url.ReplaceAllString(line, u.environment.url())
		}
		stop := func() {}
		if here := "http://localhost:5000"; strings.Contains(line, here) {
			var url string
			url, stop = u.start()
			line = strings.Replace(line, here, url, 1)
		}
		where := filepath.Join(u.bin, "pwd")
		cmd := u.command("bash", "-ec", line+"\npwd >"+where)
		said, err := cmd.CombinedOutput()
		stop()
		if err != nil {
			u.t.Fatalf("%s%v\n%s", line, err, said)
		}
		if strings.HasPrefix(line, "beanpole") {
			u.t.Logf("%s%s", line, said)
		}
		if to, err := os.ReadFile(where); err != nil {
			u.t.Fatal(err)
		} else {
			u.dir = strings.TrimSpace(string(to))
		}
		if strings.HasPrefix(line, "eb ") {
			u.deploy()
		}
	}
}

func (u *tutorial) command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(u.t.Context(), name, args...)
	cmd.Dir = u.dir
	cmd.Env = append(os.Environ(), "GOBIN="+u.bin, "PATH="+u.bin+":"+os.Getenv("PATH"))
	return cmd
}

// serve is a look at the page.
func (u *tutorial) serve() {
	u.t.Helper()
	url, stop := u.start()
	defer stop()
	res, err := http.Get(url)
	if err != nil {
		u.t.Fatal(err)
	}
	defer res.Body.Close()
	page, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK || !strings.Contains(string(page), "<h1>hello</h1>") {
		u.t.Errorf("the page: %s, %v: %s", res.Status, err, page)
	}
}

// start runs the server, until Ctrl+C.
func (u *tutorial) start() (url string, stop func()) {
	u.t.Helper()
	p := ports(u.t, 2)
	cmd := u.command("go", "run", ".")
	cmd.Env = append(cmd.Env, fmt.Sprintf("PORT=%d", p[0]), fmt.Sprintf("BEANPOLE_ADMIN_PORT=%d", p[1]), "HOST=127.0.0.1", "BEANPOLE_DEVELOPMENT=true")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a terminal sends Ctrl+C to all of them
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		u.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	url = fmt.Sprintf("http://127.0.0.1:%d", p[0])
	for {
		select {
		case err := <-ended:
			u.t.Fatalf("go run: %v\n%s", err, said.String())
		case <-time.After(20 * time.Millisecond):
		}
		if res, err := http.Get(url); err == nil {
			_ = res.Body.Close()
			break
		}
	}
	return url, func() {
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGINT); err != nil {
			u.t.Fatal(err)
		}
		<-ended // with the status of an interrupted program
	}
}

// deploy is what the EB CLI and Elastic Beanstalk do together: the artifact that config.yml names goes to the instances.
func (u *tutorial) deploy() {
	u.t.Helper()
	calls, err := os.ReadFile(filepath.Join(u.bin, "eb.calls"))
	if err != nil {
		u.t.Fatal(err)
	}
	list := strings.Split(strings.TrimSpace(string(calls)), "\n")
	call := strings.Fields(list[len(list)-1])
	var config struct {
		Branches map[string]struct{ Environment string } `yaml:"branch-defaults"`
		Deploy   struct{ Artifact string }
	}
	if err := yaml.Unmarshal([]byte(u.read(".elasticbeanstalk/config.yml")), &config); err != nil {
		u.t.Fatal(err)
	}
	bundle := u.t.TempDir()
	unzip(u.t, filepath.Join(u.dir, config.Deploy.Artifact), bundle)
	if runtime.GOARCH != "arm64" {
		// What pack has built is for Graviton, and the instances here are this machine. As the tutorial's own tests build: then
		// all packages are built already.
		cmd := u.command("go", "build", "-o", filepath.Join(bundle, "bin", "application"), ".")
		if said, err := cmd.CombinedOutput(); err != nil {
			u.t.Fatalf("%v\n%s", err, said)
		}
	}
	u.created++
	switch call[0] {
	case "create":
		if name := config.Branches["default"].Environment; name != call[1] {
			u.t.Errorf("eb create %s, but config.yml has %s", call[1], name)
		}
		u.environment = start(u.t, settings{bundle: bundle, idle: "60s"})
	case "deploy":
		u.environment.bundle = bundle
		for _, in := range u.environment.instances {
			u.environment.deregister(u.t, in.name)
			in.flip(u.t, true)
			u.environment.register(u.t, in.name)
		}
	default:
		u.t.Fatalf("eb %s", call)
	}
}

func unzip(t *testing.T, name, to string) {
	t.Helper()
	z, err := zip.OpenReader(name)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	for _, f := range z.File {
		out := filepath.Join(to, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
			t.Fatal(err)
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		_ = r.Close()
		if err == nil {
			err = os.WriteFile(out, text, f.Mode().Perm())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// properties are the environment properties that a bundle sets, but for those that CloudFormation fills in.
func properties(t *testing.T, bundle string) (list []string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(bundle, ".ebextensions/*.config"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no .ebextensions: %v", err)
	}
	slices.Sort(names)
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var config struct {
			Options map[string]map[string]string `yaml:"option_settings"`
		}
		if err := yaml.UnmarshalContext(context.Background(), text, &config); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for property, value := range config.Options["aws:elasticbeanstalk:application:environment"] {
			if !strings.HasPrefix(value, "`") {
				list = append(list, property+"="+value)
			}
		}
	}
	return list
}

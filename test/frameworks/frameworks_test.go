// Package frameworks builds what docs/frameworks.md shows, and opens it in a browser with the program of docs/contract.md behind.
package frameworks

import (
	"bufio"
	"cmp"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

const root = "../.."

// The sources are what the document shows, each with its name.
func TestDocumentShowsTheSources(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join(root, "docs/frameworks.md"))
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for _, m := range regexp.MustCompile("(?ms)^```(?:tsx?|vue|svelte)\n(?:// |<!-- )(\\S+)(?: -->)?\n(.*?)^```$").FindAllStringSubmatch(string(doc), -1) {
		source, err := os.ReadFile(filepath.Join("src", m[1]))
		if shown[m[1]] = true; err != nil || string(source) != m[2] {
			t.Errorf("src/%s is not what docs/frameworks.md shows: %v", m[1], err)
		}
	}
	// Those that no reader needs: how Vue and Svelte are started is what their own templates have.
	all := map[string]bool{"events.ts": true, "vue.js": true, "svelte.js": true}
	sources, err := os.ReadDir("src")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range sources {
		if !shown[f.Name()] && !all[f.Name()] {
			t.Errorf("docs/frameworks.md does not show src/%s", f.Name())
		}
	}
}

// TestFrameworks compiles and builds the sources, and has their pages talk to the program in Chromium. The types of the events are
// what the program says.
func TestFrameworks(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	chromium := tool(t, cmp.Or(os.Getenv("CHROMIUM"), "chromium"))
	install(t)
	dir := t.TempDir()
	program := filepath.Join(dir, "main.go")
	doc, err := os.ReadFile(filepath.Join(root, "docs/contract.md"))
	if err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile("(?ms)^```go\n(package main\n.*?)^```$").FindSubmatch(doc)
	if code == nil {
		t.Fatal("docs/contract.md shows no program")
	}
	if err := os.WriteFile(program, code[1], 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, root, "go", "build", "-o", dir, "./cmd/beanpole")
	run(t, root, "go", "build", "-o", filepath.Join(dir, "shop"), program)
	run(t, root, filepath.Join(dir, "beanpole"), "types", "--check", "-o", "test/frameworks/src/events.ts", program)

	run(t, ".", "node_modules/.bin/vue-tsc", "-p", ".")
	run(t, ".", "node_modules/.bin/svelte-check", "--tsconfig", "./tsconfig.json", "--fail-on-warnings")
	run(t, ".", "node_modules/.bin/vite", "build", "--mode", "development", "--logLevel", "warn", "--emptyOutDir", "--outDir", filepath.Join(dir, "dist"))

	site := serve(t, filepath.Join(dir, "shop"), filepath.Join(dir, "dist"))
	cmd := exec.CommandContext(t.Context(), "node", "--test", "--test-reporter=spec", "pages.test.mjs")
	cmd.Env = append(os.Environ(), "SITE="+site, "CHROMIUM="+chromium)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = os.Stdout, os.Stderr, 5*time.Second
	if err := cmd.Run(); err != nil {
		t.Error(err)
	}
}

// serve starts the program with those files, and returns its address.
func serve(t *testing.T, program, files string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program)
	cmd.Dir, cmd.Stderr = filepath.Dir(program), os.Stderr
	cmd.Env = append(os.Environ(), "HOST=127.0.0.1", "PORT=0", "BEANPOLE_LOG_LEVEL=warn", "BEANPOLE_STATIC_DIR="+files)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer cancel()
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the program ends with %v", err)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	url := regexp.MustCompile(`http://\S+`).FindString(line)
	if err != nil || url == "" {
		t.Fatalf("the program says %q, %v", line, err)
	}
	return url
}

func run(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "NODE_ENV=development")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, out)
	}
}

// install makes node_modules what package-lock.json says, unless it is that already.
func install(t *testing.T) {
	t.Helper()
	tool(t, "node")
	npm := tool(t, "npm")
	done, err := os.Stat(filepath.Join("node_modules", ".package-lock.json"))
	lock, lockErr := os.Stat("package-lock.json")
	if lockErr != nil {
		t.Fatal(lockErr)
	}
	if err != nil || done.ModTime().Before(lock.ModTime()) {
		run(t, ".", npm, "ci", "--no-audit", "--no-fund")
	}
}

// tool returns the path of a program that the test runs. Without it the test is skipped, not so in CI.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv("CI") != "" {
		t.Fatal(err)
	}
	if err != nil {
		t.Skip(err)
	}
	return path
}

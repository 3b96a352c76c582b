package clients

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// reference runs the tests against Node's own server instead.
var reference = flag.Bool("reference", false, "run against Node's own Socket.IO server")

// result is one line of what lib/reporter.mjs writes to the file named by MATRIX_JSON.
type result struct {
	Name   string `json:"name"`
	Result string `json:"result"` // pass, fail or skip
	Error  string `json:"error"`
}

// TestClients runs the JavaScript suite and turns each of its tests into a subtest.
func TestClients(t *testing.T) {
	if testing.Short() {
		t.Skip("runs Node for a minute")
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("needs Node 20 or later: ", err)
	}
	install(t)
	dir := t.TempDir()
	matrix := filepath.Join(dir, "matrix.json")
	env := append(os.Environ(), "MATRIX_JSON="+matrix)
	if !*reference {
		path, err := fixture()
		if err != nil {
			t.Fatal(err)
		}
		env = append(env, "FIXTURE="+path)
	}

	files, err := filepath.Glob("*.test.mjs")
	if err != nil || len(files) == 0 {
		t.Fatalf("no test files: %v", err)
	}
	args := append([]string{
		"--test", "--test-concurrency=2",
		"--test-reporter=./lib/reporter.mjs", "--test-reporter-destination=stdout",
	}, files...)
	out, runErr := run(t.Context(), env, node, args...)
	whole := out
	if _, table, found := strings.Cut(out, "\n\n     "); found {
		out = "     " + table // the failures are reported below, each with its own subtest
	}
	show(t, "features.txt", out)

	results := read(t, matrix)
	if len(results) == 0 {
		t.Fatalf("the suite reported nothing: %v\n%s", runErr, out)
	}
	failed := false
	for _, r := range results {
		name := strings.ReplaceAll(r.Name, " | ", "/")
		t.Run(name, func(t *testing.T) {
			switch r.Result {
			case "skip":
				t.Skip("not offered by that client")
			case "fail":
				failed = true
				t.Error(r.Error)
			}
		})
	}
	if runErr != nil && !failed {
		t.Errorf("node --test: %v\n%s", runErr, whole) // of something that is in no cell of the table
	}
}

// install makes node_modules what package-lock.json says, unless it is that already.
func install(t *testing.T) {
	t.Helper()
	// npm keeps a copy of the lock file there; a newer package-lock.json asks for another install.
	done, err := os.Stat(filepath.Join("node_modules", ".package-lock.json"))
	lock, lockErr := os.Stat("package-lock.json")
	if lockErr != nil {
		t.Fatal(lockErr)
	}
	if err == nil && !done.ModTime().Before(lock.ModTime()) {
		return
	}
	if out, err := run(t.Context(), os.Environ(), "npm", "ci", "--no-audit", "--no-fund"); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
}

// run runs a program in this directory and returns what it wrote. It ends it with ctx.
func run(ctx context.Context, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = env
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// read returns the lines of the reporter's file.
func read(t *testing.T, path string) []result {
	t.Helper()
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var results []result
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r result
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatalf("line %q: %v", lines.Text(), err)
		}
		results = append(results, r)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return results
}

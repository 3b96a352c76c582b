package browser

import (
	"cmp"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestExamplesInChromium builds the examples and runs each *.test.mjs against them. Without node or
// Chromium it is skipped, but for CI, where they must be there.
func TestExamplesInChromium(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute or two")
	}
	node := tool(t, "node")
	npm := tool(t, "npm")
	chromium := tool(t, cmp.Or(os.Getenv("CHROMIUM"), "chromium"))

	ctx, cancel := whole(t)
	defer cancel()
	command := func(dir, name string, args ...string) *exec.Cmd {
		c := exec.CommandContext(ctx, name, args...)
		c.Dir, c.Stdout, c.Stderr = dir, os.Stdout, os.Stderr
		c.WaitDelay = 5 * time.Second // after the deadline: the browser's processes may hold the pipes
		return c
	}
	run := func(c *exec.Cmd) {
		t.Helper()
		if err := c.Run(); err != nil {
			t.Fatalf("%s: %v", c, err)
		}
	}
	for _, dir := range []string{".", "../.."} { // puppeteer here, the client bundle at the top
		if _, err := os.Stat(filepath.Join(dir, "node_modules")); os.IsNotExist(err) {
			run(command(dir, npm, "ci", "--no-audit", "--no-fund"))
		}
	}
	programs := t.TempDir()
	run(command("../..", "go", "build", "-o", programs, "./examples/...", "./cmd/beanpole", "./cmd/beanpole/internal/project/template"))

	// One file at a time: each has a browser that wants the processor for itself.
	test := command(".", node, "--test", "--test-reporter=spec", "--test-concurrency=1")
	test.Env = append(os.Environ(), "PROGRAMS="+programs, "CHROMIUM="+chromium)
	run(test)
}

// whole lasts as long as the tests may, but for what it takes to end a browser. Every step in it has a bound of
// its own, and the sum says no more than how busy the machine is.
func whole(t *testing.T) (context.Context, context.CancelFunc) {
	if end, ok := t.Deadline(); ok {
		return context.WithDeadline(t.Context(), end.Add(-30*time.Second))
	}
	return context.WithCancel(t.Context())
}

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

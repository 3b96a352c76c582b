package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/beanpole/beanpole/test/sim/plan"
)

// real runs worlds of real connections and a real Redis, with the race detector, in real time: for what the
// simulation cannot see, as the files that wait for connections, data races and the kernel. The same seed draws the
// same faults, and another history each time.
type real struct{ program string }

func newReal(ctx context.Context) (*real, error) {
	program, err := filepath.Abs(fmt.Sprintf("../../build/sim/world-%d", os.Getpid()))
	if err != nil {
		return nil, err
	}
	if out, err := exec.CommandContext(ctx, "go", "build", "-race", "-o", program, "./world").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the world: %w\n%s", err, out)
	}
	return &real{program}, nil
}

func (r *real) target() string { return "chaos" }

func (r *real) close(context.Context) { _ = os.Remove(r.program) }

func (r *real) run(ctx context.Context, p plan.Plan) (*outcome, error) {
	what, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "chaos-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, r.program)
	cmd.Env = append(os.Environ(), "SIM_PLAN="+string(what), "TMPDIR="+dir)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	how := cmd.Run()
	out, err := finished(stdout.Bytes(), stderr.Bytes(), how)
	if _, race, ok := strings.Cut(stderr.String(), "DATA RACE"); ok && err == nil {
		out.Violations = append(out.Violations, plan.Violation{Promise: "race", About: "DATA RACE", What: fmt.Sprintf("%.4000s", race)})
	}
	return out, err
}

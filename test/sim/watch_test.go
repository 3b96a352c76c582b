package main

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/beanpole/beanpole/test/sim/plan"
)

func TestMain(m *testing.M) {
	watching()
	m.Run()
}

// loop is a module whose start has no end: (module (func (export "_start") (loop br 0))).
var loop = []byte("\x00asm\x01\x00\x00\x00" + "\x01\x04\x01\x60\x00\x00" + "\x03\x02\x01\x00" + "\x07\x0a\x01\x06_start\x00\x00" + "\x0a\x09\x01\x07\x00\x03\x40\x0c\x00\x0b\x0b")

// TestRunThatDoesNotWaitIsEnded: a run that computes for ever ends the program, with a line that names the run.
func TestRunThatDoesNotWaitIsEnded(t *testing.T) {
	if os.Getenv("SIM_LOOP") != "" {
		ctx := context.Background()
		runLimit = time.Second
		r := &runner{wasm: wazero.NewRuntime(ctx)}
		var err error
		if r.world, err = r.wasm.CompileModule(ctx, loop); err != nil {
			t.Fatal(err)
		}
		if r.watch, err = watch(ctx); err != nil {
			t.Fatal(err)
		}
		_, _ = r.run(ctx, plan.Plan{Seed: 77, Mode: "memory"})
		t.Fatal("it has ended")
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", t.Name())
	cmd.Env = append(os.Environ(), "SIM_LOOP=1")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "has not ended") || !strings.Contains(string(out), "SEED=77") {
		t.Errorf("%v: %s", err, out)
	}
}

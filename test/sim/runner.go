package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/tetratelabs/wazero/sys"

	"github.com/beanpole/beanpole/test/sim/defects"
	"github.com/beanpole/beanpole/test/sim/plan"
)

// runner runs simulated worlds. Its methods may be called from any goroutine.
type runner struct {
	wasm  wazero.Runtime
	world wazero.CompiledModule
	cache wazero.CompilationCache
	watch *watcher
}

// newRunner builds the world, with all defects if they are to be planted, and makes it ready to run.
func newRunner(ctx context.Context, planted bool) (*runner, error) {
	dir, err := filepath.Abs("../../build/sim")
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	// Not into a file, which would stay when this program is killed.
	args := []string{"build", "-trimpath", "-ldflags=-s -w", "-o", "/dev/stdout"}
	if planted {
		root, err := filepath.Abs("../..")
		if err != nil {
			return nil, err
		}
		sources := filepath.Join(dir, "defects") // always the same, so that what is built is kept
		if err := os.MkdirAll(sources, 0o755); err != nil {
			return nil, err
		}
		overlay, err := defects.Overlay(root, sources)
		if err != nil {
			return nil, err
		}
		args = append(args, "-overlay", overlay)
	}
	build := exec.CommandContext(ctx, "go", append(args, "./world")...)
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
	var said bytes.Buffer
	build.Stderr = &said
	code, err := build.Output()
	if err != nil {
		return nil, fmt.Errorf("build the world: %w\n%s", err, &said)
	}
	// What is compiled is kept: the same world need not be compiled again.
	cache, err := wazero.NewCompilationCacheWithDir(filepath.Join(dir, "cache"))
	if err != nil {
		return nil, err
	}
	r := &runner{cache: cache, wasm: wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler().WithCompilationCache(cache))}
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, r.wasm); err != nil {
		return nil, err
	}
	if r.world, err = r.wasm.CompileModule(experimental.WithCompilationWorkers(ctx, runtime.NumCPU()), code); err != nil {
		return nil, err
	}
	r.watch, err = watch(ctx)
	return r, err
}

func (r *runner) target() string { return "sim" }

func (r *runner) close(ctx context.Context) {
	r.watch.close()
	_ = r.wasm.Close(ctx)
	_ = r.cache.Close(ctx)
}

// outcome is what one run has shown.
type outcome struct {
	plan.Result
	history []byte
	hash    string // of the history
}

// finished takes what a world has printed. how is how it ended.
func finished(history, stderr []byte, how error) (*outcome, error) {
	out := &outcome{history: history, hash: fmt.Sprintf("%x", sha256.Sum256(history))[:16]}
	last := history[bytes.LastIndexByte(bytes.TrimRight(history, "\n"), '\n')+1:]
	text, ok := bytes.CutPrefix(last, []byte("RESULT "))
	if ok {
		return out, json.Unmarshal(text, &out.Result)
	}
	// The process ended without a word: a panic, a deadlock, a fault of the runtime.
	out.history = append(append([]byte{}, history...), stderr...)
	out.Violations = []plan.Violation{{Promise: "crash", About: "panic", What: fmt.Sprintf("%v: %.2000s", how, stderr)}}
	return out, nil
}

// run runs one world. Its clocks begin at the same moment and move by a microsecond whenever they are read, and
// else when everybody waits: so nothing in it depends on how fast this machine is.
func (r *runner) run(ctx context.Context, p plan.Plan) (*outcome, error) {
	what, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	var stdout, stderr bytes.Buffer
	seed := fnv.New64a()
	_, _ = io.WriteString(seed, strconv.FormatUint(p.Seed, 10))
	source := rand.NewChaCha8(sha256.Sum256(seed.Sum(nil)))
	now := int64(1_700_000_000_000_000_000)
	tick := func() int64 { now += 1000; return now }
	cfg := wazero.NewModuleConfig().WithName("").WithArgs("world").
		WithEnv("SIM_PLAN", string(what)).WithEnv("GOGC", "400").WithEnv("SIM_DEFECT", p.Defect).
		WithStdout(&stdout).WithStderr(&stderr).WithRandSource(source).
		WithNanotime(tick, sys.ClockResolution(1)).
		WithWalltime(func() (int64, int32) { t := tick(); return t / 1e9, int32(t % 1e9) }, sys.ClockResolution(1)).
		WithNanosleep(func(ns int64) { now += ns }).
		WithOsyield(func() { now += 1000 })
	ended := r.watch.begin("make sim " + replay(p))
	m, err := r.wasm.InstantiateModule(ctx, r.world, cfg)
	ended()
	if m != nil {
		_ = m.Close(ctx)
	}
	return finished(stdout.Bytes(), stderr.Bytes(), err)
}

// summary is one line.
func (o *outcome) summary() string {
	var b strings.Builder
	fmt.Fprintf(&b, "history %s, %d lines, %.1f s of the simulation's time; ", o.hash, bytes.Count(o.history, []byte("\n")), o.Virtual)
	for i, k := range slices.Sorted(maps.Keys(o.Counts)) {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s %d", k, o.Counts[k])
	}
	return b.String()
}

// print prints the violations, and the history that concerns the first.
func (o *outcome) print(w io.Writer) {
	for i, v := range o.Violations {
		if i == 20 {
			fmt.Fprintf(w, "… and %d more\n", len(o.Violations)-i)
			break
		}
		fmt.Fprintf(w, "VIOLATED %s, %s: %s\n", v.Promise, v.About, v.What)
	}
	v := o.Violations[0]
	lines := strings.Split(string(o.history), "\n")
	about := func(line string) bool { return strings.Contains(line, v.About) || strings.Contains(line, " FAULT ") }
	end := slices.IndexFunc(lines, func(line string) bool { return strings.Contains(line, "violated: "+v.Promise) })
	if end < 0 {
		end = len(lines) - 1
	}
	var near []string
	for _, line := range lines[:end+1] {
		if about(line) {
			near = append(near, line)
		}
	}
	fmt.Fprintf(w, "\nThe history with %q and the faults:\n", v.About)
	for _, line := range near[max(0, len(near)-60):] {
		fmt.Fprintln(w, line)
	}
	fmt.Fprintf(w, "\nThe history before:\n")
	for _, line := range lines[max(0, end-30) : end+1] {
		fmt.Fprintln(w, line)
	}
}

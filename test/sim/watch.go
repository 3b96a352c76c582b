package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A run that computes without ever waiting, as a handler with a loop that has no end, would go on for ever: its clocks
// stand still, and what wazero has compiled cannot be interrupted, so that not even another goroutine of this process
// goes on once memory is to be collected. A process beside this one watches how much of a processor each run has had.

// runLimit is what a run may have of a processor. The longest take less than a minute.
var runLimit = 5 * time.Minute

// The environment of the process that watches: whom, and what a run may have.
const (
	watchedVar = "SIM_WATCHED"
	limitVar   = "SIM_LIMIT"
)

// watcher is the process beside this one.
type watcher struct {
	cmd *exec.Cmd
	mu  sync.Mutex
	to  io.WriteCloser // guarded by mu
}

// watch starts a process that watches this one, which must call watching when it begins.
func watch(ctx context.Context) (*watcher, error) {
	file, err := os.Executable()
	if err != nil {
		return nil, err
	}
	x := &watcher{cmd: exec.CommandContext(ctx, file)}
	x.cmd.Env = append(os.Environ(), watchedVar+"="+strconv.Itoa(os.Getpid()), limitVar+"="+runLimit.String())
	x.cmd.Stderr = os.Stderr
	if x.to, err = x.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	return x, x.cmd.Start()
}

func (x *watcher) close() {
	_ = x.to.Close()
	_ = x.cmd.Wait()
}

// begin has the thread of the caller watched until ended is called. what names the run.
func (x *watcher) begin(what string) (ended func()) {
	runtime.LockOSThread()
	link, err := os.Readlink("/proc/thread-self")
	if err != nil { // a system without it
		return runtime.UnlockOSThread
	}
	say := func(what string) {
		x.mu.Lock()
		defer x.mu.Unlock()
		_, _ = fmt.Fprintf(x.to, "%s\t%s\n", filepath.Base(link), what)
	}
	say(what)
	return func() { say(""); runtime.UnlockOSThread() }
}

// watching is what the process beside another one does, which it ends when a run has had too much of a processor. In
// others it returns at once.
func watching() {
	pid, err := strconv.Atoi(os.Getenv(watchedVar))
	if err != nil {
		return
	}
	limit, err := time.ParseDuration(os.Getenv(limitVar))
	if err != nil {
		panic(err)
	}
	type run struct {
		what string
		had  time.Duration // of its thread, before
	}
	var mu sync.Mutex
	runs := map[string]run{}
	go func() {
		for {
			mu.Lock()
			for thread, r := range runs {
				if had := spent(pid, thread) - r.had; had > limit {
					fmt.Fprintf(os.Stderr, "a run has had a processor for %s and has not ended, something in it does not wait: %s\n", had.Round(time.Second), r.what)
					_ = syscall.Kill(pid, syscall.SIGKILL)
					os.Exit(0)
				}
			}
			mu.Unlock()
			time.Sleep(min(limit/10, 5*time.Second))
		}
	}()
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		thread, what, _ := strings.Cut(lines.Text(), "\t")
		mu.Lock()
		if delete(runs, thread); what != "" {
			runs[thread] = run{what, spent(pid, thread)}
		}
		mu.Unlock()
	}
	os.Exit(0) // the other has ended
}

// spent is what a thread has had of the processors. Source: proc_pid_stat(5): fields 14 and 15, in hundredths of a second.
func spent(pid int, thread string) time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/stat", pid, thread))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:])) // from field 3
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/beanpole/beanpole/test/bench/servers/control"
)

// process is a server that runs.
type process struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
	addr  string
	pages int64
}

// stopTimeout is how long a server may take to end when its standard input does.
const stopTimeout = 3 * time.Second

// start runs the server of that name with args, of which those of the form NAME=value, in capitals, are
// its environment. bin holds the Go servers.
func start(bin, name string, args ...string) (*process, error) {
	var env []string
	for len(args) > 0 && args[0][0] >= 'A' && args[0][0] <= 'Z' {
		env, args = append(env, args[0]), args[1:]
	}
	cmd, err := command(bin, name, args)
	if err != nil {
		return nil, err
	}
	cmd.Env = append(append(os.Environ(), cmd.Env...), env...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &process{cmd: cmd, in: in, out: bufio.NewReader(out), pages: int64(os.Getpagesize())}
	line, err := p.out.ReadString('\n')
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	port, ok := strings.CutPrefix(strings.TrimSpace(line), "port ")
	if !ok {
		p.stop()
		return nil, fmt.Errorf("start %s: said %q", name, line)
	}
	p.addr = "127.0.0.1:" + port
	return p, nil
}

// stop ends the server.
func (p *process) stop() {
	_ = p.in.Close()
	timer := time.AfterFunc(stopTimeout, func() { _ = p.cmd.Process.Kill() })
	_ = p.cmd.Wait()
	timer.Stop()
}

// order gives the server an order and returns its answer.
func (p *process) order(format string, args ...any) (string, error) {
	if _, err := fmt.Fprintf(p.in, format+"\n", args...); err != nil {
		return "", err
	}
	line, err := p.out.ReadString('\n')
	return strings.TrimSpace(line), err
}

// gc has the server collect its garbage.
func (p *process) gc() (control.Stats, error) {
	var s control.Stats
	answer, err := p.order("gc")
	if err != nil {
		return s, fmt.Errorf("order: %w", err)
	}
	return s, json.Unmarshal([]byte(answer), &s)
}

// cpu returns the processor time the server has used, in steps of 10 ms.
func (p *process) cpu() time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	// The second field is the command in parentheses; utime and stime are the 14th and 15th.
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	var ticks int64
	for _, f := range fields[11:13] {
		n, _ := strconv.ParseInt(f, 10, 64)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// peak returns the most memory the server has had resident, in bytes.
func (p *process) peak() int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), "VmHWM:")
	n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	return n << 10
}

// rss returns the memory the server has resident, in bytes.
func (p *process) rss() int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b))
	n, _ := strconv.ParseInt(fields[1], 10, 64)
	return n * p.pages
}

package e2e

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is a program that was started here.
type process struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed when it has ended
}

// launch starts a program whose output goes to a file.
func launch(t *testing.T, log string, env []string, name string, args ...string) *process {
	t.Helper()
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	p := &process{cmd: exec.Command(name, args...), log: log, done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	// A group is what a service's control group is: none of it outlives its first process, as nginx's workers would.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		close(p.done)
	}()
	t.Cleanup(func() { p.stop(syscall.SIGTERM, 5*time.Second) })
	return p
}

// stop sends a signal and waits; what has not ended then is killed with its children, as systemd does. It returns how long
// it took.
func (p *process) stop(sig syscall.Signal, limit time.Duration) time.Duration {
	if p == nil {
		return 0
	}
	start := time.Now()
	_ = p.cmd.Process.Signal(sig)
	select {
	case <-p.done:
	case <-time.After(limit):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
	return time.Since(start)
}

// alive waits until somebody listens on the port.
func alive(t *testing.T, p *process, port int) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = c.Close()
			return
		}
		select {
		case <-p.done:
			t.Fatalf("%s ended: %s", p.cmd.Path, tail(p.log))
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not listen on %d: %s", p.cmd.Path, port, tail(p.log))
		}
	}
}

func tail(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

// given are the ports that tests have: the system could give one again before its program listens.
var given sync.Map

// ports returns n free ports.
func ports(t *testing.T, n int) []int {
	t.Helper()
	var out []int
	var open []net.Listener
	for len(out) < n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, l)
		if _, taken := given.LoadOrStore(l.Addr().(*net.TCPAddr).Port, true); !taken {
			out = append(out, l.Addr().(*net.TCPAddr).Port)
		}
	}
	for _, l := range open {
		_ = l.Close()
	}
	return out
}

// need skips a test on a machine that lacks a program, and fails on CI, which installs them.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("%s is not installed", name)
			}
			t.Skipf("%s is not installed", name)
		}
	}
}

// built holds the programs that TestMain has built.
var built = struct{ dir, app, beanpole string }{}

func TestMain(m *testing.M) {
	// Those that run side by side wait for timers most of the time. What measures, or has thousands of clients, runs alone.
	_ = flag.Set("test.parallel", "4") // before the command line is read, which may say otherwise
	flag.Parse()
	code, err := buildAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

func buildAndRun(m *testing.M) (code int, err error) {
	if built.dir = os.Getenv(inside); built.dir != "" {
		built.app, built.beanpole = filepath.Join(built.dir, "app"), filepath.Join(built.dir, "beanpole")
		return m.Run(), nil
	}
	if built.dir, err = os.MkdirTemp("", "beanpole-e2e-"); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(built.dir)) }()
	built.app, built.beanpole = filepath.Join(built.dir, "app"), filepath.Join(built.dir, "beanpole")
	if said, err := exec.Command("go", "build", "-ldflags=-w", "-o", built.dir, "./app", "../../cmd/beanpole").CombinedOutput(); err != nil {
		return 1, fmt.Errorf("%w: %s", err, said)
	}
	if _, err := os.Stat("node_modules/socket.io-client"); err != nil {
		if said, err := exec.Command("npm", "ci", "--no-audit", "--no-fund", "--loglevel=error").CombinedOutput(); err != nil {
			return 1, fmt.Errorf("npm ci: %w: %s", err, said)
		}
	}
	if *onHosts {
		return runApart()
	}
	return m.Run(), nil
}

// What a service leaves behind when its time to stop is over ends with it, as with systemd: nginx's workers would go on
// with their connections.
func TestNothingOutlivesItsProcess(t *testing.T) {
	t.Parallel()
	need(t, "nginx")
	dir, port := t.TempDir(), ports(t, 1)[0]
	file := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf(`user root; pid nginx.pid; error_log stderr; events {}
http { access_log off; server { listen 127.0.0.1:%d; limit_rate 1; return 200 %q; } }`, port, strings.Repeat("x", 1000))
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	p := launch(t, filepath.Join(dir, "nginx.log"), nil, "nginx", "-p", dir+"/", "-c", file, "-g", "daemon off;")
	alive(t, p, port)
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := fmt.Fprint(c, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err != nil { // a worker is at it, for a quarter of an hour
		t.Fatal(err)
	}
	p.stop(syscall.SIGQUIT, 100*time.Millisecond)
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("a worker goes on")
	}
}

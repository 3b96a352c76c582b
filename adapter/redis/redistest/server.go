// Package redistest runs real Redis servers for tests, each on a port of its own.
package redistest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// T is what a Server needs of a test: *testing.T, or a stand-in for TestMain.
type T interface {
	Helper()
	Fatalf(format string, args ...any)
	Logf(format string, args ...any)
	TempDir() string
	Cleanup(func())
}

// Server is one redis-server.
type Server struct {
	t    T
	Port int
	Dir  string
	args []string

	mu  sync.Mutex
	cmd *exec.Cmd
}

// firstPort and lastPort bound the ports of servers: neither they nor the bus ports of a cluster, 10,000 above, are among those that the kernel
// gives to connections, so that a server which is away for a moment gets its port again.
const firstPort, lastPort = 11_000, 21_999

var (
	startPort = rand.Int64N(lastPort - firstPort) // other processes begin elsewhere
	nextPort  atomic.Int64
)

// FreePort returns a port that was free a moment ago, as was the bus port of a cluster that belongs to it. It returns
// none twice in a process, or hardly.
func FreePort(t T) int {
	t.Helper()
	for range lastPort - firstPort {
		port := firstPort + int((startPort+nextPort.Add(1))%(lastPort-firstPort))
		if free(port) && free(port+10_000) {
			return port
		}
	}
	t.Fatalf("no free port")
	return 0
}

func free(port int) bool {
	l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		return false
	}
	_ = l.Close()
	return true
}

// Start runs a redis-server with more arguments until the test ends.
func Start(t T, args ...string) *Server {
	t.Helper()
	s := &Server{t: t, Port: FreePort(t), Dir: t.TempDir(), args: args}
	t.Cleanup(s.Kill)
	s.Run()
	return s
}

// URL returns the URL of the server.
func (s *Server) URL() string { return fmt.Sprintf("redis://127.0.0.1:%d", s.Port) }

// Addr returns the address of the server.
func (s *Server) Addr() string { return "127.0.0.1:" + strconv.Itoa(s.Port) }

// Run starts the server, again after Kill or Stop, and waits until it takes commands.
func (s *Server) Run() {
	s.t.Helper()
	args := append([]string{"--port", strconv.Itoa(s.Port), "--bind", "127.0.0.1", "--dir", s.Dir, "--save", "",
		"--appendonly", "no", "--daemonize", "no", "--protected-mode", "no"}, s.args...)
	cmd := exec.Command("redis-server", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatalf("redis-server: %v", err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatalf("redis-server: %v", err)
	}
	s.mu.Lock()
	s.cmd = cmd
	s.mu.Unlock()
	ready := make(chan bool, 1)
	go func() {
		lines := bufio.NewScanner(out)
		var seen []string
		for lines.Scan() {
			seen = append(seen, lines.Text())
			if strings.Contains(lines.Text(), "eady to accept connections") {
				ready <- true
				_, _ = io.Copy(io.Discard, out)
				return
			}
		}
		fmt.Fprintln(os.Stderr, strings.Join(seen, "\n"))
		ready <- false
	}()
	select {
	case ok := <-ready:
		if !ok {
			s.t.Fatalf("redis-server ended")
		}
	case <-time.After(20 * time.Second):
		s.t.Fatalf("redis-server does not start")
	}
}

// Kill ends the server at once.
func (s *Server) Kill() {
	s.mu.Lock()
	cmd := s.cmd
	s.cmd = nil
	s.mu.Unlock()
	if cmd != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}

// Stop has the server save what it holds, if it is configured to, and end.
func (s *Server) Stop() {
	s.mu.Lock()
	cmd := s.cmd
	s.cmd = nil
	s.mu.Unlock()
	if cmd != nil {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}
}

// Freeze stops the server's clock; Thaw lets it go on.
func (s *Server) Freeze() { s.signal(syscall.SIGSTOP) }

// Thaw ends Freeze.
func (s *Server) Thaw() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig os.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil {
		_ = s.cmd.Process.Signal(sig)
	}
}

// Client returns a client of the server, closed when the test ends.
func (s *Server) Client() *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: s.Addr()})
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

// Cluster starts a Redis Cluster of three masters, with more arguments, and returns them.
func Cluster(t T, more ...string) []*Server { t.Helper(); return cluster(t, 0, more) }

// ReplicatedCluster starts a Redis Cluster of three masters with a replica each, and returns all six, in no order.
func ReplicatedCluster(t T, more ...string) []*Server { t.Helper(); return cluster(t, 1, more) }

func cluster(t T, replicas int, more []string) []*Server {
	t.Helper()
	var list []*Server
	for range 3 + 3*replicas {
		list = append(list, Start(t, append([]string{"--cluster-enabled", "yes", "--cluster-node-timeout", "2000",
			"--cluster-replica-no-failover", "yes"}, more...)...)) // on a busy machine they would fail over by themselves
	}
	args := []string{"--cluster", "create"}
	for _, s := range list {
		args = append(args, s.Addr())
	}
	out, err := exec.Command("redis-cli", append(args, "--cluster-replicas", strconv.Itoa(replicas), "--cluster-yes")...).CombinedOutput()
	if err != nil {
		t.Fatalf("create the cluster: %v\n%s", err, out)
	}
	// Every node must know that all slots are served, and its replicas must have what it has.
	known := fmt.Sprintf("cluster_known_nodes:%d", len(list))
	end := time.Now().Add(20 * time.Second)
	for _, s := range list {
		c := s.Client()
		for {
			info, err := c.ClusterInfo(context.Background()).Result()
			role, e := c.Do(context.Background(), "role").Slice()
			joined := e == nil && (role[0] == "master" && len(role[2].([]any)) == replicas || role[0] == "slave" && role[3] == "connected")
			if err == nil && joined && strings.Contains(info, "cluster_state:ok") && strings.Contains(info, known) {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("the cluster does not form: %v %s %v", err, info, role)
			}
			time.Sleep(50 * time.Millisecond) // another process: no event to await
		}
	}
	if replicas == 0 { // nobody is to take over: whoever gets no processor for a moment is not dead
		for _, s := range list {
			if err := s.Client().ConfigSet(context.Background(), "cluster-node-timeout", "30000").Err(); err != nil {
				t.Fatalf("%v", err)
			}
		}
	}
	return list
}

// ClusterURL returns the URL of a cluster.
func ClusterURL(list []*Server) string {
	u := list[0].URL() + "?cluster=true"
	for _, s := range list[1:] {
		u += "&addr=" + s.Addr()
	}
	return u
}

package redis_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// sentinel starts a sentinel that watches main alone, and returns its port.
func sentinel(t *testing.T, main *redistest.Server) int {
	t.Helper()
	port := redistest.FreePort(t)
	conf := filepath.Join(t.TempDir(), "sentinel.conf")
	text := fmt.Sprintf("port %d\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 %d 1\nsentinel down-after-milliseconds main 500\n"+
		"sentinel failover-timeout main 3000\n", port, main.Port)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("redis-server", conf, "--sentinel")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return port
}

// The primary dies and a replica takes over. What is missing on the other node is counted. Nothing is on its way
// when the primary dies: what it has taken and not passed on is lost with it, in streams mode as well, and nobody
// can count that.
func TestFailover(t *testing.T) {
	t.Parallel()
	for name, cfg := range modes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			main := redistest.Start(t)
			replica := redistest.Start(t, "--replicaof", "127.0.0.1 "+strconv.Itoa(main.Port))
			url := sentinelURL(t, main)
			f := pair(t, cfg, url, url)
			f.flow()
			pass(t, 300*time.Millisecond)
			f.rest()
			replicated(t, main)
			main.Kill()
			f.flow()
			admin := replica.Client()
			promoted(t, admin)
			here, there := f.end()
			f.check(here, there)
		})
	}
}

// replicated waits until the replica of main has everything.
func replicated(t *testing.T, main *redistest.Server) {
	t.Helper()
	c := main.Client().Conn()
	defer c.Close()
	adaptertest.Eventually(t, func() error {
		if err := c.Set(t.Context(), "replicated", "?", 0).Err(); err != nil {
			return err
		}
		n, err := c.Wait(t.Context(), 1, time.Second).Result()
		if n != 1 {
			return fmt.Errorf("%d replicas, %v", n, err)
		}
		return nil
	})
}

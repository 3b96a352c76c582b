//go:build !wasip1

package main

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/beanpole/beanpole/test/sim/simnet"
)

// redisServer is a real Redis behind the relays of the network, with the same faults as the simulated one.
type redisServer struct {
	w          *world
	host, addr string
	dir        string
	port       string
	back       *redis.Client // of the checker: by no relay, and with every right

	one  sync.Mutex // held while it restarts
	mu   sync.Mutex
	cmd  *exec.Cmd // nil while it is off
	undo []any     // the command that ends a refusal
	lag  chan struct{}

	copies []replica // guarded by mu; what a replica had, the last fifteen times
	begin  []kept    // guarded by one; what the next Redis begins with
}

func newRedis(w *world, host string) *redisServer {
	dir, err := os.MkdirTemp("", "chaos-redis-")
	if err != nil {
		panic(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	_ = l.Close()
	acl := filepath.Join(dir, "users.acl")
	users := "user default on nopass ~* &* +@all\nuser checker on >checker ~* &* +@all\n"
	if err := os.WriteFile(acl, []byte(users), 0o600); err != nil {
		panic(err)
	}
	r := &redisServer{w: w, host: host, addr: host + ":6379", dir: dir, port: port}
	r.back = redis.NewClient(&redis.Options{Addr: "127.0.0.1:" + port, Username: "checker", Password: "checker",
		MaxRetries: -1, PoolSize: 2})
	return r
}

// fresh begins without data.
func (r *redisServer) fresh() {
	for _, name := range []string{"appendonlydir", "dump.rdb"} {
		_ = os.RemoveAll(filepath.Join(r.dir, name))
	}
}

// on makes it take connections.
func (r *redisServer) on() {
	cmd := exec.Command("redis-server", "--port", r.port, "--bind", "127.0.0.1", "--dir", r.dir, "--save", "",
		"--appendonly", "yes", "--appendfsync", "no", "--aclfile", filepath.Join(r.dir, "users.acl"), "--loglevel", "warning")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for r.back.Ping(ctx).Err() != nil {
		if ctx.Err() != nil {
			panic("redis-server does not answer")
		}
		time.Sleep(20 * time.Millisecond)
	}
	r.fill(ctx)
	r.mu.Lock()
	r.cmd = cmd
	r.mu.Unlock()
	r.w.net.Lead(r.host, r.addr, "127.0.0.1:"+r.port)
}

// off ends it; data stay until fresh.
func (r *redisServer) off() {
	r.mu.Lock()
	cmd := r.cmd
	r.cmd = nil
	r.mu.Unlock()
	r.w.net.Lead(r.host, r.addr, "")
	for _, x := range r.w.net.Links(func(l *simnet.Link) bool { return l.To == r.addr }) {
		x.Cut(simnet.Both)
	}
	_ = cmd.Process.Kill() // what it was given is with the kernel
	_ = cmd.Wait()
}

// set makes it refuse, or be late, until set is called again.
func (r *redisServer) set(refusal string, lag time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lag != nil {
		close(r.lag)
		r.lag = nil
	}
	if r.undo != nil {
		r.do(r.undo...)
		r.undo = nil
	}
	switch {
	case strings.HasPrefix(refusal, "READONLY"):
		r.do("REPLICAOF", "127.0.0.1", "1")
		r.undo = []any{"REPLICAOF", "NO", "ONE"}
	case strings.HasPrefix(refusal, "OOM"):
		r.do("CONFIG", "SET", "maxmemory", "1")
		r.undo = []any{"CONFIG", "SET", "maxmemory", "0"}
	case refusal != "": // LOADING cannot be had on command
		r.do("ACL", "SETUSER", "default", "-@all", "+hello", "+ping", "+client")
		r.undo = []any{"ACL", "SETUSER", "default", "+@all"}
	}
	if lag > 0 {
		stop := make(chan struct{})
		r.lag = stop
		go func() {
			for {
				for _, l := range r.w.net.Links(func(l *simnet.Link) bool { return l.To == r.addr }) {
					l.Stall(lag)
				}
				select {
				case <-stop:
					return
				case <-time.After(lag + 10*time.Millisecond):
				}
			}
		}()
	}
}

// do sends a command of the checker's, unless Redis is off.
func (r *redisServer) do(args ...any) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := r.back.Do(ctx, args...).Err(); err != nil {
		r.w.note("FAULT", "%v: %v", args, err)
	}
}

// channels are those that somebody listens to.
func (r *redisServer) channels() []string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return append(r.back.PubSubChannels(ctx, "*").Val(), r.back.PubSubShardChannels(ctx, "*").Val()...)
}

// eternal returns the keys, and those of them that never expire.
func (r *redisServer) eternal() (keys, eternal []string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	keys, err := r.back.Keys(ctx, "*").Result()
	if err != nil {
		panic(err)
	}
	for _, key := range keys {
		if r.back.TTL(ctx, key).Val() == -1 {
			eternal = append(eternal, key)
		}
	}
	return keys, eternal
}

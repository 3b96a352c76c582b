// Cluster runs one of the examples as three servers behind HAProxy, joined by Redis, on one machine:
//
//	go run ./examples/cluster chat
//
// PORT is where HAProxy listens (5000), REDIS_URL a Redis to use instead of one of its own. Everything it
// starts ends with it. See README.md.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// nodes are the names of the servers.
var nodes = []string{"red", "green", "blue"}

// readyTimeout bounds the start of each program.
const readyTimeout = 20 * time.Second

func main() {
	runtime.LockOSThread() // the end of the thread that starts programs is what ends them, see follow
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "which example? chat, ticker, game or scores")
		os.Exit(2)
	}
	if err := run(ctx, os.Args[1]); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run starts everything, waits until ctx is done or a program ends by itself, and ends everything.
func run(ctx context.Context, example string) (err error) {
	dir, err := os.MkdirTemp("", "beanpole-cluster-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	program, err := build(ctx, dir, example)
	if err != nil {
		return err
	}
	g := newGroup()
	defer func() { err = errors.Join(err, g.stop()) }()

	redis := os.Getenv("REDIS_URL")
	if redis == "" {
		if redis, err = startRedis(ctx, g, dir); err != nil {
			return err
		}
	}
	var backends []string
	for _, name := range nodes {
		addr, err := freeAddr()
		if err != nil {
			return err
		}
		_, port, _ := net.SplitHostPort(addr)
		err = g.start(name, []string{
			"REDIS_URL=" + redis, "HOST=127.0.0.1", "PORT=" + port, "BEANPOLE_INSTANCE=" + name, "BEANPOLE_TRUSTED_HOPS=1",
			"BEANPOLE_ADMIN_PORT=0", "BEANPOLE_DRAIN_TIME=300ms", "BEANPOLE_LOG_LEVEL=" + cmp.Or(os.Getenv("BEANPOLE_LOG_LEVEL"), "warn"),
			"BEANPOLE_DEVELOPMENT=" + cmp.Or(os.Getenv("BEANPOLE_DEVELOPMENT"), "true"),
		}, program)
		if err != nil {
			return err
		}
		if err := answers(ctx, g, "http://"+addr+"/healthz"); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		backends = append(backends, addr)
	}
	front, err := startHAProxy(ctx, g, dir, backends)
	if err != nil {
		return err
	}
	fmt.Printf("Three servers are ready at %s (Redis at %s, stop with Ctrl+C)\n", front, redis)
	if example == "scores" {
		fmt.Printf("Play football with: REDIS_URL=%s go run ./examples/scores/admin\n", redis)
	}
	select {
	case <-ctx.Done():
		return nil
	case name := <-g.ended:
		return fmt.Errorf("%s has ended", name)
	}
}

// build returns the program of an example: it is built from the source here, or is already beside this
// program.
func build(ctx context.Context, dir, example string) (string, error) {
	if example != filepath.Base(example) || example == "cluster" {
		return "", fmt.Errorf("no such example: %s", example)
	}
	if self, err := os.Executable(); err == nil {
		if beside := filepath.Join(filepath.Dir(self), example); isProgram(beside) {
			return beside, nil
		}
	}
	program := filepath.Join(dir, example)
	cmd := exec.CommandContext(ctx, "go", "build", "-o", program, "./examples/"+example)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return program, cmd.Run()
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o100 != 0
}

// answers waits until a GET of url is answered with 200.
func answers(ctx context.Context, g *group, url string) error {
	return soon(ctx, g, func(ctx context.Context) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		defer a.Body.Close()
		if a.StatusCode != http.StatusOK {
			return errors.New(a.Status)
		}
		return nil
	})
}

// soon tries until it succeeds, the time is over, or a program has ended.
func soon(ctx context.Context, g *group, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case name := <-g.ended:
			return fmt.Errorf("%s has ended", name)
		case <-again.C:
		}
	}
}

// freeAddr returns an address of this machine that nobody listens on now.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

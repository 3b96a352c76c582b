package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// stopTimeout is how long a program may take to stop before it is killed.
const stopTimeout = 10 * time.Second

// group is the programs that were started. They are ended by what the system gave back when they were,
// never by name.
type group struct {
	ended chan string // the first that ended by itself

	// Owned by the goroutine that starts and stops.
	programs []*program
}

type program struct {
	name string
	cmd  *exec.Cmd
	done chan struct{}
}

func newGroup() *group { return &group{ended: make(chan string, 1)} }

// start starts a program with env added to the environment. What it writes is shown with its name.
func (g *group) start(name string, env []string, path string, args ...string) error {
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = &labelled{name: name, w: os.Stderr}
	// Ctrl+C goes to this program alone, which ends the others in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	follow(cmd.SysProcAttr)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	p := &program{name: name, cmd: cmd, done: make(chan struct{})}
	g.programs = append(g.programs, p)
	go func() {
		defer close(p.done)
		_ = cmd.Wait() // how it ended is told by itself
		select {
		case g.ended <- name:
		default:
		}
	}()
	return nil
}

// stop ends all programs, the one started last first, and returns when they have ended.
func (g *group) stop() error {
	var err error
	for i := len(g.programs) - 1; i >= 0; i-- {
		p := g.programs[i]
		_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
		select {
		case <-p.done:
		case <-time.After(stopTimeout):
			err = fmt.Errorf("%s did not stop and was killed", p.name)
			_ = p.cmd.Process.Kill()
			<-p.done
		}
	}
	return err
}

// labelled writes lines with the name of the program before them.
type labelled struct {
	name string
	w    io.Writer

	mu   sync.Mutex
	part []byte // guarded by mu; a line without its end
}

// Write writes the lines that are whole.
func (l *labelled) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range b {
		l.part = append(l.part, c)
		if c != '\n' {
			continue
		}
		if _, err := fmt.Fprintf(l.w, "%-8s %s", l.name, l.part); err != nil {
			return 0, err
		}
		l.part = l.part[:0]
	}
	return len(b), nil
}

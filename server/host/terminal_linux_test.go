package host

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Who starts a program at a terminal is told of development mode, unless it is on, or off on purpose; no log is.
func TestDevelopmentModeIsNamedAtATerminal(t *testing.T) {
	for name, tt := range map[string]struct {
		terminal bool
		environ  []string
		named    bool
	}{
		"terminal":       {true, nil, true},
		"on":             {true, []string{"BEANPOLE_DEVELOPMENT=true"}, false},
		"off on purpose": {true, []string{"BEANPOLE_DEVELOPMENT=false"}, false},
		"pipe":           {false, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			out, in := pipe(t, tt.terminal)
			p := exec.CommandContext(ctx, os.Args[0])
			p.Env = append(os.Environ(), asProgram+"=1", "PORT=0", "HOST=127.0.0.1", "BEANPOLE_ADMIN_PORT=0", "BEANPOLE_LOG_LEVEL=warn")
			p.Env = append(p.Env, tt.environ...)
			p.Stdout = in
			if err := p.Start(); err != nil {
				t.Fatal(err)
			}
			_ = in.Close()
			line, err := bufio.NewReader(out).ReadString('\n')
			if err != nil {
				t.Error(err)
			}
			if !strings.Contains(line, "is ready at http://127.0.0.1:") || strings.Contains(line, "BEANPOLE_DEVELOPMENT=true") != tt.named {
				t.Errorf("it says %q", line)
			}
			cancel() // a signal to stop might come before it is waited for
			_ = p.Wait()
		})
	}
}

// pipe returns both ends of a pipe, or of a terminal.
func pipe(t *testing.T, terminal bool) (out, in *os.File) {
	t.Helper()
	var err error
	if !terminal {
		out, in, err = os.Pipe()
	} else if out, err = os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0); err == nil {
		var n int
		if n, err = unix.IoctlGetInt(int(out.Fd()), unix.TIOCGPTN); err == nil {
			err = unix.IoctlSetPointerInt(int(out.Fd()), unix.TIOCSPTLCK, 0)
		}
		if err == nil {
			in, err = os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|syscall.O_NOCTTY, 0)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = out.Close() })
	return out, in
}

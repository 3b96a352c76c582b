package foreign

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os/exec"
	"time"
)

// programTimeout bounds one run of a program.
const programTimeout = 20 * time.Second

// bounds are set by a shell before a program: seconds of a processor, and kilobytes of memory, where the system has them.
const bounds = `ulimit -t 20 2>/dev/null; ulimit -v 2000000 2>/dev/null; exec "$0" "$@"`

// ErrProgram is returned when a program was not to be started or has not come to an end.
var ErrProgram = errors.New("the program was not to be run")

// Program has a program of this machine read something. It gets nothing of this process's environment and as much time and
// memory as one file needs. What it says on its error output is returned, and whether it was content.
func Program(ctx context.Context, dir string, in io.Reader, name string, args ...string) (said string, content bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, programTimeout)
	defer cancel()
	if sh, err := exec.LookPath("sh"); err == nil {
		name, args = sh, append([]string{"-c", bounds, name}, args...)
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.WaitDelay = dir, []string{"LC_ALL=C"}, in, time.Second
	out := &head{most: MaxText}
	cmd.Stderr = out
	err = cmd.Run()
	if ctx.Err() != nil || err != nil && !errors.As(err, new(*exec.ExitError)) {
		return "", false, ErrProgram
	}
	return out.kept.String(), err == nil, nil
}

// head is the begin of what is written to it.
type head struct {
	kept bytes.Buffer
	most int
	more bool // was written
}

// Write keeps what there is room for.
func (h *head) Write(b []byte) (int, error) {
	room := min(len(b), max(0, h.most-h.kept.Len()))
	h.more = h.more || room < len(b)
	h.kept.Write(b[:room])
	return len(b), nil
}

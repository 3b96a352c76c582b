package host

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A program that is listening stops as it should, whenever the signal comes: here while it is about to say that it is ready,
// and nobody reads.
func TestSignalBeforeReadyIsSaid(t *testing.T) {
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	filled := fill(t, int(in.Fd()))
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().(*net.TCPAddr)
	_ = free.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p := exec.CommandContext(ctx, os.Args[0])
	p.Env = append(os.Environ(), asProgram+"=1", "PORT="+strconv.Itoa(addr.Port), "HOST=127.0.0.1", "BEANPOLE_ADMIN_PORT=0")
	p.Stdout = in
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	_ = in.Close()
	for ctx.Err() == nil {
		c, err := net.Dial("tcp", addr.String())
		if err == nil {
			_ = c.Close()
			break
		}
		time.Sleep(time.Millisecond) // until it listens
	}
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	said, _ := io.ReadAll(out)
	if err := p.Wait(); err != nil {
		t.Error(err)
	}
	if !strings.Contains(string(said[min(filled, len(said)):]), "ready") {
		t.Errorf("said %q", said[min(filled, len(said)):])
	}
}

// fill fills a pipe, and returns with how many bytes.
func fill(t *testing.T, pipe int) (n int) {
	t.Helper()
	if err := syscall.SetNonblock(pipe, true); err != nil {
		t.Fatal(err)
	}
	for _, b := range [][]byte{make([]byte, 4096), {0}} {
		for {
			k, err := syscall.Write(pipe, b)
			if errors.Is(err, syscall.EAGAIN) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			n += k
		}
	}
	if err := syscall.SetNonblock(pipe, false); err != nil {
		t.Fatal(err)
	}
	return n
}

package host

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/beanpole/beanpole/internal/logs"
)

// asProgram is the variable that makes the test's binary a program on this package.
const asProgram = "HOST_TEST_PROGRAM"

// program is that program.
func program() {
	Main(func(h *Host) error {
		h.Router().GET("/hello", func(c *gin.Context) { c.String(http.StatusOK, "hello") })
		return nil
	})
}

// A log that nobody reads, or whose reader has gone, changes nothing for who uses the server, or stops it.
func TestProgramWhoseLogIsNotRead(t *testing.T) {
	for name, unread := range map[string]func(stderr io.Closer){
		"stands still": func(io.Closer) {},
		"gone":         func(stderr io.Closer) { _ = stderr.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			p := exec.CommandContext(ctx, os.Args[0])
			p.Env = append(os.Environ(), asProgram+"=1", "PORT=0", "HOST=127.0.0.1", "BEANPOLE_ADMIN_PORT=0")
			stdout, _ := p.StdoutPipe()
			stderr, _ := p.StderrPipe()
			if err := p.Start(); err != nil {
				t.Fatal(err)
			}
			ready, err := bufio.NewReader(stdout).ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			url := strings.Fields(strings.SplitAfter(ready, " at ")[1])[0]
			unread(stderr)
			client := http.Client{Transport: &http.Transport{}, Timeout: 30 * time.Second}
			defer client.CloseIdleConnections()
			for range 1000 { // more than a pipe takes
				res, err := client.Get(url + "hello")
				if err != nil {
					t.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
			}
			if err := p.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if err := p.Wait(); err != nil {
				t.Error(err)
			}
		})
	}
}

// With BEANPOLE_LOG_FORMAT=json every line is an object, of the host and of what it is made of, on both outputs, and when it
// does not start.
func TestEveryLineIsJSON(t *testing.T) {
	for name, tt := range map[string]struct {
		environ []string
		code    int
		wants   string
	}{
		"without Redis":  {[]string{"REDIS_URL=redis://127.0.0.1:1"}, 0, `"msg":"Beanpole is ready at http://127.0.0.1`},
		"at debug":       {[]string{"REDIS_URL=redis://127.0.0.1:1", "BEANPOLE_LOG_LEVEL=debug"}, 0, `"msg":"stopped"`},
		"a wrong value":  {[]string{"BEANPOLE_PATH=/"}, 1, `"msg":"BEANPOLE_PATH=`},
		"a port of none": {[]string{"HOST=nowhere.invalid"}, 1, `"level":"ERROR"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			p := exec.CommandContext(ctx, os.Args[0])
			p.Env = append(os.Environ(), asProgram+"=1", "PORT=0", "HOST=127.0.0.1", "BEANPOLE_ADMIN_PORT=0", "BEANPOLE_LOG_FORMAT=json")
			p.Env = append(p.Env, tt.environ...)
			out, err := p.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			p.Stderr = p.Stdout // one pipe for both
			if err := p.Start(); err != nil {
				t.Fatal(err)
			}
			var all strings.Builder
			for lines := bufio.NewScanner(out); lines.Scan(); {
				if !json.Valid(lines.Bytes()) || lines.Bytes()[0] != '{' {
					t.Errorf("no object: %s", lines.Text())
				}
				all.WriteString(lines.Text())
				if strings.Contains(lines.Text(), `"msg":"listening"`) {
					_ = p.Process.Signal(syscall.SIGTERM)
				}
			}
			if _ = p.Wait(); p.ProcessState.ExitCode() != tt.code || !strings.Contains(all.String(), tt.wants) {
				t.Errorf("exit code %d: %s", p.ProcessState.ExitCode(), all.String())
			}
		})
	}
}

// A disk that was full is not nobody who reads.
func TestLinesThatCouldNotBeWritten(t *testing.T) {
	h, err := New(Config{LogFormat: LogJSON})
	if err != nil {
		t.Fatal(err)
	}
	defer h.io.Close()
	var got strings.Builder
	if err := h.missed(&got, logs.Missed{Stats: logs.Stats{Failed: 3}, Err: syscall.ENOSPC}); err != nil {
		t.Fatal(err)
	}
	if text := got.String(); !strings.Contains(text, `"lines":3,"err":"no space left on device"`) || strings.Contains(text, "reads") {
		t.Error(text)
	}
}

// stuck is a Logger's handler that never returns, of the application's own.
type stuck struct {
	slog.Handler
	from string // the first line that it gets stuck on
	over chan struct{}
}

func (stuck) Enabled(context.Context, slog.Level) bool { return true }

func (s stuck) Handle(_ context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, s.from) {
		<-s.over
	}
	return nil
}

func TestStopWhileTheLoggerStandsStill(t *testing.T) {
	for _, from := range []string{"listening", "stopping", "draining", "stopped"} {
		t.Run(from, func(t *testing.T) {
			over := make(chan struct{})
			defer close(over)
			h, err := New(Config{Port: AnyPort, Host: "127.0.0.1", Logger: slog.New(stuck{slog.DiscardHandler, from, over})})
			if err != nil {
				t.Fatal(err)
			}
			done := running(t, h)
			signalSelf(t, syscall.SIGTERM)
			if err := await(t, done); err != nil {
				t.Error(err)
			}
		})
	}
}

// A second signal ends the process also when what the first has begun stands still.
func TestSecondSignalWhileTheLoggerStandsStill(t *testing.T) {
	over := make(chan struct{})
	defer close(over)
	log := slog.New(stuck{slog.DiscardHandler, "", over})
	h, err := New(Config{Port: AnyPort, Host: "127.0.0.1", Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	begun := make(chan struct{})
	h.Handle("GET", "/stands", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(begun)
		h.Logger().Info("of the application")
	}))
	done := running(t, h)
	go func() { _, _ = http.Get(h.URL() + "stands") }()
	<-begun
	signalSelf(t, syscall.SIGTERM)
	for !h.draining.Load() {
		time.Sleep(time.Millisecond)
	}
	signalSelf(t, syscall.SIGTERM)
	if err := await(t, done); !errors.Is(err, ErrForced) {
		t.Errorf("Run returned %v", err)
	}
}

package server_test

import (
	"bytes"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/transport"
)

// journal is a log that a test reads.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(b)
}

// lines returns the lines that have text in them.
func (j *journal) lines(text string) (out []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for line := range strings.Lines(j.buf.String()) {
		if strings.Contains(line, text) {
			out = append(out, line)
		}
	}
	return out
}

func (j *journal) logger(level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(j, &slog.HandlerOptions{Level: level}))
}

func TestEventsWithoutAHandlerLeaveATrace(t *testing.T) {
	var log journal
	srv, url := start(t, server.Config{Logger: log.logger(slog.LevelDebug)}, func(io *server.Server) {
		io.On("message", func() bool { return true })
		io.OnConnection(func(s *server.Socket) {
			s.OnAny(func(*server.Event) {})
			s.On("mesage", func() {})
			s.Off("mesage")
		})
	})
	p, _ := join(t, url, "/")
	p.Send(`42["mesage"]`, `42["`+strings.Repeat("x", 1000)+`"]`, `421["message"]`)
	p.Expect(`431[true]`)
	if n := srv.Stats().Unhandled; n != 2 {
		t.Errorf("%d counted", n)
	}
	lines := log.lines("event has no handler")
	if len(lines) != 2 || !strings.Contains(lines[0], "event=mesage\n") || len(lines[1]) > 500 {
		t.Errorf("the log says %q", lines)
	}
}

// A loop in a connection handler works, and its client is never heard.
func TestConnectionHandlerThatDoesNotReturnIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log journal
		io, err := server.New(server.Config{
			Logger: log.logger(slog.LevelInfo), Transport: transport.Config{PingInterval: time.Hour},
		})
		if err != nil {
			t.Fatal(err)
		}
		io.OnConnection(func(*server.Socket) { time.Sleep(4 * time.Second) }) // slow, and no more
		io.Of("/loop").OnConnection(func(*server.Socket) {})
		io.Of("/loop").OnConnection(func(s *server.Socket) {
			for s.Connected() {
				_ = s.Emit("tick")
				time.Sleep(time.Second)
			}
		})
		serve := func(method, sid, body string) string {
			w := httptest.NewRecorder()
			io.ServeHTTP(w, httptest.NewRequest(method, "/?EIO=4&transport=polling"+sid, strings.NewReader(body)))
			synctest.Wait()
			return w.Body.String()
		}
		for range 20 {
			sid := "&sid=" + strings.Split(serve("GET", "", ""), `"`)[3]
			serve("POST", sid, "40\x1e"+`42["early"]`)
			serve("POST", sid, "40/loop,")
			time.Sleep(2 * time.Second)
			serve("POST", sid, `42/loop,["one"]`)
		}
		time.Sleep(10 * time.Second)
		lines := log.lines("does not return")
		if len(lines) != 1 || !strings.Contains(lines[0], "TestConnectionHandlerThatDoesNotReturnIsSaid") ||
			!strings.Contains(lines[0], "trace_test.go:") || !strings.Contains(lines[0], "namespace=/loop") {
			t.Errorf("the log says %q", lines)
		}
		_ = io.Shutdown(t.Context())
		synctest.Wait()
	})
}

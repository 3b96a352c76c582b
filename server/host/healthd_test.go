package host

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// healthdLines returns what the log in folder has, when everything has been written.
func healthdLines(t *testing.T, h *Host, folder string) (lines []string) {
	t.Helper()
	if !h.healthd.lines.Flush(5 * time.Second) {
		t.Fatal("the log is not written")
	}
	names, _ := filepath.Glob(filepath.Join(folder, healthdName+"*")) // the pattern is right
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, strings.Split(strings.TrimSpace(string(text)), "\n")...)
	}
	return lines
}

// The developer guide's format: Unix time, path, status, request and upstream time with three decimals, X-Forwarded-For.
var healthdForm = regexp.MustCompile(`^\d{10}\.\d{3}"([^"]*)"(\d{3})"\d+\.\d{3}"\d+\.\d{3}"([^"]*)$`)

func TestHealthdLog(t *testing.T) {
	folder := t.TempDir()
	h, _ := newTestHost(t, Config{HealthdLog: folder})
	h.Handle(http.MethodGet, "/slow", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(20 * time.Millisecond) }))
	ask(h, http.MethodGet, "/healthz?secret")
	ask(h, http.MethodGet, "/socket.io/?EIO=4&transport=polling", "X-Forwarded-For", "192.0.2.1")
	ask(h, http.MethodGet, "/nothing%22%0A1.0%22/%22200", "X-Forwarded-For", "a\"b")
	ask(h, http.MethodGet, "/slow")
	want := []string{"/healthz 200 -", "/socket.io/ 200 192.0.2.1", `/nothing\x22\x0A1.0\x22/\x22200 404 a\x22b`, "/slow 200 -"}
	var got []string
	for _, line := range healthdLines(t, h, folder) {
		f := healthdForm.FindStringSubmatch(line)
		if f == nil {
			t.Fatalf("line %q", line)
		}
		got = append(got, strings.Join([]string{f[1], f[2], f[3]}, " "))
		if f[1] == "/slow" && strings.Contains(line, `"0.000"`) {
			t.Errorf("%s took no time", line)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the log has %q, want %q", got, want)
	}
}

// A WebSocket has no line, and a poll that waits has one with the time until it was parked.
func TestHealthdLogLeavesWaitsOut(t *testing.T) {
	folder := t.TempDir()
	h, _ := newTestHost(t, Config{Port: AnyPort, Host: "127.0.0.1", HealthdLog: folder})
	done := running(t, h)
	byWebSocket(t, h.URL(), nil, nil)
	poll := h.URL() + connect(t, h)
	before := len(healthdLines(t, h, folder))
	waited := make(chan error, 1)
	go func() {
		res, err := http.Get(poll) // until the stop closes the session
		if err == nil {
			err = res.Body.Close()
		}
		waited <- err
	}()
	var lines []string
	eventually(t, "a line for the poll that waits", func() bool {
		lines = healthdLines(t, h, folder)
		return len(lines) > before
	})
	for _, line := range lines {
		if f := healthdForm.FindStringSubmatch(line); f == nil || f[2] != "200" {
			t.Errorf("line %q", line)
		}
	}
	signalSelf(t, syscall.SIGTERM)
	if err := errors.Join(await(t, done), <-waited); err != nil {
		t.Error(err)
	}
}

func TestHealthdLogTurnsOverByTheHour(t *testing.T) {
	folder := t.TempDir()
	now := time.Date(2026, 11, 29, 14, 59, 59, 0, time.FixedZone("", 3600))
	var failed []error
	f := &healthdFile{folder: folder, now: func() time.Time { return now }, failed: func(err error) { failed = append(failed, err) }}
	for _, name := range []string{"application.log.2026-11-28-13", "application.log.2026-11-29-10", "application.log.old", "other"} {
		if err := os.WriteFile(filepath.Join(folder, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	list := func() (names []string) {
		entries, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	write := func(want ...string) {
		t.Helper()
		if _, err := f.Write([]byte("line\n")); err != nil {
			t.Fatal(err)
		}
		if got := list(); !slices.Equal(got, append(want, "application.log.old", "other")) {
			t.Errorf("at %v there is %v, want %v", now, got, want)
		}
	}
	write("application.log.2026-11-29-13") // UTC
	now = now.Add(time.Second)
	write("application.log.2026-11-29-13", "application.log.2026-11-29-14")
	now = now.Add(2 * time.Hour)
	write("application.log.2026-11-29-14", "application.log.2026-11-29-16")
	if len(failed) > 0 {
		t.Error(failed)
	}
	// What others have moved away, or taken away with its folder, is made anew.
	current := filepath.Join(folder, "application.log.2026-11-29-16")
	if err := os.Rename(current, filepath.Join(folder, "application.log.old")); err != nil {
		t.Fatal(err)
	}
	write("application.log.2026-11-29-14", "application.log.2026-11-29-16")
	if err := errors.Join(os.RemoveAll(folder), os.Mkdir(folder, 0o755)); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("line\n")); err != nil || !slices.Equal(list(), []string{"application.log.2026-11-29-16"}) {
		t.Errorf("%v, there is %v", err, list())
	}
	// A folder that is not there is said, and nobody waits for it or fails.
	f = &healthdFile{folder: filepath.Join(folder, "nowhere"), now: f.now, failed: f.failed}
	if _, err := f.Write([]byte("line\n")); !errors.Is(err, os.ErrNotExist) || len(failed) != 1 {
		t.Errorf("%v, told %v", err, failed)
	}
}

func TestHealthdLogThatCannotBeWritten(t *testing.T) {
	h, log := newTestHost(t, Config{HealthdLog: filepath.Join(t.TempDir(), "nowhere")})
	h.flushLog()
	if !strings.Contains(log.String(), "the log for enhanced health is not written") {
		t.Error("it is not said at the start")
	}
	for range 3 {
		if w := ask(h, http.MethodGet, "/healthz"); w.Code != http.StatusOK {
			t.Errorf("answered %d", w.Code)
		}
	}
	h.flushLog()
	if n := strings.Count(log.String(), "the log for enhanced health is not written"); n != 1 {
		t.Errorf("said %d times: %s", n, log)
	}
}

package host

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/beanpole/beanpole/internal/logs"
)

// Elastic Beanstalk's health agent (healthd) reads what requests an instance served, and how fast, from a log that nginx
// writes there. Where no request comes through nginx the host writes it: a line for each request that has been
// answered, in a file for each hour. A WebSocket has none, as in the bundle's nginx: it would be its whole life.
// Source: Elastic Beanstalk Developer Guide, "Enhanced health log format".

const (
	healthdName = "application.log."
	healthdHour = "2006-01-02-15" // UTC, as the instance's clock
	// healthdKept is for how long a file is kept that nobody writes to: the agent may have its last lines to read.
	healthdKept = time.Hour
)

// healthd writes the log. Its methods may be called from any goroutine.
type healthd struct {
	lines *logs.Writer
	now   func() time.Time
}

// openHealthd makes the log of h, if there is to be one.
func (h *Host) openHealthd() {
	if h.cfg.HealthdLog == "" {
		return
	}
	f := &healthdFile{folder: h.cfg.HealthdLog, now: time.Now, failed: func(err error) {
		if h.notice.News("healthd", time.Now()) {
			h.life.Warn("the log for enhanced health is not written", "err", err)
		}
	}}
	_, _ = f.Write(nil) // that it cannot be written is said now, and not when somebody comes
	// Nobody is told of lines left out: the file has no place for that, and the agent reads samples.
	h.healthd = &healthd{lines: logs.NewWriter(f, func(io.Writer, logs.Missed) error { return nil }), now: time.Now}
}

// noteHealth is a middleware that writes a line for the request. A poll that waits leaves net/http after half a second,
// and with it this log: its wait is no latency. What another instance has forwarded is in the log of that one.
func (h *Host) noteHealth(c *gin.Context) {
	if h.healthd == nil {
		c.Next()
		return
	}
	begun := h.healthd.now()
	c.Next()
	if status := answered(c); status != http.StatusSwitchingProtocols && !h.cluster.forwarded(c.Request) {
		now := h.healthd.now()
		_, _ = h.healthd.lines.Write(healthdLine(now, now.Sub(begun), status, c.Request)) // never fails
	}
}

// healthdLine is a line: time, path, status, twice how long it took, and X-Forwarded-For, between quotes.
func healthdLine(now time.Time, took time.Duration, status int, r *http.Request) []byte {
	b := strconv.AppendFloat(nil, float64(now.UnixMilli())/1000, 'f', 3, 64)
	b = append(b, '"')
	b = appendEscaped(b, r.URL.Path)
	b = append(b, '"')
	b = strconv.AppendInt(b, int64(status), 10)
	for range 2 { // request and upstream
		b = append(b, '"')
		b = strconv.AppendFloat(b, took.Seconds(), 'f', 3, 64)
	}
	b = append(b, '"')
	forwarded := strings.Join(r.Header["X-Forwarded-For"], ", ")
	if forwarded == "" {
		forwarded = "-"
	}
	return append(appendEscaped(b, forwarded), '\n')
}

// appendEscaped appends what a client has sent so that it ends no field and no line. nginx: log_format, escape=default.
func appendEscaped(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			b = fmt.Appendf(b, `\x%02X`, c)
		} else {
			b = append(b, c)
		}
	}
	return b
}

// healthdFile writes to the file of the hour, and takes away those before.
type healthdFile struct {
	folder string
	now    func() time.Time
	failed func(error)

	// Owned by who calls Write, one at a time.
	open *os.File
	name string
}

// Write appends lines. An error is told, too: those who wait for the log do not hear of it.
func (f *healthdFile) Write(lines []byte) (int, error) {
	n, err := f.write(lines)
	if err != nil {
		f.failed(err)
	}
	return n, err
}

func (f *healthdFile) write(lines []byte) (int, error) {
	now := f.now().UTC()
	name := filepath.Join(f.folder, healthdName+now.Format(healthdHour))
	if name != f.name || !f.there() {
		if f.open != nil {
			_ = f.open.Close()
		}
		f.open, f.name = nil, ""
		file, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644) //nolint:gosec // the agent is another user
		if err != nil {
			return 0, err
		}
		f.open, f.name = file, name
		if err := f.tidy(now); err != nil {
			f.failed(err)
		}
	}
	return f.open.Write(lines)
}

// there reports whether the open file is still the one of its name: others may move it, or take it away.
func (f *healthdFile) there() bool {
	named, err := os.Stat(f.name)
	if err != nil {
		return false
	}
	own, err := f.open.Stat()
	return err == nil && os.SameFile(named, own)
}

// tidy removes the files of hours that have been over for healthdKept.
func (f *healthdFile) tidy(now time.Time) error {
	entries, err := os.ReadDir(f.folder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		text, ok := strings.CutPrefix(e.Name(), healthdName)
		hour, parse := time.Parse(healthdHour, text)
		if ok && parse == nil && hour.Add(time.Hour+healthdKept).Before(now) {
			err = errors.Join(err, os.Remove(filepath.Join(f.folder, e.Name())))
		}
	}
	return err
}

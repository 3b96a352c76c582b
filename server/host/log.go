package host

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/beanpole/beanpole/internal/logs"
)

// Nobody waits for who reads the log: not a request, not the stop, not the process' end for long.

// logGrace is how long the end of the process waits for the last lines to be read.
const logGrace = time.Second

// logger returns the logger of a host, which writes to w.
func (cfg *Config) logger(w io.Writer) *slog.Logger {
	switch o := (&slog.HandlerOptions{Level: cfg.LogLevel}); {
	case cfg.Logger != nil:
		return cfg.Logger
	case cfg.LogFormat == LogJSON:
		return slog.New(slog.NewJSONHandler(w, o))
	default:
		return slog.New(slog.NewTextHandler(w, o))
	}
}

// openLog makes the log of h, of which what is said of the host's life goes apart: the application's own Logger may
// stand still too, and the stop does not.
func (h *Host) openLog() {
	h.lines = logs.NewWriter(os.Stderr, h.missed)
	h.log = h.cfg.logger(h.lines)
	h.life = logs.Apart(h.log)
}

// missed says in the log what is not in it.
func (h *Host) missed(to io.Writer, m logs.Missed) (err error) {
	say := func(text string, args ...any) {
		r := slog.NewRecord(time.Now(), slog.LevelWarn, text, 0)
		r.Add(args...)
		err = errors.Join(err, h.cfg.logger(to).Handler().Handle(context.Background(), r))
	}
	if m.LeftOut > 0 {
		say("lines left out of the log: nobody reads it, or not fast enough", "lines", m.LeftOut)
	}
	if m.Failed > 0 {
		say("lines lost: the log could not be written", "lines", m.Failed, "err", m.Err)
	}
	return err
}

// flushLog waits for the last lines, but not long.
func (h *Host) flushLog() {
	if h.healthd != nil {
		h.healthd.lines.Flush(logGrace) // which may have something to say
	}
	logs.Flush(h.life, logGrace)
	h.lines.Flush(logGrace)
}

// tell writes a line to w, the standard output or error, in the form of the log, and waits for its reader no longer than
// logGrace.
func tell(w io.Writer, form LogFormat, level slog.Level, line string) {
	out := logs.NewWriter(w, func(io.Writer, logs.Missed) error { return nil })
	if form == LogJSON {
		_ = slog.NewJSONHandler(out, nil).Handle(context.Background(), slog.NewRecord(time.Now(), level, line, 0)) // never fails
	} else {
		_, _ = io.WriteString(out, line+"\n")
	}
	out.Flush(logGrace)
}

// keepPipes keeps the process alive when the reader of its standard output or error has gone: Go ends it by SIGPIPE
// unless somebody wants to know. Package os/signal, "SIGPIPE". Children of the process have the signal as it was.
var keepPipes = sync.OnceFunc(func() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) })

var logLost = prometheus.NewDesc("beanpole_log_lines_lost_total", "Lines of the log that are in no log, by cause.", []string{"cause"}, nil)

// logCollector shows what the log has lost.
type logCollector struct{ lines *logs.Writer }

// Describe sends what there is.
func (logCollector) Describe(ch chan<- *prometheus.Desc) { ch <- logLost }

// Collect counts.
func (c logCollector) Collect(ch chan<- prometheus.Metric) {
	s := c.lines.Stats()
	ch <- prometheus.MustNewConstMetric(logLost, prometheus.CounterValue, float64(s.LeftOut), "not read")
	ch <- prometheus.MustNewConstMetric(logLost, prometheus.CounterValue, float64(s.Failed), "write failed")
}

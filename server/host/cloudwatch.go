package host

import (
	"context"
	"encoding/json"
	"os"
	"time"

	"github.com/beanpole/beanpole/transport"
)

// CloudWatch takes figures from lines of a log (embedded metric format), so that writing them takes no permission, no
// client and no network: a scaling policy can go by sessions. On Beanstalk's Go platform the standard output gets a
// prefix on its way to the file that is streamed, after which a line is no JSON any more; so they have a file of their
// own there. Source: CloudWatch User Guide, "Specification: Embedded metric format".

// CloudWatchLog as Config.CloudWatchMetrics writes the figures among the lines of the log.
const CloudWatchLog = "log"

const (
	figuresEvery = time.Minute // the shortest period of a usual alarm
	figuresMost  = 1 << 20     // bytes of the file, which begins anew then: who streams it has read the rest
)

// figures writes the figures of the host.
type figures struct {
	every  time.Duration
	before transport.Stats // of the line before; owned by the goroutine that writes
}

// figure is one that CloudWatch takes.
type figure struct {
	name, unit string
	value      float64
}

// writeFigures writes a line now and then, until the function it returns is called.
func (h *Host) writeFigures(ctx context.Context) (stop func()) {
	if h.cfg.CloudWatchMetrics == "" {
		return func() {}
	}
	return repeat(ctx, h.figures.every, func(context.Context) {
		line := h.embed(time.Now())
		if h.cfg.CloudWatchMetrics == CloudWatchLog {
			_, _ = h.lines.Write(line) // never fails
			return
		}
		if err := appendLine(h.cfg.CloudWatchMetrics, line); err != nil && h.notice.News("figures", time.Now()) {
			h.life.Warn("the figures for CloudWatch are not written", "err", err)
		}
	})
}

// appendLine adds a line to a file, which is emptied before it is too long.
func appendLine(name string, line []byte) error {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644) //nolint:gosec // others stream it
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && info.Size() > figuresMost {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.Write(line)
	}
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// embed returns a line with the figures of now, and counts since the last one.
func (h *Host) embed(now time.Time) []byte {
	type metric struct{ Name, Unit string }
	var list []metric
	line := map[string]any{"EnvironmentName": h.cfg.Environment, "Instance": h.spoke}
	for _, f := range h.collectFigures() {
		list = append(list, metric{f.name, f.unit})
		line[f.name] = f.value
	}
	line["_aws"] = map[string]any{
		"Timestamp": now.UnixMilli(),
		"CloudWatchMetrics": []any{map[string]any{
			"Namespace": "Beanpole", "Dimensions": [][]string{{"EnvironmentName"}}, "Metrics": list,
		}},
	}
	text, _ := json.Marshal(line) // numbers and texts alone
	return append(text, '\n')
}

// collectFigures returns the figures of now.
func (h *Host) collectFigures() []figure {
	st, before := h.app.Engine().Stats(), h.figures.before
	h.figures.before = st
	u := measure()
	list := []figure{
		{"Sessions", "Count", float64(st.Sessions)},
		{"Handshakes", "Count", float64(sum(st.Opened) - sum(before.Opened))},
		{"Refused", "Count", float64(sum(st.Refused) - sum(before.Refused))},
		{"PacketsIn", "Count", float64(st.PacketsIn - before.PacketsIn)},
		{"PacketsOut", "Count", float64(st.PacketsOut - before.PacketsOut)},
	}
	// The larger of both is how near it is that sessions are refused.
	process, machine := 0.0, 0.0
	if limit := h.memory.limit.Load(); limit > 0 {
		process = 100 * float64(u.needed) / float64(limit)
	}
	if u.total > 0 {
		machine = 100 * (1 - float64(u.available)/float64(u.total))
	}
	return append(list, figure{"MemoryPercent", "Percent", max(process, machine)},
		figure{"ProcessMemoryPercent", "Percent", process}, figure{"MachineMemoryPercent", "Percent", machine})
}

// sum adds counters by cause.
func sum[K comparable](m map[K]uint64) (n uint64) {
	for _, v := range m {
		n += v
	}
	return n
}

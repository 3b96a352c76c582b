package host

import (
	"bytes"
	"context"
	"math"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/prometheus/client_golang/prometheus"
)

// What there is no memory for must not be taken: a process that the kernel kills loses all its sessions, and one that
// collects garbage without end serves none of them. So the process has a limit (GOMEMLIMIT), and short of it, or when
// the machine as a whole is short, new sessions are refused and those there are go on.

// Shares of the limit, and of the machine's memory. Between the two of a pair nothing changes, so that a server at its
// limit does not refuse and take in turn.
const (
	refuseAbove = 0.90 // of the limit is needed: new sessions are refused
	takeBelow   = 0.85
	scarceBelow = 0.05 // of the machine's memory is available: the same
	plentyAbove = 0.07

	memoryLook = 250 * time.Millisecond
)

// lazyGC is how much garbage there may be before it is collected, in percent of what is in use, where there is a limit:
// near that it is collected all the same. Go's own 100 has a small process that is sent much collect a hundred times a
// second. Measured, of the processor time: uploads of 8 and 64 KiB 0.67, of 512 KiB 0.89, echoes 0.75 to 0.94, polling 0.9
// to 1.04.
const lazyGC = 400

// memory watches what the process needs. The zero value watches nothing.
type memory struct {
	limit  atomic.Int64 // of the process, in bytes; 0 without one
	needed atomic.Int64 // what no collection of garbage gives back
	short  atomic.Bool
}

// usage is what is measured at one time, in bytes. What is not known is zero.
type usage struct {
	needed           int64 // by the process
	available, total int64 // of the machine
}

// judge reports whether sessions have to be refused.
func (m *memory) judge(u usage) bool {
	process, machine := refuseAbove, scarceBelow
	if m.short.Load() {
		process, machine = takeBelow, plentyAbove
	}
	m.needed.Store(u.needed)
	limit := m.limit.Load()
	short := limit > 0 && float64(u.needed) > process*float64(limit) ||
		u.total > 0 && float64(u.available) < machine*float64(u.total)
	m.short.Store(short)
	return short
}

// watchMemory gives the process its limit and refuses sessions while it is near, until the function it returns is
// called.
func (h *Host) watchMemory(ctx context.Context) (stop func()) {
	if h.cfg.MemoryPercent == 0 {
		return func() {}
	}
	before, gc := debug.SetMemoryLimit(-1), func() {}
	limit, err := memlimit.Set(memlimit.WithRatio(float64(h.cfg.MemoryPercent)/100),
		memlimit.WithProvider(memlimit.ApplyFallback(memlimit.FromCgroup, memlimit.FromSystem)))
	if err != nil {
		h.life.Warn("the memory of this machine is not known: the process has no limit, set GOMEMLIMIT", "err", err)
	} else if limit < math.MaxInt64 {
		h.memory.limit.Store(limit)
		if os.Getenv("GOGC") == "" { // else the operator knows better
			percent := debug.SetGCPercent(lazyGC)
			gc = func() { debug.SetGCPercent(percent) }
		}
		h.life.Info("memory limit", "bytes", limit)
	}
	end := repeat(ctx, memoryLook, func(context.Context) { h.lookAtMemory(measure()) })
	return func() {
		end()
		gc()
		debug.SetMemoryLimit(before)
	}
}

// lookAtMemory refuses sessions or takes them again, and says so.
func (h *Host) lookAtMemory(u usage) {
	before := h.memory.short.Load()
	short := h.memory.judge(u)
	if short == before {
		return
	}
	h.app.Engine().ShortOfMemory(short)
	args := []any{"needed", u.needed, "limit", h.memory.limit.Load(), "available", u.available, "machine", u.total}
	if short {
		h.life.Warn("short of memory: new sessions are refused", args...)
	} else {
		h.life.Info("memory again: sessions are taken", args...)
	}
}

// measure returns what is used now.
func measure() (u usage) {
	samples := []metrics.Sample{
		{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}, {Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/live:bytes"},
	}
	metrics.Read(samples)
	value := func(i int) int64 {
		if samples[i].Value.Kind() != metrics.KindUint64 {
			return 0
		}
		return int64(samples[i].Value.Uint64())
	}
	total, released, free, objects, live := value(0), value(1), value(2), value(3), value(4)
	garbage := max(0, objects-live) // and what is new since the last collection, which the next one tells apart
	u.needed = total - released - free - garbage
	if text, err := os.ReadFile("/proc/meminfo"); err == nil { // Linux alone has it
		u.available, u.total = meminfo(text, "MemAvailable"), meminfo(text, "MemTotal")
	}
	if u.available == 0 {
		u.total = 0
	}
	return u
}

// meminfo returns a line of /proc/meminfo in bytes, or 0.
func meminfo(text []byte, name string) int64 {
	for line := range bytes.Lines(text) {
		if f := bytes.Fields(line); len(f) > 1 && string(f[0]) == name+":" {
			kb, _ := strconv.ParseInt(string(f[1]), 10, 64)
			return kb << 10
		}
	}
	return 0
}

// memoryCollector shows the process's memory to Prometheus.
type memoryCollector struct{ m *memory }

var (
	memoryLimit  = prometheus.NewDesc("beanpole_memory_limit_bytes", "Memory that the process may take, by BEANPOLE_MEMORY_PERCENT; 0 without a limit.", nil, nil)
	memoryNeeded = prometheus.NewDesc("beanpole_memory_needed_bytes", "Memory that the process needs, garbage left out.", nil, nil)
	memoryShort  = prometheus.NewDesc("beanpole_memory_short", "1 while new sessions are refused for want of memory.", nil, nil)
)

// Describe names the metrics.
func (memoryCollector) Describe(out chan<- *prometheus.Desc) {
	out <- memoryLimit
	out <- memoryNeeded
	out <- memoryShort
}

// Collect sends them.
func (c memoryCollector) Collect(out chan<- prometheus.Metric) {
	short := 0.0
	if c.m.short.Load() {
		short = 1
	}
	out <- prometheus.MustNewConstMetric(memoryLimit, prometheus.GaugeValue, float64(c.m.limit.Load()))
	out <- prometheus.MustNewConstMetric(memoryNeeded, prometheus.GaugeValue, float64(measure().needed))
	out <- prometheus.MustNewConstMetric(memoryShort, prometheus.GaugeValue, short)
}

package load

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Report is what a load has shown.
type Report struct {
	URL         string    `json:"url"`
	Began       time.Time `json:"began"`
	Seconds     float64   `json:"seconds"` // of the load, without the arrivals
	Interrupted bool      `json:"interrupted"`
	Faults      []string  `json:"faults"` // what should not have happened, in words; none when all is well
	Sessions    Sessions  `json:"sessions"`
	// Events are those that the server acknowledges, Broadcasts those that it passes on; nil where none were asked for.
	Events     *Messages `json:"events,omitempty"`
	Broadcasts *Messages `json:"broadcasts,omitempty"`
	Generator  Generator `json:"generator"`
	Points     []Point   `json:"points"`
}

// Sessions tells of connections.
type Sessions struct {
	Wanted    int               `json:"wanted"`
	Connected int               `json:"connected"` // at the end
	Connect   Latency           `json:"connect"`   // from when each was due until it was there, and in its room
	Reconnect Latency           `json:"reconnect"` // from the loss of the connection
	Cut       uint64            `json:"cut"`       // connections that storms have cut
	Replaced  uint64            `json:"replaced"`  // sessions that have left as asked for
	Refused   map[string]uint64 `json:"refused"`   // attempts to connect that have failed, by cause
	Lost      map[string]uint64 `json:"lost"`      // connections that nobody here has cut, by cause
}

// Messages tells what became of messages of one kind. Lost, Doubled, Reordered, Wrong and Unsent are faults.
type Messages struct {
	Sent      uint64  `json:"sent"`      // by sessions
	Arrived   uint64  `json:"arrived"`   // acknowledgements, or deliveries of broadcasts
	Lost      uint64  `json:"lost"`      // of those, the ones that did not come
	Doubled   uint64  `json:"doubled"`   // that came again
	Reordered uint64  `json:"reordered"` // that came after later ones
	Wrong     uint64  `json:"wrong"`     // that are of another message, or of another room
	Cut       uint64  `json:"cut"`       // that did not come because a connection ended
	Unsent    uint64  `json:"unsent"`    // not sent: too much of the session was not answered, or this process came too late
	Latency   Latency `json:"latency"`   // from when each was due
}

// Latency is of a number of things, in milliseconds.
type Latency struct {
	Count int64   `json:"count"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p999"`
	Max   float64 `json:"max"`
}

// Generator tells of this process: what it has used of the machine's processors, from 0 to 1, and how late it was. Where that is
// much of the latencies, they are of this process and not of the server.
type Generator struct {
	Processors int     `json:"processors"`
	Busy       float64 `json:"busy"`
	Late       Latency `json:"late"`
}

// Point is how it stood at a moment, and what was since the last.
type Point struct {
	At         float64 `json:"at"` // seconds since the beginning
	Sessions   int     `json:"sessions"`
	Events     Moment  `json:"events"`
	Broadcasts Moment  `json:"broadcasts"`
}

// Moment is messages of one kind: so many a second, and their latencies.
type Moment struct {
	Rate float64 `json:"rate"`
	P50  float64 `json:"p50"`
	P99  float64 `json:"p99"`
	Max  float64 `json:"max"`
}

func millis(microseconds int64) float64 { return float64(microseconds) / 1000 }

func latency(h *hdrhistogram.Histogram) Latency {
	q := func(q float64) float64 { return millis(h.ValueAtQuantile(q)) }
	return Latency{h.TotalCount(), q(50), q(90), q(99), q(99.9), millis(h.Max())}
}

// look returns how it stands in a line, and with point keeps that for the report.
func (b *book) look(point bool) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := time.Since(b.began).Seconds()
	line := fmt.Sprintf("%4.0f s  %d sessions", at, b.ready)
	for _, t := range []*tally{&b.events, &b.broadcasts} {
		if t.Sent > 0 {
			line += fmt.Sprintf("  %d of %d, p50 %s p99 %s", t.Arrived, t.Sent, say(millis(t.second.ValueAtQuantile(50))), say(millis(t.second.ValueAtQuantile(99))))
		}
		t.point.Merge(t.second)
		t.second.Reset()
	}
	if n := b.events.Doubled + b.events.Reordered + b.broadcasts.Doubled + b.broadcasts.Reordered + uint64(b.missing); n > 0 {
		line += fmt.Sprintf("  %d amiss", n)
	}
	if !point {
		return line
	}
	since := at
	if n := len(b.points); n > 0 {
		since -= b.points[n-1].At
	}
	moment := func(t *tally) Moment {
		l := latency(t.point)
		t.point.Reset()
		return Moment{float64(l.Count) / since, l.P50, l.P99, l.Max}
	}
	b.points = append(b.points, Point{at, b.ready, moment(&b.events), moment(&b.broadcasts)})
	return line
}

func (r *run) report(loaded, cpu time.Duration, interrupted bool) *Report {
	b := r.book
	b.mu.Lock()
	defer b.mu.Unlock()
	n := runtime.NumCPU()
	x := &Report{URL: r.url.Redacted(), Began: b.began.UTC(), Seconds: loaded.Seconds(), Interrupted: interrupted, Faults: []string{}, Points: b.points,
		Sessions: Sessions{Wanted: r.Sessions, Connected: b.ready, Connect: latency(b.connect), Reconnect: latency(b.reconnect), Cut: b.cuts,
			Replaced: b.left, Refused: b.refused, Lost: b.lost},
		Generator: Generator{n, cpu.Seconds() / time.Since(b.began).Seconds() / float64(n), latency(b.late)},
	}
	for _, k := range []struct {
		asked bool
		t     *tally
		to    **Messages
		what  string
	}{{r.Event != "", &b.events, &x.Events, "acknowledgements"}, {r.RoomEvent != "", &b.broadcasts, &x.Broadcasts, "deliveries"}} {
		if !k.asked {
			continue
		}
		k.t.Latency = latency(k.t.all)
		*k.to = &k.t.Messages
		m := k.t.Messages
		x.fault(m.Lost, k.what+" are missing")
		x.fault(m.Doubled, k.what+" came again")
		x.fault(m.Reordered, k.what+" came after later ones")
		x.fault(m.Wrong, k.what+" are of another message")
		x.fault(m.Unsent, "messages were not sent: too many of their session are not answered, or this process cannot send so many")
	}
	if !interrupted {
		x.fault(uint64(max(r.Sessions-b.ready, 0)), "sessions are not there at the end")
	}
	for _, cause := range slices.Sorted(maps.Keys(b.refused)) {
		x.fault(b.refused[cause], "attempts to connect have failed: "+cause)
	}
	for _, cause := range slices.Sorted(maps.Keys(b.lost)) {
		x.fault(b.lost[cause], "connections were lost: "+cause)
	}
	return x
}

func (x *Report) fault(n uint64, what string) {
	if n > 0 {
		x.Faults = append(x.Faults, fmt.Sprintf("%d %s", n, what))
	}
}

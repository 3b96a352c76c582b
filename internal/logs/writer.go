package logs

import (
	"bytes"
	"cmp"
	"io"
	"sync"
	"time"
)

const (
	// MaxBytes is how many bytes of lines may wait for a Writer's reader. Lines beyond are left out, and counted.
	MaxBytes = 4 << 20
	// atOnce is how many bytes of several lines are written at once: what a pipe takes in one piece. POSIX, PIPE_BUF.
	atOnce = 4096
)

// Writer hands lines on to another writer, on a goroutine of its own: who reads them may be slow, stand still or have
// gone, and nobody who writes waits for it, or hears of it. Make it with NewWriter. Its methods may be called from any
// goroutine.
type Writer struct {
	to   io.Writer
	lost func(to io.Writer, m Missed) error

	mu      sync.Mutex
	waiting []byte // guarded by mu
	leaving int    // guarded by mu; bytes that are being written
	running bool   // guarded by mu; there is a goroutine
	end     end    // guarded by mu; of running
	missed  Missed // guarded by mu; what nobody has been told of
	stats   Stats  // guarded by mu
}

// Stats are counters of a Writer.
type Stats struct {
	LeftOut uint64 // lines for which there was no room
	Failed  uint64 // lines that the writer behind did not take
}

// Missed is what the writer behind has missed since it was last told.
type Missed struct {
	Stats
	Err error // why a line of Failed was not taken, the last one
}

func (m *Missed) add(o Missed) {
	m.LeftOut += o.LeftOut
	m.Failed += o.Failed
	m.Err = cmp.Or(o.Err, m.Err)
}

// NewWriter returns a Writer to the writer to. When that takes lines again, lost writes there what it has missed.
func NewWriter(to io.Writer, lost func(to io.Writer, m Missed) error) *Writer {
	return &Writer{to: to, lost: lost}
}

// Write takes one or more whole lines, and never fails.
func (w *Writer) Write(lines []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.waiting)+w.leaving+len(lines) > MaxBytes {
		n := count(lines)
		w.missed.LeftOut += n
		w.stats.LeftOut += n
		return len(lines), nil
	}
	w.waiting = append(w.waiting, lines...)
	if !w.running {
		w.running = true
		go w.write()
	}
	return len(lines), nil
}

// Stats returns the counters.
func (w *Writer) Stats() Stats {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stats
}

// Flush waits until everything has been written, but no longer than within, and reports whether it has.
func (w *Writer) Flush(within time.Duration) bool {
	w.mu.Lock()
	done := w.end.wait(w.running)
	w.mu.Unlock()
	return await(done, within)
}

func (w *Writer) write() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.waiting) > 0 {
		b, missed := w.waiting, w.missed // those came behind it
		w.waiting, w.leaving, w.missed = nil, len(b), Missed{}
		for len(b) > 0 {
			n := piece(b)
			if err := w.unlocked(func() error { _, err := w.to.Write(b[:n]); return err }); err != nil {
				lines := count(b[:n])
				missed.add(Missed{Stats{Failed: lines}, err})
				w.stats.Failed += lines
			}
			b = b[n:]
			w.leaving = len(b)
		}
		if missed.Stats != (Stats{}) && w.unlocked(func() error { return w.lost(w.to, missed) }) != nil {
			w.missed.add(missed)
		}
	}
	w.running = false
	w.end.come()
}

// unlocked calls fn without mu. Called with mu held.
func (w *Writer) unlocked(fn func() error) error {
	w.mu.Unlock()
	defer w.mu.Lock()
	return fn()
}

// piece returns how much of b to write at once: as many lines as fit into atOnce, at least one.
func piece(b []byte) int {
	if len(b) <= atOnce {
		return len(b)
	}
	if i := bytes.LastIndexByte(b[:atOnce], '\n'); i >= 0 {
		return i + 1
	}
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return i + 1
	}
	return len(b)
}

func count(b []byte) uint64 { return uint64(max(1, bytes.Count(b, []byte("\n")))) }

// Package logs writes what is said where the application must not be called. A handler of package slog is code of
// the application's, and may call anything: also what waits for the caller.
//
// The rule for all packages: a line that may be written under a lock, or by a goroutine that others wait for, goes
// through Apart. All others are written where they are said. What package host writes itself, to the standard error,
// goes through a Writer: the lines of an application's own handlers are among it, and none of them may wait for who
// reads the log.
package logs

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// MaxLines is how many lines may wait for the handler. Those beyond are left out, and counted in one that follows.
const MaxLines = 1024

// Apart returns log, whose handler is called on a goroutine of its own: one line at a time, in their order, under no
// lock, soon. There is a goroutine as long as lines wait. A handler that panics loses its line. What a handler's
// Enabled and WithAttrs do is done where they are called, so those must look at nothing but themselves, as usual.
func Apart(log *slog.Logger) *slog.Logger {
	if _, ok := log.Handler().(*handler); ok {
		return log
	}
	return slog.New(&handler{log.Handler(), new(queue)})
}

// Flush waits until the lines that wait in log, which Apart has returned, have been written, but no longer than within.
func Flush(log *slog.Logger, within time.Duration) {
	if h, ok := log.Handler().(*handler); ok {
		h.queue.mu.Lock()
		done := h.queue.end.wait(h.queue.running)
		h.queue.mu.Unlock()
		await(done, within)
	}
}

// end is the end of a goroutine. Guarded by the lock of who has it.
type end struct{ c chan struct{} }

// wait returns a channel that is closed when the goroutine, if it is running, ends.
func (e *end) wait(running bool) <-chan struct{} {
	if e.c == nil {
		e.c = make(chan struct{})
	}
	c := e.c
	if !running {
		e.come()
	}
	return c
}

func (e *end) come() {
	if e.c != nil {
		close(e.c)
		e.c = nil
	}
}

// await reports whether done is closed within a time.
func await(done <-chan struct{}, within time.Duration) bool {
	late := time.NewTimer(within)
	defer late.Stop()
	select {
	case <-done:
		return true
	case <-late.C:
		return false
	}
}

// handler queues lines for another.
type handler struct {
	slog.Handler
	queue *queue
}

// Handle queues the line.
func (h *handler) Handle(_ context.Context, r slog.Record) error {
	h.queue.put(line{h.Handler, r.Clone()})
	return nil
}

// WithAttrs keeps to the queue.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &handler{h.Handler.WithAttrs(attrs), h.queue}
}

// WithGroup keeps to the queue.
func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{h.Handler.WithGroup(name), h.queue}
}

// line is one line and who writes it.
type line struct {
	to slog.Handler
	r  slog.Record
}

// queue holds lines, and borrows a goroutine while there are some.
type queue struct {
	mu      sync.Mutex
	lines   []line // guarded by mu
	left    int    // guarded by mu; lines left out since one was written
	running bool   // guarded by mu
	end     end    // guarded by mu; of running
}

func (q *queue) put(l line) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.lines) >= MaxLines {
		q.left++
		return
	}
	q.lines = append(q.lines, l)
	if !q.running {
		q.running = true
		go q.write()
	}
}

// write writes what waits. A handler may end its goroutine: then another goes on.
func (q *queue) write() {
	ended := false
	defer func() {
		if !ended {
			_ = recover() // there is nowhere left to say it
			go q.write()
		}
	}()
	for {
		q.mu.Lock()
		if len(q.lines) == 0 {
			q.lines, q.running, ended = nil, false, true
			q.end.come()
			q.mu.Unlock()
			return
		}
		l, left := q.lines[0], q.left
		q.lines[0], q.lines, q.left = line{}, q.lines[1:], 0
		q.mu.Unlock()
		if left > 0 {
			slog.New(l.to).Warn("lines left out of the log: its handler is slow", "lines", left)
		}
		_ = l.to.Handle(context.Background(), l.r) // nobody is left who could be told
	}
}

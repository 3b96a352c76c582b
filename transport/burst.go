package transport

import (
	"sync"
	"sync/atomic"
)

// A burst is several broadcasts to the same sessions at once: a client has sent sixteen events, say, and the handler
// of each emits to everybody. What counts is the number of writes, not that of the bytes (see turn.go). So what is
// broadcast in a burst is queued at the sessions, by reference, and written by a flusher that begins as soon as a
// processor is free for it; what has been queued for a session until it comes by leaves in one write. Most sessions
// have the same queued as others, and share those bytes too: they are put together once. A broadcast that is alone
// has nothing to wait for and is written by who sends it; to come by each of 10,000 sessions twice would cost a sixth.

// A batch is Prepareds that leave in one write. It is shared by all sessions for which the same is queued.
type batch struct {
	// Set by then, then read only.
	before         *batch // what leaves first; nil if nothing does
	p              *Prepared
	packets, bytes int // of all

	next   atomic.Pointer[batch]             // this one, and what was last queued behind it
	frames [formCount]atomic.Pointer[[]byte] // encoded when first asked for
}

// then returns the batch of b, which may be nil, and p behind it.
func (b *batch) then(p *Prepared) *batch {
	last := &p.alone
	if b != nil {
		last = &b.next
	}
	next := last.Load()
	if next == nil || next.p != p {
		next = &batch{before: b, p: p, packets: len(p.msgs), bytes: p.size}
		if b != nil {
			next.packets += b.packets
			next.bytes += b.bytes
		}
		last.Store(next)
	}
	return next
}

// frame returns the batch as frames of the form, none deflated.
func (b *batch) frame(f form) []byte {
	if b.before == nil {
		return b.p.frame(f, 0)
	}
	if done := b.frames[f].Load(); done != nil {
		return *done
	}
	var prepared []*Prepared
	for at := b; at != nil; at = at.before {
		prepared = append(prepared, at.p)
	}
	frames := make([]byte, 0, b.bytes+10*b.packets)
	for i := len(prepared) - 1; i >= 0; i-- {
		frames = append(frames, prepared[i].frame(f, 0)...)
	}
	b.frames[f].Store(&frames)
	return frames
}

// join queues p for the flusher and reports true, unless p is better written at once. Called with mu held, when
// nothing is gathered.
func (c *wsConn) join(o SendOptions, p *Prepared, threshold int) bool {
	switch {
	case c.batch == nil && !o.Burst,
		c.out != nil, c.life > lifeOpen,
		len(p.msgs) == 0, p.size > joinLimit, threshold > 0 && p.size > threshold:
		return false
	}
	if c.batch != nil && c.batch.bytes+p.size > gatherLimit {
		c.flushBatch()
		return false
	}
	queued := c.batch != nil
	c.batch = c.batch.then(p)
	if !queued {
		c.s.srv.flusher.add(c)
	}
	return true
}

// flushBatch sends what has been queued for the flusher. Called with mu held.
func (c *wsConn) flushBatch() {
	if b := c.batch; b != nil {
		c.batch = nil
		c.write(b.frame(c.form()), b.packets, false, true)
	}
}

// flusher writes what is queued at WebSockets.
type flusher struct {
	mu      sync.Mutex
	queued  []*wsConn
	spare   []*wsConn // room for the next
	running bool
	some    atomic.Bool // queued is not empty
}

// add queues c. Called with its session's mu held.
func (f *flusher) add(c *wsConn) {
	f.mu.Lock()
	f.queued = append(f.queued, c)
	f.some.Store(true)
	idle := !f.running
	f.running = true
	f.mu.Unlock()
	if idle {
		srv := c.s.srv
		srv.wg.Add(1) // the session is not closed, so it is counted
		go func() {
			defer srv.wg.Done()
			for f.flush(true) {
			}
		}()
	}
}

// flush writes for those that are queued now, and reports whether there were any. A turn that ends helps
// the flusher, which might not have begun on a machine without a free processor.
func (f *flusher) flush(running bool) bool {
	f.mu.Lock()
	list := f.queued
	f.queued, f.spare = f.spare[:0], nil
	f.some.Store(false)
	if running {
		f.running = len(list) > 0
	}
	f.mu.Unlock()
	for _, c := range list {
		c.s.mu.Lock()
		c.flushBatch()
		c.s.unlock()
	}
	some := len(list) > 0
	clear(list)
	f.mu.Lock()
	if cap(list) > cap(f.spare) {
		f.spare = list[:0]
	}
	f.mu.Unlock()
	return some
}

package transport

import "time"

const (
	// gatherLimit is how much is gathered before it leaves all the same, in bytes.
	gatherLimit = 64 << 10
	// joinLimit is the size up to which frames that wait are copied together, in bytes, so that many
	// small ones are few buffers for writev.
	joinLimit = 16 << 10
	// shareLimit is the size from which the frames of a Prepared wait by reference.
	shareLimit = 512
	// maxVector is the most buffers given to one writev.
	maxVector = 64
)

// A chunk is one or several whole frames that wait for the kernel, the first perhaps in part.
type chunk struct {
	b        []byte
	packets  int
	volatile bool // may be dropped
	shared   bool // belongs to a Prepared: nothing may be appended
}

// outbox holds what the kernel has not taken yet. The zero outbox is empty, as is nil. It is guarded by
// Session.mu; the goroutine that drains it writes the first inflight chunks without that.
type outbox struct {
	chunks         []chunk
	packets, bytes int
	inflight       int
	ready          signal
	drained        signal // given when the draining ends
}

func (o *outbox) empty() bool { return o == nil || len(o.chunks) == 0 }

// full reports whether so much more, sent together, goes beyond the limits. What comes when it is not crowded never does.
func (o *outbox) full(packets, bytes int, cfg *Config) bool {
	if !o.crowded(cfg) {
		return false
	}
	over := o.bytes + bytes - cfg.MaxBacklogBytes
	return o.packets+packets > cfg.MaxBacklogPackets || over > bytes && over > o.largest()
}

// crowded reports whether more than half of what the limits allow waits.
func (o *outbox) crowded(cfg *Config) bool { return o != nil && cfg.crowded(o.packets, o.bytes) }

// largest returns the size of the largest chunk, which the limits do not count.
func (o *outbox) largest() (bytes int) {
	for i := range o.chunks {
		bytes = max(bytes, len(o.chunks[i].b))
	}
	return bytes
}

// wake lets those go that wait for room.
func (o *outbox) wake() {
	if o != nil {
		o.ready.give()
	}
}

// add appends what is left of frames of n packets.
func (o *outbox) add(b []byte, n int, volatile, shared bool) {
	o.packets += n
	o.bytes += len(b)
	if shared && len(b) >= shareLimit {
		o.chunks = append(o.chunks, chunk{b: b, packets: n, volatile: volatile, shared: true})
		return
	}
	if last := len(o.chunks) - 1; last >= o.inflight && last >= 0 {
		if c := &o.chunks[last]; !c.shared && c.volatile == volatile && len(c.b)+len(b) <= joinLimit {
			c.b = append(c.b, b...)
			c.packets += n
			return
		}
	}
	o.chunks = append(o.chunks, chunk{b: append([]byte(nil), b...), packets: n, volatile: volatile})
}

// dropVolatile drops what may be dropped and is not being written, and returns the number of packets.
func (o *outbox) dropVolatile() (dropped int) {
	kept := o.chunks[:o.inflight]
	for _, c := range o.chunks[o.inflight:] {
		if c.volatile {
			dropped += c.packets
			o.bytes -= len(c.b)
			continue
		}
		kept = append(kept, c)
	}
	clear(o.chunks[len(kept):])
	o.chunks = kept
	o.packets -= dropped
	return dropped
}

// vector fills dst with the first chunks' bytes and marks them as being written.
func (o *outbox) vector(dst [][]byte) [][]byte {
	for i := range min(len(o.chunks), maxVector) {
		dst = append(dst, o.chunks[i].b)
	}
	o.inflight = len(dst)
	return dst
}

// wrote takes n bytes off the front.
func (o *outbox) wrote(n int) {
	o.inflight = 0
	o.bytes -= n
	done := 0
	for n > 0 {
		c := &o.chunks[done]
		if n < len(c.b) {
			c.b = c.b[n:]
			c.volatile = false // a frame has begun
			break
		}
		n -= len(c.b)
		o.packets -= c.packets
		done++
	}
	clear(o.chunks[:done])
	o.chunks = o.chunks[done:]
	if len(o.chunks) == 0 {
		o.chunks = nil
	}
}

// clear drops everything. A goroutine that drains notices.
func (o *outbox) clear() {
	if o == nil {
		return
	}
	o.chunks, o.packets, o.bytes, o.inflight = nil, 0, 0, 0
	o.ready.give()
}

// write writes frames of n packets, or lets what the kernel does not take wait. It does not keep b
// unless shared, and never blocks. Called with mu held.
func (c *wsConn) write(b []byte, n int, volatile, shared bool) {
	if c.life < lifeFailed && len(b) > 0 {
		c.put(b, n, volatile, shared)
	}
}

// put is write, whatever the life of c.
func (c *wsConn) put(b []byte, n int, volatile, shared bool) {
	c.s.srv.counters.packetsOut.Add(uint64(n))
	c.s.srv.counters.bytesOut.Add(uint64(len(b)))
	out := c.out
	if out == nil {
		wrote, err := c.stream.tryWrite(b)
		if err != nil {
			c.fail(err)
			return
		}
		if wrote == len(b) {
			return
		}
		b = b[wrote:]
		volatile = volatile && wrote == 0
		out = new(outbox)
	}
	cfg := &c.s.srv.cfg
	if out.full(n, len(b), cfg) {
		c.s.srv.counters.volatileDropped.Add(uint64(out.dropVolatile()))
		if out.full(n, len(b), cfg) {
			c.overflow()
			return
		}
	}
	out.add(b, n, volatile, shared)
	if c.out == nil {
		c.out = out
		c.s.writing++
		c.s.srv.wg.Add(1) // the reader is counted as long as c is not closed
		go c.drain()
	}
}

// overflow ends what c belongs to: its client reads too slowly. Called with mu held.
func (c *wsConn) overflow() {
	c.fall()
	switch {
	case c.s.ws == c:
		c.s.end(ReasonSlowConsumer, ErrBacklog)
	case c.s.upgrade != nil && c.s.upgrade.c == c:
		c.s.dropCandidate("slow consumer")
	}
	c.hangUp(nil, false)
}

// fall has nothing written to c any more. Called with mu held.
func (c *wsConn) fall() {
	c.unpark() // since only a reader ends c
	c.life = max(c.life, lifeFailed)
}

// fail notes that nothing can be written any more. The reader is left a moment for what the client had
// sent before, and then ends the session. Called with mu held.
func (c *wsConn) fail(err error) {
	c.fall()
	c.err = err
	c.out.clear()
	c.stream.setReadDeadline(time.Now().Add(brokenGrace))
}

// drain writes what waits, as the connection takes it, until nothing does. It is the only goroutine a
// session may have besides its reader.
func (c *wsConn) drain() {
	s := c.s
	defer s.srv.wg.Done()
	vector := make([][]byte, 0, maxVector)
	s.mu.Lock()
	out := c.out
	for !out.empty() {
		vector = out.vector(vector[:0])
		if c.life < lifeHungUp {
			c.stream.setWriteDeadline(time.Now().Add(s.srv.cfg.WriteTimeout))
		}
		s.mu.Unlock()
		n, err := c.stream.write(vector)
		s.mu.Lock()
		if out.empty() {
			break // cleared meanwhile
		}
		out.wrote(n)
		if out.ready.c != nil && !out.crowded(&s.srv.cfg) {
			out.ready.give()
		}
		if err == nil || n > 0 && isTimeout(err) {
			continue
		}
		out.clear()
		if c.life >= lifeHungUp {
			break
		}
		if isTimeout(err) {
			c.fall()
			if s.ws == c {
				s.end(ReasonTransportError, errWriteTimeout)
			}
			c.hangUp(nil, false)
			break
		}
		c.fail(err)
	}
	if c.life < lifeHungUp {
		c.stream.setWriteDeadline(time.Time{}) // or the next write fails when it has passed
	}
	c.out = nil
	c.endWriting()
	out.drained.give()
	s.writing--
	s.outputDone()
	c.backlogGone()
	s.unlock()
}

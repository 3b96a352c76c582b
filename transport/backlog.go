package transport

// An item is a packet, or a Prepared's messages, that waits for a poll. It is not encoded yet, as the
// session may be upgraded before it leaves.
type item struct {
	packet   enginePacket
	prepared *Prepared // if not nil, instead of packet
	options  SendOptions
}

// size is what the limits count. They do not count the handshake, which the client may have before the server knows
// that it has left.
func (i *item) size() (packets, bytes int) {
	switch {
	case i.prepared != nil:
		return len(i.prepared.msgs), i.prepared.size
	case i.packet.kind == kindOpen:
		return 0, 0
	}
	return 1, 1 + len(i.packet.data)
}

// load is how much something is.
type load struct {
	packets, bytes int
	largest        int // of bytes, those of the largest send, which the limits do not count
}

func (l load) plus(m load) load {
	return load{l.packets + m.packets, l.bytes + m.bytes, max(l.largest, m.largest)}
}

func (l load) beyond(packets, bytes int) bool {
	return l.packets > packets || l.bytes-l.largest > bytes
}

// backlog is what waits for a poll, and what the answer has taken that is being written: until it has been,
// the client has none of it. Nil is empty. Guarded by Session.mu.
type backlog struct {
	items   []item
	load         // of items
	leaving load // of what is being written
	ready   signal
}

// all is how much has not left.
func (b *backlog) all() load {
	if b == nil {
		return load{}
	}
	return b.load.plus(b.leaving)
}

// pending reports whether something waits for a poll.
func (b *backlog) pending() bool { return b != nil && len(b.items) > 0 }

// full reports whether so much more, sent together, goes beyond the limits. What comes when it is not crowded never does.
func (b *backlog) full(packets, bytes int, cfg *Config) bool {
	return b.crowded(cfg) && b.all().plus(load{packets, bytes, bytes}).beyond(cfg.MaxBacklogPackets, cfg.MaxBacklogBytes)
}

// crowded reports whether more than half of what the limits allow waits.
func (b *backlog) crowded(cfg *Config) bool {
	l := b.all()
	return cfg.crowded(l.packets, l.bytes)
}

// crowded reports whether so much is more than half of what may wait. Unlike the limits it counts the largest message:
// two large ones, one behind the other, are not for a client that has not read the first.
func (c *Config) crowded(packets, bytes int) bool {
	return packets > c.MaxBacklogPackets/2 || bytes > c.MaxBacklogBytes/2
}

func (b *backlog) add(items ...item) {
	before := b.bytes
	for _, i := range items {
		packets, bytes := i.size()
		b.packets += packets
		b.bytes += bytes
	}
	b.largest = max(b.largest, b.bytes-before)
	if b.items == nil {
		b.items = items
		return
	}
	b.items = append(b.items, items...)
}

// dropVolatile drops what may be dropped and returns the number of packets.
func (b *backlog) dropVolatile() (dropped int) {
	old := *b
	*b = backlog{items: old.items[:0], leaving: old.leaving, ready: old.ready}
	for _, i := range old.items {
		if i.options.Volatile {
			continue
		}
		packets, bytes := i.size()
		b.items = append(b.items, i)
		b.packets += packets
		b.bytes += bytes
	}
	b.largest = min(old.largest, b.bytes)
	clear(old.items[len(b.items):])
	return old.packets - b.packets
}

// makeRoom reports whether so much more may wait for a poll. It drops what is volatile, and closes the
// session if that is not enough. Called with mu held.
func (s *Session) makeRoom(packets, bytes int) bool {
	if s.state == stateClosed {
		return false
	}
	cfg := &s.srv.cfg
	if s.waiting.full(packets, bytes, cfg) {
		s.srv.counters.volatileDropped.Add(uint64(s.waiting.dropVolatile()))
		if s.waiting.full(packets, bytes, cfg) {
			s.end(ReasonSlowConsumer, ErrBacklog)
			return false
		}
	}
	return true
}

// queue adds items, for which there is room, to what waits for a poll. Called with mu held.
func (s *Session) queue(items ...item) {
	if s.waiting == nil {
		s.waiting = new(backlog)
	}
	s.waiting.add(items...)
}

// takeAnswer returns what waits, for an answer that is to be written. It stays in the backlog, as to its size,
// until hasLeft. Called with mu held.
func (s *Session) takeAnswer() (items []item) {
	if b := s.waiting; b != nil {
		items, b.items = b.items, nil
		b.leaving, b.load = b.load, load{}
	}
	return items
}

// hasLeft takes out of the backlog what takeAnswer has returned. Called with mu held.
func (s *Session) hasLeft() {
	b := s.waiting
	if b == nil {
		return
	}
	b.leaving = load{}
	b.ready.give()
	if len(b.items) == 0 {
		s.waiting = nil
	}
}

// takeWaiting returns what waits for a poll, which is the caller's then. Called with mu held.
func (s *Session) takeWaiting() []item {
	b := s.waiting
	if b == nil {
		return nil
	}
	s.waiting = nil
	b.ready.give()
	return b.items
}

// signal lets several goroutines wait for something to happen. The zero signal is ready. Guarded by
// Session.mu.
type signal struct {
	c chan struct{} // nil unless somebody waits
}

// wait returns a channel that is closed with the next give.
func (s *signal) wait() <-chan struct{} {
	if s.c == nil {
		s.c = make(chan struct{})
	}
	return s.c
}

func (s *signal) give() {
	if s.c != nil {
		close(s.c)
		s.c = nil
	}
}

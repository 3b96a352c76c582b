package transport

// SendOptions change how messages are sent.
type SendOptions struct {
	Volatile   bool // drop unless the session is Writable
	NoCompress bool // do not compress these messages (Node: compress(false))
}

// Send queues msgs, which stay adjacent, and returns at once. The data are copied before it returns.
// It returns ErrClosed on a session that is not open, and ErrBacklog, having closed the session with
// ReasonSlowConsumer, when more than the limits of Config wait.
func (s *Session) Send(o SendOptions, msgs ...Message) error {
	s.mu.Lock()
	defer s.unlock()
	if ok, err := s.maySend(o, len(msgs)); !ok {
		return err
	}
	if s.ws != nil {
		s.ws.send(o, msgs)
		return s.sendResult()
	}
	size := 0
	for _, m := range msgs {
		size += len(m.Data)
	}
	copied := make([]byte, 0, size)
	for _, m := range msgs {
		copied = append(copied, m.Data...)
		data := copied[len(copied)-len(m.Data):]
		s.queue(item{packet: enginePacket{kind: kindMessage, data: data, binary: m.Binary}, options: o})
	}
	s.wakePoll()
	return s.sendResult()
}

// SendPrepared is Send for messages that go to many sessions: encoded once, bytes shared.
func (s *Session) SendPrepared(o SendOptions, p *Prepared) error {
	s.mu.Lock()
	defer s.unlock()
	if ok, err := s.maySend(o, len(p.msgs)); !ok {
		return err
	}
	if s.ws != nil {
		s.ws.sendPrepared(o, p)
		return s.sendResult()
	}
	s.queue(item{prepared: p, options: o})
	s.wakePoll()
	return s.sendResult()
}

// maySend reports whether to send n messages now, and if not with what error. Called with mu held.
func (s *Session) maySend(o SendOptions, n int) (ok bool, err error) {
	if s.state != stateOpen {
		return false, ErrClosed
	}
	if o.Volatile && !s.writable() {
		s.srv.counters.volatileDropped.Add(uint64(n))
		return false, nil
	}
	return n > 0, nil
}

// sendResult is the error of a send that has been tried. Called with mu held.
func (s *Session) sendResult() error {
	switch {
	case s.state != stateClosed:
		return nil
	case s.ending.reason == ReasonSlowConsumer:
		return ErrBacklog
	default:
		return ErrClosed
	}
}

// Writable reports whether a message sent now would leave at once: the WebSocket takes bytes and
// nothing waits, or a poll is pending.
func (s *Session) Writable() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writable()
}

func (s *Session) writable() bool {
	switch {
	case s.state != stateOpen:
		return false
	case s.ws != nil:
		return s.ws.out == nil
	default:
		return s.poll != nil
	}
}

// Backlog returns what waits to be sent: the payloads of packets that wait for a poll, and on WebSocket
// the frames of which the kernel has not taken the last byte.
func (s *Session) Backlog() (packets, bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	packets, bytes = s.waiting.packets, s.waiting.bytes
	if s.ws != nil {
		packets += s.ws.gatheredPackets
		if out := s.ws.out; out != nil {
			packets += out.packets
			bytes += out.bytes
		}
		if s.ws.gathered != nil {
			bytes += len(s.ws.gathered.b)
		}
	}
	return packets, bytes
}

// sendPacket queues a packet of the protocol's own. Called with mu held.
func (s *Session) sendPacket(p enginePacket) {
	if s.ws != nil {
		s.ws.sendPacket(p)
		return
	}
	s.queue(item{packet: p, options: SendOptions{NoCompress: true}})
	s.wakePoll()
}

// An item is a packet, or a Prepared's messages, that waits for a poll. It is not encoded yet, as the
// session may be upgraded before it leaves.
type item struct {
	packet   enginePacket
	prepared *Prepared // if not nil, instead of packet
	options  SendOptions
}

func (i *item) size() (packets, bytes int) {
	if i.prepared != nil {
		return len(i.prepared.msgs), i.prepared.size
	}
	return 1, 1 + len(i.packet.data)
}

// backlog is a queue of items that knows its size. The zero backlog is empty.
type backlog struct {
	items          []item
	packets, bytes int
}

func (b *backlog) add(i item) {
	packets, bytes := i.size()
	b.items = append(b.items, i)
	b.packets += packets
	b.bytes += bytes
}

// dropVolatile drops what may be dropped and returns the number of packets.
func (b *backlog) dropVolatile() (dropped int) {
	old := *b
	*b = backlog{items: old.items[:0]}
	for _, i := range old.items {
		if !i.options.Volatile {
			b.add(i)
		}
	}
	clear(old.items[len(b.items):])
	return old.packets - b.packets
}

// queue adds i to what waits for a poll, or closes the session if that is too much. Called with mu held.
func (s *Session) queue(i item) {
	if s.state == stateClosed {
		return
	}
	packets, bytes := i.size()
	cfg := &s.srv.cfg
	full := func() bool {
		return s.waiting.bytes+bytes > cfg.MaxBacklogBytes || s.waiting.packets+packets > cfg.MaxBacklogPackets
	}
	if full() {
		s.srv.counters.volatileDropped.Add(uint64(s.waiting.dropVolatile()))
		if full() {
			s.end(ReasonSlowConsumer, ErrBacklog)
			return
		}
	}
	s.waiting.add(i)
}

package transport

import (
	"context"
	"time"
)

// SendOptions change how messages are sent.
type SendOptions struct {
	Volatile   bool // drop unless the session is Writable
	NoCompress bool // do not compress these messages (Node: compress(false))
	// Burst says that other messages for many sessions are being sent, or follow at once: those of SendPrepared may
	// leave together with them, as soon as a processor is free to write.
	Burst bool
	// IfReady sends nothing and returns ErrNotReady unless Ready would return at once. What it lets pass is never too
	// much; between Ready and a send without it others may send.
	IfReady bool
}

// Send queues msgs, which stay adjacent, and returns at once. The data are copied before it returns.
// They may have any size together, up to Config.MaxSendBytes; for more it returns ErrTooLarge, and the session
// goes on. It returns ErrClosed on a session that is not open; and ErrBacklog, having closed the session with
// ReasonSlowConsumer, when more than the limits of Config waits. Who has much to send waits with Ready in
// between.
func (s *Session) Send(o SendOptions, msgs ...Message) error {
	size := 0
	for _, m := range msgs {
		size += 1 + len(m.Data)
	}
	if size > s.srv.cfg.MaxSendBytes {
		return s.srv.tooLarge(size)
	}
	s.mu.Lock()
	defer s.unlock()
	if ok, err := s.maySend(o, len(msgs)); !ok {
		return err
	}
	if s.ws != nil {
		s.ws.send(o, msgs)
		return s.sendResult()
	}
	if !s.makeRoom(len(msgs), size) {
		return s.sendResult()
	}
	copied := make([]byte, 0, size-len(msgs))
	items := make([]item, 0, len(msgs))
	for _, m := range msgs {
		copied = append(copied, m.Data...)
		data := copied[len(copied)-len(m.Data):]
		items = append(items, item{packet: enginePacket{kind: kindMessage, data: data, binary: m.Binary}, options: o})
	}
	s.queue(items...)
	s.wakePoll()
	return nil
}

// SendPrepared is Send for messages that go to many sessions: encoded once, bytes shared.
func (s *Session) SendPrepared(o SendOptions, p *Prepared) error {
	if p.size > s.srv.cfg.MaxSendBytes {
		return s.srv.tooLarge(p.size)
	}
	s.mu.Lock()
	defer s.unlock()
	if ok, err := s.maySend(o, len(p.msgs)); !ok {
		return err
	}
	if s.ws != nil {
		s.ws.sendPrepared(o, p)
		return s.sendResult()
	}
	if !s.makeRoom(len(p.msgs), p.size) {
		return s.sendResult()
	}
	s.queue(item{prepared: p, options: o})
	s.wakePoll()
	return nil
}

// tooLarge says so to the log too: of a broadcast, nobody may look at the error.
func (s *Server) tooLarge(size int) error {
	if s.notice.News(ErrTooLarge.Error(), time.Now()) {
		s.apart.Warn("messages are not sent: they are larger than MaxSendBytes", "bytes", size, "limit", s.cfg.MaxSendBytes)
	}
	return ErrTooLarge
}

// maySend reports whether to send n messages now, and if not with what error. Called with mu held.
func (s *Session) maySend(o SendOptions, n int) (ok bool, err error) {
	if s.state != stateOpen {
		return false, ErrClosed
	}
	if o.IfReady && s.crowded() != nil {
		return false, ErrNotReady
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
		return s.poll != nil && s.answers == 0
	}
}

// Ready waits until there is room for more: until no more than half of what the limits of Config allow
// waits for the client. Who sends many messages calls it before each, and is then no faster than the client: however large
// they are, what is sent then is not too much, unless others have sent since; see SendOptions.IfReady.
// It returns ErrClosed if the session is not open, and the error of ctx if that ends first. Unlike the other
// methods it may block.
func (s *Session) Ready(ctx context.Context) error {
	for {
		s.mu.Lock()
		if s.state != stateOpen {
			s.mu.Unlock()
			return ErrClosed
		}
		more := s.crowded()
		s.mu.Unlock()
		if more == nil {
			return nil
		}
		s.Yield() // or what was gathered would wait with the caller
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// crowded returns nil, or if too much waits for Ready a channel that is closed when less does. What was gathered leaves if
// it would be too much with the rest. Called with mu held.
func (s *Session) crowded() <-chan struct{} {
	cfg := &s.srv.cfg
	if s.ws == nil {
		if s.waiting.crowded(cfg) {
			return s.waiting.ready.wait()
		}
		return nil
	}
	if cfg.crowded(s.ws.load()) {
		s.ws.flushGathered()
	}
	if s.ws.out.crowded(cfg) {
		return s.ws.out.ready.wait()
	}
	return nil
}

// Backlog returns what waits to be sent: the payloads of packets that wait for a poll or are in an answer that
// is being written, and on WebSocket
// the frames of which the kernel has not taken the last byte.
func (s *Session) Backlog() (packets, bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	waiting := s.waiting.all()
	if s.ws == nil {
		return waiting.packets, waiting.bytes
	}
	packets, bytes = s.ws.load()
	return packets + waiting.packets, bytes + waiting.bytes
}

// load is what the kernel has not taken, or not been given yet. Called with mu held.
func (c *wsConn) load() (packets, bytes int) {
	if b := c.batch; b != nil {
		packets += b.packets
		bytes += b.bytes
	}
	if out := c.out; out != nil {
		packets += out.packets
		bytes += out.bytes
	}
	if b := c.gathered; b != nil {
		packets += b.packets
		bytes += len(b.b)
	}
	return packets, bytes
}

// sendPacket queues a packet of the protocol's own. Called with mu held.
func (s *Session) sendPacket(p enginePacket) {
	if s.ws != nil {
		s.ws.sendPacket(p)
		return
	}
	if s.makeRoom(1, 1+len(p.data)) {
		s.queue(item{packet: p, options: SendOptions{NoCompress: true}})
		s.wakePoll()
	}
}

package zishang

import (
	"log/slog"
	"slices"
	"sync"

	"github.com/zishang520/socket.io-go-parser/v2/parser"

	"github.com/beanpole/beanpole/internal/limit"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/packet"
	"github.com/beanpole/beanpole/transport"
)

// session is one session with its seats. To the transport it is the Receiver, to the library the
// engine.Socket (see conn.go).
type session struct {
	*emitter // the library's listeners, and those of the application on Socket.Conn

	// Set by accept, then read only.
	h       *Handler
	session *transport.Session

	// Owned by Receive, which the transport calls for one message at a time.
	decoder packet.Decoder
	failed  bool          // the client broke the protocol; the rest of what it sent is ignored
	bucket  *limit.Bucket // of events; nil without that limit

	mu       sync.Mutex
	seats    []*seat        // guarded by mu; few, so a list
	ready    []*queue       // guarded by mu; queues with work and nobody who runs them
	opened   bool           // guarded by mu; the library knows of the session
	closed   bool           // guarded by mu
	upgraded bool           // guarded by mu; the upgrade has been told
	pending  limit.Deadline // guarded by mu; of the attachments that a packet waits for
	request  contextCache
}

// seat is the place of one client in one namespace. Several sockets may have it, one after the other.
type seat struct {
	// Set when made, then read only.
	session *session
	name    string

	queue queue // connections, events, disconnections
	calls queue // acknowledgements, which overtake

	current *member   // guarded by session.mu; the last one asked for
	earlier []*member // guarded by session.mu; those before it that are not over
	turn    *member   // guarded by session.mu; the one that is being connected
	live    *member   // guarded by session.mu; the last one that was connected
}

// accept makes the session's view. It is the transport's Accept.
func (h *Handler) accept(ts *transport.Session) transport.Receiver {
	s := &session{
		emitter: newEmitter(unprotected),
		h:       h,
		session: ts,
		decoder: h.cfg.Parser.NewDecoder(h.cfg.Limits.Limits),
	}
	if rate := h.cfg.Limits.EventsPerSecond; rate > 0 {
		b := limit.NewBucket(rate, eventBurst)
		s.bucket = &b
	}
	h.engine.protect("connection", func() { h.engine.Emit("connection", s) })
	s.mu.Lock()
	s.opened = true
	s.mu.Unlock()
	if ts.Protocol() == 3 {
		// A v2 client is in "/" from the start. Protocol 4 of Socket.IO: Connection.
		s.connect("/", nil, "")
		h.wg.Go(s.Work)
	}
	return s
}

// Receive takes one message of the session. Protocol: Packet encoding.
func (s *session) Receive(m transport.Message) {
	if s.failed {
		return
	}
	s.noticeUpgrade()
	p, err := s.decoder.Add(packet.Message(m))
	if err != nil {
		s.fail(transport.ReasonForcedClose, err) // socket.io/lib/client.ts, ondata
		return
	}
	if m.Binary || p == nil {
		s.watchAttachments()
	}
	if p != nil {
		s.packet(p)
		p.Data, p.Attachments = nil, nil // they lie in the transport's buffer, which the decoder must not keep
	}
}

// packet takes one complete packet.
func (s *session) packet(p *packet.Packet) {
	name, query := p.Namespace, ""
	if s.session.Protocol() == 3 {
		name, query = splitQuery(name)
	}
	seat, m := s.seat(name)
	switch {
	case p.Type == packet.Connect && (m == nil || m.free()):
		s.connect(name, slices.Clone(p.Data), query)
	case m == nil || p.Type == packet.Connect || p.Type == packet.ConnectError:
		// Node closes the whole client here (socket.io/lib/client.ts, ondecoded).
		s.fail(transport.ReasonForcedServerClose, errInvalidState)
	case p.Type == packet.Ack:
		s.acknowledge(seat, m, p)
	case p.Type == packet.Disconnect:
		m.leaving.Store(true)
		s.enqueue(&seat.queue, item{kind: itemLeave, member: m})
	default:
		s.event(seat, m, p)
	}
}

func (s *session) event(seat *seat, m *member, p *packet.Packet) {
	beyond, owed := s.exceeds(m)
	if beyond {
		s.fail(server.ReasonRateLimited, errRateLimited)
		return
	}
	e, ok := newEvent(slices.Clone(p.Data), cloneLast(p.Attachments))
	if !ok {
		return // the decoder has checked it
	}
	if p.HasID {
		id := p.ID
		e.ack = once(func(args []any) { m.sendAck(id, args) })
	}
	s.h.stats.eventsIn.Add(1)
	s.enqueue(&seat.queue, item{kind: itemEvent, member: m, event: e, owed: owed})
}

// acknowledge has the answer handed to whoever waits for it, past the events that wait.
func (s *session) acknowledge(seat *seat, m *member, p *packet.Packet) {
	if !p.HasID {
		return
	}
	id := p.ID
	raw, err := packet.Split(nil, slices.Clone(p.Data))
	if err != nil {
		return // the decoder has checked it
	}
	attachments := cloneLast(p.Attachments)
	s.enqueue(&seat.calls, item{kind: itemCall, member: m, call: func(m *member) { m.onAck(id, raw, attachments) }})
}

// cloneLast copies the last attachment, which refers to the transport's buffer; the others are ours.
func cloneLast(attachments [][]byte) [][]byte {
	if len(attachments) == 0 {
		return nil
	}
	out := slices.Clone(attachments)
	out[len(out)-1] = slices.Clone(out[len(out)-1])
	return out
}

// seat returns the client's seat in the namespace and its last socket, or nil.
func (s *session) seat(name string) (*seat, *member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seat := range s.seats {
		if seat.name == name {
			return seat, seat.current
		}
	}
	return nil, nil
}

// connect starts a socket in the namespace; its queue does the rest. A session that is in as many as it
// may be is refused one more.
func (s *session) connect(name string, auth []byte, query string) {
	m := &member{}
	s.mu.Lock()
	i := slices.IndexFunc(s.seats, func(t *seat) bool { return t.name == name })
	if i < 0 && len(s.seats) >= s.h.cfg.Limits.MaxNamespaces {
		s.seats = slices.DeleteFunc(s.seats, func(t *seat) bool { return t.current.over.Load() })
	}
	switch {
	case i >= 0:
		m.seat = s.seats[i]
	case len(s.seats) < s.h.cfg.Limits.MaxNamespaces:
		m.seat = &seat{session: s, name: name}
		m.seat.queue.seat, m.seat.calls.seat = m.seat, m.seat
		s.seats = append(s.seats, m.seat)
	default:
		s.mu.Unlock()
		s.refuse(name, "too many namespaces", server.RefusedNamespaces)
		return
	}
	m.seat.take(m)
	s.mu.Unlock()
	s.enqueue(&m.seat.queue, item{kind: itemConnect, member: m, auth: auth, query: query})
}

// take makes m the last socket of the seat. Called with session.mu held.
func (t *seat) take(m *member) {
	if t.current != nil {
		t.earlier = append(t.earlier, t.current)
	}
	t.earlier = slices.DeleteFunc(t.earlier, func(o *member) bool { return o.over.Load() })
	t.current = m
}

// refuse answers CONNECT_ERROR without asking the library.
func (s *session) refuse(name, text, cause string) {
	s.h.stats.refuse(cause)
	var data any = map[string]any{"message": text}
	if s.session.Protocol() == 3 {
		data = text
	}
	for _, e := range s.h.codec.Encode(&parser.Packet{Type: parser.CONNECT_ERROR, Nsp: name, Data: data}) {
		_ = s.session.Send(transport.SendOptions{}, e.(*encoded).messages...) // a session that closed says so by Closed
	}
}

// enqueue gives a queue something to do; Work will see to it.
func (s *session) enqueue(q *queue, it item) {
	runnable, err := q.push(it, &s.h.cfg.Limits)
	if err != nil {
		s.h.stats.queueFull.Add(1)
		s.fail(server.ReasonQueueFull, err)
		return
	}
	if runnable {
		s.mu.Lock()
		s.ready = append(s.ready, q)
		s.mu.Unlock()
	}
}

// enqueueFrom is enqueue for those outside of Receive, after which nobody may come to call Work. The
// caller holds h.wg up.
func (s *session) enqueueFrom(q *queue, it item) {
	s.enqueue(q, it)
	s.mu.Lock()
	work := len(s.ready) > 0
	s.mu.Unlock()
	if work {
		s.h.wg.Go(s.Work)
	}
}

// Work runs the handlers of all that has been received. What is for another queue than the first is left
// to another goroutine: the handlers of one namespace may block, and are not to hold up the others.
func (s *session) Work() {
	for {
		s.mu.Lock()
		if len(s.ready) == 0 {
			s.ready = nil
			s.mu.Unlock()
			return
		}
		q := s.ready[0]
		s.ready = s.ready[1:]
		more := len(s.ready) > 0
		s.mu.Unlock()
		if more {
			s.h.wg.Go(s.Work)
		}
		q.run()
	}
}

// fail closes the session of a client that broke the protocol or a limit. The sockets' error listeners
// hear of it, as in Node.
func (s *session) fail(reason transport.CloseReason, err error) {
	s.failed = true
	s.h.stats.refusedPackets.Add(1)
	s.log().Debug("session refused a packet", "reason", string(reason), "err", err)
	s.mu.Lock()
	seats := slices.Clone(s.seats)
	s.mu.Unlock()
	for _, seat := range seats {
		for _, m := range seat.members() {
			if m.state.Load() == stateConnected {
				s.enqueue(&seat.calls, item{kind: itemCall, member: m, call: func(m *member) { m.socket.EmitReserved("error", err) }})
			}
		}
	}
	s.session.Close(reason)
}

// watchAttachments bounds the time from one attachment of a packet to the next. It is called with each.
func (s *session) watchAttachments() {
	waiting := s.decoder.Pending()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending.Watch(waiting && !s.closed, s.h.cfg.Limits.AttachmentTimeout, func() {
		s.session.Close(transport.ReasonForcedClose)
	})
}

// Closed ends all sockets of the client, once, and tells the library.
func (s *session) Closed(reason transport.CloseReason, cause error) {
	if cause != nil {
		s.log().Debug("session closed", "reason", string(reason), "err", cause)
	}
	s.mu.Lock()
	s.closed = true
	seats := slices.Clone(s.seats)
	s.pending.Stop()
	s.mu.Unlock()
	// The description is nil or an error; the reason must be plain text to the library.
	var description any
	if cause != nil {
		description = cause
	}
	s.h.protect("close", func() { s.Emit("close", string(reason), description) })
	for _, seat := range seats {
		for _, m := range seat.members() {
			m.abandon(string(reason))
		}
	}
	s.mu.Lock()
	work := len(s.ready) > 0
	s.mu.Unlock()
	if work {
		// The application's handlers may block; the session is over all the same.
		s.h.wg.Go(s.Work)
	}
}

// members are the sockets that may not be over.
func (t *seat) members() []*member {
	t.session.mu.Lock()
	defer t.session.mu.Unlock()
	return append(slices.Clone(t.earlier), t.current)
}

// connecting is the socket that is being connected to the namespace, or nil.
func (s *session) connecting(name string) *member {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seat := range s.seats {
		if seat.name == name {
			return seat.turn
		}
	}
	return nil
}

// connected is the socket that was connected to the namespace last, or nil.
func (s *session) connected(name string) *member {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seat := range s.seats {
		if seat.name == name {
			return seat.live
		}
	}
	return nil
}

func (s *session) log() *slog.Logger { return s.h.log.With("session", s.session.Num()) }

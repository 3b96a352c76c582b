package server

import (
	"cmp"
	"context"
	"sync"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/internal/shrink"
	"github.com/beanpole/beanpole/server/packet"
	"github.com/beanpole/beanpole/transport"
)

// hold keeps what is sent to a socket that is a member of its namespace already while its client has not been
// told yet, or has not taken yet what it missed: nothing is missed in between, nothing comes before the answer to
// CONNECT, and everything in its order. It ends with the membership, so that no two holds of a client follow each
// other.
type hold struct {
	mu       sync.Mutex // taken before client.mu and the session's
	list     []held     // guarded by mu
	over     bool       // guarded by mu
	reserved int        // guarded by mu: of Server.replaying
}

// held is one packet, encoded or not yet.
type held struct {
	opts transport.SendOptions
	p    *transport.Prepared
	m    adapter.Message // if p is nil: an event that was missed, whose bytes may be shared with others
}

// heldCost is what a packet costs beside its text, in bytes.
const heldCost = 256

// keep keeps a packet for a socket that has a hold, and reports false when it has none. What is volatile is
// dropped, as for any client that cannot take it. What was not missed counts for the session, as its backlog does.
func (s *Socket) keep(x held) bool {
	h := s.hold.Load()
	if h == nil {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.over:
		return false
	case x.opts.Volatile:
	case x.p != nil && !s.client.hold(x.p.Size()+heldCost):
		s.client.session.Abort(transport.ReasonSlowConsumer) // as one whose backlog is full
	default:
		h.list = append(h.list, x)
	}
	return true
}

// hold reports whether the sockets of the session may hold so many bytes more. As in its backlog, those of the largest
// packet do not count.
func (c *client) hold(bytes int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.inLobby()
	if l.held == 0 {
		l.largest = 0
	}
	if l.largest = max(l.largest, bytes); l.held+bytes-l.largest > c.server.maxBacklog() {
		return false
	}
	l.held += bytes
	return true
}

// maxBacklog is transport.Config.MaxBacklogBytes.
func (s *Server) maxBacklog() int {
	return cmp.Or(s.cfg.Transport.MaxBacklogBytes, transport.DefaultMaxBacklogBytes)
}

// maxReplaying bounds the bytes of what recovered sockets have missed and not been sent yet, of all sockets of a
// server together. What fits a session's backlog is not counted, as any session may have that.
const maxReplaying = 256 << 20

// reserve is adapter.Session.Reserve for the socket: it has bytes reserved in all, or reports false.
func (s *Socket) reserve(bytes int) bool {
	h, srv := s.hold.Load(), s.client.server
	if h == nil || bytes <= srv.maxBacklog() {
		return true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	more := int64(bytes - h.reserved)
	if srv.replaying.Add(more) > maxReplaying {
		srv.replaying.Add(-more)
		return false
	}
	h.reserved = bytes
	return true
}

// take takes the first thing out of the hold. Called with h.mu held.
func (s *Socket) take(h *hold) held {
	x := shrink.First(&h.list)
	if x.p == nil {
		n := min(h.reserved, x.m.Size())
		h.reserved -= n
		s.client.server.replaying.Add(-int64(n))
		return x
	}
	s.client.mu.Lock()
	s.client.inLobby().held -= x.p.Size() + heldCost
	s.client.mu.Unlock()
	return x
}

// step sends the first thing that is held, if there is room, or ends the hold, and reports whether there may be more.
func (s *Socket) step(h *hold) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.list) == 0 {
		s.end(h)
		return false
	}
	x := h.list[0]
	if x.p == nil {
		x.p = s.client.server.prepare(&packet.Packet{
			Type: packet.Event, Namespace: s.name, Data: x.m.Data, Attachments: x.m.Attachments,
		})
	}
	if x.opts.IfReady = true; x.p != nil && s.client.session.SendPrepared(x.opts, x.p) == transport.ErrNotReady {
		return true // others have sent since it was
	}
	s.take(h) // a session that closed says so by Closed
	return true
}

// end ends the hold and drops what is in it. Called with h.mu held.
func (s *Socket) end(h *hold) {
	for len(h.list) > 0 {
		s.take(h)
	}
	s.client.server.replaying.Add(-int64(h.reserved))
	h.list, h.over, h.reserved = nil, true, 0
	s.hold.CompareAndSwap(h, nil)
}

// unhold ends the hold of a socket that leaves or is not let in. What was emitted to it since it came is sent
// if live says so; what it missed is not.
func (s *Socket) unhold(live bool) {
	h := s.hold.Load()
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for live && len(h.list) > 0 {
		if x := s.take(h); x.p != nil {
			_ = s.client.session.SendPrepared(x.opts, x.p)
		}
	}
	s.end(h)
}

// prepare encodes p, or returns nil and says so when that cannot be done. The caller may hold locks.
func (s *Server) prepare(p *packet.Packet) *transport.Prepared {
	var room [4]packet.Message
	encoded, err := s.encode(room[:0], nil, p)
	if err != nil {
		s.apart.Error("packet not sent", "namespace", p.Namespace, "err", s.report(s.apart, "packet", err))
		return nil
	}
	messages := make([]transport.Message, len(encoded))
	for i, m := range encoded {
		messages[i] = transport.Message(m)
	}
	return transport.Prepare(messages...)
}

// welcome sends the answer to CONNECT, and behind it what has been held: no faster than the client takes it, as
// what a recovered one has missed may be more than may wait for it. The application does not wait for that.
func (s *Socket) welcome() {
	// A session that closed says so by Closed.
	if p := s.client.server.prepare(s.connectPacket()); p != nil {
		_ = s.client.session.SendPrepared(transport.SendOptions{}, p)
	}
	now, cancel := context.WithCancel(context.Background())
	cancel()
	h := s.hold.Load()
	if h != nil && !s.release(now, h) {
		s.client.server.wg.Go(func() { s.release(context.Background(), h) })
	}
}

// release sends what is held, as the client takes it, until nothing is, and ends the hold; or until ctx ends, and
// then it reports false.
func (s *Socket) release(ctx context.Context, h *hold) bool {
	for {
		if err := s.client.session.Ready(ctx); err != nil && err == ctx.Err() {
			return false
		}
		if !s.step(h) {
			return true
		}
	}
}

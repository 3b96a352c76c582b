package server

import (
	"cmp"
	"context"
	"sync"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server/packet"
	"github.com/beanpole/beanpole/transport"
)

// hold keeps what is sent to a socket that is a member of its namespace already while its client has not been
// told yet: nothing is missed in between, and nothing comes before the answer to CONNECT.
type hold struct {
	mu       sync.Mutex
	list     []held // guarded by mu
	over     bool   // guarded by mu
	reserved int    // guarded by mu: of Server.replaying
}

// held is one packet, encoded or not yet.
type held struct {
	opts transport.SendOptions
	p    *transport.Prepared
	m    adapter.Message // if p is nil: an event that was missed, whose bytes may be shared with others
}

// put keeps a packet. It reports false when the hold is over. What is volatile is dropped, as for any client
// that cannot take it.
func (h *hold) put(x held) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		return false
	}
	if !x.opts.Volatile {
		h.list = append(h.list, x)
	}
	return true
}

// maxReplaying bounds the bytes of what recovered sockets have missed and not been sent yet, of all sockets of a
// server together. What fits a session's backlog is not counted, as any session may have that.
const maxReplaying = 256 << 20

// reserve is adapter.Session.Reserve for the socket: it has bytes reserved in all, or reports false.
func (s *Socket) reserve(bytes int) bool {
	h, srv := s.hold.Load(), s.client.server
	if bytes <= cmp.Or(srv.cfg.Transport.MaxBacklogBytes, transport.DefaultMaxBacklogBytes) {
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

// end ends the hold and gives back what was reserved. What is still held is dropped.
func (h *hold) end(s *Server) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s.replaying.Add(-int64(h.reserved))
	h.list, h.over, h.reserved = nil, true, 0
}

// next takes the first packet out; with the last the hold is over.
func (h *hold) next() (x held, waiting int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if waiting = len(h.list); waiting == 0 {
		h.list, h.over = nil, true
		return held{}, 0
	}
	x = h.list[0]
	h.list[0] = held{}
	h.list = h.list[1:]
	return x, waiting
}

// prepare encodes p, or returns nil and says so when that cannot be done.
func (s *Server) prepare(p *packet.Packet) *transport.Prepared {
	var room [4]packet.Message
	encoded, err := s.encode(room[:0], nil, p)
	if err != nil {
		s.cfg.Logger.Error("packet not sent", "namespace", p.Namespace, "err", s.report(s.cfg.Logger, "packet", err))
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
	if !s.release(now) {
		s.client.server.wg.Go(func() { s.release(context.Background()) })
	}
}

// release sends what is held, as the client takes it, until nothing is, and ends the hold; or until ctx ends, and
// then it reports false.
func (s *Socket) release(ctx context.Context) bool {
	h, session := s.hold.Load(), s.client.session
	for {
		if err := session.Ready(ctx); err != nil && err == ctx.Err() {
			return false
		}
		x, waiting := h.next()
		if waiting == 0 {
			s.unhold()
			return true
		}
		if waiting > s.client.server.cfg.Limits.MaxQueuedEvents {
			session.CloseCause(transport.ReasonSlowConsumer, transport.ErrBacklog) // more is sent than it takes
		}
		if x.p == nil {
			x.p = s.client.server.prepare(&packet.Packet{
				Type: packet.Event, Namespace: s.name, Data: x.m.Data, Attachments: x.m.Attachments,
			})
		}
		if x.p != nil {
			_ = session.SendPrepared(x.opts, x.p)
		}
	}
}

// unhold ends the hold of a socket that is let in, or is not.
func (s *Socket) unhold() {
	if h := s.hold.Swap(nil); h != nil {
		h.end(s.client.server)
	}
}

package server

import (
	"context"
	"sync"

	"github.com/beanpole/beanpole/server/packet"
	"github.com/beanpole/beanpole/transport"
)

// hold keeps what is sent to a socket that is a member of its namespace already while its client has not been
// told yet: nothing is missed in between, and nothing comes before the answer to CONNECT.
type hold struct {
	mu   sync.Mutex
	list []held // guarded by mu
	over bool   // guarded by mu
}

// held is one packet, or one event that was emitted before the socket was a member.
type held struct {
	opts transport.SendOptions
	p    *transport.Prepared
}

// put keeps a packet. It reports false when the hold is over. What is volatile is dropped, as for any client
// that cannot take it.
func (h *hold) put(opts transport.SendOptions, p *transport.Prepared) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		return false
	}
	if !opts.Volatile && p != nil {
		h.list = append(h.list, held{opts, p})
	}
	return true
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

// welcome sends the answer to CONNECT, and behind it what has been held: no faster than the client takes it,
// as what a recovered one has missed may be more than may wait for it.
func (s *Socket) welcome() {
	h, session := s.hold.Load(), s.client.session
	// A session that closed says so by Closed.
	if p := s.client.server.prepare(s.connectPacket()); p != nil {
		_ = session.SendPrepared(transport.SendOptions{}, p)
	}
	for {
		x, waiting := h.next()
		if waiting == 0 {
			break
		}
		if waiting > s.client.server.cfg.Limits.MaxQueuedEvents {
			session.Close(transport.ReasonSlowConsumer) // more is sent than it takes
		}
		_ = session.Ready(context.Background()) // which ends with the session
		_ = session.SendPrepared(x.opts, x.p)
	}
	s.hold.Store(nil)
}

// unhold drops what has been held for a socket that is not let in.
func (s *Socket) unhold() {
	if h := s.hold.Swap(nil); h != nil {
		h.mu.Lock()
		h.list, h.over = nil, true
		h.mu.Unlock()
	}
}

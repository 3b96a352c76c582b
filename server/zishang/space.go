package zishang

import (
	"context"
	"encoding/json"
	"time"

	"github.com/zishang520/socket.io-go-parser/v2/parser"
	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server"
)

// space is a namespace as long as package server has it open. It stands between that and the adapter, for what the
// library's own lists of listeners are to hear.
type space struct {
	adapter.Namespace
	h      *Handler
	events line // of other servers
}

// link is the adapter of a space.
type link struct {
	adapter.Adapter
	space *space
}

// Unwrap returns the adapter, for adapter.As.
func (l link) Unwrap() adapter.Adapter { return l.Adapter }

// open makes the adapter of a namespace. It is package server's Factory.
func (h *Handler) open(n adapter.Namespace) (adapter.Adapter, error) {
	s := &space{Namespace: n, h: h}
	a, err := h.cfg.Adapter(s)
	if err != nil || a == nil {
		return nil, err
	}
	return link{a, s}, nil
}

// Close ends the adapter's work for the namespace, and the library's namespace with it.
func (l link) Close(ctx context.Context) error {
	l.space.h.closed(l.space.Name())
	return l.Adapter.Close(ctx)
}

// Deliver sends an event and has the library's listeners of what is sent hear of it.
func (s *space) Deliver(msg adapter.Message, f adapter.Flags, to []adapter.Member) (after func()) {
	notify := s.notifying(msg, to)
	s.Namespace.Deliver(msg, f, to) // for listeners of package server, and there are none
	return notify
}

// DeliverWithAck does so too.
func (s *space) DeliverWithAck(msg adapter.Message, f adapter.Flags, to []adapter.Member,
	answer func(m adapter.Message, missing bool),
) (forget func()) {
	notify := s.notifying(msg, to)
	forget = s.Namespace.DeliverWithAck(msg, f, to, answer)
	if notify != nil {
		notify()
	}
	return forget
}

// notifying returns what tells those whose application listens to what is sent, nil if nobody's does.
func (s *space) notifying(msg adapter.Message, to []adapter.Member) func() {
	var list []*member
	for _, o := range to {
		if m := faceOf(o.(*server.Socket)); m != nil && len(m.socket.ListenersAnyOutgoing()) > 0 {
			list = append(list, m)
		}
	}
	if list == nil {
		return nil
	}
	return func() {
		from, ok := s.h.server.Event(s.Name(), msg, nil)
		if !ok {
			return
		}
		e := arrived(from)
		for _, m := range list {
			p := &parser.Packet{Type: parser.EVENT, Nsp: s.Name(), Data: e.named()}
			s.h.protect("outgoing", func() { m.socket.NotifyOutgoingListeners()(p) })
		}
	}
}

// ServerEvent has the listeners of an event of another server called, in the order of arrival and off the
// adapter's goroutine.
func (s *space) ServerEvent(msg adapter.Message, reply func(adapter.Message)) {
	from, ok := s.h.server.Event(s.Name(), msg, reply)
	if !ok || socket.NAMESPACE_RESERVED_EVENTS.Has(from.Name) {
		return
	}
	e := arrived(from)
	s.events.add(s.h, s.h.lifetime, func(late bool) {
		if n := s.h.find(s.Name()); !late && n != nil && !n.listeners.dispatch(e) && e.ack != nil {
			e.ack(internalError, nil)
		}
	})
}

// snapshot is what the data of a socket were, as JSON.
type snapshot struct {
	text adapter.Raw
	at   time.Time
	told bool // that they are no JSON
}

// large is how large data may be, in bytes, to be encoded whenever handlers have run; larger ones are once in a
// second.
const large = 16 << 10

// note encodes the data of the socket when its handlers have run. Called with turn held: handlers change what
// they have set, so that nobody else may look at it.
func (m *member) note() {
	if m.h.alone {
		return
	}
	m.mu.Lock()
	old := m.data
	m.mu.Unlock()
	if len(old.text) > large && time.Since(old.at) < time.Second && m.server.Connected() {
		return
	}
	now := snapshot{at: time.Now(), told: old.told}
	if data := m.socket.Data(); data != nil {
		err := errPanic
		m.h.protect("data", func() { now.text, err = json.Marshal(data) })
		if err != nil && !old.told {
			now.told = true
			m.h.log.Warn("socket data is not JSON: other servers will not see it, and recovery will lose it",
				"namespace", m.nsp.name, "err", err)
		}
	}
	m.mu.Lock()
	m.data = now
	m.mu.Unlock()
}

// Data returns the data of the socket: as JSON, or when its handlers are just running, what that was before, and
// as they are.
func (m *member) Data() (text adapter.Raw, live any) {
	if m.turn.TryLock() {
		m.note()
		m.turn.Unlock()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.data.text, m.socket.Data()
}

package zishang

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/zishang520/socket.io-go-parser/v2/parser"
	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server"
)

// space is a namespace as long as package server has it open. It stands between that and the adapter, which
// learns from it what package server does not know: the data of sockets, and events of other servers that the
// library's namespace listens to.
type space struct {
	adapter.Namespace

	// Set by open, then read only.
	h    *Handler
	name string

	events line // of other servers

	mu      sync.Mutex
	members map[string]*member  // guarded by mu; by socket id, until the disconnect handlers have run
	kept    map[string]keptData // guarded by mu; data of saved sessions, by socket id
	swept   time.Time           // guarded by mu; when kept was last swept
}

// link is the adapter of a space.
type link struct {
	adapter.Adapter
	space *space
}

// open makes the adapter of a namespace. It is package server's Factory.
func (h *Handler) open(n adapter.Namespace) (adapter.Adapter, error) {
	s := &space{Namespace: n, h: h, name: n.Name(), members: make(map[string]*member)}
	a, err := h.cfg.Adapter(s)
	if err != nil || a == nil {
		return nil, err
	}
	h.mu.Lock()
	h.spaces[s.name] = s
	h.mu.Unlock()
	return link{a, s}, nil
}

// Close ends the adapter's work for the namespace, and the library's namespace with it.
func (l link) Close(ctx context.Context) error {
	h := l.space.h
	h.closed(l.space.name)
	h.mu.Lock()
	if h.spaces[l.space.name] == l.space {
		delete(h.spaces, l.space.name)
	}
	h.mu.Unlock()
	return l.Adapter.Close(ctx)
}

// space returns the namespace that is open under the name, or nil.
func (h *Handler) space(name string) *space {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.spaces[name]
}

func (s *space) enter(m *member) {
	s.mu.Lock()
	s.members[m.id] = m
	s.mu.Unlock()
}

func (s *space) leave(m *member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.members[m.id] == m {
		delete(s.members, m.id)
	}
}

// member returns the one with that id, or nil. s may be nil.
func (s *space) member(id string) *member {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.members[id]
}

// Deliver sends an event and has the library's listeners of what is sent hear of it.
func (s *space) Deliver(msg adapter.Message, f adapter.Flags, to []adapter.Member) (after func()) {
	inner := s.Namespace.Deliver(msg, f, to)
	listening := s.listening(to)
	if listening == nil {
		return inner
	}
	return func() {
		if inner != nil {
			inner()
		}
		s.notify(msg, listening)
	}
}

// DeliverWithAck does so too.
func (s *space) DeliverWithAck(msg adapter.Message, f adapter.Flags, to []adapter.Member,
	answer func(adapter.Message),
) (forget func()) {
	listening := s.listening(to)
	forget = s.Namespace.DeliverWithAck(msg, f, to, answer)
	s.notify(msg, listening)
	return forget
}

// listening returns those whose application listens to what is sent.
func (s *space) listening(to []adapter.Member) (list []*member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range to {
		if m := s.members[o.ID()]; m != nil && len(m.socket.ListenersAnyOutgoing()) > 0 {
			list = append(list, m)
		}
	}
	return list
}

func (s *space) notify(msg adapter.Message, list []*member) {
	if len(list) == 0 {
		return
	}
	e, ok := newEvent(msg.Data, msg.Attachments)
	if !ok {
		return
	}
	for _, m := range list {
		p := &parser.Packet{Type: parser.EVENT, Nsp: s.name, Data: e.named()}
		s.h.protect("outgoing", func() { m.socket.NotifyOutgoingListeners()(p) })
	}
}

// ServerEvent has the listeners of an event of another server called, in the order of arrival and off the
// adapter's goroutine.
func (s *space) ServerEvent(msg adapter.Message, reply func(adapter.Message)) {
	e, ok := newEvent(msg.Data, msg.Attachments)
	if !ok || socket.NAMESPACE_RESERVED_EVENTS.Has(e.name) {
		return
	}
	if reply != nil {
		e.ack = once(func(args []any) { reply(s.h.answerOf(e.name, args)) })
	}
	s.events.add(s.h, func() {
		if n := s.h.find(s.name); n != nil && !n.listeners.dispatch(e) && e.ack != nil {
			e.ack(internalError, nil)
		}
	})
}

// Describe describes members in Node's form.
func (s *space) Describe(of []adapter.Member) []adapter.Details {
	out := s.Namespace.Describe(of)
	for i := range out {
		out[i].Data = s.member(out[i].ID).describe()
	}
	return out
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
	if len(old.text) > large && time.Since(old.at) < time.Second {
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

// describe returns the data of the socket: as they are, or when its handlers are just running, as they were
// before. m may be nil.
func (m *member) describe() adapter.Raw {
	if m == nil {
		return nil
	}
	if m.turn.TryLock() {
		m.note()
		m.turn.Unlock()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.data.text
}

// keptData are the data of a saved session as the application has set them. A session that comes back to
// this server gets them so and not as what JSON makes of them, unless another server had it meanwhile.
type keptData struct {
	data any
	text string
	at   time.Time
}

// Save keeps a session for recovery, with the socket's data.
func (l link) Save(ctx context.Context, saved adapter.Session) error {
	s := l.space
	if m := s.member(saved.SID); m != nil {
		saved.Data = m.describe()
		s.keep(saved.SID, m.socket.Data(), string(saved.Data))
	}
	return l.Adapter.Save(ctx, saved)
}

// keep remembers data and forgets what nobody can come back for any more.
func (s *space) keep(id string, data any, text string) {
	limit := adapter.DefaultMaxDisconnection
	if r := recovery(s.h.cfg.Options); r != nil && r.MaxDisconnection > 0 {
		limit = r.MaxDisconnection
	}
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept == nil {
		s.kept = make(map[string]keptData)
	}
	if now.Sub(s.swept) > limit/2 {
		s.swept = now
		for k, d := range s.kept {
			if now.Sub(d.at) > limit {
				delete(s.kept, k)
			}
		}
	}
	if data != nil {
		s.kept[id] = keptData{data, text, now}
	}
}

// dataKey is where package server keeps the data of a session that it restores, which may be no object.
const dataKey = "zishang"

// Restore returns a saved session.
func (l link) Restore(ctx context.Context, pid, offset string) (*adapter.Session, error) {
	saved, err := l.Adapter.Restore(ctx, pid, offset)
	if saved != nil && len(saved.Data) > 0 {
		saved.Data, _ = json.Marshal(map[string]adapter.Raw{dataKey: saved.Data}) // it is JSON, of an adapter
	}
	return saved, err
}

// restored returns the data of a socket that is recovered.
func (s *space) restored(of *server.Socket) any {
	text, _ := server.Value[json.RawMessage](&of.Data, dataKey)
	s.mu.Lock()
	d, ok := s.kept[of.ID()]
	delete(s.kept, of.ID())
	s.mu.Unlock()
	if ok && d.text == string(text) {
		return d.data
	}
	return value(text)
}

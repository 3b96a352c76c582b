package server

import (
	"context"
	"errors"
	"slices"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server/packet"
	"github.com/beanpole/beanpole/transport"
)

// local is what a namespace is to its adapter.
type local struct{ n *Namespace }

var _ adapter.Namespace = local{}

func (l local) Name() string { return l.n.name }

// Deliver encodes m once and sends the same bytes to every member.
func (l local) Deliver(m adapter.Message, f adapter.Flags, to []adapter.Member) (after func()) {
	if len(to) == 0 && l.n.server.debug == nil { // which shows that it reaches nobody
		return nil
	}
	p := &packet.Packet{Type: packet.Event, Namespace: l.n.name, Data: m.Data, Attachments: m.Attachments}
	if m.Offset != "" {
		for _, m2 := range to {
			m2.(*Socket).sent(&m.Offset)
		}
	}
	return l.send(p, f, to)
}

// send returns what tells those who watch what is sent, nil if nobody does.
func (l local) send(p *packet.Packet, f adapter.Flags, to []adapter.Member) (after func()) {
	srv := l.n.server
	prepared := srv.prepare(p)
	if prepared == nil {
		return nil
	}
	opts := transport.SendOptions{
		Volatile: f.Volatile, NoCompress: f.NoCompress,
		Burst: srv.sending.Add(1) > 1 || srv.bursts.Load() > 0,
	}
	defer srv.sending.Add(-1)
	srv.stats.eventsOut.Add(uint64(len(to)))
	if srv.debug != nil {
		srv.debug.out("event delivered", p, "sockets", len(to))
	}
	var watched []*Socket
	everybody := srv.watching.Load()
	// The sessions are looked up some ahead of the sending: between two system calls each look would wait
	// for memory by itself, in a row they wait together.
	var sessions [16]*transport.Session
	for len(to) > 0 {
		n := 0
		ahead := min(len(to), len(sessions))
		for _, m := range to[:ahead] {
			s := m.(*Socket)
			if s.gone() {
				continue
			}
			if s.watching.Load() || everybody && len(s.outgoing()) > 0 {
				watched = append(watched, s)
			}
			if !s.keep(held{opts: opts, p: prepared}) {
				sessions[n] = s.client.session
				n++
			}
		}
		to = to[ahead:]
		for _, session := range sessions[:n] {
			_ = session.SendPrepared(opts, prepared) // a session that closed says so by Closed
		}
	}
	if watched == nil {
		return nil
	}
	return func() { tell(watched, p) }
}

// tell calls the catch-all listeners of those who watch what is sent, and returns when they have returned. They
// run on another goroutine, since the caller's may be the adapter's, which they must not end.
func tell(watched []*Socket, p *packet.Packet) {
	for len(watched) > 0 {
		done := make(chan int, 1)
		go func() {
			n := 0
			defer func() { done <- n }()
			for _, s := range watched {
				n++
				s.notifyOutgoing(p)
			}
		}()
		watched = watched[<-done:]
	}
}

// DeliverWithAck does so and collects the answers. One id serves all members, as in Node.
func (l local) DeliverWithAck(m adapter.Message, f adapter.Flags, to []adapter.Member,
	answer func(m adapter.Message, missing bool),
) (forget func()) {
	id := l.n.ackID.Add(1)
	to = slices.Clone(to) // the adapter takes it back
	answered := func(a Args, err error) {
		if err == nil {
			answer(a.first(), false)
		} else {
			answer(adapter.Message{}, errors.Is(err, ErrQueueFull))
		}
	}
	for _, m := range to {
		m.(*Socket).expectAck(id, answered)
	}
	after := l.send(&packet.Packet{
		Type: packet.Event, Namespace: l.n.name, ID: id, HasID: true, Data: m.Data, Attachments: m.Attachments,
	}, f, to)
	// Who asks may be inside a handler of one of those very sessions.
	for _, m := range to {
		m.(*Socket).client.session.Yield()
	}
	if after != nil {
		after()
	}
	return func() {
		for _, m := range to {
			m.(*Socket).forgetAck(id)
		}
	}
}

func (l local) Describe(of []adapter.Member) []adapter.Details {
	out := make([]adapter.Details, len(of))
	for i, m := range of {
		s := m.(*Socket)
		data, _ := s.data()
		out[i] = adapter.Details{ID: s.id, Handshake: s.Handshake().describe(), Rooms: s.Rooms(), Data: data}
	}
	return out
}

func (l local) Disconnect(members []adapter.Member, closeSession bool) {
	for _, m := range members {
		m.(*Socket).Disconnect(closeSession)
	}
}

// ServerEvent has the handlers of an event of another server run, in the order of arrival and off the adapter's
// goroutine. One that comes while the namespace is being made waits for the handlers that the OnNamespace hooks register.
func (l local) ServerEvent(m adapter.Message, reply func(adapter.Message)) {
	n := l.n
	e, ok := n.server.Event(n.name, m, reply)
	if !ok {
		return
	}
	if n.made() && len(n.serverSide.get([]byte(e.Name))) == 0 {
		n.unheard(e)
		return
	}
	n.inTurn(m.Size(), func() {
		<-n.entry.Made()
		run := func() {
			list := n.serverSide.get([]byte(e.Name))
			if len(list) == 0 {
				n.unheard(e)
			}
			n.runServerSide(e, list)
		}
		if reply == nil {
			run()
		} else {
			n.server.begin(run)
		}
	})
}

// unheard notes an event of another server that has no handler: who asks for an answer gets none from here.
func (n *Namespace) unheard(e *Event) {
	n.server.stats.unhandled.Add(1)
	n.server.advice.unheard(n, e)
	n.server.cfg.Logger.Debug("event of another server without a handler", "namespace", n.name, "event", e.Name)
}

// Event makes an Event of what an adapter carries in a namespace; reply, if it is not nil, gets the answer. ok is
// false when it is no event.
func (s *Server) Event(namespace string, m adapter.Message, reply func(adapter.Message)) (e *Event, ok bool) {
	if e, ok = newEvent(m.Data, m.Attachments); ok && reply != nil {
		e.ack.question = &question{&Namespace{server: s, name: namespace}, reply}
	}
	return e, ok
}

// runServerSide runs handlers for an event of another server.
func (n *Namespace) runServerSide(e *Event, list []*handler) {
	if len(list) == 0 {
		return
	}
	defer n.runServerSide(e, list[1:]) // also if the handler ends the goroutine
	_ = ending(func(err error) {
		if n.server.report(n.server.cfg.Logger.With("namespace", n.name), e.Name, err) == nil {
			return
		}
		n.server.stats.handlerErrors.Add(1)
		n.server.cfg.Logger.Error("server-side handler failed", "namespace", n.name, "event", e.Name, "err", err)
		if e.WantsAck() {
			_ = ending(func(err error) {
				if err != nil { // the methods of its data may end the goroutine
					_ = e.answer([]any{failure(errInternal)}) // answered already
				}
			}, func() error { return e.answer([]any{failure(hidePanic(err))}) })
		}
	}, func() error { return list[0].guardedCall(context.Background(), e) })
}

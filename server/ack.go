package server

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server/packet"
)

// first is the first value as a message of its own, null when there is none.
func (a Args) first() adapter.Message {
	raw := a.Raw(0)
	if raw == nil {
		return adapter.Message{Data: []byte("null")}
	}
	return adapter.Message{Data: slices.Clone(raw), Attachments: a.attachments} // and not what is behind it
}

// expectAck registers who is told the client's answer to the packet with that id, once: its values, or
// ErrDisconnected when none can come any more. answer must not block.
func (s *Socket) expectAck(id uint64, answer func(Args, error)) {
	s.mu.Lock()
	if s.gone() {
		s.mu.Unlock()
		answer(Args{}, ErrDisconnected)
		return
	}
	if s.acks == nil {
		s.acks = make(map[uint64]func(Args, error), 1)
	}
	s.acks[id] = answer
	var old []func(Args, error)
	if c := s.client; int(c.questions.Add(1)) > c.server.cfg.Limits.MaxQuestions {
		old = s.giveUp()
	}
	s.mu.Unlock()
	if len(old) == 0 {
		return
	}
	srv := s.client.server
	if srv.bounds.notice.News("questions", time.Now()) {
		srv.cfg.Logger.Warn("a client leaves more questions unanswered than it may: those asked first are given up", "session", s.client.session.ID(),
			"namespace", s.name, "given up", len(old), "limit", srv.cfg.Limits.MaxQuestions)
	}
	srv.wg.Go(func() {
		for _, answer := range old {
			answer(Args{}, ErrQueueFull)
		}
	})
}

// giveUp forgets the quarter of the questions that was asked first, and returns who is to be told. Called with mu held.
func (s *Socket) giveUp() (told []func(Args, error)) {
	ids := slices.Sorted(maps.Keys(s.acks))
	for _, id := range ids[:(len(ids)+2)/4] { // not the only one
		told = append(told, s.acks[id])
		delete(s.acks, id)
	}
	s.client.questions.Add(-int32(len(told)))
	return told
}

// forgetAck reports whether nobody has been told yet, and nobody will be.
func (s *Socket) forgetAck(id uint64) (waiting bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, waiting = s.acks[id]; waiting {
		delete(s.acks, id)
		s.client.questions.Add(-1)
	}
	return waiting
}

// sendQuestion sends an event that wants the acknowledgement with that id.
func (s *Socket) sendQuestion(u Unicast, id uint64, data []byte, attachments [][]byte) error {
	return s.sendEvent(u, &packet.Packet{
		Type: packet.Event, Namespace: s.name, ID: id, HasID: true, Data: data, Attachments: attachments,
	})
}

// onAck takes the client's answer. It overtakes the events that wait, so a handler may wait for an
// answer of its own client. An answer nobody waits for is ignored, as in Node.
func (s *Socket) onAck(p *packet.Packet) {
	s.mu.Lock()
	answer, ok := s.acks[p.ID]
	delete(s.acks, p.ID)
	s.mu.Unlock()
	if !ok {
		return
	}
	s.client.questions.Add(-1)
	data := append([]byte(nil), p.Data...)
	at, err := packet.Index(nil, data, len(data))
	if err != nil {
		return // the decoder has checked it
	}
	answer(Args{data: data, at: at, attachments: cloneLast(p.Attachments)}, nil)
	s.client.catchUp() // with answers that wait, see Hold
}

// EmitFunc is EmitThen without a turn and without a time: answer is called once, with the client's answer or ErrDisconnected,
// on the goroutine that reads from the client, and so must not block; or, when Limits.MaxQuestions has it given up, with
// ErrQueueFull on another. After an error of EmitFunc, one that EmitWithAck has, it is not called.
func (s *Socket) EmitFunc(answer func(Args, error), event string, args ...any) error {
	data, attachments, err := s.client.server.appendEvent(nil, event, args)
	if err != nil {
		return err
	}
	if err := s.answers(); err != nil {
		return err
	}
	id := s.nsp.ackID.Add(1)
	s.expectAck(id, answer)
	if err := s.sendQuestion(Unicast{socket: s}, id, data, attachments); err != nil && s.forgetAck(id) {
		return err
	}
	return nil
}

// answers returns why the client cannot answer an event now, or nil.
func (s *Socket) answers() error {
	switch s.state.Load() {
	case stateConnecting:
		return ErrNotConnected
	case stateGone:
		return ErrDisconnected
	}
	return nil
}

// wait is ask, observed.
func (s *Socket) wait(ctx context.Context, u Unicast, data []byte, attachments [][]byte) (Args, error) {
	list := s.client.server.cfg.Observers
	if len(list) == 0 {
		return s.ask(ctx, u, data, attachments)
	}
	start := time.Now()
	args, err := s.ask(ctx, u, data, attachments)
	for _, o := range list {
		_ = s.protect("acknowledgement", func() error { o.Acknowledged(s, time.Since(start), err); return nil }) // logged
	}
	return args, err
}

// ask sends an event and returns the client's answer.
func (s *Socket) ask(ctx context.Context, u Unicast, data []byte, attachments [][]byte) (Args, error) {
	type result struct {
		args Args
		err  error
	}
	ctx, cancel := within(ctx, u.timeout)
	defer cancel()
	id := s.nsp.ackID.Add(1)
	done := make(chan result, 1)
	s.expectAck(id, func(a Args, err error) { done <- result{a, err} })
	if err := s.sendQuestion(u, id, data, attachments); err != nil {
		s.forgetAck(id)
		return Args{}, err
	}
	// We may be inside a handler of this very session.
	s.client.session.Yield()
	select {
	case r := <-done:
		return r.args, r.err
	case <-ctx.Done():
		s.forgetAck(id)
		return Args{}, adapter.Ended(ctx)
	}
}

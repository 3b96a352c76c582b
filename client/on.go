package client

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/beanpole/beanpole/internal/shrink"
	"github.com/beanpole/beanpole/server/packet"
)

// handler is a function registered for an event.
type handler struct {
	*signature
	fn   reflect.Value
	once bool
}

// On registers a handler of an event. fn is a function whose parameters are the arguments of the event, decoded into
// their types; before them it may have a context.Context, which ends with Client.Close, and behind them an Ack, by which
// it answers itself; a variadic one takes what is left, and one Args takes all as they are. Its results, but a last one
// of type error, are the acknowledgement; an error is acknowledged as {"error":"text"}. Those are the signatures of
// package server. On panics when fn does not fit; off removes it.
func (s *Socket) On(event string, fn any) (off func()) { return s.on(event, fn, false) }

// Once is On for the next event alone.
func (s *Socket) Once(event string, fn any) (off func()) { return s.on(event, fn, true) }

func (s *Socket) on(event string, fn any, once bool) (off func()) {
	if packet.Reserved(event) {
		panic(fmt.Sprintf("client: %q is no event that is sent; use OnConnect, OnDisconnect or OnConnectError", event))
	}
	sig, err := newSignature(reflect.TypeOf(fn))
	if err != nil {
		panic(fmt.Sprintf("client: handler of %q: %v", event, err))
	}
	h := &handler{signature: sig, fn: reflect.ValueOf(fn), once: once}
	if h.fn.IsNil() {
		panic(fmt.Sprintf("client: handler of %q is nil", event))
	}
	s.mu.Lock()
	s.handlers[event] = append(s.handlers[event], h)
	s.mu.Unlock()
	return func() { s.remove(event, h) }
}

func (s *Socket) remove(event string, h *handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handlers[event] = slices.DeleteFunc(slices.Clone(s.handlers[event]), func(x *handler) bool { return x == h })
}

// Off removes all handlers of an event.
func (s *Socket) Off(event string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.handlers, event)
}

// OnAny has fn called for every event, before its handlers and as they are.
func (s *Socket) OnAny(fn func(event string, args Args)) (off func()) {
	return listed(&s.mu, &s.hooks.any, fn)
}

// OnAnyOutgoing has fn called with every event that is emitted, by whoever emits it.
func (s *Socket) OnAnyOutgoing(fn func(event string, args Args)) (off func()) {
	return listed(&s.mu, &s.hooks.sent, fn)
}

// listed adds fn, a function, to a list that mu guards, and returns what takes it out.
func listed[F any](mu *sync.Mutex, list *[]*F, fn F) (off func()) {
	if reflect.ValueOf(fn).IsNil() {
		panic("client: what is to be called is nil")
	}
	mu.Lock()
	defer mu.Unlock()
	*list = append(*list, &fn)
	return func() {
		mu.Lock()
		defer mu.Unlock()
		*list = slices.DeleteFunc(slices.Clone(*list), func(x *F) bool { return x == &fn }) // others may be going through it
	}
}

// Ack is the type of a handler's last parameter through which it answers by itself, once, at any time. It is never nil.
// It returns ErrNoAck when the server waits for none, ErrAcknowledged the second time, and ErrDisconnected.
type Ack func(values ...any) error

// event queues what an event has the handlers do.
func (s *Socket) event(e *engine, p *packet.Packet) {
	name, err := packet.EventName(p.Data)
	if err != nil {
		return // the decoder has checked it
	}
	event, a := string(name), arguments(p, 1)
	ack, wanted := Ack(func(...any) error { return ErrNoAck }), p.HasID
	if wanted {
		ack = s.acknowledger(e, p.ID)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	take := func() {
		// Source: socket.io-client, lib/socket.ts, emitEvent.
		if n := a.Len(); s.pid != "" && n > 0 && a.list[n-1][0] == '"' {
			_ = a.Decode(n-1, &s.offset) // a string
		}
		s.later(func() { s.handle(event, a, ack, wanted) })
	}
	switch {
	case len(s.queue)+len(s.early) >= s.c.cfg.MaxQueuedEvents:
		s.c.wg.Go(func() { e.end(ReasonQueueFull, nil) })
	case s.engine == e:
		take()
	case s.asking == e: // Node sends what was missed before the answer to CONNECT
		s.early = append(s.early, take)
	}
}

// later has fn run in the socket's turn. Called with mu held.
func (s *Socket) later(fn func()) {
	if s.queue = append(s.queue, fn); !s.working {
		s.working = true
		s.c.wg.Go(s.work)
	}
}

// work runs what is queued until there is nothing.
func (s *Socket) work() {
	for {
		s.mu.Lock()
		if len(s.queue) == 0 {
			s.working, s.queue = false, nil
			s.mu.Unlock()
			return
		}
		fn := shrink.First(&s.queue)
		s.mu.Unlock()
		fn()
	}
}

// handle calls the handlers of an event. The first answer is the acknowledgement.
func (s *Socket) handle(event string, a Args, ack Ack, wanted bool) {
	s.mu.Lock()
	anys, list := s.hooks.any, s.handlers[event]
	if slices.ContainsFunc(list, func(h *handler) bool { return h.once }) {
		s.handlers[event] = slices.DeleteFunc(slices.Clone(list), func(h *handler) bool { return h.once })
	}
	s.mu.Unlock()
	for _, fn := range anys {
		(*fn)(event, a)
	}
	for _, h := range list {
		values, err := h.call(s.c.ctx, h.fn, a, ack)
		switch {
		case err != nil && wanted:
			_ = ack(map[string]string{"error": err.Error()})
			fallthrough
		case err != nil:
			s.c.cfg.Logger.Warn("handler failed", "namespace", s.name, "event", event, "err", err)
		case wanted && !h.acks:
			if err := ack(values...); err != nil && !errors.Is(err, ErrAcknowledged) {
				s.c.cfg.Logger.Warn("answer not sent", "namespace", s.name, "event", event, "err", err)
			}
		}
	}
}

// acknowledger returns what answers an event.
func (s *Socket) acknowledger(e *engine, id uint64) Ack {
	var sent atomic.Bool
	return func(values ...any) error {
		data, attachments, err := packet.AppendArgs(nil, nil, values)
		if err != nil {
			return fmt.Errorf("client: acknowledgement: %w", err)
		}
		if sent.Swap(true) {
			return ErrAcknowledged
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.engine != e {
			return ErrDisconnected
		}
		var list []frame
		for _, m := range s.c.cfg.Parser.Encode(nil, nil, &packet.Packet{Type: packet.Ack, Namespace: s.name, ID: id, HasID: true,
			Data: data, Attachments: attachments}) {
			list = append(list, wire(m))
		}
		return e.send(list...)
	}
}

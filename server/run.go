package server

import (
	"context"
	"log/slog"
	"time"

	"github.com/beanpole/beanpole/server/packet"
)

// begun is an item that the queue is at.
type begun struct {
	item
	size int64 // with the client's load: an event's, or a job
	err  error // why it was broken off

	since time.Duration // when the event before it had been handled, if nothing has come between; see observe
}

// run does what is in the socket's queue until it is empty, unless somebody does already.
func (s *Socket) run() {
	if s.queue.start() {
		s.work(begun{})
	}
}

// work does what is in the queue, which is the caller's, until it is empty; before that, what is left to do for
// an item that was broken off. When something of the application's ends the goroutine, another goes on where
// this one has stopped.
func (s *Socket) work(b begun) {
	finished := false
	defer func() {
		if finished {
			return
		}
		broken := b
		broken.err = exited()
		s.client.server.wg.Go(func() {
			s.work(broken)
			s.client.Work() // what the lost goroutine would have come to
		})
	}()
	for more := b.err != nil; ; {
		if more {
			if b.err == nil {
				b.err = s.do(&b)
			}
			if b.err != nil {
				s.broken(b.item, b.err)
			}
			events := 0
			if b.event != nil || b.packed != nil {
				events = 1
			}
			if b.kind != itemCall {
				s.client.lighten(events, b.size)
			}
		}
		b = begun{since: b.since}
		if b.item, more = s.queue.next(&s.client.server.bursts); !more {
			finished = true
			return
		}
		if b.size = job; b.kind != itemEvent {
			continue
		}
		b.size = int64(b.item.size())
		if s.client.server.hurries() {
			s.client.server.stats.eventsDropped.Add(1)
			b.kind = 0
		}
	}
}

// do does one thing. An error says that it was broken off by a panic.
func (s *Socket) do(it *begun) (err error) {
	defer recovered(&err)
	if it.kind != itemEvent {
		it.since = 0
	}
	switch it.kind {
	case itemConnect:
		it.kind = s.connect()
		s.client.decided(s)
		return s.do(it)
	case itemConnected:
		defer s.queue.calling(0)
		return s.observed("connection", s.connected)
	case itemEvent:
		if it.owed && !s.counted() {
			return nil
		}
		if it.event == nil {
			it.event = s.unpack(it.packed)
		}
		s.event(it.event, &it.since)
	case itemDisconnect:
		s.client.server.stats.disconnected.Add(1)
		s.leaveAll()
		s.disconnect()
	case itemGone:
		s.disconnect()
	case itemCall:
		s.nextCall()()
	}
	return nil
}

// broken does what is left to do for an item that was broken off.
func (s *Socket) broken(it item, err error) {
	switch it.kind {
	case itemConnect:
		_ = s.report("connect", err)
		if s.nsp != nil {
			s.nsp.adapter.Remove(s)
			s.nsp.release()
		}
		s.refuse(err)
		s.client.decided(s)
	case itemConnected:
		// A client with half of its handlers would wait for answers that never come.
		_ = s.report("connection", err)
		s.client.server.stats.handlerErrors.Add(1)
		s.client.log().Warn("socket disconnected: its connection handler failed", "namespace", s.name, "err", err)
		s.Disconnect(false)
	case itemEvent:
		s.answerFailure(it.event, s.report(it.event.Name, err))
	case itemCall:
		_ = s.report("acknowledgement", err)
	case itemDisconnect, itemGone:
		_ = s.report("disconnect", err)
		it.kind = itemGone
		_ = s.do(&begun{item: it}) // the handlers that have not been called
	}
}

// event runs the handlers of one event.
func (s *Socket) event(e *Event, since *time.Duration) {
	if s.nsp == nil || s.state.Load() == stateConnecting {
		return // sent behind a CONNECT that was refused
	}
	name, err := packet.EventName(e.data)
	if err != nil {
		return
	}
	if d := s.client.server.debug; d != nil {
		d.in(s, name, e)
	}
	if a := s.client.server.advice; !a.over() {
		defer a.watch(s, string(name[:min(len(name), maxLoggedName)]))()
	}
	hooks := s.incoming()
	watched := len(hooks.any)+len(hooks.middlewares) > 0
	if watched {
		*since = 0
		e.Name = string(name)
		done := s.open(e, all, anything)
		if done == nil {
			return
		}
		defer done()
	}
	for _, fn := range hooks.any {
		_ = s.protect(e.Name, func() error { (*fn)(e); return nil }) // logged
	}
	if err := s.pass(e, hooks.middlewares); err != nil {
		s.answerFailure(e, err)
		return
	}
	lists := [3][]*handler{s.handlers.get(name), s.nsp.handlers.get(name)}
	if s.nsp.parent != nil {
		lists[2] = s.nsp.parent.handlers.get(name)
	}
	known, held := false, false // by a handler
	wanted, weight := 0, packet.Weight{}
	for _, list := range lists {
		for _, h := range list {
			known = true
			held = held || h.kept
			wanted, weight = max(wanted, h.wanted), weight.Max(h.weight)
			if !watched { // which has it, and may have handed e to others
				e.Name = h.event
			}
		}
	}
	if !known {
		if e.Name == "" {
			e.Name = string(name)
		}
		if hooks.face == nil { // what shows the socket in another form has handlers of its own
			s.unhandled(e, len(hooks.any) > 0)
		}
	}
	if !watched {
		done := s.open(e, wanted, weight)
		if done == nil {
			return
		}
		defer done()
	}
	kept := held || watched // somebody else may know e
	// Each error has been answered.
	_ = s.observe(s.handling(), e.Name, known, since, func(ctx context.Context) error { return s.handle(ctx, e, &lists) })
	if known && e.WantsAck() {
		s.unanswered(e, held, watched)
	}
	if !kept {
		e.release()
	}
}

// maxLoggedName is how much of an event's name, which is the client's choice, stands in the log.
const maxLoggedName = 64

// unhandled leaves a trace of an event that has no handler: its name may be misspelt, here or there.
func (s *Socket) unhandled(e *Event, watched bool) {
	srv := s.client.server
	srv.stats.unhandled.Add(1)
	srv.advice.unhandled(s, e, watched)
	if name := e.Name; srv.cfg.Logger.Enabled(context.Background(), slog.LevelDebug) {
		s.client.log().Debug("event has no handler", "namespace", s.name, "event", name[:min(len(name), maxLoggedName)])
	}
}

// lateTimeout is how long what had been received before a socket left is worked off: then the events that no handler
// has begun are dropped, and the context of one that runs ends, or one that waits for its end would keep the socket for
// ever.
const lateTimeout = 10 * time.Second

// tooLate ends what lasts for lateTimeout, of a socket whose handlers are not done.
func (s *Socket) tooLate() {
	s.dropEvents() // before a handler that waits for the context makes room for the next
	s.dropIdentity()
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.border; b != nil {
		if b.over = true; b.late != nil {
			b.late.cancel()
		}
	}
}

// dropEvents discards the events that wait for the handlers of the socket, and all that come.
func (s *Socket) dropEvents() {
	if n, bytes := s.queue.dropEvents(); n > 0 {
		s.client.server.stats.eventsDropped.Add(uint64(n))
		s.client.lighten(n, int64(bytes))
	}
}

// handling returns the context for a handler: that of the socket, or for one that runs when the socket has
// left, to work off what had been received before, one that ends when that is done, or after a while, or when the server hurries.
func (s *Socket) handling() context.Context {
	if !s.gone() {
		return s.Context()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.atBorder()
	if b.late == nil {
		ctx, cancel := context.WithCancel(s.client.server.hurry.ctx)
		b.late = &life{ctx, cancel}
		switch {
		case b.over:
			cancel()
		case b.timer == nil:
			b.timer = time.AfterFunc(lateTimeout, s.tooLate)
		}
	}
	return b.late.ctx
}

// pass runs the middlewares for e.
func (s *Socket) pass(e *Event, list []*Middleware) error {
	for _, m := range list {
		if err := s.protect(e.Name, func() error { return (*m)(s.handling(), e) }); err != nil {
			return err
		}
	}
	return nil
}

// handle runs handlers for e and returns the first error, each of which has been answered.
func (s *Socket) handle(ctx context.Context, e *Event, lists *[3][]*handler) (first error) {
	for _, list := range lists {
		for _, h := range list {
			if err := s.protectHandler(ctx, h, e); err != nil {
				s.answerFailure(e, err)
				if first == nil {
					first = err
				}
			}
		}
	}
	return first
}

// answerFailure tells a client that waits for an acknowledgement that its event failed.
func (s *Socket) answerFailure(e *Event, err error) {
	s.client.server.stats.handlerErrors.Add(1)
	s.client.log().Debug("handler failed", "namespace", s.name, "event", e.Name, "err", err)
	seen, told := failure(s.seen(s.handling(), e.Name, err)), ErrNoAck
	if e.WantsAck() {
		told = e.answer([]any{seen})
	}
	if a := s.client.server.advice; a != nil {
		a.failed(s, e, err, seen, told)
	}
}

// disconnect runs the disconnect handlers: the last thing a socket does.
func (s *Socket) disconnect() {
	s.dropIdentity() // before the state is there for another
	s.save()
	why := s.left()
	if h := s.hooked(); h.leaving() {
		// Logged. Observers are told of a failure by its error.
		_ = s.observed("disconnect", func() (failed error) {
			for fn := s.nextLeaving(); fn != nil; fn = s.nextLeaving() {
				if err := s.protect("disconnect", func() error { (*fn)(why); return nil }); err != nil {
					failed = err
				}
			}
			return failed
		})
	}
	s.nsp.release()
	s.mu.Lock()
	if b := s.border; b != nil {
		if b.late != nil {
			b.late.cancel()
		}
		if b.timer != nil {
			b.timer.Stop()
		}
	}
	s.border = nil
	s.mu.Unlock()
	s.client.bury(s)
}

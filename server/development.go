package server

import (
	"errors"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/beanpole/beanpole/internal/near"
	"github.com/beanpole/beanpole/server/packet"
)

// advice says, with Config.Development, what works and is probably meant otherwise: each cause once, with what to do. A
// nil one says nothing and looks at nothing. What is a mistake wherever it is found is said without it too.
type advice struct {
	log    *slog.Logger // apart: some is said under locks
	asking atomic.Int32 // events whose answers are waited for; see late
	module string       // the application's
	sent   sync.Map     // types of values that clients are sent; see sends

	spent atomic.Bool // maxAdvice causes have been named

	mu   sync.Mutex
	said map[string]struct{} // guarded by mu; by cause
}

// maxAdvice is how many causes are told apart: names of events are the clients'.
const maxAdvice = 1000

// maxLook is how much one look at what a client sends takes in, in parts of it; each 64 KiB of one are a part more.
const maxLook = 100

// over reports that nothing is looked at: the mode is off, or nothing that is found would be said any more.
func (a *advice) over() bool { return a == nil || a.spent.Load() }

// newAdvice returns nil unless the mode is on.
func newAdvice(cfg *Config, log *slog.Logger) *advice {
	if !cfg.Development {
		return nil
	}
	a := &advice{log: log, said: make(map[string]struct{})}
	if info, ok := debug.ReadBuildInfo(); ok {
		a.module = info.Main.Path
	}
	return a
}

// say warns, once for each cause.
func (a *advice) say(cause, text string, args ...any) {
	if a.over() {
		return
	}
	a.mu.Lock()
	_, known := a.said[cause]
	n := len(a.said)
	a.said[cause] = struct{}{}
	last := !known && n >= maxAdvice && !a.spent.Swap(true)
	a.mu.Unlock()
	switch {
	case known:
	case n < maxAdvice:
		a.log.Warn(text, args...)
	case last:
		a.log.Warn("development mode has named as many mistakes as it does, and names no others until the server starts anew", "mistakes", n)
	}
}

// unhandled says that nobody handles an event, and which handler was probably meant: nothing, where there is none, of one that
// catch-all listeners have seen, which may do all there is to do.
func (a *advice) unhandled(s *Socket, e *Event, watched bool) {
	if a.over() {
		return
	}
	name := e.Name[:min(len(e.Name), maxLoggedName)]
	known := append(s.handlers.events(), s.nsp.handlers.events()...)
	if s.nsp.parent != nil {
		known = append(known, s.nsp.parent.handlers.events()...)
	}
	args := []any{"namespace", s.name, "event", name, "waits_for_an_answer", e.WantsAck()}
	if meant := nearest(name, known); meant != "" {
		args = append(args, "perhaps_meant", meant)
	} else if elsewhere := s.client.server.handledIn(name); elsewhere != "" {
		args = append(args, "handled_in_namespace", elsewhere)
	} else if watched {
		return
	}
	a.say("unhandled "+s.name+" "+name, "an event has no handler, and its client is not told: register one by On, under the very name that "+
		"the client emits, in the namespace that it is connected to", args...)
}

// unheard says that nobody handles an event of another server, and which handler was probably meant.
func (a *advice) unheard(n *Namespace, e *Event) {
	if a.over() {
		return
	}
	args := []any{"namespace", n.name, "event", e.Name, "waits_for_an_answer", e.WantsAck()}
	if meant := nearest(e.Name, n.serverSide.events()); meant != "" {
		args = append(args, "perhaps_meant", meant)
	}
	a.say("unheard "+n.name+" "+e.Name, "an event of another server has no handler here, and who waits for an answer waits in vain: register one by "+
		"OnServerSide, under the very name that ServerSideEmit has, in the same namespace", args...)
}

// nearest returns which of the known names was probably meant, or "".
func nearest(name string, known []string) string {
	for _, k := range known {
		if strings.EqualFold(k, name) {
			return k
		}
	}
	return near.Name(name, known, min(4, utf8.RuneCountInString(name)/2+1))
}

// handledIn returns a namespace where the event has a handler, or "".
func (s *Server) handledIn(event string) string {
	for _, n := range s.Namespaces() {
		if slices.Contains(n.handlers.events(), event) {
			return n.name
		}
	}
	return ""
}

// events returns the names of the events that have handlers.
func (r *handlers) events() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]string, len(r.list))
	for i, h := range r.list {
		out[i] = h.event
	}
	return out
}

// failed says what has become of the error of a handler, or of a middleware of events: the client may see that much of
// it, and ended is how the answer has.
func (a *advice) failed(s *Socket, e *Event, err error, seen failed, ended error) {
	if a.over() {
		return
	}
	if errors.Is(err, ErrPanic) {
		return // has been said
	}
	text, told := err.Error(), "it has nobody to be told"
	switch {
	case errors.Is(ended, ErrNoAck):
	case errors.Is(ended, ErrAcknowledged):
		told = "the client has had an acknowledgement before"
	case errors.Is(ended, ErrDisconnected):
		told = "the client that waits for an acknowledgement has left"
	case ended != nil:
		told = "it cannot be sent, and the client's acknowledgement is internal error"
	case seen.Error != text:
		told = "the client's acknowledgement is what Config.MapError lets it see"
	default:
		told = "it is the client's acknowledgement"
	}
	what := "a handler has returned an error: " + told
	if errors.Is(err, packet.ErrTarget) {
		what = "a handler was not called, as the client sends something else than it takes: " + told
	}
	a.say("failed "+s.name+" "+e.Name+" "+text[:min(len(text), maxLoggedName)], what, "namespace", s.name, "event", e.Name, "err", err)
}

// refused says that a middleware has refused a client.
func (a *advice) refused(s *Socket, fn any, err error) {
	if a.over() {
		return
	}
	if errors.Is(err, ErrPanic) || s.gone() {
		return // has been said, or was the middleware's own doing by Disconnect
	}
	text := err.Error()
	a.say("refused "+s.name+" "+text[:min(len(text), maxLoggedName)], "a middleware has refused a client, whose connect_error has the text of this error, or what "+
		"Config.MapError lets it see: a client that is not to be refused needs nil", "namespace", s.name, "middleware", funcName(fn), "err", err)
}

// nowhere says that a client has asked for a namespace that there is not for it, and which was probably meant.
func (a *advice) nowhere(s *Server, name string) {
	if a.over() {
		return
	}
	name = name[:min(len(name), maxLoggedName)]
	s.mu.Lock()
	known := slices.AppendSeq([]string{"/"}, maps.Keys(s.own))
	s.mu.Unlock()
	args := []any{"namespace", name}
	if meant := nearest(name, known); meant != "" {
		args = append(args, "perhaps_meant", meant)
	}
	a.say("nowhere "+name, "a client asks for a namespace that is not there, or that no pattern or function allows it, and gets a connect_error: register a handler "+
		"or a middleware by Of, under the very name that the client gives behind the address, before it comes", args...)
}

// unsent says that an event could not be emitted, and returns err, as a nil advice does too.
func (a *advice) unsent(event string, err error) error {
	if a.over() {
		return err
	}
	text := err.Error()
	a.say("unsent "+event+" "+text[:min(len(text), 4*maxLoggedName)], "an event was not sent, and only the error that Emit has returned tells why: log what Emit returns, or handle it",
		"event", event[:min(len(event), maxLoggedName)], "err", err)
	return err
}

// nameless says that a room has no name.
func (a *advice) nameless(s *Socket) {
	if a.over() {
		return
	}
	a.say("nameless "+s.name, "a socket joins a room whose name is empty, as that of a field is which the client has not sent, or has sent under another "+
		"name: all that happens so are in one room", "namespace", s.name)
}

// unanswered sees to an event whose client waits for an acknowledgement and has none when its handlers have returned.
// kept says that one of them may still give it, and watched that a catch-all listener or a middleware may.
func (s *Socket) unanswered(e *Event, kept, watched bool) {
	srv := s.client.server
	switch {
	case e.ack.sent.Load() || !s.Connected():
	case !kept && !watched:
		// A mistake wherever it is found. What has handlers has one of the application's few names.
		if srv.bounds.notice.News("no answer "+e.Name, time.Now()) {
			srv.cfg.Logger.Warn(noAnswer, "namespace", s.name, "event", e.Name)
		}
	case srv.advice != nil:
		srv.advice.late(s, e, kept)
	}
}

const noAnswer = "a client waits for an acknowledgement that no handler gives: let one return a value, or an error, or take " +
	"a server.Ack; a client that needs none emits without a function"

// clientAttachments is how many attachments of a packet a client takes by default. Source: socket.io-parser 4.2.6, Decoder.
const clientAttachments = 10

// attached says that an event, or its answer, has more attachments than clients take, which is a mistake wherever it is found:
// each that is sent it loses its connection, and with recovery comes back for it. Where clients may send as many, theirs is
// taken to be raised too.
func (s *Server) attached(event string, attachments int) {
	if attachments <= max(clientAttachments, s.cfg.Limits.MaxAttachments) || s.cfg.Parser != packet.Text() {
		return
	}
	if s.bounds.notice.News("attachments", time.Now()) {
		s.cfg.Logger.Warn("a packet has more binaries than clients take, and those of socket.io-parser 4.2.6 and later close their connection "+
			"for it: send fewer in one, or raise maxAttachments of the clients' parser, and Limits.MaxAttachments here",
			"event", event, "binaries", attachments, "clients_take", clientAttachments)
	}
}

// late is how long the client of an event may wait for an answer of a handler that has returned, or a handler may take
// while other events wait, until that is said; and
// maxAsking how many are looked at for it at a time.
const (
	late      = 10 * time.Second
	maxAsking = 64
)

// late looks at e again when its handlers, or if they keep nothing whoever else has seen it, may have answered.
func (a *advice) late(s *Socket, e *Event, kept bool) {
	if a.over() {
		return
	}
	if a.asking.Add(1) > maxAsking {
		a.asking.Add(-1)
		return
	}
	time.AfterFunc(late, func() {
		defer a.asking.Add(-1)
		switch {
		case e.ack.sent.Load() || !s.Connected():
		case !kept:
			a.say("late "+s.name+" "+e.Name, noAnswer, "namespace", s.name, "event", e.Name)
		default:
			a.say("late "+s.name+" "+e.Name, "a client still waits for an acknowledgement: a handler that takes a server.Ack or a *server.Event "+
				"has returned and not answered; it has to, on every way out", "namespace", s.name, "event", e.Name, "waiting", late)
		}
	})
}

// watch looks whether events of the client wait for a handler, or middleware, of events that takes long, until done.
func (a *advice) watch(s *Socket, event string) (done func()) {
	var over atomic.Bool
	var look func()
	look = func() {
		switch {
		case over.Load() || s.gone():
		case s.queue.waits():
			a.say("slow "+s.name+" "+event, "events wait for a handler that does not return: those of one client are handled one at a time; do on a "+
				"goroutine what takes long, and what waits for another event of the client", "namespace", s.name, "event", event, "waiting", late)
		default:
			time.AfterFunc(late, look)
		}
	}
	first := time.AfterFunc(late, look)
	return func() {
		over.Store(true)
		first.Stop()
	}
}

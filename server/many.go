package server

import (
	"container/list"
	"context"
	"errors"
	"math/bits"
	"sync"
	"time"

	"github.com/beanpole/beanpole/adapter"
)

// answers collects acknowledgements from any goroutine.
type answers struct {
	of  *client // in whose load they count, until release; or nil
	srv *Server // among whose they count, if that is nil; or nil, too

	own     sync.Mutex // guards what follows, unless guard says another
	list    []Args
	large   map[int]*list.Element // which of list may be dropped for others: its place in kept, or nil when it was
	done    bool
	events  int // that count
	bytes   int
	refused int  // answers that were not kept
	given   bool // up, for questions asked later

	giveUp context.CancelFunc // ends the wait; set before it can be given up
}

// guard is the mutex of the answers.
func (a *answers) guard() *sync.Mutex {
	if a.of == nil && a.srv != nil {
		return &a.srv.bounds.kept.mu
	}
	return &a.own
}

func (a *answers) add(m adapter.Message) {
	mu := a.guard()
	mu.Lock()
	defer mu.Unlock()
	switch {
	case a.done:
	case !a.room(m):
		a.refused++
	case string(m.Data) == "null": // what servers, Node's too, say of an answer without a value
		a.list = append(a.list, Args{})
	default:
		a.list = append(a.list, Args{data: m.Data, at: []uint32{0}, attachments: m.Attachments})
	}
}

// take returns what has come; later answers are dropped.
func (a *answers) take() []Args {
	mu := a.guard()
	mu.Lock()
	defer mu.Unlock()
	a.done = true
	if a.large == nil {
		return a.list
	}
	var out []Args
	for i, args := range a.list {
		e, large := a.large[i]
		if e != nil {
			a.srv.bounds.kept.forget(e)
		}
		if !large || e != nil {
			out = append(out, args)
		}
	}
	return out
}

// questionCost is about what a question to many takes until it is answered, in bytes. Measured with one
// client that is silent: 1.6 kB, no goroutine, and over Redis 4 kB for the two servers together.
const questionCost = 2 << 10

// ask has the question itself count as an event, if there is room.
func (a *answers) ask() bool { return a.counts(questionCost) }

// room has an answer count as an event, if there is room. Others give it, who are not to have the session closed, or read more
// slowly. Called with mu held.
func (a *answers) room(m adapter.Message) bool {
	size := m.Size() + eventCost
	switch {
	case a.of != nil:
		return a.counts(size)
	case a.srv == nil:
		return true
	}
	return a.srv.bounds.kept.enter(a, size, manyAnswers*a.srv.cfg.Limits.MaxQueuedBytes)
}

// manyAnswers is how many times MaxQueuedBytes answers to questions to many may have together that no socket asks by EmitThen.
const manyAnswers = 4

// kept are those answers. Of questions that stay open one client alone could fill the account, and one of another server has no
// name here. So when it is full the largest are dropped for smaller ones, whoever gave them: who says little is always heard.
type kept struct {
	mu    sync.Mutex // guards the answers of those questions as well
	bytes int
	large [bits.UintSize]list.List // of largeAnswer: those of 1 KiB and more, the oldest first, by the number of bits of their KiB
}

// largeAnswer is one that may be dropped: of.list[i].
type largeAnswer struct {
	of      *answers
	i, size int
}

// enter makes room for the next answer of a, and counts it, or reports false. One is kept, be it larger than all may be. Called
// with mu held.
func (k *kept) enter(a *answers, size, most int) bool {
	class := bits.Len(uint(size) >> 10)
	if k.bytes > 0 && k.bytes+size > most && !k.drop(class) {
		return false
	}
	k.bytes, a.bytes = k.bytes+size, a.bytes+size
	if class > 0 {
		if a.large == nil {
			a.large = make(map[int]*list.Element)
		}
		a.large[len(a.list)] = k.large[class].PushBack(largeAnswer{a, len(a.list), size})
	}
	return true
}

// drop drops one of the largest, if it is larger than those of a class are, and reports whether it did. Called with mu held.
func (k *kept) drop(class int) bool {
	for c := len(k.large) - 1; c > class; c-- {
		if e := k.large[c].Front(); e != nil {
			x := k.forget(e)
			k.bytes -= x.size
			x.of.bytes -= x.size
			x.of.refused++
			x.of.list[x.i], x.of.large[x.i] = Args{}, nil
			return true
		}
	}
	return false
}

// forget has an answer dropped no more. Called with mu held.
func (k *kept) forget(e *list.Element) largeAnswer {
	return k.large[bits.Len(uint(e.Value.(largeAnswer).size)>>10)].Remove(e).(largeAnswer)
}

// release has answers that have been taken count no more.
func (k *kept) release(a *answers) {
	k.mu.Lock()
	k.bytes -= a.bytes
	k.mu.Unlock()
}

// counts is ask and room for so many bytes. What ends with a session that has ended counts nowhere.
func (a *answers) counts(size int) bool {
	l := &a.of.load
	if l.exceeds(&a.of.server.cfg.Limits, 4) {
		return false
	}
	if l.put(size) {
		a.events, a.bytes = a.events+1, a.bytes+size
	}
	return true
}

// short returns err, or what it is if answers were not kept, or not waited for any longer.
func (a *answers) short(err error) error {
	given := a.given && err != nil
	if a.refused == 0 && !given {
		return err
	}
	e := &adapter.PartialError{Err: ErrQueueFull}
	if part := (*adapter.PartialError)(nil); errors.As(err, &part) {
		*e = *part
		if e.Err = ErrQueueFull; !given { // or it has ended by that
			e.Err = errors.Join(part.Err, ErrQueueFull)
		}
	}
	e.Clients += a.refused
	return e
}

// release has them count no more.
func (a *answers) release() {
	if a.of != nil {
		a.of.lighten(a.events, int64(a.bytes))
	} else {
		a.srv.bounds.kept.release(a)
	}
}

// manyOpen is how many times MaxQuestions questions may be open together that EmitThen asks of many for no socket.
const manyOpen = 4

// asked are those questions, the oldest first. Who comes when there are too many is not refused: answered are most within a
// moment, and what stays is whose clients are silent. So the oldest is given up.
type asked struct {
	mu   sync.Mutex
	list list.List // of *answers; guarded by mu
}

// enter adds a question, and returns the one that is given up for it, or nil.
func (q *asked) enter(a *answers, max int) (place *list.Element, old *answers) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.list.Len() >= max {
		old = q.list.Remove(q.list.Front()).(*answers)
		old.given = true
	}
	return q.list.PushBack(a), old
}

// leave takes a question out, if it is in.
func (q *asked) leave(place *list.Element) {
	q.mu.Lock()
	q.list.Remove(place)
	q.mu.Unlock()
}

// EmitWithAck sends an event and returns the acknowledgements of all clients selected, each with at
// most one value, in the order they came. Between servers an answer without a value is null: one of null has none, whoever
// gave it. When the time given by Timeout (5 s when neither that nor ctx says one) or
// ctx ends first, or servers do not answer, it returns those that have come together with an
// *adapter.PartialError, whose cause is ErrTimeout, the error of ctx, adapter.ErrDegraded, or ErrServerClosed when Shutdown ends it. A client that leaves
// Limits.MaxQuestions unanswered is not waited for any longer: then the cause is ErrQueueFull.
func (b Broadcast) EmitWithAck(ctx context.Context, event string, args ...any) ([]Args, error) {
	m, err := b.nsp.server.newMessage(event, args)
	if err != nil {
		return nil, err
	}
	ctx, cancel := b.nsp.server.within(ctx, b.timeout)
	defer cancel()
	if b.from != nil {
		b.from.client.session.Yield() // we may be inside a handler of its
	}
	into := answers{srv: b.nsp.server}
	defer into.release()
	done := make(chan error, 1)
	if err := b.ask(ctx, m, &into, func(err error) { done <- err }); err != nil {
		return nil, err
	}
	err = <-done
	return into.take(), into.short(err)
}

// EmitThen is EmitWithAck for those who do not wait: it returns when the sockets of this server have been sent the event,
// and then is called once, with what EmitWithAck returns. Of a socket's broadcast that is in the socket's turn, see
// Socket.EmitThen, and else on a goroutine of its own. While it is open a question costs no goroutine, and some kilobytes. Answers
// to a socket's broadcast are not kept while a quarter of what may wait for the socket's handlers does: then the error is an
// *adapter.PartialError of ErrQueueFull. Of those that no socket asks, four times Limits.MaxQuestions may be open: beyond it the
// oldest is given up, and ends with what has come and such an error. After an error of EmitThen, which is that of an event that
// cannot be encoded, of a namespace that there is not, or ErrQueueFull where so much waits for the socket, it is not called.
func (b Broadcast) EmitThen(then func([]Args, error), event string, args ...any) error {
	need("EmitThen", "a function", then != nil)
	srv := b.nsp.server
	m, err := srv.newMessage(event, args)
	if err != nil {
		return err
	}
	ctx, cancel := within(srv.hurry.ctx, b.timeout)
	into := &answers{srv: srv, giveUp: cancel}
	var place *list.Element
	leave := func() {
		cancel()
		if place != nil {
			srv.bounds.asked.leave(place)
		}
	}
	if b.from != nil {
		if into.of = b.from.client; !into.ask() {
			cancel()
			return ErrQueueFull
		}
	} else {
		place = srv.enlist(into, b.nsp.name)
	}
	srv.wg.Add()
	err = b.ask(ctx, m, into, func(err error) {
		defer srv.wg.Done()
		leave()
		list := into.take()
		told := func() {
			defer into.release()
			then(list, into.short(err))
		}
		if b.from != nil {
			b.from.later(told)
			return
		}
		_ = srv.protect(event, func() error { told(); return nil }) // logged
	})
	if err != nil {
		leave()
		into.release()
		srv.wg.Done()
	}
	return err
}

// enlist has a question to many, which no socket asks, count among those of the server.
func (s *Server) enlist(a *answers, namespace string) *list.Element {
	most := max(1, manyOpen*s.cfg.Limits.MaxQuestions)
	place, old := s.bounds.asked.enter(a, most)
	if old == nil {
		return place
	}
	old.giveUp()
	if s.bounds.notice.News("questions to many", time.Now()) {
		s.cfg.Logger.Warn("so many questions to many are not answered that those asked first are given up: ask by the socket for whom it is "+
			"(s.To), whose own they are then, and bound what a client may send (EventsPerSecond)", "namespace", namespace, "open", most)
	}
	return place
}

// ask sends an event that is encoded to those selected, and calls done when answers have come or ctx has ended; after an
// error it does not.
func (b Broadcast) ask(ctx context.Context, m adapter.Message, into *answers, done func(error)) error {
	b.show(m)
	n, err := b.nsp.hold()
	if err != nil {
		return err
	}
	if b.target.Nobody() {
		n.release()
		go done(nil) // as of those who answer
		return nil
	}
	n.adapter.BroadcastWithAck(ctx, m, b.target.Target, into.add, func(err error) {
		n.release()
		done(err)
	})
	return nil
}

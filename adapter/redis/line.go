package redis

import (
	"slices"
	"sync"
	"time"

	"github.com/beanpole/beanpole/adapter"
)

// forgetAfter is how long an event is remembered that did not come back from the stream.
const forgetAfter = 2 * time.Minute

// line brings the events of a namespace with recovery to the sockets of this node in the order of the
// stream, those of this node too, so that an offset says that a client has everything before it.
type line struct {
	n *namespace
	r *reader

	// order delivers events, one after the other.
	order adapter.Sequence

	// Guarded by mu.
	mu    sync.Mutex
	own   []*ownEvent // in the stream's order, those on their way
	timer *time.Timer // runs while own is not empty
	over  bool

	// Owned by the functions of order.
	tails map[*tail]struct{}
	early uint64 // number of the last event delivered early
}

// ownEvent is an event of this node on its way through the stream.
type ownEvent struct {
	m         adapter.Message
	t         adapter.Target
	seq       uint64
	at        time.Time
	delivered bool // early, before the stream brought it, because it took too long
}

// tail takes down what is delivered while a session is being resumed.
type tail struct{ events []tailEvent }

// tailEvent is an event and where it comes from. seq is 0 for events of others than Beanpole.
type tailEvent struct {
	m   adapter.Message
	t   adapter.Target
	uid string
	seq uint64
}

func newLine(n *namespace, r *reader) *line {
	return &line{n: n, r: r, tails: map[*tail]struct{}{}}
}

// broadcast sends an event of this node through the stream.
func (l *line) broadcast(m adapter.Message, t adapter.Target) error {
	q := &message{kind: kindBroadcast, target: t, event: m, uid: l.n.c.uid, nsp: l.n.name}
	c, err := l.n.c.wire.encode(q, "")
	t.Rooms, t.Except = slices.Clone(t.Rooms), slices.Clone(t.Except)
	if err == nil {
		o := &ownEvent{m: m, t: t, at: time.Now()}
		c.done = func(_ string, err error) {
			if err != nil {
				l.flush(o)
				l.remove(o)
			}
		}
		l.mu.Lock()
		// Under mu, so that the entry cannot come back before it is known here.
		if err = l.n.c.put(c); err == nil {
			o.seq = c.xadd.seq
			l.own = append(l.own, o)
			if l.timer == nil && !l.over {
				l.timer = time.AfterFunc(l.n.c.cfg.OffsetWait, l.late)
			}
		}
		l.mu.Unlock()
	}
	if err != nil {
		l.flush(nil)
		l.order.Put(func() { l.n.Local.Broadcast(m, t) })
		l.order.Run()
		return err
	}
	if up, _, _ := l.n.c.state.get(); !up {
		l.flush(nil)
	}
	return nil
}

// late delivers what has taken too long.
func (l *line) late() {
	now := time.Now()
	l.mu.Lock()
	l.own = slices.DeleteFunc(l.own, func(o *ownEvent) bool { return o.delivered && now.Sub(o.at) > forgetAfter })
	var last *ownEvent
	for _, o := range l.own {
		if !o.delivered && now.Sub(o.at) >= l.n.c.cfg.OffsetWait {
			last = o
		}
	}
	if len(l.own) > 0 && !l.over {
		l.timer = time.AfterFunc(l.n.c.cfg.OffsetWait/4, l.late)
	} else {
		l.timer = nil
	}
	l.mu.Unlock()
	if last != nil {
		l.flush(last)
	}
}

// flush delivers the events of this node that wait, up to last, or all.
func (l *line) flush(last *ownEvent) {
	l.order.Put(func() { l.deliverOwn(last) })
	l.order.Run()
}

func (l *line) deliverOwn(last *ownEvent) {
	l.mu.Lock()
	var list []*ownEvent
	for _, o := range l.own {
		if !o.delivered {
			o.delivered = true
			list = append(list, o)
		}
		if o == last {
			break
		}
	}
	l.mu.Unlock()
	for _, o := range list {
		l.early = o.seq
		l.n.Local.Broadcast(l.withEarly(o), o.t)
	}
}

// withEarly returns the event of o with the offset of an event that is delivered early.
func (l *line) withEarly(o *ownEvent) adapter.Message {
	pos, _ := l.r.at()
	if o.t.Volatile || pos == (streamID{}) { // Redis knows no such id, a client could not recover from it
		return o.m
	}
	return adapter.WithOffset(o.m, offset{pos, o.seq, l.n.c.uid}.String())
}

// offset returns the offset of the entry id, which has just come.
func (l *line) offset(id streamID) string {
	l.mu.Lock()
	wait := len(l.own) > 0 && l.own[0].delivered
	l.mu.Unlock()
	if !wait { // what was delivered early is in the stream before id
		return id.String()
	}
	return offset{id, l.early, l.n.c.uid}.String()
}

func (l *line) remove(o *ownEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.own, o); i >= 0 {
		l.own = slices.Delete(l.own, i, i+1)
	}
}

// arrived delivers an event that came from the stream, and calls done before another can be.
func (l *line) arrived(e *entry, id streamID, done func()) {
	l.order.Wait(func() {
		l.deliver(e, id)
		done()
	})
}

func (l *line) deliver(e *entry, id streamID) {
	var m adapter.Message
	var t adapter.Target
	fresh := true
	if e.uid == l.n.c.uid {
		o := l.take(e.seq)
		if o == nil {
			return
		}
		m, t, fresh = o.m, o.t, !o.delivered
	} else {
		x, err := decodeEntry(e)
		if err != nil {
			l.n.c.stats.malformed.Add(1)
			return
		}
		m, t = x.event, x.target
	}
	if !t.Volatile {
		m = adapter.WithOffset(m, l.offset(id))
		for x := range l.tails {
			x.events = append(x.events, tailEvent{m, t, e.uid, e.seq})
		}
	}
	if fresh {
		l.n.Local.Broadcast(m, t)
	}
}

// take returns the event of this node with a number, and forgets it.
func (l *line) take(seq uint64) *ownEvent {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, o := range l.own {
		if o.seq == seq {
			l.own = slices.Delete(l.own, i, i+1)
			return o
		}
	}
	return nil
}

// follow begins to take down what is delivered, after the entry whose id it returns.
func (l *line) follow() (t *tail, pos streamID) {
	t = &tail{}
	l.order.Wait(func() {
		l.tails[t] = struct{}{}
		pos, _ = l.r.at()
	})
	return t, pos
}

// join ends follow: it hands over what was missed and calls enter before anything else is delivered.
// missed are the events up to where follow began, have is what the client says it has.
func (l *line) join(t *tail, missed []tailEvent, have offset, rooms []string, replay func(adapter.Message), enter func()) {
	l.order.Wait(func() {
		delete(l.tails, t)
		for _, e := range append(append(missed, t.events...), l.delivered()...) {
			if !have.early(e.uid, e.seq) && e.t.Selects(rooms) {
				replay(e.m)
			}
		}
		enter()
	})
}

// delivered returns what others here got early; when it comes back from the stream it is not delivered again.
func (l *line) delivered() (list []tailEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, o := range l.own {
		if o.delivered && !o.t.Volatile {
			list = append(list, tailEvent{l.withEarly(o), o.t, l.n.c.uid, o.seq})
		}
	}
	return list
}

// leave ends follow without joining.
func (l *line) leave(t *tail) {
	l.order.Wait(func() { delete(l.tails, t) })
}

// release ends the timer. What waits is delivered.
func (l *line) release() {
	l.mu.Lock()
	l.over = true
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
	l.mu.Unlock()
	l.flush(nil)
}

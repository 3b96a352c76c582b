package redis

import (
	"cmp"
	"slices"
	"sync"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/internal/shrink"
)

// line brings the events of a namespace with recovery to the sockets of this node, one after the other: those
// of this node at once, so that no emit waits for Redis and what an application sends next leaves next, those
// of others in the order of the stream. An offset says that a client has the stream up to an entry and, when
// events of this node are on their way through it, those up to a number besides.
type line struct {
	n *namespace
	r *reader

	// order is held while an event gets its number and is delivered. It is taken before every other lock.
	order sync.Mutex
	tails map[*tail]struct{}   // guarded by order
	ahead map[string][]advance // guarded by order; by node: who has had its events before the stream did
	had   map[string]offset    // guarded by order; by member: what its client had when it came, if some was of before the stream

	mu   sync.Mutex
	own  []ownEvent // guarded by mu; of this node, delivered and not back from the stream yet
	last uint64     // guarded by mu; number of the last event of this node
	lost bool       // guarded by mu; own has lost some: too many were on their way
}

// ownEvent is an event of this node on its way through the stream.
type ownEvent struct {
	m   adapter.Message // without offset
	t   adapter.Target
	seq uint64
	id  streamID // once Redis has answered
}

// advance is a member that has the events of a node up to a number.
type advance struct {
	sid string
	seq uint64
}

// tail takes down what the stream brings while a session is being resumed.
type tail struct{ events []tailEvent }

// tailEvent is an event of the stream, without offset. seq is 0 for events of others than Beanpole.
type tailEvent struct {
	m   adapter.Message
	t   adapter.Target
	id  streamID
	uid string
	seq uint64
	// source is who has numbered it: one of several emitters, which have one uid.
	source string
}

func newLine(n *namespace, r *reader) *line {
	return &line{n: n, r: r, tails: map[*tail]struct{}{}, ahead: map[string][]advance{}, had: map[string]offset{}}
}

// broadcast delivers an event of this node here and sends it through the stream.
func (l *line) broadcast(m adapter.Message, t adapter.Target) error {
	var c *command
	var err error
	if !t.Local {
		if c, err = l.n.sendable(&message{kind: kindBroadcast, target: t, event: m}); err != nil {
			return err
		}
	}
	l.deliver(m, t, func() {
		if !t.Local {
			err = l.send(c, m, t)
		}
	}, func(m adapter.Message) func() { return l.n.Local.Deliver(m, t) })
	return err
}

// deliver has m, an event of this node, delivered by to, behind what number does.
func (l *line) deliver(m adapter.Message, t adapter.Target, number func(), to func(adapter.Message) (after func())) {
	l.order.Lock()
	after := func() func() {
		defer l.order.Unlock()
		number()
		return to(l.mark(m, t, l.position()))
	}()
	after()
}

// send queues the command c for the event m.
func (l *line) send(c *command, m adapter.Message, t adapter.Target) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.done = func(id string, err error) {
		if err != nil {
			l.take(c.xadd.seq)
		} else {
			l.added(c.xadd.seq, id)
		}
	}
	// Under mu, so that the entry cannot come back before it is known here.
	if err := l.n.c.put(c); err != nil {
		return err
	}
	l.last = c.xadd.seq
	if t.Volatile {
		m = adapter.Message{}
	}
	t.Rooms, t.Except = slices.Clone(t.Rooms), slices.Clone(t.Except)
	if l.own = append(l.own, ownEvent{m: m, t: t, seq: l.last}); len(l.own) > l.n.c.cfg.MaxOutboxMessages {
		shrink.First(&l.own)
		l.lost = true
	}
	return nil
}

// mark returns m with the offset at, if the client needs one.
func (l *line) mark(m adapter.Message, t adapter.Target, at string) adapter.Message {
	if at == "" || (t.Volatile || t.Local) && !m.Misleads() {
		return m
	}
	return adapter.WithOffset(m, at)
}

// position is the offset of the last event delivered here, "" as long as the place in the stream is unknown.
func (l *line) position() string {
	l.mu.Lock()
	l.settle()
	o := offset{}
	if len(l.own) > 0 || l.lost {
		o.early = []early{{l.last, l.n.c.uid}}
	}
	l.mu.Unlock()
	var known bool
	if o.id, known = l.r.where(); !known { // after own, so that what has come back meanwhile is behind it
		return ""
	}
	return o.String()
}

// added notes where in the stream the event of this node with a number is.
func (l *line) added(seq uint64, id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i, ok := l.find(seq); ok {
		l.own[i].id, _ = parseStreamID(id)
		l.settle()
	}
}

// settle forgets the events of this node that the reader has passed without meeting them: those from before it knew
// where the stream ends, and those that Redis had lost before it read them. Called with mu held.
func (l *line) settle() {
	if len(l.own) == 0 || l.own[0].id == (streamID{}) {
		return
	}
	pos, _ := l.r.where()
	k := 0
	for ; k < len(l.own) && l.own[k].id != (streamID{}) && !pos.less(l.own[k].id); k++ {
		if l.r.start.less(l.own[k].id) {
			l.r.tear(&l.r.own)
		}
	}
	clear(l.own[:k])
	if l.own = l.own[k:]; len(l.own) == 0 {
		l.own, l.lost = nil, false
	}
}

// take forgets the event of this node with a number, which is in the stream or will never be.
func (l *line) take(seq uint64) (o ownEvent, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i, ok := l.find(seq)
	if !ok {
		return o, false
	}
	o = l.own[i]
	if i == 0 { // as ever, unless Redis has refused some: what is behind need not move
		shrink.First(&l.own)
	} else {
		l.own = slices.Delete(l.own, i, i+1)
	}
	if len(l.own) == 0 {
		l.own, l.lost = nil, false
	}
	return o, true
}

// find returns where the event of this node with a number is in own, in which numbers rise. Called with mu held.
func (l *line) find(seq uint64) (int, bool) {
	return slices.BinarySearchFunc(l.own, seq, func(o ownEvent, seq uint64) int { return cmp.Compare(o.seq, seq) })
}

// arrived delivers an event that came from the stream, unless it is one of this node, which has been. done
// is called before another event is delivered.
func (l *line) arrived(e *entry, id streamID, done func()) {
	l.order.Lock()
	after := func() func() {
		defer l.order.Unlock()
		defer done()
		return l.arrive(e, id)
	}()
	after()
}

// passes reports whether an event of another node concerns nobody here, neither a member nor a session that is being
// resumed. Then it calls done before another event is delivered.
func (l *line) passes(b *brought, done func()) bool {
	l.order.Lock() // before members are looked for: one that is being resumed may just have joined
	defer l.order.Unlock()
	if len(l.tails)+len(l.ahead) > 0 || !unwantedBody(&l.n.Local, b.data) {
		return false
	}
	done()
	return true
}

func (l *line) arrive(e *entry, id streamID) (after func()) {
	if e.uid == l.n.c.uid {
		if o, ok := l.take(e.seq); ok {
			l.note(tailEvent{o.m, o.t, id, e.uid, e.seq, e.source()})
		}
		return nothing
	}
	x, err := decodeEntry(e)
	if err != nil {
		return func() { l.r.garbled(e, id, err) }
	}
	m, t := x.event, x.target
	l.note(tailEvent{m, t, id, e.uid, e.seq, e.source()})
	for _, x := range l.ahead[e.uid] {
		if x.seq >= e.seq {
			t.Except = append(slices.Clip(t.Except), x.sid)
		}
	}
	l.forget(e.uid, func(x advance) bool { return x.seq <= e.seq })
	l.mu.Lock()
	l.settle()
	at := offset{id: id}
	if len(l.own) > 0 || l.lost {
		at.early = []early{{l.last, l.n.c.uid}}
	}
	l.mu.Unlock()
	return l.n.Local.Deliver(l.mark(m, t, at.String()), t)
}

func nothing() {}

// note takes down an event for those that are being resumed. Called with order held.
func (l *line) note(e tailEvent) {
	if !e.t.Volatile {
		for x := range l.tails {
			x.events = append(x.events, e)
		}
	}
}

// forget forgets members that are ahead of a node. Called with order held.
func (l *line) forget(uid string, which func(advance) bool) {
	if list, ok := l.ahead[uid]; ok {
		if list = slices.DeleteFunc(list, which); len(list) == 0 {
			delete(l.ahead, uid)
		} else {
			l.ahead[uid] = list
		}
	}
}

// remove ends a membership between two events. The end of its trail says what the member has, also of nodes
// whose events the stream has not brought yet; Ahead what its client had when it came, which may show an older offset than
// what the stream has brought since, or one of another connection, that says nothing of it.
func (l *line) remove(m adapter.Member) (rooms []string, trail adapter.Trail) {
	l.order.Lock()
	defer l.order.Unlock()
	rooms, trail = l.n.Local.Remove(m)
	var ahead offset
	for uid, list := range l.ahead {
		for _, x := range list {
			if x.sid == m.ID() {
				ahead.early = append(ahead.early, early{x.seq, uid})
			}
		}
		l.forget(uid, func(x advance) bool { return x.sid == m.ID() })
	}
	if end, ok := parseOffset(trail.End); ok && len(ahead.early) > 0 {
		trail.End = end.and(ahead).String()
	}
	if had, ok := l.had[m.ID()]; ok {
		trail.Ahead = had.String()
		delete(l.had, m.ID())
	}
	return rooms, trail
}

// follow begins to take down what the stream brings, after the entry whose id it returns.
func (l *line) follow() (t *tail, pos streamID) {
	l.order.Lock()
	defer l.order.Unlock()
	t = &tail{}
	l.tails[t] = struct{}{}
	l.mu.Lock()
	l.settle()
	l.mu.Unlock()
	pos, _ = l.r.where()
	return t, pos
}

// leave ends follow without joining.
func (l *line) leave(t *tail) {
	l.order.Lock()
	defer l.order.Unlock()
	delete(l.tails, t)
}

// join ends follow: it calls enter, and hands over what the session missed before anything else is delivered.
// missed are the events of the stream up to where follow began, seen what it has of the nodes in have.
func (l *line) join(t *tail, missed []tailEvent, seen map[string]uint64, have offset, s *adapter.Session,
	replay func(adapter.Message), enter func(),
) {
	l.order.Lock()
	defer l.order.Unlock()
	delete(l.tails, t)
	enter()
	at := have
	l.mu.Lock()
	l.settle()
	own := make([]tailEvent, 0, len(l.own)) // what others here have already; when the stream brings it, it is not delivered again
	for _, o := range l.own {
		own = append(own, tailEvent{o.m, o.t, streamID{ms: 1<<64 - 1}, l.n.c.uid, o.seq, l.n.c.uid})
	}
	l.mu.Unlock()
	// A master that has been replaced may have brought what its replica has, too, under another id.
	type number struct {
		source string
		seq    uint64
	}
	once := map[number]bool{} // of what may come twice: whether it has
	for _, list := range [][]tailEvent{t.events, own} {
		for _, e := range list {
			if e.seq > 0 {
				once[number{e.source, e.seq}] = false
			}
		}
	}
	replayed := func(e *tailEvent) bool {
		n := number{e.source, e.seq}
		had, may := once[n]
		if may {
			once[n] = true
		}
		return had
	}
	each := func(list []tailEvent) {
		for _, e := range list {
			if at.id = e.id; e.seq > 0 {
				seen[e.uid] = max(seen[e.uid], e.seq)
			}
			if !have.has(e.uid, e.seq) && s.Missed(&e.t, e.after) && !replayed(&e) {
				replay(adapter.WithOffset(e.m, at.String()))
			}
		}
	}
	if len(have.early) > 0 {
		l.had[s.SID] = have
	}
	each(missed)
	each(t.events)
	for _, x := range have.early {
		if x.uid != l.n.c.uid && seen[x.uid] < x.seq {
			l.ahead[x.uid] = append(l.ahead[x.uid], advance{s.SID, x.seq})
		}
	}
	for _, e := range own {
		if !e.t.Volatile && !have.has(e.uid, e.seq) && s.Missed(&e.t, e.after) && !replayed(&e) {
			replay(adapter.WithOffset(e.m, at.with(early{e.seq, e.uid}).String()))
		}
	}
}

// after reports whether the event comes after an offset.
func (e *tailEvent) after(at string) bool {
	o, ok := parseOffset(at)
	return !ok || o.id.less(e.id) && !o.has(e.uid, e.seq)
}

package redis

import (
	"slices"
	"time"
)

// send sends a letter, before everything else.
func (k *keeper) send(to string, l *letter, done func(got string, err error)) {
	k.box.hurry(&command{op: k.op, key: k.channel + to, route: k.channel + to, data: l.b, done: done})
}

// own returns the channel of letters to a process.
func (k *keeper) own(uid string) string { return k.channel + uid + "#" }

// confess tells who listens to lanes that messages of these may not have been passed on, before the next ones are: of a
// lane that it knows nothing of, it would take these for the first.
func (k *keeper) confess() {
	r := k.rings[""]
	for list := range lettersOf(r.doubtful(), ending.lane) {
		l := newLetter(k.tells, k.uid)
		l.tails(list)
		k.send("tails", l, func(_ string, err error) {
			if err == nil {
				return
			}
			r.mu.Lock()
			for _, t := range list {
				r.doubted(t.key, t.base)
			}
			r.mu.Unlock()
			k.confess()
		})
	}
}

// letter takes a letter.
func (b *inbox) letter(_ string, payload []byte) {
	kind, uid, l := openLetter(payload)
	switch {
	case l == nil:
		b.c.garbled(nil, errShape)
		return
	case uid == b.c.uid:
		return
	}
	switch kind {
	case tellTails, tellEmitted:
		for _, t := range l.readTails() {
			b.tail(uid, t)
		}
	case tellQuestion:
		b.reply(uid, l)
	case tellAnswer:
		id, p, list := l.readPiece()
		switch {
		case l.bad:
		case p.key.nsp == "":
			b.c.readers[p.key.lane].answered(reply{uid: uid, id: id, piece: p, list: list})
		default:
			b.answered(uid, id, &p, list)
		}
	case tellSize:
		id, size := l.readUint(), l.readUint()
		for _, next := range l.readTails() {
			b.sized(uid, id, next, size)
		}
	case tellNever:
		id, last, key := l.readUint(), l.readUint(), laneKey{l.readText(), l.readText()}
		switch {
		case l.bad:
		case key.nsp == "":
			b.c.readers[key.lane].answered(reply{uid: uid, id: id, never: true})
		default:
			b.never(uid, key, last)
		}
	case tellLeaving:
		b.leaves(uid)
	case tellHad:
		b.hears(uid)
	case tellRooms:
		id, nsp := l.readUint(), l.readText()
		list := l.readTails()
		if !l.bad {
			b.rooms(uid, id, nsp, list)
		}
	}
	if l.bad {
		b.c.garbled([]byte(uid), errShape, "letter", int(kind))
	}
}

// answer answers a question for one lane.
func (k *keeper) answer(uid string, id uint64, w wanted) {
	if w.key.lane == roomLanes {
		tell := func(id uint64, list []ending) {
			l := newLetter(tellRooms, k.uid)
			l.uint(id)
			l.text(w.key.nsp)
			l.tails(list)
			k.send(uid+"#", l, nil)
		}
		var last []ending
		for list := range lettersOf(k.rings[""].lanesSince(w.key.nsp, time.Now().Add(-w.ago)), ending.lane) {
			if last != nil {
				tell(ofPart, last)
			}
			last = list
		}
		tell(id, last)
		return
	}
	var since time.Time
	if w.ago > 0 {
		since = time.Now().Add(-w.ago)
	}
	r := k.rings.of(w.key)
	if r == nil {
		return
	}
	if last, _ := r.progress(); w.after > last {
		l := newLetter(tellNever, k.uid)
		l.uint(id, last)
		l.text(w.key.nsp, w.key.lane)
		k.send(uid+"#", l, nil)
		return
	}
	p := r.after(w.key, w.after, since, min(w.size, maxPiece))
	if w.size == 0 && len(p.list) > 0 {
		l := newLetter(tellSize, k.uid)
		l.uint(id, uint64(len(p.list[0].data)))
		at := p.list[0].in(w.key.lane)
		l.tails([]ending{{key: w.key, n: p.list[0].n, count: at.count, base: at.prev, bases: at.count - 1}})
		k.send(uid+"#", l, nil)
		return
	}
	l := newLetter(tellAnswer, k.uid)
	l.piece(id, &p)
	k.send(uid+"#", l, nil)
}

// listens returns the namespace of a lane, and the epoch of its subscription; nil if this node does not listen.
func (b *inbox) listens(key laneKey) (n *namespace, epoch uint64) {
	if n = b.c.namespace(key.nsp); n == nil {
		return nil, 0
	}
	main := b.c.wire.lane(n.name, n.first.name)
	if key.lane != main && (main == wholeLane || key.lane == wholeLane) {
		return nil, 0
	}
	if epoch = b.epoch(n, key); epoch == 0 {
		return nil, 0
	}
	return n, epoch
}

// epoch returns the epoch of the subscription of a lane.
func (b *inbox) epoch(n *namespace, key laneKey) uint64 {
	if !key.room() || key.lane == roomLanes {
		return n.epoch
	}
	return b.c.bus.epoch(subscription{n.first.kind, key.lane})
}

// tail takes in where a lane of another node ends.
func (b *inbox) tail(uid string, t ending) {
	if t.key.nsp == "" {
		b.c.readers[t.key.lane].tail(uid, t.n)
		return
	}
	n, epoch := b.listens(t.key)
	if n == nil {
		return
	}
	s := b.source([]byte(uid))
	s.order.Lock()
	defer s.order.Unlock()
	g := s.gap(t.key, epoch)
	if b.begin(s, n, t.key, g, t.n, t.base > 0); !g.known && !g.open() {
		// Behind what its own connection has brought, and says nothing of what another one has.
		switch {
		case b.c.bus.beside(n.sub(t.key), b.tails):
			g.known, g.last, g.count = true, t.n, t.count
		case g.heard.IsZero():
			g.heard = time.Now()
		}
		return
	}
	if t.n < g.last {
		b.check(s, t.key, g)
	}
	asked := !g.asked.IsZero() && g.open()
	if g.end(t.n, t.count); g.open() && !asked {
		b.ask(s, t.key)
	}
}

// rooms takes in which lanes of rooms of another node there are, and what of them was perhaps missed.
func (b *inbox) rooms(uid string, id uint64, nsp string, list []ending) {
	s := b.source([]byte(uid))
	s.order.Lock()
	defer s.order.Unlock()
	if key := (laneKey{nsp, roomLanes}); s.gaps[key] != nil && s.gaps[key].doubt > 0 {
		g := s.gaps[key]
		switch {
		case id >= g.doubt && b.late(s, key, g):
			return
		case id >= g.doubt:
			g.doubt, g.tries = 0, 0
		case time.Since(g.posed) > g.margin: // the answer to the question says it all
			return
		}
	}
	var open []laneKey
	for _, t := range list {
		n, epoch := b.listens(t.key)
		if n == nil {
			continue
		}
		g := s.gap(t.key, epoch)
		if b.begin(s, n, t.key, g, t.n, false); !g.known && !g.open() {
			g.known, g.last, g.count = true, t.base, t.bases
		}
		if g.end(t.n, t.count); g.open() {
			open = append(open, t.key)
		}
	}
	if len(open) > 0 {
		b.ask(s, open...)
	}
}

// answered takes what another node has sent again.
func (b *inbox) answered(uid string, id uint64, p *piece, list []arrival) {
	n, epoch := b.listens(p.key)
	if n == nil || id == ofCheck {
		return
	}
	s := b.source([]byte(uid))
	s.order.Lock()
	defer s.order.Unlock()
	g := s.gap(p.key, epoch)
	if !g.known && g.doubt > 0 && id < g.doubt {
		return // of a question from before
	}
	if !g.known && b.late(s, p.key, g) {
		return
	}
	before, doubt := g.last, g.doubt
	fetched, lost := g.answered(p, list, n.arrived)
	b.c.stats.fetched.Add(fetched)
	b.count(s, lostForgotten, lost)
	if g.doubt > 0 && id >= g.doubt {
		g.doubt = 0
	}
	// Not behind an answer to a question that was asked again meanwhile: that one's comes, too.
	if g.tries, g.cuts = 0, 0; id >= g.id {
		b.heard(g)
	}
	if !g.open() {
		g.begun, g.empty = time.Time{}, 0
	}
	switch {
	case !g.open() || id < g.id:
	case g.last == before && g.doubt == doubt: // its sender does not know yet that it is out
		b.check(s, p.key, g)
		if g.empty++; g.empty <= maxEmpty { // else asked again by and by
			b.ask(s, p.key)
		}
	default:
		g.empty = 0
		b.ask(s, p.key)
	}
}

// check asks a node whether it has given a number that keeps from being delivered what it sends, or what is missing. Called
// with order held.
func (b *inbox) check(s *source, key laneKey, g *gap) {
	now := time.Now()
	if now.Sub(g.checked) < checkEvery {
		return
	}
	g.checked = now
	l := newLetter(tellQuestion, b.c.uid)
	l.uint(ofCheck)
	l.wants([]wanted{{key: key, after: max(g.last, g.want)}})
	b.send(s.uid+"#", l, nil)
}

const (
	// checkEvery is how often a lane is checked.
	checkEvery = time.Second
	// maxEmpty is how many answers in a row that bring nothing are followed by a question at once.
	maxEmpty = 10
	// ofCheck is the number of such questions: only the answer that it was never given matters.
	ofCheck = 0
	// ofPart is that of an answer about rooms behind which there is another: who has asked knows them all with the last.
	ofPart = 0
)

// never takes in that another node has given no number above one: what had it was not of that node, and hides what is.
func (b *inbox) never(uid string, key laneKey, last uint64) {
	n, epoch := b.listens(key)
	if n == nil {
		return
	}
	s := b.source([]byte(uid))
	s.order.Lock()
	defer s.order.Unlock()
	g := s.gap(key, epoch)
	if g.last <= last && g.want <= last {
		return // it is known
	}
	b.c.garbled([]byte(uid), errNumber, "namespace", key.nsp)
	s.marks = slices.DeleteFunc(s.marks, func(m bookmark) bool { return m.n > last })
	if !g.back(last) {
		b.count(s, lostGarbled, 1) // at least
	}
	g.doubts(b.asked.Load())
	b.ask(s, key)
}

// late reports whether an answer for g has come too late, and asks again. Called with order held.
func (b *inbox) late(s *source, key laneKey, g *gap) bool {
	if g.doubt == 0 || !g.late(time.Now()) {
		return false
	}
	g.doubts(b.asked.Load())
	b.ask(s, key)
	return true
}

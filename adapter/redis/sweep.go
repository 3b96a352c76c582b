package redis

import "time"

// run asks again for what has not come, and tells others where lanes end, until the cluster ends.
func (b *inbox) run() {
	t := time.NewTicker(sweepEvery)
	defer t.Stop()
	for {
		if !b.sweep(time.Now()) {
			t.Stop()
			select {
			case <-b.work:
				t.Reset(sweepEvery)
			case <-b.c.ctx.Done():
				return
			}
		}
		select {
		case <-t.C:
		case <-b.c.ctx.Done():
			return
		}
	}
}

// sweep does what is due, and reports whether there will be more to do.
func (b *inbox) sweep(now time.Time) (more bool) {
	list, more := b.rings.ends(now, b.c.dynamic(), maxTails)
	for _, t := range list {
		if t.key.nsp == "" {
			b.c.readers[t.key.lane].tail(b.c.uid, t.n)
		}
	}
	for list := range lettersOf(list, ending.lane) {
		l := newLetter(tellTails, b.c.uid)
		l.tails(list)
		b.send("tails", l, nil)
	}
	b.mu.Lock()
	for nsp, x := range b.breaks {
		if now.Sub(x.to) > max(b.c.cfg.MaxResendAge, 2*b.settleAfter()) {
			delete(b.breaks, nsp)
		}
	}
	settle := !b.settles.IsZero() && now.After(b.settles)
	if settle {
		b.settles = time.Time{}
		if b.resettle {
			b.settles, b.resettle = now.Add(b.settleAfter()), false
		}
	}
	more = more || !b.settles.IsZero()
	sources := make([]*source, 0, len(b.sources))
	for _, s := range b.sources {
		sources = append(sources, s)
	}
	b.mu.Unlock()
	if settle {
		b.c.wg.Go(func() { b.settle(b.c.ctx, "") })
	}
	begun := now
	for _, s := range sources {
		more = b.sweepSource(s, now, &begun) || more
	}
	b.behind.Store(int64(now.Sub(begun)))
	return b.save() || more
}

// sweepSource does what is due of one node, and notes since when something of it is missing, if that is longer.
func (b *inbox) sweepSource(s *source, now time.Time, begun *time.Time) (more bool) {
	s.order.Lock()
	defer s.order.Unlock()
	if s.ending {
		return true
	}
	var keys []laneKey
	left := map[string]bool{}                                 // namespaces of lanes that are forgotten
	_, away := b.c.bus.brokenSince([]subscription{b.letters}) // answers would not come
	for key, g := range s.gaps {
		if g.open() && b.to(key, g) == nil {
			g.leave()
		}
		switch {
		case !g.open():
			if g.begun = (time.Time{}); now.Sub(g.used) > forgetAfter {
				s.gaps = s.had.Delete(s.gaps, key)
				left[key.nsp] = true
			}
			continue
		case away, now.Sub(g.asked) < sweepEvery<<min(g.tries, 2):
		default:
			if g.taken != nil {
				g.tries += int(g.taken.Swap(0))
			}
			if g.tries > maxTries {
				if !b.c.members.knows(s.uid) {
					b.ended(s)
					return true
				}
				b.abandon(s, key, g, lostUnanswered)
				continue
			}
			if len(keys) < maxTails {
				keys = append(keys, key)
			}
		}
		more = true
		if !g.begun.IsZero() && g.begun.Before(*begun) {
			*begun = g.begun
		}
	}
	if len(left) > 0 {
		for key := range s.gaps {
			delete(left, key.nsp)
		}
		for nsp := range left {
			s.nsps.Delete(nsp)
		}
	}
	if len(keys) > 0 {
		b.ask(s, keys...)
	}
	if len(s.gaps) == 0 && !b.c.members.knows(s.uid) {
		b.mu.Lock()
		delete(b.sources, s.uid)
		b.mu.Unlock()
	}
	return more
}

// maxUnseen is how many messages may be missing of a server that nobody has ever seen: more is a number that it has not given.
const maxUnseen = 1 << 20

// abandon gives up what is missing in a lane. Called with order held.
func (b *inbox) abandon(s *source, key laneKey, g *gap, cause int) {
	n := b.to(key, g)
	if n == nil {
		g.leave()
		return
	}
	lost := g.abandon(n.arrived)
	if lost > maxUnseen && !s.member {
		b.c.garbled([]byte(s.uid), errNumber)
		return
	}
	b.count(s, cause, lost)
}

package redis

import (
	"context"
	"maps"
	"slices"
	"time"
)

// save writes the ends of lanes that have changed into the record, unless that is being done, and reports whether there
// are more.
func (k *keeper) save() (more bool) {
	r := k.rings[""]
	if k.unsavable.Load() || !r.changed() {
		return false
	}
	if !k.saving.Swap(true) {
		k.bus.wg.Go(func() {
			defer k.saving.Store(false)
			k.write(k.ctx)
		})
	}
	return true
}

// write writes the ends of lanes that have changed into the record. Called by one goroutine at a time.
func (k *keeper) write(ctx context.Context) {
	r := k.rings[""]
	for r.changed() && ctx.Err() == nil && !k.unsavable.Load() {
		ends := r.unsaved(maxTails, dynamic(k.wire))
		if len(ends) == 0 {
			continue
		}
		err := k.record.write(ctx, ends)
		if err == nil {
			continue
		}
		r.unsave(ends)
		if forbidden(err) && !k.unsavable.Swap(true) {
			k.cfg.Logger.Warn("where the messages of this server end cannot be kept in Redis: what others miss of them while it ends is not counted",
				"cause", err, "advice", advice(err))
		}
		return
	}
}

// progress returns how many messages have got numbers, and how many of these have been handed to Redis, or given up.
func (r *ring) progress() (n, done uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.n, r.done
}

// changed reports whether ends of lanes are to be recorded.
func (r *ring) changed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.moved) > 0
}

// unsaved returns at most n of the ends of lanes that are to be recorded, which they are no more then.
func (r *ring) unsaved(n int, rooms bool) map[laneKey]recorded {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := map[laneKey]recorded{}
	for key, e := range r.moved {
		if len(list) == n {
			break
		}
		if r.moved = r.hadMoved.Delete(r.moved, key); rooms || !key.room() {
			list[key] = recorded{n: e.out, count: e.outs, first: e.first, last: e.late}
		}
	}
	return list
}

// unsave has lanes recorded once more.
func (r *ring) unsave(list map[laneKey]recorded) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key := range list {
		if e := r.lanes[key]; e != nil {
			r.moved[key] = e
		}
	}
}

// look has it settled what was missed of nodes that have ended, when it is sure which these are.
func (b *inbox) look() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.resettle = !b.settles.IsZero(); !b.resettle {
		b.settles = time.Now().Add(b.settleAfter())
	}
	b.wake()
}

// settle counts what this node has missed of nodes that have ended, or of one of them, by what these have left.
func (b *inbox) settle(ctx context.Context, uid string) {
	var since time.Time
	b.mu.RLock()
	for _, x := range b.breaks {
		if uid == "" && (since.IsZero() || x.from.Before(since)) {
			since = x.from
		}
	}
	b.mu.RUnlock()
	names, err := b.record.departed(ctx, since)
	if err != nil {
		b.c.cfg.Logger.Debug("the records of servers that have ended cannot be read", "error", err)
		if !forbidden(err) {
			b.look()
		}
	}
	var keys []laneKey
	for _, n := range b.c.all() {
		keys = append(keys, b.lanes(n)...)
	}
	var listen map[string]int
	if uid != "" {
		names = map[string][]string{uid: names[uid]}
	} else {
		listen = b.listening(ctx, names)
	}
	for uid, list := range names {
		switch {
		case b.c.members.knows(uid):
			continue
		case listen[b.own(uid)] > 0:
			b.came(uid)
			continue
		}
		ends, err := b.record.read(ctx, list, keys)
		if err != nil {
			b.c.cfg.Logger.Debug("the record of a server that has ended cannot be read", "node", uid, "error", err)
			if !forbidden(err) {
				b.look()
			}
		}
		b.close(uid, ends)
	}
}

// listening counts who listens to the channels of letters to nodes that are in no list: emitters, and servers that stand still and have
// their connections, which are asked as long as others that do not answer.
func (b *inbox) listening(ctx context.Context, names map[string][]string) map[string]int {
	var channels []string
	for uid := range names {
		if !b.c.members.knows(uid) {
			channels = append(channels, b.own(uid))
		}
	}
	if len(channels) == 0 {
		return nil
	}
	counts, err := b.c.bus.subscribers(ctx, channels)
	if err != nil {
		b.c.cfg.Logger.Debug("who listens to letters cannot be counted", "error", err)
		b.look()
	}
	return counts
}

// settleAfter is how long after a break is looked which nodes have ended: those that live are in the roster by then, and
// those that were killed are not.
func (b *inbox) settleAfter() time.Duration { return b.c.roster.life + 2*b.c.roster.interval }

// lanes returns the lanes that n listens to.
func (b *inbox) lanes(n *namespace) []laneKey {
	keys := []laneKey{{n.name, n.c.wire.lane(n.name, n.first.name)}}
	if dynamic(b.wire) {
		for _, room := range n.Names(true) {
			if sub, ok := n.c.wire.room(n.name, room, false); ok {
				keys = append(keys, laneKey{n.name, sub.name})
			}
		}
	}
	return keys
}

// close gives up what is missing of a node that has ended, where its lanes ended, as far as that is known.
func (b *inbox) close(uid string, ends map[laneKey]recorded) {
	s := b.source([]byte(uid))
	s.order.Lock()
	defer s.order.Unlock()
	s.member = s.member || len(ends) > 0
	for key, x := range ends {
		n, epoch := b.listens(key)
		if n == nil {
			continue
		}
		g := s.gap(key, epoch)
		if since, ok := b.missedSince(n, key); !g.known && len(g.held) == 0 {
			if !ok && !g.open() {
				continue // nothing is missing, or its connection will be found broken, and this be looked at again
			}
			if at := b.c.bus.since(n.sub(key)); at.After(since) { // which may be earlier, for what is on its way
				since = at
			}
			switch {
			case !ok || x.last.Before(since): // nothing of it was for this node
				g.known, g.last, g.count = true, x.n, x.count
			case x.first.Before(since): // one at least
				g.known, g.last, g.count = true, x.n-1, x.count-1
			default:
				g.known = true
			}
		}
		g.end(x.n, x.count)
	}
	for key, g := range s.gaps {
		if g.open() {
			b.abandon(s, key, g, lostGone)
		}
	}
}

// gone settles what is missing of a node that has ended, and will not answer. One that has not been heard for a while
// may be asked.
func (b *inbox) gone(uid string) {
	b.mu.RLock()
	s := b.sources[uid]
	broke := len(b.breaks) > 0
	b.mu.RUnlock()
	if broke {
		b.look()
	}
	if s == nil || b.c.members.missed(uid) {
		return
	}
	s.order.Lock()
	defer s.order.Unlock()
	if slices.ContainsFunc(slices.Collect(maps.Values(s.gaps)), (*gap).open) {
		b.ended(s)
	}
}

// ended has what is missing of a node that has ended settled. Called with order held.
func (b *inbox) ended(s *source) {
	if s.ending {
		return
	}
	s.ending = true
	b.c.wg.Go(func() {
		ctx, cancel := context.WithTimeout(b.c.ctx, b.c.cfg.RequestTimeout)
		defer cancel()
		b.settle(ctx, s.uid)
		s.order.Lock()
		defer s.order.Unlock()
		s.ending = false
	})
}

// to returns who is to get what is missing of a lane, nil if nobody is any more.
func (b *inbox) to(key laneKey, g *gap) *namespace {
	n, epoch := b.listens(key)
	if n == nil || epoch != g.epoch {
		return nil
	}
	return n
}

// lostLast returns when something was last counted as lost of a node.
func (b *inbox) lostLast(uid string) (at time.Time) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if s := b.sources[uid]; s != nil {
		at = s.lost
	}
	return at
}

// count counts what was lost of a node. Called with order held.
func (b *inbox) count(s *source, cause int, n uint64) {
	if n == 0 {
		return
	}
	b.c.stats.lost[cause].Add(n)
	b.mu.Lock()
	b.lost[s.uid] += n
	s.lost = time.Now()
	b.mu.Unlock()
	if now := time.Now(); now.Sub(s.said) > time.Minute {
		s.said = now
		b.c.cfg.Logger.Warn("events of another node are lost", "node", s.uid, "cause", lostNames[cause], "events", n, "advice", lostAdvice[cause])
	}
}

package redis

import (
	"context"
	"maps"
	"slices"
	"time"
)

// A process that is closed, a server or an emitter, stays until all servers have said that they miss nothing of it, as who
// cannot reach Redis at the moment, or one of its masters, asks for that later.
const (
	lingerLook = 50 * time.Millisecond
	// lingerDoubt is how long who has heard nothing of a lane but its end is not sure to miss nothing.
	lingerDoubt = time.Second
	// lingerOver is how long ago a lane whose end is said then was published in last: of others it is known by now.
	lingerOver = 30 * time.Second
)

// linger says where the lanes of this process end, when all that it has published is out, and stays until the others miss
// nothing, for RequestTimeout, and half of the time there is, at most.
func (k *keeper) linger(ctx context.Context) {
	if n, _ := k.rings[""].progress(); n == 0 {
		return
	}
	left := k.cfg.RequestTimeout
	if end, ok := ctx.Deadline(); ok {
		left = min(left, time.Until(end)/2)
	}
	ctx, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	if !k.out(ctx) {
		return
	}
	for k.saving.Swap(true) {
		if !sleep(ctx, lingerLook) {
			return
		}
	}
	k.write(ctx)
	for ctx.Err() == nil {
		servers := k.servers(ctx)
		if len(servers) == 0 {
			return
		}
		now := time.Now()
		k.rings[""].again(now.Add(-lingerOver))
		k.sweep(now.Add(sayAfter)) // at once
		k.send("tails", newLetter(tellLeaving, k.uid), nil)
		if k.content(ctx, servers) {
			return
		}
	}
}

// content waits for a moment until servers have said that they miss nothing, and reports whether they have.
func (k *keeper) content(ctx context.Context, servers []string) bool {
	t := time.NewTimer(sweepEvery)
	defer t.Stop()
	for {
		k.mu.Lock()
		missing := slices.ContainsFunc(servers, func(uid string) bool { return !k.had[uid] })
		k.mu.Unlock()
		if !missing {
			return true
		}
		select {
		case <-k.heard:
		case <-t.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// hears takes in that a server misses nothing of this process.
func (k *keeper) hears(uid string) {
	k.mu.Lock()
	if k.had == nil {
		k.had = map[string]bool{}
	}
	k.had[uid] = true
	k.mu.Unlock()
	select {
	case k.heard <- struct{}{}:
	default:
	}
}

// leaves takes in that another process has ended but for answering, and tells it so if nothing of it is missing.
func (b *inbox) leaves(uid string) {
	s := b.source([]byte(uid))
	s.order.Lock()
	defer s.order.Unlock()
	for key, g := range s.gaps {
		// Where nothing has come of a lane, its connection may have broken, and that has not been noticed yet.
		young := !g.known && !g.heard.IsZero() && time.Since(g.heard) < lingerDoubt
		if (g.open() || young) && b.to(key, g) != nil {
			return // it says so again
		}
	}
	if !s.ending {
		b.send(uid+"#", newLetter(tellHad, b.c.uid), nil)
	}
}

// out returns when all that was published has been handed to Redis, or given up. It reports false if ctx ended before.
func (k *keeper) out(ctx context.Context) bool {
	for i := 0; ; i++ {
		if k.rings.out() {
			return true
		}
		if !sleep(ctx, min(lingerLook, time.Millisecond<<min(i, 6))) {
			return false
		}
	}
}

// away returns the other servers that live, and those that were given up, which may only have been away.
func (b *inbox) away(context.Context) (uids []string) {
	live, gone := b.c.members.names()
	for _, uid := range append(live, gone...) {
		if b.c.members.knows(uid) || b.c.members.missed(uid) {
			uids = append(uids, uid)
		}
	}
	return uids
}

// servers returns the servers that were in the list in the last minute: those that are not any more may only have been away,
// or Redis has lost it.
func (c *emitterCore) servers(ctx context.Context) []string {
	uids, err := c.roster.read(ctx)
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil {
		c.seen = map[string]time.Time{}
	}
	if err == nil {
		for _, uid := range uids {
			c.seen[uid] = now
		}
		maps.DeleteFunc(c.seen, func(_ string, at time.Time) bool { return now.Sub(at) > time.Minute })
	}
	return slices.Collect(maps.Keys(c.seen))
}

// read returns who is in the list, without renewing anything.
func (r *roster) read(ctx context.Context) (uids []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	err = again(ctx, func() (err error) {
		uids, err = r.client.ZRange(ctx, r.keys[0], 0, -1).Result()
		return err
	})
	return uids, err
}

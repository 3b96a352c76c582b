package redis

import (
	"context"
	"time"
)

// A node that is closed stays for a while, so that those may ask it that cannot reach Redis at the moment.
const (
	// lingerFor bounds that. It goes when nobody has asked anything for lingerQuiet.
	lingerFor   = 5 * time.Second
	lingerQuiet = 6 * sweepEvery // who has no answer asks again within four
	lingerLook  = 50 * time.Millisecond
)

// linger says where the lanes of this node end, when all that it has published is out, and answers those who were away,
// for half of the time there is at most.
func (b *inbox) linger(ctx context.Context) {
	r := b.rings[""]
	if n, _ := r.progress(); n == 0 {
		return
	}
	left := lingerFor
	if end, ok := ctx.Deadline(); ok {
		left = min(left, time.Until(end)/2)
	}
	ctx, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	t := time.NewTicker(lingerLook)
	defer t.Stop()
	wait := func() bool {
		select {
		case <-t.C:
			return true
		case <-ctx.Done():
			return false
		}
	}
	for n, done := r.progress(); done < n; n, done = r.progress() {
		if !wait() {
			return
		}
	}
	for b.saving.Swap(true) {
		if !wait() {
			return
		}
	}
	b.write(ctx)
	for b.awaited(ctx) && wait() {
	}
}

// awaited reports whether other nodes are away that may have missed something of this one, or have been asking for it.
func (b *inbox) awaited(ctx context.Context) bool {
	if time.Since(time.Unix(0, b.questioned.Load())) < lingerQuiet {
		return true
	}
	live, gone := b.c.members.names()
	var channels []string
	for _, uid := range append(live, gone...) {
		if b.c.members.knows(uid) || b.c.members.missed(uid) { // who was given up may only have been away
			channels = append(channels, b.c.cfg.beats(uid))
		}
	}
	counts, err := b.c.subscribers(ctx, channels)
	if err != nil {
		return false
	}
	for _, channel := range channels {
		if counts[channel] == 0 {
			b.questioned.Store(time.Now().UnixNano()) // it asks when it is back
			return true
		}
	}
	return false
}

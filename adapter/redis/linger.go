package redis

import (
	"context"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// A node that is closed stays for a while, so that those may ask it that cannot reach Redis at the moment.
const (
	// lingerFor bounds that. It goes when nobody has asked anything for lingerQuiet.
	lingerFor   = 5 * time.Second
	lingerQuiet = 6 * sweepEvery // who has no answer asks again within four
	lingerLook  = 50 * time.Millisecond
)

// linger says where the lanes of this process end, when all that it has published is out, and answers those who were away,
// for half of the time there is at most.
func (k *keeper) linger(ctx context.Context) {
	r := k.rings[""]
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
	if !k.out(ctx) {
		return
	}
	for k.saving.Swap(true) {
		if !wait() {
			return
		}
	}
	k.write(ctx)
	for told := false; ; {
		switch {
		case k.absent(ctx):
			told = false
			k.questioned.Store(time.Now().UnixNano()) // they ask when they are back
		case !told: // who was away a moment ago may not know of this process
			k.rings.again()
			k.sweep(time.Now().Add(sayAfter))
			told = true
		case time.Since(time.Unix(0, k.questioned.Load())) >= lingerQuiet:
			return
		}
		if !wait() {
			return
		}
	}
}

// out returns when all that was published on channels has been handed to Redis, or given up. It reports false if ctx ended before.
func (k *keeper) out(ctx context.Context) bool {
	t := time.NewTicker(lingerLook)
	defer t.Stop()
	for n, done := k.rings[""].progress(); done < n; n, done = k.rings[""].progress() {
		select {
		case <-t.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// absent reports whether servers are away that may have missed something of this process.
func (k *keeper) absent(ctx context.Context) bool {
	var channels []string
	for _, uid := range k.servers(ctx) {
		channels = append(channels, k.cfg.beats(uid))
	}
	counts, err := k.bus.subscribers(ctx, channels)
	return err == nil && slices.ContainsFunc(channels, func(channel string) bool { return counts[channel] == 0 })
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

// servers returns the servers in the list, and those that were in it before Redis had lost it: they will be again.
func (c *emitterCore) servers(ctx context.Context) []string {
	before := c.listed.Load()
	s, err := c.roster.read(ctx)
	switch {
	case err != nil && before == nil:
		return nil
	case err != nil:
		return before.uids
	case before != nil && before.begun != s.begun && len(s.uids) < len(before.uids):
		return before.uids
	}
	c.listed.Store(s)
	return s.uids
}

// read returns when the list was begun, and who is in it, without renewing anything.
func (r *roster) read(ctx context.Context) (*sheet, error) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	s := &sheet{whole: true}
	err := again(ctx, func() error {
		var list *redis.StringSliceCmd
		var clock *redis.SliceCmd
		_, err := r.client.Pipelined(ctx, func(p redis.Pipeliner) error {
			list, clock = p.ZRange(ctx, r.keys[0], 0, -1), p.HMGet(ctx, r.keys[1], "begun")
			return nil
		})
		if s.uids = list.Val(); err == nil {
			s.begun, _ = clock.Val()[0].(string)
		}
		return err
	})
	return s, err
}

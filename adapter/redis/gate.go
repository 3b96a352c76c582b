package redis

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Redis passes on what is published to those who listen at that moment, and where it was away servers make their
// subscriptions anew for some moments more. They ask each other for what they miss, and an emitter they cannot ask. So
// an emitter that has had to make a connection does not publish on it before it has looked whether servers listen; and it
// tries its connection first, lest one be made unnoticed. A server's beats are what it subscribes to last.

const (
	// listenFor bounds how long what waits is held back: a server may have ended.
	listenFor = 5 * time.Second
	// sureFor is how long a connection that has just served is taken for well.
	sureFor = 10 * time.Millisecond
	// knownFor is how long an emitter relies on the list of servers as it has read it, which Redis may lose.
	knownFor = 10 * time.Second
)

// gate holds back what an emitter has to publish over channels while servers do not listen. All senders share it.
type gate struct {
	client redis.UniversalClient
	made   func() uint64 // how many connections have been made
	keys   []string      // of the list of servers, and its clock
	beats  func(uid string) string
	count  counter
	moves  bool // servers have a connection to each shard of Redis

	looking chan struct{} // has a token while one looks

	mu     sync.Mutex
	shut   bool                 // sending has failed since it was last looked
	seen   uint64               // how many connections had been made then
	failed time.Time            // when sending last failed
	read   time.Time            // when the list was read
	begun  string               // and when it had been begun: another lacks servers that live, for a while
	known  map[string]time.Time // servers, and since when each has been waited for; zero while it listens
}

func newGate(c redis.UniversalClient, l *lines, cfg *Config, r *roster) *gate {
	_, clustered := c.(*redis.ClusterClient)
	g := &gate{client: c, made: l.count, shut: true, keys: r.keys, beats: cfg.beats, count: (*redis.Client).PubSubNumSub, looking: make(chan struct{}, 1),
		known: map[string]time.Time{}}
	if cfg.Mode == Sharded {
		g.count, g.moves = (*redis.Client).PubSubShardNumSub, clustered
	}
	return g
}

// fail notes that sending has failed. The gate may be nil.
func (g *gate) fail() {
	if g != nil {
		g.mu.Lock()
		g.failed, g.shut = time.Now(), true
		g.mu.Unlock()
	}
}

// due reports whether the list is to be read, and whether servers are to be waited for.
func (g *gate) due() (read, wait bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	wait = g.shut || g.seen != g.made()
	return wait || time.Since(g.read) >= knownFor, wait
}

// pass returns when servers listen, have been waited for long enough, or cannot be counted for as long: the master that
// something is for may be there while that of the list is not. It returns an error only when ctx is done.
func (g *gate) pass(ctx context.Context) error {
	select {
	case g.looking <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-g.looking }()
	began := time.Now()
	for n := 0; ; n++ {
		read, wait := g.due()
		if !read {
			return nil
		}
		made, start := g.made(), time.Now()
		tctx, cancel := context.WithTimeout(ctx, publishTimeout)
		there, err := g.look(tctx)
		cancel()
		switch {
		case !wait, err != nil && time.Since(began) >= listenFor:
			return nil
		case there:
			g.mu.Lock()
			g.shut, g.seen = g.failed.After(start), made // what has been made since it began is not known yet
			g.mu.Unlock()
		case !pause(ctx, min(n, 3)):
			return ctx.Err()
		}
	}
}

// list reads the list of servers.
func (g *gate) list(ctx context.Context) (uids []string, begun string, err error) {
	err = again(ctx, func() error {
		var list *redis.StringSliceCmd
		var clock *redis.SliceCmd
		_, err := g.client.Pipelined(ctx, func(p redis.Pipeliner) error {
			list, clock = p.ZRange(ctx, g.keys[0], 0, -1), p.HMGet(ctx, g.keys[1], "begun")
			return nil
		})
		if uids = list.Val(); err == nil {
			begun, _ = clock.Val()[0].(string)
		}
		return err
	})
	return uids, begun, err
}

// look reports whether nobody is to be waited for any more.
func (g *gate) look(ctx context.Context) (there bool, err error) {
	uids, begun, err := g.list(ctx)
	if forbidden(err) {
		return true, nil // this user may not know
	}
	g.mu.Lock()
	if g.read = time.Now(); err == nil {
		in := map[string]time.Time{}
		for _, uid := range uids {
			in[uid] = g.known[uid]
		}
		if begun != g.begun {
			for uid, waited := range g.known { // it may live, and be in the list a moment later
				in[uid] = waited
			}
		}
		g.known = in
	}
	var channels []string
	for uid := range g.known {
		channels = append(channels, g.beats(uid))
	}
	failed := g.failed
	g.mu.Unlock()
	if len(channels) == 0 {
		return err == nil, err
	}
	counts, e := countOn(ctx, g.client, g.count, channels...)
	switch {
	case forbidden(e):
		return true, nil
	case e != nil && len(counts) == 0: // else a shard is away, and what is for the others does not wait for it
		return false, e
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	there = true
	now := time.Now()
	for uid, waited := range g.known {
		switch {
		case counts[g.beats(uid)] > 0:
			g.known[uid] = time.Time{}
		case waited.IsZero():
			g.known[uid], there = now, false
		default:
			there = there && now.Sub(waited) >= listenFor
		}
	}
	if there = there && (!g.moves || now.Sub(failed) >= shardsMove); there && err == nil {
		g.begun = begun
	}
	return there, nil
}

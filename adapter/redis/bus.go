package redis

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/internal/shrink"
)

// subKind is a kind of subscription.
type subKind uint8

const (
	subChannel subKind = 1 + iota
	subPattern
	subShard
)

// subscription names what Redis is asked to send.
type subscription struct {
	kind subKind
	name string
}

// receiver gets what arrives on a subscription. It is called from the goroutine of one link, must not
// block and must not change payload.
type receiver interface {
	receive(channel string, payload []byte)
}

// want is one subscription the process wants. Guarded by bus.mu.
type want struct {
	to        []receiver
	link      *link // nil until it is known which node of a Redis Cluster has it
	confirmed bool  // Redis has said so on the link's connection of now
	until     time.Time
	at        time.Time // since when someone wants it
	epoch     uint64    // tells it apart from one before that nobody wanted any more
	broken    time.Time // since when it may have brought nothing, until that has been reported; zero while it does
}

// lingering is how long a subscription is kept that nobody wants any more: rooms come and go.
const lingering = 3 * time.Second

// bus keeps the subscriptions of the process alive on as few connections as can be: one, or one for
// each shard of a Redis Cluster that has sharded channels.
type bus struct {
	client  redis.UniversalClient
	sharded bool // all channels are shard channels, otherwise none is: a message does not tell
	stats   *counters
	state   *state
	ctx     context.Context // the lifetime of the cluster
	wg      *sync.WaitGroup
	// noPatterns, if not nil, finds another way for all patterns, which Redis refuses; set before use.
	noPatterns func()
	// last is subscribed to behind all others of its connection: who has it has these; set before the first add.
	last   subscription
	broken atomic.Int64 // when a link last broke, in nanoseconds since 1970

	replica atomic.Bool // Redis said when it was last asked that it is one
	lines   *lines      // of client
	strayed int         // owned by who calls settle; how often in a row subscriptions were found elsewhere

	mu      sync.RWMutex
	wants   map[subscription]*want
	had     shrink.Map[subscription, *want] // of wants
	links   map[string]*link                // by address of the node, "" for channels and patterns
	changed chan struct{}                   // closed and replaced when a confirmation has come, if someone waits
	homing  bool                            // a goroutine looks for the nodes of shard channels
	stray   []subscription                  // those it looks for
	emptied []*link                         // from which they have been taken
	epochs  uint64                          // the last epoch

	regained func([]regained)                 // is told of them, with no lock held; set before the first add
	cut      func(l *link, cause error) error // is told that a link has broken, and may know why; set before the first add
}

func newBus(ctx context.Context, wg *sync.WaitGroup, c redis.UniversalClient, l *lines, cfg *Config, stats *counters, s *state) *bus {
	sharded := cfg.Mode == Sharded || cfg.Mode == Streams && cfg.ShardedPubSub
	return &bus{client: c, lines: l, sharded: sharded, stats: stats, state: s, ctx: ctx, wg: wg, wants: map[subscription]*want{}, links: map[string]*link{}}
}

// add subscribes for r. It returns at once; wait tells when all is confirmed.
func (b *bus) add(s subscription, r receiver) {
	b.mu.Lock()
	defer b.mu.Unlock()
	w := b.wants[s]
	if w == nil {
		w = &want{}
		b.wants[s] = w
	}
	if len(w.to) == 0 {
		b.epochs++
		w.epoch, w.at = b.epochs, time.Now()
	}
	if !slices.Contains(w.to, r) {
		w.to = append(w.to, r)
	}
	w.until = time.Time{}
	if w.link == nil {
		b.home(s, w)
	}
}

// remove ends a subscription for r, after a while.
func (b *bus) remove(s subscription, r receiver) { b.removeAfter(s, r, lingering) }

// removeAfter ends a subscription for r. Others count who subscribes: one that says who would answer a
// question must not linger.
func (b *bus) removeAfter(s subscription, r receiver, d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	w := b.wants[s]
	if w == nil {
		return
	}
	w.to = slices.DeleteFunc(slices.Clone(w.to), func(x receiver) bool { return x == r })
	if len(w.to) == 0 && w.until.IsZero() {
		w.until = time.Now().Add(d)
		if d == 0 && w.link != nil {
			w.link.nudge()
		}
	}
}

// role complains if Redis is a replica. One that does not say is none.
func (b *bus) role(ctx context.Context, node *redis.Client) {
	tctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	var list []any
	err := again(tctx, func() (err error) {
		list, err = node.Do(tctx, "role").Slice()
		return err
	})
	if err == nil && len(list) > 0 && list[0] == "slave" {
		err = errReplica
	} else {
		err = nil
	}
	b.replica.Store(err != nil)
	b.state.set(PartRole, "", err)
}

// home finds the link of s. Called with mu held.
func (b *bus) home(s subscription, w *want) {
	x, ok := b.client.(*redis.ClusterClient)
	if s.kind != subShard || !ok {
		b.assign(s, w, "", b.client)
		return
	}
	// To find the node may take the network.
	b.stray = append(b.stray, s)
	if !b.homing {
		b.homing = true
		b.wg.Go(func() { b.findHomes(x) })
	}
}

func (b *bus) assign(s subscription, w *want, addr string, c redis.UniversalClient) {
	l := b.links[addr]
	if l == nil {
		l = newLink(b, addr, c)
		b.links[addr] = l
		b.wg.Go(func() { l.run(b.ctx) })
	}
	w.link, w.confirmed = l, false
	if !w.broken.IsZero() {
		l.left++
	}
	l.order(s)
}

// findHomes gives each stray shard channel to the link of the node that owns its slot.
func (b *bus) findHomes(c *redis.ClusterClient) {
	failed := 0
	for {
		b.mu.Lock()
		if len(b.stray) == 0 {
			b.homing = false
			b.mu.Unlock()
			b.forgive()
			return
		}
		list := b.stray
		b.stray = nil
		b.mu.Unlock()
		for i, s := range list {
			node, err := c.MasterForKey(b.ctx, s.name)
			if err != nil {
				b.state.set(PartListening, "slots", err)
				b.mu.Lock()
				b.stray = append(b.stray, list[i:]...)
				if b.ctx.Err() != nil {
					b.homing = false
					b.mu.Unlock()
					return
				}
				b.mu.Unlock()
				c.ReloadState(b.ctx)
				pause(b.ctx, failed)
				failed++
				break
			}
			b.state.set(PartListening, "slots", nil)
			failed = 0
			b.mu.Lock()
			if w := b.wants[s]; w != nil && w.link == nil {
				b.assign(s, w, node.Options().Addr, node)
			}
			b.mu.Unlock()
		}
	}
}

// forgive notes that nothing fails at nodes from which all subscriptions have been taken, when these have homes elsewhere.
func (b *bus) forgive() {
	b.mu.Lock()
	var left []*link
	if !b.homing { // else whoever looks does
		left, b.emptied = b.emptied, nil
	}
	for _, w := range b.wants {
		if len(left) == 0 {
			break
		}
		left = slices.DeleteFunc(left, func(l *link) bool { return w.link != nil && l.addr == w.link.addr })
	}
	b.mu.Unlock()
	for _, l := range left {
		b.state.set(PartListening, l.addr, nil)
	}
}

// scatter takes all subscriptions from l, whose node may have lost them, and finds their nodes again.
func (b *bus) scatter(l *link) {
	x, ok := b.client.(*redis.ClusterClient)
	if !ok || l.addr == "" {
		return
	}
	x.ReloadState(b.ctx)
	b.mu.Lock()
	for s, w := range b.wants {
		if w.link == l {
			l.breaks(w)
			w.link = nil
			b.home(s, w)
		}
	}
	b.emptied = append(b.emptied, l)
	b.mu.Unlock()
	b.forgive()
}

// rehome finds the nodes again of what Redis has refused to l.
func (b *bus) rehome(l *link) {
	x, ok := b.client.(*redis.ClusterClient)
	if !ok {
		return
	}
	x.ReloadState(b.ctx)
	pause(b.ctx, 2) // it takes a moment
	b.mu.Lock()
	defer b.mu.Unlock()
	for s, w := range b.wants {
		if w.link == l && !w.confirmed {
			if !w.broken.IsZero() {
				l.left--
			}
			w.link = nil
			b.home(s, w)
		}
	}
}

// of returns the subscriptions of l and takes their confirmation back.
func (b *bus) of(l *link) (list []subscription) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l.left, l.back = 0, nil
	for s, w := range b.wants {
		if w.link == l {
			if l.breaks(w); !w.broken.IsZero() {
				l.left++
			}
			list = append(list, s)
		}
	}
	return list
}

// wanted reports whether l is to have s.
func (b *bus) wanted(l *link, s subscription) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	w := b.wants[s]
	return w != nil && w.link == l
}

// expired takes subscriptions of l that nobody has wanted for a while out of the list of those wanted.
func (b *bus) expired(l *link) (list []subscription) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	for s, w := range b.wants {
		if w.link == l && len(w.to) == 0 && !w.until.IsZero() && !now.Before(w.until) {
			if b.wants = b.had.Delete(b.wants, s); !w.confirmed && !w.broken.IsZero() {
				l.left--
			}
			list = append(list, s)
		}
	}
	return list
}

// epoch returns which time it is that someone here gets s, 0 if nobody does.
func (b *bus) epoch(s subscription) uint64 {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if w := b.wants[s]; w != nil && len(w.to) > 0 {
		return w.epoch
	}
	return 0
}

// broke returns when a link last broke.
func (b *bus) broke() time.Time { return time.Unix(0, b.broken.Load()) }

// heard returns when the connection that has s last brought anything.
func (b *bus) heard(s subscription) time.Time {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if w := b.wants[s]; w != nil && w.link != nil {
		return time.Unix(0, w.link.heard.Load())
	}
	return time.Time{}
}

// deliver hands a message on.
func (b *bus) deliver(s subscription, channel string, payload []byte) {
	b.mu.RLock()
	var to []receiver
	if w := b.wants[s]; w != nil {
		to = w.to // never changed in place
	}
	b.mu.RUnlock()
	for _, r := range to {
		r.receive(channel, payload)
	}
}

// wait returns when all subscriptions wanted are confirmed, or those of list, if there is one.
func (b *bus) wait(ctx context.Context, list ...subscription) error {
	for {
		b.mu.Lock()
		open := 0
		for s, w := range b.wants {
			if !w.confirmed && len(w.to) > 0 && (list == nil || slices.Contains(list, s)) {
				open++
			}
		}
		if open == 0 {
			b.mu.Unlock()
			return nil
		}
		if b.changed == nil {
			b.changed = make(chan struct{})
		}
		changed := b.changed
		b.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return adapter.Ended(ctx)
		case <-b.ctx.Done():
			return ErrClosed
		}
	}
}

// renew makes all connections anew: what is published does not come back.
func (b *bus) renew(err error) {
	b.mu.RLock()
	links := make([]*link, 0, len(b.links))
	for _, l := range b.links {
		links = append(links, l)
	}
	b.mu.RUnlock()
	for _, l := range links {
		l.cut(err)
	}
}

package redis

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// publisher empties the outbox: it hands each command to the sender of the master that it is for. There is one
// sender unless Redis is a cluster, and that takes from the outbox itself.
type publisher struct {
	client redis.UniversalClient
	box    *outbox
	stats  *counters
	state  *state
	maxAge time.Duration
	maxLen func(stream string) int64

	keeper *keeper
}

// run publishes until the outbox is closed and empty, or ctx is done.
func (p *publisher) run(ctx context.Context) {
	x, ok := p.client.(*redis.ClusterClient)
	if !ok {
		node, _ := p.client.(*redis.Client)
		newSender(p, "", node, p.box).run(ctx)
		return
	}
	d := &dispatcher{publisher: p, client: x, senders: map[string]*sender{}}
	d.run(ctx)
	for _, s := range d.senders {
		s.box.close()
	}
	d.wg.Wait()
	for _, c := range append(d.homeless, p.box.all(nil)...) {
		p.drop(c, lostClosed, ErrClosed)
	}
}

// dispatcher divides the commands among the masters of a Redis Cluster.
type dispatcher struct {
	*publisher
	client  *redis.ClusterClient
	senders map[string]*sender
	wg      sync.WaitGroup

	// homeless commands are for a master that is not known; whatever goes the same way waits behind them.
	homeless []*command
	failed   int       // attempts in a row to find it
	down     time.Time // when the first of them had failed
	next     time.Time // when to try again
}

func (d *dispatcher) run(ctx context.Context) {
	for ctx.Err() == nil {
		if d.takes(ctx) {
			continue
		}
		if len(d.homeless) == 0 && d.box.isClosed() && d.box.elsewhere() == 0 {
			return
		}
		wait := time.Hour
		if len(d.homeless) > 0 {
			wait = max(time.Until(d.next), 0)
		}
		t := time.NewTimer(wait)
		select {
		case <-d.box.wake:
		case <-t.C:
		case <-ctx.Done():
		}
		t.Stop()
	}
}

// takes hands on what is there, and reports whether that was anything new.
func (d *dispatcher) takes(ctx context.Context) bool {
	d.box.routing.Lock()
	defer d.box.routing.Unlock()
	if len(d.homeless) > 0 && !time.Now().Before(d.next) {
		list := d.homeless
		d.homeless = nil
		d.box.lend(list, nil, nil)
		d.route(ctx, list)
	}
	list := d.box.all(nil)
	if len(list) == 0 {
		return false
	}
	d.route(ctx, list)
	return true
}

// route hands commands to the senders. Called with box.routing held.
func (d *dispatcher) route(ctx context.Context, list []*command) {
	nodes := map[string]*redis.Client{} // by route; nil is not known
	for _, c := range d.homeless {
		nodes[c.route] = nil
	}
	retry := time.Now().After(d.next)
	var failure error
	for _, c := range list {
		node, ok := nodes[c.route]
		switch {
		case ok:
		case c.moved:
			c.moved = false // the client has not learned yet where to
		default:
			var err error
			if node, err = d.client.MasterForKey(ctx, c.route); err != nil {
				node, failure = nil, err
			}
		}
		if nodes[c.route] = node; node == nil {
			d.homeless = append(d.homeless, c)
			d.box.lend(nil, []*command{c}, nil)
			continue
		}
		addr := node.Options().Addr
		s := d.senders[addr]
		if !c.urgent {
			// What it must not overtake may be with the sender of a master that has lost the way and does not know it yet.
			if h := d.box.holder(c.route); h != nil && h != s {
				s, node = h, nil
				select {
				case h.stray <- struct{}{}:
				default:
				}
			}
		}
		if s == nil {
			s = newSender(d.publisher, addr, node, &outbox{wake: make(chan struct{}, 1), of: d.box})
			s.box.by = s
			d.senders[addr] = s
			d.wg.Go(func() { s.run(ctx) })
		}
		s.box.push(c, node)
	}
	if failure != nil || len(d.homeless) == 0 {
		d.state.set(PartSending, "", failure)
	}
	if len(d.homeless) == 0 {
		d.failed = 0
		return
	}
	if !retry {
		return
	}
	d.next = time.Now().Add(backoff(min(d.failed, 3)))
	if d.failed++; d.failed == 1 {
		d.down = time.Now()
	}
	d.client.ReloadState(ctx)
	var old []*command
	d.homeless, old = outdated(d.homeless, d.old(d.down))
	d.box.lend(old, nil, nil)
	for _, c := range old {
		d.drop(c, lostAge, context.DeadlineExceeded)
	}
}

// outdated divides list into what was put after old and what before.
func outdated(list []*command, old time.Time) (fresh, stale []*command) {
	for _, c := range list {
		if c.at.Before(old) {
			stale = append(stale, c)
		} else {
			fresh = append(fresh, c)
		}
	}
	return fresh, stale
}

// old returns before when what waits was put that is too old by now, with Redis out of reach since a time.
func (p *publisher) old(down time.Time) time.Time {
	if time.Since(down) <= p.maxAge {
		return time.Time{}
	}
	return time.Now().Add(-p.maxAge)
}

// expire drops what has waited too long, with Redis out of reach since a time.
func (p *publisher) expire(box *outbox, down time.Time) {
	old := box.expire(p.old(down))
	for _, c := range old {
		p.drop(c, lostAge, context.DeadlineExceeded)
	}
	box.done(old, nil)
}

// drop gives up c, and counts it.
func (p *publisher) drop(c *command, cause int, err error) {
	if !c.urgent { // what is said of now is no loss
		p.stats.lost[cause].Add(1)
	}
	p.keeper.rings.drop(c)
	if c.done != nil {
		c.done("", err)
	}
}

// backoff returns how long to wait after the n-th failure in a row, with jitter.
func backoff(n int) time.Duration {
	d := min(maxBackoff, 20*time.Millisecond<<min(n, 10))
	return d/2 + rand.N(d/2+1)
}

// pause waits after the n-th failure in a row, with jitter, and reports false when ctx is done.
func pause(ctx context.Context, n int) bool { return rest(ctx, n, nil) }

// rest is pause that a token of enough ends.
func rest(ctx context.Context, n int, enough <-chan struct{}) bool {
	t := time.NewTimer(backoff(n))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-enough:
		return true
	case <-ctx.Done():
		return false
	}
}

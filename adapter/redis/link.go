package redis

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/redis/go-redis/v9"
)

// link is one connection with subscriptions. It is made again whenever it breaks. The library's own
// reconnection is not relied on: it subscribes to all shard channels in one command, which a Redis
// Cluster refuses, and it does not say whether Redis has taken them.
type link struct {
	bus    *bus
	addr   string // of a node of a Redis Cluster; "" for channels and patterns, which may be at any
	client redis.UniversalClient
	wake   chan struct{} // holds one token when there are orders
	pong   chan struct{} // holds one token when a PING was answered
	heard  atomic.Int64  // when anything last came, in nanoseconds since 1970
	denied atomic.Bool   // Redis has refused a subscription
	// proven is when the last PING was sent that was answered, in nanoseconds since 1970: what was published before at this
	// server has come. When a message was read says less: a process that was stopped reads what had come before.
	proven atomic.Int64

	asked int // owned by write; bytes of names that are to come back

	left int            // guarded by bus.mu; subscriptions that were there before the connection broke, and are not yet again
	back []subscription // guarded by bus.mu; those that are, and have not been reported

	mu     sync.Mutex
	orders []subscription
	ps     *redis.PubSub // nil while there is no connection
	at     string        // the address of its server, in a Redis Cluster
	cause  error         // why cut was called
}

func newLink(b *bus, addr string, c redis.UniversalClient) *link {
	return &link{bus: b, addr: addr, client: c, wake: make(chan struct{}, 1), pong: make(chan struct{}, 1)}
}

// order asks for one subscription. Called with bus.mu held, which is taken before mu.
func (l *link) order(s subscription) {
	l.mu.Lock()
	l.orders = append(l.orders, s)
	l.mu.Unlock()
	l.nudge()
}

// nudge has the link look at once what there is to do.
func (l *link) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// cut ends the connection because of err.
func (l *link) cut(err error) {
	l.mu.Lock()
	ps := l.ps
	l.cause = err
	l.mu.Unlock()
	if ps != nil {
		_ = ps.Close()
	}
}

// place returns the address of the server that the connection is to, in a Redis Cluster; empty without one.
func (l *link) place() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at
}

// slack is how long before the last sign of a connection something may have been published that it did not bring, as what
// others ask for since a time is on its way for a while.
const slack = 2 * time.Second

// proveEvery is how often a connection is asked whether it brings what is published.
const proveEvery = 10 * time.Second

// breaks notes that w is not there any more. What is not reported yet of a time before remains. Called with bus.mu held.
func (l *link) breaks(w *want) {
	if w.confirmed && w.broken.IsZero() {
		// It may have been connected to one that had been cut off from the others, and answered.
		w.broken = time.Unix(0, min(l.proven.Load(), l.heard.Load())).Add(-slack)
	}
	w.confirmed = false
}

// run keeps the link until ctx is done, or the link is not needed any more.
func (l *link) run(ctx context.Context) {
	failed := 0
	for ctx.Err() == nil {
		if l.idle() {
			if l.bus.retire(l) {
				return
			}
			l.rest(ctx)
			continue
		}
		start := time.Now()
		err := l.once(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil || l.bus.withoutPatterns(err) {
			continue
		}
		if l.bus.cut != nil {
			err = l.bus.cut(l, err)
		}
		l.bus.state.set(PartListening, l.addr, err)
		l.bus.stats.reconnects.Add(1)
		l.bus.broken.Store(time.Now().UnixNano())
		// One that worked for a moment is made again at once: what is published meanwhile is lost.
		if time.Since(start) > 100*time.Millisecond && l.heard.Load() > start.UnixNano() {
			failed = 0
		} else if failed++; !pause(ctx, failed) {
			return
		}
		l.bus.scatter(l)
	}
}

// idle reports whether the link has nothing to do.
func (l *link) idle() bool {
	l.mu.Lock()
	open := len(l.orders)
	l.mu.Unlock()
	return open == 0 && len(l.bus.of(l)) == 0
}

// retire gives up a link that has nothing to do, and reports whether it has. Its node may be none of the Redis Cluster any
// more; if it is, it gets another when something is wanted there.
func (b *bus) retire(l *link) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, w := range b.wants {
		if w.link == l {
			return false
		}
	}
	if l.addr != "" {
		delete(b.links, l.addr)
	}
	return l.addr != ""
}

// rest waits for orders.
func (l *link) rest(ctx context.Context) {
	select {
	case <-l.wake:
	case <-ctx.Done():
	}
}

// once makes one connection and serves it until it breaks. It returns nil if there is nothing to serve any more: that is no
// failure, and what has come to the link meanwhile is at its place.
func (l *link) once(ctx context.Context) error {
	if node, ok := l.client.(*redis.Client); ok && l.addr == "" {
		l.bus.wg.Go(func() { l.bus.role(ctx, node) })
	}
	from, at := l.client, l.addr
	if x, ok := from.(*redis.ClusterClient); ok {
		node, err := anyMaster(ctx, x)
		if err != nil {
			return err
		}
		from, at = node, node.Options().Addr
	}
	ps := from.Subscribe(ctx)
	l.mu.Lock()
	l.ps, l.at, l.cause, l.orders = ps, at, nil, nil // list, made after this, has what was ordered
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		l.ps, l.at = nil, ""
		l.mu.Unlock()
		_ = ps.Close()
	}()
	list := l.bus.of(l)
	if len(list) == 0 || ctx.Err() != nil {
		return nil
	}
	l.proven.Store(time.Now().UnixNano())
	if err := l.ping(ctx, ps); err != nil { // makes the connection
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = ps.Close() })
	defer stop()
	writing := make(chan struct{})
	wctx, cancel := context.WithCancel(ctx)
	go func() { // ends with this connection; waited for below
		defer close(writing)
		if err := l.write(wctx, ps, list); wctx.Err() == nil {
			l.cut(err)
		}
	}()
	err := l.read(ctx, ps)
	cancel()
	_ = ps.Close()
	<-writing
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cause != nil {
		err = l.cause
	}
	return err
}

// read hands on what comes until the connection breaks.
func (l *link) read(ctx context.Context, ps *redis.PubSub) error {
	for {
		x, err := ps.Receive(ctx)
		if err != nil && l.addr != "" && refused(err) && strings.HasPrefix(err.Error(), "MOVED") {
			l.bus.wg.Go(func() { l.bus.rehome(l) }) // the other subscriptions stay
			continue
		}
		if err != nil && refused(err) && strings.HasPrefix(err.Error(), "NOPERM") && !l.bus.patternsRefused(err) {
			l.bus.state.set(PartChannels, l.addr, err) // the others do what they can
			if !l.denied.Swap(true) {                  // the others of the same command
				for _, s := range l.bus.unconfirmed(l) {
					l.order(s)
				}
			}
			continue
		}
		if err != nil {
			return err
		}
		if p, ok := x.(*redis.Pong); ok {
			if at, err := strconv.ParseInt(p.Payload, 10, 64); err == nil {
				l.proven.Store(at)
				select {
				case l.pong <- struct{}{}:
				default:
				}
			}
			continue
		}
		l.heard.Store(time.Now().UnixNano())
		switch m := x.(type) {
		case *redis.Message:
			// The string is a fresh copy that nobody else has, and payloads are never changed.
			payload := unsafe.Slice(unsafe.StringData(m.Payload), len(m.Payload))
			s := subscription{subChannel, m.Channel}
			switch {
			case m.Pattern != "":
				s = subscription{subPattern, m.Pattern}
			case l.bus.sharded:
				s.kind = subShard
			}
			l.bus.deliver(s, m.Channel, payload)
		case *redis.Subscription:
			l.confirmed(m)
		}
	}
}

func (l *link) confirmed(m *redis.Subscription) {
	s := subscription{name: m.Channel}
	on := true
	switch m.Kind {
	case "subscribe":
		s.kind = subChannel
	case "psubscribe":
		s.kind = subPattern
	case "ssubscribe":
		s.kind = subShard
	case "sunsubscribe":
		// Unasked when the slot of the channel moves to another node.
		s.kind, on = subShard, false
		if !l.bus.wanted(l, s) {
			return
		}
	default:
		return
	}
	l.bus.confirm(l, s, on)
	l.bus.state.set(PartListening, l.addr, nil)
}

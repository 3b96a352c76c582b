package redis

import (
	"context"
	"errors"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/beanpole/beanpole/adapter"
)

// Cluster is this process's part in a cluster: one client of Redis, one publisher and one set of
// subscriptions for all namespaces. Its methods may be called from any goroutine.
type Cluster struct {
	// Set by New, then read only.
	cfg     Config
	uid     string
	client  redis.UniversalClient
	lines   *lines
	wire    wire
	box     *outbox
	bus     *bus
	state   *state
	members *members
	roster  *roster
	inbox   *inbox
	inflow  *inflow
	stats   counters
	held    atomic.Int64       // bytes of answers that wait to be fetched
	joins   atomic.Uint64      // how many adapters there have been
	many    atomic.Bool        // was said of patterns
	readers map[string]*reader // by stream
	reads   *reads
	wg      sync.WaitGroup
	ctx     context.Context // the lifetime of all goroutines but the publisher
	cancel  context.CancelFunc
	stop    context.CancelFunc // ends the publisher
	done    chan struct{}      // closed when Close has ended

	watching, watched chan struct{} // closed to end the goroutine that keeps the roster, and by its end

	mu         sync.RWMutex
	namespaces map[string]*namespace
	forwarder  *Forwarder // nil unless Forward was called
	closed     bool
}

// New checks cfg and starts a Cluster. Redis need not be reachable yet: until it is, every namespace
// works as if alone. In mode Auto it is asked, for three seconds at most. Close ends it.
func New(cfg Config) (*Cluster, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	client, lines, err := newClient(&cfg)
	if err != nil {
		return nil, err
	}
	client, undecided := cfg.decide(client)
	chosen := cfg.subscribe()
	c := &Cluster{cfg: cfg, uid: newID(), client: client, lines: lines, namespaces: map[string]*namespace{},
		readers: map[string]*reader{}, reads: newReads(), done: make(chan struct{})}
	for _, name := range cfg.streams() {
		c.readers[name] = &reader{c: c, stream: name, windows: map[string]*window{}, page: cfg.ReadCount, replies: make(chan reply, 4),
			tails: map[string]uint64{}}
		c.readers[name].load.part = max(1, cfg.MaxStreamBytes/loadParts)
		if cfg.Recovery != nil {
			c.readers[name].places.keep = cfg.Recovery.MaxDisconnection
		}
	}
	c.state = newState(cfg.Logger)
	c.state.uid, c.state.losses = c.uid, func() map[string]uint64 { return c.stats.losses(lostUnpublished) }
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.wire = newWire(&cfg, c.uid)
	c.box = newOutbox(cfg.MaxOutboxMessages, cfg.MaxOutboxBytes)
	c.bus = newBus(c.ctx, &c.wg, client, lines, &c.cfg, &c.stats, c.state)
	if p, ok := c.wire.(*pubsub); ok && !chosen {
		p.turns = true
		c.bus.noPatterns = c.turn
	}
	c.inbox, c.inflow = newInbox(c), newInflow(func() time.Time { return c.members.proved() })
	c.bus.regained = c.inbox.regained
	c.bus.cut = func(l *link, cause error) error {
		c.members.look() // and so renew the entry
		return c.inbox.cut(l, cause)
	}
	c.startMembers()
	c.inbox.start()
	if undecided {
		c.wg.Go(func() { c.verify(c.ctx) })
	}
	c.startPublisher()
	c.wg.Go(func() { c.lookAround(c.ctx) })
	for _, r := range c.readers {
		c.wg.Go(func() { r.run(c.ctx) })
	}
	return c, nil
}

// startPublisher starts the publisher, which ends after everything else so that it may say goodbye.
func (c *Cluster) startPublisher() {
	p := &publisher{client: c.client, box: c.box, stats: &c.stats, state: c.state, maxAge: c.cfg.MaxOutboxAge,
		maxLen: c.maxLen}
	p.keeper = c.inbox.keeper
	var ctx context.Context
	ctx, c.stop = context.WithCancel(context.Background())
	go func() {
		defer close(c.done)
		p.run(ctx)
	}()
}

// exact reports whether Redis says of a message how many got it: a Redis Cluster counts only those on the node
// that was told, unless the channel is sharded.
func (c *Cluster) exact() bool {
	_, ok := c.client.(*redis.ClusterClient)
	return !ok || c.bus.sharded
}

// startMembers starts the heartbeat and the roster.
func (c *Cluster) startMembers() {
	channel := c.cfg.beats
	kind, op := subChannel, opPublish
	if c.bus.sharded {
		kind, op = subShard, opSPublish
	}
	m := newMembers(c.uid, c.cfg.HeartbeatInterval, c.cfg.HeartbeatMisses, c.state)
	c.members = m
	m.send = func(to string, b []byte, urgent bool, done func(error)) {
		cmd := &command{op: op, key: channel(to), route: channel(to), data: b}
		if done != nil {
			cmd.done = func(_ string, err error) { done(err) }
		}
		if urgent {
			c.box.hurry(cmd)
		} else if err := c.box.put(cmd); err != nil && done != nil {
			done(err)
		}
	}
	m.came, m.gone = c.inbox.came, c.drop
	m.last = func() time.Time { return c.bus.heard(subscription{kind, channel(c.uid)}) }
	m.silent = func() {
		c.bus.renew(errSilent)
		if _, ok := c.client.(*redis.Client); ok { // what sends may be connected to another server than what listens
			c.lines.drop()
		}
	}
	hear := receiverFunc(func(_ string, payload []byte) {
		if !m.receive(payload) {
			c.garbled(nil, errShape)
		}
	})
	c.bus.last = subscription{kind, channel(c.uid)}
	c.bus.add(subscription{kind, channel("")}, hear)
	c.bus.add(c.bus.last, hear)
	c.wg.Go(c.beat)
	c.roster = newRoster(c.client, &c.cfg, c.uid)
	c.watching, c.watched = make(chan struct{}), make(chan struct{})
	c.wg.Go(func() {
		defer close(c.watched)
		m.watch(c.ctx, c.watching, c.roster, counting{channel, c.bus.subscribers, c.bus.broke, func(ctx context.Context, writes bool) bool {
			return c.bus.settle(ctx, writes, c.readers)
		}, func() bool {
			return c.bus.has(c.bus.last) || c.bus.broken.Load() == 0
		}})
	})
}

// beats returns the channel of heartbeats of one node, or of all if uid is empty.
func (c *Config) beats(uid string) string {
	if uid == "" {
		return c.Prefix + "-beanpole#"
	}
	return c.Prefix + "-beanpole#self#" + uid + "#"
}

// peers returns the channel of a namespace that only Beanpole's servers subscribe to, to be counted.
func (c *Config) peers(nsp string) string { return c.Prefix + "-beanpole#" + nsp + "#" }

// beat sends heartbeats. The first ones come fast: until one has come back, nothing is known to work.
func (c *Cluster) beat() {
	t := time.NewTicker(c.cfg.HeartbeatInterval)
	defer t.Stop()
	first := time.NewTicker(min(c.cfg.HeartbeatInterval, 50*time.Millisecond))
	defer first.Stop()
	for {
		c.members.tick()
		c.state.tick()
		c.inflow.tick()
		c.inbox.rings.tick(time.Now())
		select {
		case <-first.C:
			if c.state.reaches() {
				first.Stop()
			}
		case <-t.C:
		case <-c.ctx.Done():
			return
		}
	}
}

// leave takes this node out of the roster.
func (c *Cluster) leave(ctx context.Context) {
	close(c.watching)
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	select {
	case <-c.watched: // nothing of it may come behind this
		_, _ = c.roster.renew(ctx, 0, "")
	case <-ctx.Done(): // the entry expires
	}
}

// receiverFunc is a function as a receiver.
type handler struct {
	fn func(channel string, payload []byte)
}

func receiverFunc(fn func(string, []byte)) receiver { return &handler{fn} }

func (f *handler) receive(channel string, payload []byte) { f.fn(channel, payload) }

// drop gives up a node in all pending questions.
func (c *Cluster) drop(uid string) {
	for _, n := range c.all() {
		n.drop(uid)
	}
	c.inbox.gone(uid)
}

func (c *Cluster) all() []*namespace {
	c.mu.RLock()
	defer c.mu.RUnlock()
	list := make([]*namespace, 0, len(c.namespaces))
	for _, n := range c.namespaces {
		list = append(list, n)
	}
	return list
}

func (c *Cluster) namespace(name string) *namespace {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.namespaces[name]
}

// of is namespace for a name in bytes.
func (c *Cluster) of(name []byte) *namespace {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.namespaces[string(name)]
}

// Adapter returns the factory of the adapters of this cluster. One cluster may have one adapter for a
// namespace at a time.
func (c *Cluster) Adapter() adapter.Factory {
	return func(ns adapter.Namespace) (adapter.Adapter, error) { return c.join(ns) }
}

// Ready returns when this node hears everything it wants to hear, knows who else is there, and is in the list by which
// others know it, or with the error of ctx.
func (c *Cluster) Ready(ctx context.Context) error {
	if err := c.bus.wait(ctx); err != nil {
		return err
	}
	select {
	case <-c.members.entered:
	case <-ctx.Done():
		return adapter.Ended(ctx)
	case <-c.ctx.Done():
		return ErrClosed
	}
	for _, r := range c.readers {
		if err := r.ready(ctx); err != nil {
			return err
		}
	}
	return nil
}

// UID is the name of this node in the cluster.
func (c *Cluster) UID() string { return c.uid }

// Status says how the cluster does.
func (c *Cluster) Status() Status {
	up, since, err, parts := c.state.get()
	s := Status{Up: up, Since: since, Err: err, Parts: parts, Nodes: c.members.count(), Lag: c.members.delay(),
		FetchLag: time.Duration(c.inbox.behind.Load())}
	for _, r := range c.readers {
		r.mu.Lock()
		s.StreamLag = max(s.StreamLag, r.lag)
		r.mu.Unlock()
	}
	return s
}

// Stats returns the counters since New.
func (c *Cluster) Stats() Stats {
	s := Stats{Published: c.stats.published.Load(), Received: c.stats.received.Load(), Skipped: c.stats.skipped.Load(),
		Malformed: c.stats.malformed.Load(), Fetched: c.stats.fetched.Load(), Reconnects: c.stats.reconnects.Load(), Lost: c.stats.losses(lostCauses)}
	c.inbox.mu.RLock()
	s.LostOf = maps.Clone(c.inbox.lost)
	c.inbox.mu.RUnlock()
	s.Waiting, s.WaitingBytes = c.box.waiting()
	return s
}

// Close publishes what waits, answers other nodes until they miss nothing, for five seconds and half of ctx's time at most, says goodbye
// to the others, and ends the cluster and its adapters.
// It returns the error of ctx when that ends first; what waited is lost then. While Redis is out of
// reach Close tries for a second at most and returns nil; what is lost is counted, and said in the log.
func (c *Cluster) Close(ctx context.Context) error {
	c.mu.Lock()
	again := c.closed
	c.closed = true
	c.mu.Unlock()
	// With Redis out of reach there is no use in waiting for it.
	short := ctx
	if !c.state.reaches() {
		var cancel context.CancelFunc
		short, cancel = context.WithTimeout(ctx, time.Second)
		defer cancel()
	}
	if !again {
		for _, n := range c.all() {
			_ = n.Close(ctx)
		}
		c.inbox.linger(short)
		c.leave(short)
		c.members.bye()
		c.box.close()
	}
	var err error
	select {
	case <-c.done:
	case <-short.Done():
		err = ctx.Err()
	}
	_, _, cause, _ := c.state.get()
	before := c.stats.lost[lostUnconfirmed].Load()
	c.stop()
	c.cancel()
	if f := c.forwarder; f != nil && !again {
		f.Leave(short)
		f.way.CloseIdleConnections()
	}
	c.lines.cut()
	<-c.done
	n := c.stats.lost[lostClosed].Load() + c.stats.lost[lostUnconfirmed].Load() - before
	if n > 0 && !again {
		c.cfg.Logger.Warn("cluster closed with messages that could not be published", "messages", n, "cause", cause)
	}
	if !again {
		err = errors.Join(err, c.client.Close()) // also ends reads that block
	}
	c.wg.Wait()
	return err
}

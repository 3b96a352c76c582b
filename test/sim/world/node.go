package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/test/sim/plan"
	"github.com/beanpole/beanpole/transport"
)

// node is one server. One that is started again is another node, on the same address.
type node struct {
	w       *world
	slot    int
	name    string // of this node: n1#2
	addr    string // of its slot: n1:80
	io      app
	library bool                            // io is one
	cluster *redis.Cluster                  // nil without Redis
	web     *http.Server                    // guarded by world.mu until it is set
	forward atomic.Pointer[redis.Forwarder] // nil until it listens
	from    int64                           // when it was started
	forgets bool                            // it keeps little of what it has published
	dynamic bool                            // it listens to the channels of rooms
	hears   int64                           // since when it hears the others; 0 if it did not when it let clients in
	weight  map[string]int                  // what it held when it was started, if that is counted

	// Guarded by world.mu.
	opened   int64 // when it has told the others where it is
	gone     int64 // when it began to end, 0 if it has not
	dead     bool  // killed
	parted   bool  // it could not reach Redis for so long that others may have taken it for gone
	draining bool
	paused   bool
	pauses   []window
	closed   bool
	sse      map[string]int    // events of other servers
	heardOf  map[string]*hears // by server and namespace
}

// start makes the next node of a slot.
func (w *world) start(slot int) *node {
	w.mu.Lock()
	number := 1
	for _, n := range w.all {
		if n.slot == slot {
			number++
		}
	}
	n := &node{w: w, slot: slot, name: fmt.Sprintf("n%d#%d", slot, number), addr: fmt.Sprintf("n%d:80", slot),
		from: w.now(), sse: map[string]int{}, heardOf: map[string]*hears{}}
	w.line(n.name, "starts")
	w.mu.Unlock()
	log := slog.New(&logger{w: w, who: n.name})
	cfg := server.Config{Logger: log, ConnectTimeout: connectTimeout, Transport: transport.Config{
		PingInterval: pingInterval, PingTimeout: pingTimeout, UpgradeTimeout: upgradeTimeout,
		WriteTimeout: 5 * time.Second, BodyTimeout: calm / 2, AllowEIO3: w.plan.Does(plan.Old), MaxBacklogBytes: w.bounds.backlog, Logger: log,
	}}
	w.compress(&cfg.Transport)
	if w.plan.Does(plan.JSONP) {
		cfg.Transport.JSONP = transport.JSONPAll
	}
	keep := w.bounds.recovery(w)
	if w.plan.Recovers() {
		cfg.Recovery = &server.Recovery{Recovery: *keep}
	}
	if !w.plan.Redis() {
		cfg.Adapter = adapter.Memory(nil)
		if w.plan.Recovers() {
			cfg.Adapter = adapter.Memory(keep)
		}
	} else {
		client := w.reach(n.name)
		defer func() { _ = client.Close() }() // its options are used, not the client
		c := redis.Config{Client: client, Logger: log, RequestTimeout: requestTimeout,
			HeartbeatInterval: time.Second, BlockTime: 2 * time.Second, MaxStreamLen: w.bounds.stream}
		switch {
		case w.plan.Mode == "sharded":
			c.Mode, n.dynamic = redis.Sharded, true
		case w.plan.Streams():
			c.Mode = redis.Streams
			if w.plan.Recovers() {
				c.Recovery = keep
			}
		default:
			c.Mode = redis.PubSub
			c.Subscriptions = []redis.Subscriptions{redis.Static, redis.Dynamic, redis.DynamicPrivate}[w.rng("subscriptions").IntN(3)]
			n.dynamic = c.Subscriptions != redis.Static
		}
		if w.rng("resend").IntN(3) == 0 { // it forgets, and others count
			c.MaxResendBytes, n.forgets = 4<<10, true
		}
		n.bounds(&c)
		cluster, err := redis.New(c)
		if err != nil {
			panic(err)
		}
		n.cluster = cluster
		ofCluster := cluster.Adapter()
		cfg.Adapter = func(ns adapter.Namespace) (adapter.Adapter, error) { return ofCluster(arrivals{ns, n}) }
		cfg.Transport.UnknownSession = n.unknown
	}
	make := newNative
	if w.plan.Does(plan.Library) && w.rng(fmt.Sprintf("kind %d", slot)).IntN(3) == 0 {
		make, n.library = newLibrary, true
		w.note(n.name, "is of the library")
		w.count("nodes of the library")
	}
	var err error
	if n.io, err = make(n, cfg); err != nil {
		panic(err)
	}
	w.mu.Lock()
	w.slots[slot] = n
	w.all = append(w.all, n)
	w.mu.Unlock()
	return n
}

// bounds draws what the node keeps while Redis is away, and for whom: sometimes so little that it does not suffice.
func (n *node) bounds(c *redis.Config) {
	rng := n.w.rng("bounds")
	if rng.IntN(2) == 0 {
		c.MaxOutboxMessages, n.forgets = 6+rng.IntN(10), true
	}
	if rng.IntN(2) == 0 {
		c.MaxOutboxAge, n.forgets = between(rng, time.Second, 3*time.Second), true
	}
	if rng.IntN(3) == 0 {
		c.MaxResendAge, n.forgets = between(rng, 2*time.Second, 6*time.Second), true
	}
}

// open lets clients in, when the node hears the others, or has waited long enough.
func (n *node) open() {
	if n.cluster != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := n.cluster.Ready(ctx); err != nil {
			n.w.note(n.name, "not ready: %v", err)
			n.w.mu.Lock()
			unwell := busy || n.w.model.unwell(n.from-settle, n.w.now())
			n.w.mu.Unlock()
			if !unwell {
				n.w.violated("cluster-up", n.name, "Ready returned %v, and all has been well", err)
			}
		} else {
			n.w.mu.Lock()
			n.hears = n.w.now()
			n.w.mu.Unlock()
		}
	}
	if n.w.weighs() {
		n.weight = n.weigh()
	}
	n.listen()
}

// listen takes connections.
func (n *node) listen() {
	l, err := n.w.net.Listen(n.name, n.addr)
	if err != nil {
		panic(err)
	}
	web := &http.Server{Handler: n.counted(n.io), ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(&logger{w: n.w, who: n.name}, slog.LevelDebug)}
	n.w.mu.Lock()
	n.web = web
	n.w.mu.Unlock()
	if n.cluster != nil {
		n.announce()
	}
	go func() { _ = web.Serve(l) }()
}

func (n *node) killed() bool { return n.dead }

// young reports whether others may not know the node yet at a time.
func (n *node) young(at int64) bool { return n.from > second && at < n.from+settle }

// live reports whether the node is to be used.
func (n *node) live() bool {
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	return !n.dead && !n.draining && !n.closed && !n.paused
}

// kill ends the node as the end of its process does. What it goes on doing in this process reaches nobody.
func (n *node) kill() {
	n.w.mu.Lock()
	at := n.w.now()
	n.dead, n.gone = true, at
	n.w.line(n.name, "is killed")
	for _, l := range n.w.model.births {
		if c := l.conn(); c != nil && c.node == n && l.over == 0 && c.closed == 0 {
			l.finish(at, "its node was killed")
		}
	}
	n.w.mu.Unlock()
	n.w.net.Kill(n.name)
	_ = n.web.Close()
	n.w.leaving.Go(n.bury)
}

// bury ends what a killed node still does in this process.
func (n *node) bury() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_ = n.io.Shutdown(ctx)
	if n.cluster != nil {
		_ = n.cluster.Close(ctx)
	}
}

// drain ends the node in the order of a deployment: no new sessions, the open ones closed a few at a time, then
// the server, then the cluster. Source: server/host/drain.go, run.go.
func (n *node) drain(rng func(time.Duration) time.Duration) {
	n.w.mu.Lock()
	n.draining, n.gone = true, n.w.now()
	n.w.line(n.name, "drains")
	n.w.mu.Unlock()
	n.io.Engine().Refuse(true)
	var open []*transport.Session
	n.io.Engine().Each(func(s *transport.Session) bool { open = append(open, s); return true })
	slices.SortFunc(open, func(a, b *transport.Session) int { return int(a.Num()) - int(b.Num()) })
	for _, s := range open {
		s.Close(transport.ReasonServerShuttingDown)
		time.Sleep(rng(200 * time.Millisecond))
	}
	n.stop()
}

// stop ends the node in peace.
func (n *node) stop() {
	n.w.mu.Lock()
	if n.gone == 0 {
		n.gone = n.w.now()
	}
	n.w.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := n.io.Shutdown(ctx); err != nil {
		n.w.violated("shutdown", n.name, "Shutdown returned %v", err)
	}
	if n.cluster != nil {
		if err := n.cluster.Close(ctx); err != nil {
			n.w.violated("shutdown", n.name, "Close of the cluster returned %v", err)
		}
	}
	_ = n.web.Close()
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	n.closed = true
	n.w.line(n.name, "has stopped")
}

// logger writes a node's log into the history.
type logger struct {
	w     *world
	who   string
	attrs string
}

func (l *logger) Enabled(context.Context, slog.Level) bool { return true }

func (l *logger) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(l.attrs)
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&b, " %s=%v", a.Key, a.Value)
		return true
	})
	if strings.Contains(r.Message, "panic") && !strings.Contains(b.String(), wanted) {
		l.w.violated("crash", l.who, "%s%s", r.Message, b.String())
	}
	if strings.Contains(r.Message, "panic") || r.Level >= slog.LevelError {
		l.w.count("log " + r.Level.String() + ": " + r.Message)
	}
	l.w.note(l.who, "log %s %s%s", r.Level, r.Message, b.String())
	return nil
}

func (l *logger) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *l
	for _, a := range attrs {
		c.attrs += fmt.Sprintf(" %s=%v", a.Key, a.Value)
	}
	return &c
}

func (l *logger) WithGroup(string) slog.Handler { return l }

package redis

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/beanpole/beanpole/adapter"
)

// namespace is the adapter of one namespace.
type namespace struct {
	adapter.Local

	// Set by Cluster.join, then read only.
	c     *Cluster
	name  string
	first subscription // of subs, the one whose subscribers are counted
	peers subscription // only Beanpole nodes subscribe to it, to be counted
	line  *line        // nil without recovery
	epoch uint64       // tells it apart from one before with the same name
	began time.Time

	mu        sync.Mutex
	requests  map[string]*request
	parcels   map[string]*parcel  // by node and question: answers that are to come, or that it may fetch more of
	parcelled int                 // what they count for
	omitted   map[string]struct{} // sockets of which it has been said that they cannot be described
	asks      questions
	closed    bool

	counting chan struct{} // has a token while the other nodes are counted for questions that wait
	counted  *round        // who put the token there may use it

	firsts firsts

	// roomsMu makes looking at a room and (un)subscribing one step.
	roomsMu sync.Mutex
}

var _ adapter.Adapter = (*namespace)(nil)

// join makes the adapter of a namespace.
func (c *Cluster) join(ns adapter.Namespace) (*namespace, error) {
	n := &namespace{c: c, name: ns.Name(), requests: map[string]*request{}, parcels: map[string]*parcel{},
		omitted:  map[string]struct{}{},
		counting: make(chan struct{}, 1), epoch: c.joins.Add(1), began: time.Now()}
	n.Local.Namespace = ns
	n.first = n.subs()[0]
	n.peers = subscription{n.first.kind, c.cfg.peers(n.name)}
	if s, ok := c.wire.(*streams); ok {
		stream, err := s.name(n.name)
		if err != nil {
			return nil, err
		}
		if c.cfg.Recovery != nil {
			n.line = newLine(n, c.readers[stream])
			n.Position = n.line.position
		}
	}
	if _, ok := c.wire.room(n.name, "", false); ok {
		n.Changed = n.roomChanged
	} else if p, ok := c.wire.(*pubsub); ok && p.turns {
		n.Changed = func(room string) {
			if !p.static() {
				n.roomChanged(room)
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, ErrClosed
	}
	if c.namespaces[n.name] != nil {
		return nil, fmt.Errorf("redis: namespace %q has an adapter already", n.name)
	}
	c.namespaces[n.name] = n
	if p, ok := c.wire.(*pubsub); ok && p.static() && len(c.namespaces) == manyPatterns && !c.many.Swap(true) {
		c.cfg.Logger.Warn("each of many namespaces is a pattern, with which redis compares every message of anybody: publishing gets dear",
			"namespaces", manyPatterns, "advice", "set Subscriptions: redis.Dynamic (BEANPOLE_REDIS_SUBSCRIPTIONS=dynamic), or use another mode, if clients open namespaces")
	}
	for _, s := range n.subs() {
		c.bus.add(s, n)
	}
	c.bus.add(n.peers, nobody)
	c.members.set(n.name, true)
	return n, nil
}

// subs are the subscriptions of the namespace, without those of rooms.
func (n *namespace) subs() []subscription { return n.c.wire.channels(n.name) }

// nobody takes what is sent on channels that are only counted.
var nobody = receiverFunc(func(string, []byte) {})

// roomChanged follows a room that came or went with its subscription.
func (n *namespace) roomChanged(room string) {
	n.roomsMu.Lock()
	defer n.roomsMu.Unlock()
	private := n.IsMember(room) && !n.Joined(room)
	s, ok := n.c.wire.room(n.name, room, private)
	if ok && n.Has(room) {
		n.c.bus.add(s, n)
	} else if s.name != "" {
		n.c.bus.remove(s, n)
	}
}

// publish sends m to all nodes, or to one. It never waits.
func (n *namespace) publish(m *message, to string) error {
	c, err := n.encode(m, to)
	if err != nil {
		return err
	}
	return n.c.put(c)
}

func (n *namespace) encode(m *message, to string) (*command, error) {
	m.uid, m.nsp = n.c.uid, n.name
	c, err := n.c.wire.encode(m, to)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errEncode, err)
	}
	return c, nil
}

// sendable encodes what the application has for all nodes, and refuses what is too large for others before anything is done
// with it here: what one server did and no other, and no client that is away will ever get, would be worse than nothing.
func (n *namespace) sendable(m *message) (*command, error) {
	c, err := n.encode(m, "")
	if err == nil {
		err = c.fits(n.c.cfg.MaxMessageBytes)
	}
	return c, err
}

// everywhere has m done here and, unless it is for this node alone, by the others.
func (n *namespace) everywhere(m *message, here func()) error {
	if m.target.Local {
		here()
		return nil
	}
	c, err := n.sendable(m)
	if err != nil {
		return err
	}
	here()
	return n.c.put(c)
}

// put queues a command and counts what does not fit.
func (c *Cluster) put(cmd *command) error {
	err := c.box.offer(cmd, c.cfg.MaxMessageBytes, &c.stats, c.state)
	if errors.Is(err, ErrClosed) {
		c.stats.lost[lostClosed].Add(1)
	}
	return err
}

func (n *namespace) Broadcast(m adapter.Message, t adapter.Target) error {
	if n.line != nil {
		return n.line.broadcast(m, t)
	}
	return n.everywhere(&message{kind: kindBroadcast, target: t, event: m}, func() { n.Local.Broadcast(m, t) })
}

func (n *namespace) BroadcastWithAck(ctx context.Context, m adapter.Message, t adapter.Target, answer func(adapter.Message), done func(error)) {
	if t.Local {
		n.Local.BroadcastWithAck(ctx, m, t, answer, done)
		return
	}
	q := &message{kind: kindBroadcast, target: t, event: m}
	if weight(m) > n.c.cfg.MaxMessageBytes/2 { // else there is room for whatever belongs to it
		if _, err := n.sendable(q); err != nil {
			go done(err)
			return
		}
	}
	ctx, cancel := n.bound(ctx)
	r := newRequest(kindBroadcast, answer)
	r.failed = errNotAsked
	r.answers.Ask()
	local, forget := n.Ask(m, t, r.answers.Put)
	r.answers.Expect(local)
	closed := n.later(&question{ctx, q, r})
	if closed != nil {
		n.posed(r, closed)
	}
	r.answers.Then(ctx, func(err error) {
		cancel()
		forget()
		if closed == nil {
			n.ended()
		}
		done(n.conclude(r, err))
	})
}

// bound gives ctx a deadline if it has none.
func (n *namespace) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, n.c.cfg.RequestTimeout, adapter.ErrTimeout)
}

func (n *namespace) Fetch(ctx context.Context, t adapter.Target) ([]adapter.Details, error) {
	list := n.Local.Fetch(t)
	if t.Local {
		return list, nil
	}
	r, err := n.fetch(ctx, t, false)
	r.mu.Lock()
	defer r.mu.Unlock()
	return append(list, r.details...), err
}

// Count asks Beanpole nodes for a number only; Node peers describe their sockets.
func (n *namespace) Count(ctx context.Context, t adapter.Target) (int, error) {
	count := n.Rooms.Count(t)
	if t.Local {
		return count, nil
	}
	r, err := n.fetch(ctx, t, true)
	r.mu.Lock()
	defer r.mu.Unlock()
	return count + r.count + len(r.details), err
}

func (n *namespace) fetch(ctx context.Context, t adapter.Target, counted bool) (*request, error) {
	ctx, cancel := n.bound(ctx)
	defer cancel()
	r := newRequest(kindFetch, nil)
	q := &message{kind: kindFetch, target: t, counted: counted}
	return r, n.finish(ctx, q, r, n.start(ctx, q, r))
}

func (n *namespace) SocketsJoin(t adapter.Target, rooms ...string) error {
	return n.everywhere(&message{kind: kindSocketsJoin, target: t, rooms: rooms}, func() { n.Local.SocketsJoin(t, rooms...) })
}

func (n *namespace) SocketsLeave(t adapter.Target, rooms ...string) error {
	return n.everywhere(&message{kind: kindSocketsLeave, target: t, rooms: rooms}, func() { n.Local.SocketsLeave(t, rooms...) })
}

func (n *namespace) Disconnect(t adapter.Target, closeSession bool) error {
	return n.everywhere(&message{kind: kindDisconnect, target: t, close: closeSession}, func() { n.Local.Disconnect(t, closeSession) })
}

func (n *namespace) ServerSideEmit(m adapter.Message) error {
	return n.publish(&message{kind: kindServerSideEmit, event: m}, "")
}

func (n *namespace) ServerSideEmitWithAck(ctx context.Context, m adapter.Message, answer func(adapter.Message)) error {
	ctx, cancel := n.bound(ctx)
	defer cancel()
	r := newRequest(kindServerSideEmit, answer)
	q := &message{kind: kindServerSideEmit, event: m}
	return n.finish(ctx, q, r, n.start(ctx, q, r))
}

// Servers counts the nodes. One without a connection is waited for until it has one again, or is gone from the roster.
func (n *namespace) Servers(ctx context.Context) (int, error) {
	ctx, cancel := n.bound(ctx)
	defer cancel()
	for attempt := 0; ; attempt++ {
		p, err := n.present(ctx)
		count := 1 + len(p.named) + p.strangers + p.unheard
		switch {
		case err != nil:
			return 1 + len(p.named), &adapter.PartialError{Err: errors.Join(adapter.ErrDegraded, err)}
		case len(p.away) == 0:
			return count, nil
		case !pause(ctx, min(attempt, 4)):
			return count, &adapter.PartialError{Nodes: len(p.away), Missing: p.away, Err: errAway}
		}
	}
}

// drop gives up a node in all pending questions.
func (n *namespace) drop(uid string) {
	n.mu.Lock()
	list := make([]*request, 0, len(n.requests))
	for _, r := range n.requests {
		list = append(list, r)
	}
	n.mu.Unlock()
	for _, r := range list {
		r.drop(uid)
	}
}

// Close ends the adapter. Other nodes no longer count it.
func (n *namespace) Close(ctx context.Context) error {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return nil
	}
	n.closed = true
	var ended []answer
	for key := range n.parcels {
		ended = n.unlist(ended, key)
	}
	n.mu.Unlock()
	for _, a := range ended {
		a.end()
	}
	n.c.mu.Lock()
	delete(n.c.namespaces, n.name)
	n.c.mu.Unlock()
	for _, s := range n.subs() {
		n.c.bus.removeAfter(s, n, 0)
	}
	n.c.bus.removeAfter(n.peers, nobody, 0)
	for _, room := range n.Names(true) {
		if s, ok := n.c.wire.room(n.name, room, false); ok {
			n.c.bus.remove(s, n)
		}
	}
	n.c.members.set(n.name, false)
	return nil
}

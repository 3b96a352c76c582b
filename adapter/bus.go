package adapter

import (
	"context"
	"slices"
	"sync"
)

// Bus makes servers of one process one cluster, in memory: for tests. Everything happens at once, and nothing is ever
// lost; a question between servers whose context has no deadline waits for five seconds, as it does over Redis.
type Bus struct {
	vault *vault // nil without recovery
	shelf *shelf

	mu     sync.Mutex        // before that of a space
	spaces map[string]*space // guarded by mu
}

// space is one namespace on all nodes that have it.
type space struct {
	log *log // nil without recovery

	mu    sync.Mutex
	nodes []*node // guarded by mu; replaced, never changed
}

// NewBus returns a Bus that keeps sessions as r says; with nil it keeps none.
func NewBus(r *Recovery) (*Bus, error) {
	b := &Bus{spaces: make(map[string]*space)}
	if r == nil {
		return b, nil
	}
	limits, err := r.withDefaults()
	if err != nil {
		return nil, err
	}
	b.vault, b.shelf = newVault(limits), &shelf{limits: limits}
	return b, nil
}

// Adapter makes the adapters of one more node: each server wants its own. They have the method Link() *Link.
func (b *Bus) Adapter() Factory {
	link := &Link{}
	return func(ns Namespace) (Adapter, error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		s := b.spaces[ns.Name()]
		if s == nil {
			s = &space{}
			if b.vault != nil {
				s.log = newLog(ns.Name(), b.vault, b.shelf)
			}
			b.spaces[ns.Name()] = s
		}
		n := &node{memory: memory{Local: Local{Namespace: ns}, log: s.log}, bus: b, link: link, space: s}
		n.nodes = n.namespaces
		if s.log != nil {
			n.Position = s.log.position
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.nodes = append(slices.Clip(s.nodes), n)
		return n, nil
	}
}

// node is the adapter of one namespace on one node of a Bus. What concerns this node alone is memory's.
type node struct {
	memory
	bus   *Bus
	link  *Link
	space *space
}

// Link returns what connects the node with the others.
func (n *node) Link() *Link { return n.link }

var _ Adapter = (*node)(nil)

// namespaces returns the namespace on all nodes that have it.
func (n *node) namespaces() (list []Namespace) {
	for _, x := range n.all() {
		list = append(list, x.Namespace)
	}
	return list
}

// all returns the nodes that have the namespace.
func (n *node) all() []*node {
	n.space.mu.Lock()
	defer n.space.mu.Unlock()
	return n.space.nodes
}

// others is all without n.
func (n *node) others() []*node {
	return slices.DeleteFunc(slices.Clone(n.all()), func(x *node) bool { return x == n })
}

// meant returns the nodes that t is for, as far as they are reached, and which of the others a question to them misses.
func (n *node) meant(t Target) (reached []*node, short *missing) {
	if t.Local {
		return []*node{n}, nil
	}
	others, short := n.reached()
	return append([]*node{n}, others...), short
}

// Broadcast delivers m on every node before the next event that is kept.
func (n *node) Broadcast(m Message, t Target) error {
	nodes, short := n.meant(t)
	deliver := func(m Message) (after func()) {
		var list []func()
		for _, x := range nodes {
			list = append(list, x.Deliver(m, t))
		}
		return func() {
			for _, fn := range list {
				fn()
			}
		}
	}
	if n.log == nil {
		deliver(m)()
		return short.degraded()
	}
	kept := t
	kept.Volatile = t.Volatile || t.Local || short.degraded() != nil // what is for this server alone is of no use on another
	n.log.deliver(m, kept, deliver)
	return short.degraded()
}

// BroadcastWithAck asks the members of all nodes.
func (n *node) BroadcastWithAck(ctx context.Context, m Message, t Target, answer func(Message), done func(error)) {
	a := NewAnswers(answer)
	nodes, short := n.meant(t)
	for range nodes {
		a.Ask()
	}
	var list []func()
	for _, x := range nodes {
		count, forget := x.Ask(m, t, a.Put)
		list = append(list, forget)
		a.Expect(count)
	}
	a.Then(ctx, func(err error) {
		for _, forget := range list {
			forget()
		}
		if err = a.Short(err); err == nil {
			err = short.await(ctx)
		}
		done(err)
	})
}

// Fetch describes the members of all nodes.
func (n *node) Fetch(ctx context.Context, t Target) ([]Details, error) {
	list := []Details{}
	nodes, short := n.meant(t)
	for _, x := range nodes {
		list = append(list, x.Local.Fetch(t)...)
	}
	return list, short.await(ctx)
}

// Count counts the members of all nodes.
func (n *node) Count(ctx context.Context, t Target) (sum int, err error) {
	nodes, short := n.meant(t)
	for _, x := range nodes {
		sum += x.Rooms.Count(t)
	}
	return sum, short.await(ctx)
}

// SocketsJoin acts on the members of all nodes.
func (n *node) SocketsJoin(t Target, rooms ...string) error {
	nodes, short := n.meant(t)
	for _, x := range nodes {
		x.Local.SocketsJoin(t, rooms...)
	}
	return short.degraded()
}

// SocketsLeave acts on the members of all nodes.
func (n *node) SocketsLeave(t Target, rooms ...string) error {
	nodes, short := n.meant(t)
	for _, x := range nodes {
		x.Local.SocketsLeave(t, rooms...)
	}
	return short.degraded()
}

// Disconnect acts on the members of all nodes.
func (n *node) Disconnect(t Target, closeSession bool) error {
	nodes, short := n.meant(t)
	for _, x := range nodes {
		x.Local.Disconnect(t, closeSession)
	}
	return short.degraded()
}

// ServerSideEmit hands m to the other nodes' applications.
func (n *node) ServerSideEmit(m Message) error {
	others, short := n.reached()
	for _, x := range others {
		x.Namespace.ServerEvent(m, nil)
	}
	return short.degraded()
}

// ServerSideEmitWithAck waits for one answer of each other node.
func (n *node) ServerSideEmitWithAck(ctx context.Context, m Message, answer func(Message)) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	a := NewAnswers(answer)
	others, short := n.reached()
	a.Ask()
	for _, x := range others {
		x.Namespace.ServerEvent(m, func(m Message) { a.Put(m, false) })
	}
	a.Expect(len(others))
	if err := a.Wait(ctx); err != nil {
		return &PartialError{Nodes: a.Missing() + short.count(), Err: err}
	}
	return short.await(ctx)
}

// Servers returns how many nodes have the namespace and are reached, or have been until a moment ago.
func (n *node) Servers(context.Context) (int, error) {
	others, short := n.reached()
	return 1 + len(others) + short.count(), short.degraded()
}

// Close takes the node out. The last one forgets the log.
func (n *node) Close(ctx context.Context) error {
	n.bus.mu.Lock()
	defer n.bus.mu.Unlock()
	left := n.others()
	n.space.mu.Lock()
	n.space.nodes = left
	n.space.mu.Unlock()
	if len(left) > 0 || n.bus.spaces[n.Namespace.Name()] != n.space {
		return nil
	}
	delete(n.bus.spaces, n.Namespace.Name())
	return n.memory.Close(ctx)
}

package adapter

import (
	"context"
	"slices"
	"sync"
	"time"
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

// Adapter makes the adapters of one more node: each server wants its own.
func (b *Bus) Adapter() Factory {
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
		n := &node{memory: memory{Local: Local{Namespace: ns}, log: s.log}, bus: b, space: s}
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
	space *space
}

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

// meant returns the nodes that t is for.
func (n *node) meant(t Target) []*node {
	if t.Local {
		return []*node{n}
	}
	return n.all()
}

// Broadcast delivers m on every node before the next event that is kept.
func (n *node) Broadcast(m Message, t Target) error {
	nodes := n.meant(t)
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
		return nil
	}
	kept := t
	kept.Volatile = t.Volatile || t.Local // what is for this server alone is of no use on another
	n.log.deliver(m, kept, deliver)
	return nil
}

// BroadcastWithAck asks the members of all nodes.
func (n *node) BroadcastWithAck(ctx context.Context, m Message, t Target, answer func(Message), done func(error)) {
	a, nodes := NewAnswers(answer), n.meant(t)
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
		done(a.Short(err))
	})
}

// Fetch describes the members of all nodes.
func (n *node) Fetch(_ context.Context, t Target) ([]Details, error) {
	list := []Details{}
	for _, x := range n.meant(t) {
		list = append(list, x.Local.Fetch(t)...)
	}
	return list, nil
}

// Count counts the members of all nodes.
func (n *node) Count(_ context.Context, t Target) (sum int, err error) {
	for _, x := range n.meant(t) {
		sum += x.Rooms.Count(t)
	}
	return sum, nil
}

// SocketsJoin acts on the members of all nodes.
func (n *node) SocketsJoin(t Target, rooms ...string) error {
	for _, x := range n.meant(t) {
		x.Local.SocketsJoin(t, rooms...)
	}
	return nil
}

// SocketsLeave acts on the members of all nodes.
func (n *node) SocketsLeave(t Target, rooms ...string) error {
	for _, x := range n.meant(t) {
		x.Local.SocketsLeave(t, rooms...)
	}
	return nil
}

// Disconnect acts on the members of all nodes.
func (n *node) Disconnect(t Target, closeSession bool) error {
	for _, x := range n.meant(t) {
		x.Local.Disconnect(t, closeSession)
	}
	return nil
}

// ServerSideEmit hands m to the other nodes' applications.
func (n *node) ServerSideEmit(m Message) error {
	for _, x := range n.others() {
		x.Namespace.ServerEvent(m, nil)
	}
	return nil
}

// busTimeout is how long a question between nodes waits when its context does not say it.
const busTimeout = 5 * time.Second

// ServerSideEmitWithAck waits for one answer of each other node.
func (n *node) ServerSideEmitWithAck(ctx context.Context, m Message, answer func(Message)) error {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, busTimeout, ErrTimeout)
		defer cancel()
	}
	a, others := NewAnswers(answer), n.others()
	a.Ask()
	for _, x := range others {
		x.Namespace.ServerEvent(m, func(m Message) { a.Put(m, false) })
	}
	a.Expect(len(others))
	if err := a.Wait(ctx); err != nil {
		return &PartialError{Nodes: a.Missing(), Err: err}
	}
	return nil
}

// Servers returns how many nodes have the namespace.
func (n *node) Servers(context.Context) (int, error) { return len(n.all()), nil }

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

package adapter

import (
	"context"
	"errors"
)

// Memory returns a Factory of adapters for a cluster of one node. Everything happens at once and
// nothing is ever lost. With a nil Recovery sessions are not kept.
func Memory(r *Recovery) Factory {
	if r == nil {
		return func(n Namespace) (Adapter, error) { return &memory{Local: Local{Namespace: n}}, nil }
	}
	limits, err := r.withDefaults()
	if err != nil {
		return func(Namespace) (Adapter, error) { return nil, err }
	}
	v, shelf := newVault(limits), &shelf{limits: limits}
	return func(n Namespace) (Adapter, error) {
		m := &memory{Local: Local{Namespace: n}, log: newLog(n.Name(), v, shelf)}
		m.Position = m.log.position
		return m, nil
	}
}

// memory is the adapter of one namespace on one node.
type memory struct {
	Local
	log   *log               // nil without recovery
	nodes func() []Namespace // of a Bus, on all its nodes; nil for one alone
}

var _ Adapter = (*memory)(nil)

// Broadcast delivers m, in the order of the log if there is one.
func (a *memory) Broadcast(m Message, t Target) error {
	if a.log == nil {
		a.Local.Broadcast(m, t)
	} else {
		a.log.deliver(m, t, func(m Message) func() { return a.Local.Deliver(m, t) })
	}
	return nil
}

// DeliverTo delivers m, an event that is not kept, to one member whatever rooms it is in, in the order of the log.
func (a *memory) DeliverTo(to Member, m Message, f Flags) {
	one := func(m Message) (after func()) { return a.Local.DeliverTo(to, m, f) }
	if a.log == nil {
		one(m)()
	} else {
		a.log.deliver(m, Target{Flags: Flags{Volatile: true}}, one)
	}
}

// Remove ends a membership between two events, so that its trail ends with the last that m got.
func (a *memory) Remove(m Member) ([]string, Trail) {
	if a.log != nil {
		a.log.order.Lock()
		defer a.log.order.Unlock()
	}
	return a.Local.Remove(m)
}

func (a *memory) BroadcastWithAck(ctx context.Context, m Message, t Target, answer func(Message), done func(error)) {
	a.Local.BroadcastWithAck(ctx, m, t, answer, done)
}

func (a *memory) Fetch(_ context.Context, t Target) ([]Details, error) { return a.Local.Fetch(t), nil }

func (a *memory) Count(_ context.Context, t Target) (int, error) { return a.Rooms.Count(t), nil }

func (a *memory) SocketsJoin(t Target, rooms ...string) error {
	a.Local.SocketsJoin(t, rooms...)
	return nil
}

func (a *memory) SocketsLeave(t Target, rooms ...string) error {
	a.Local.SocketsLeave(t, rooms...)
	return nil
}

func (a *memory) Disconnect(t Target, closeSession bool) error {
	a.Local.Disconnect(t, closeSession)
	return nil
}

// ServerSideEmit does nothing: there is no other node.
func (a *memory) ServerSideEmit(Message) error { return nil }

// ServerSideEmitWithAck does nothing: there is no other node.
func (a *memory) ServerSideEmitWithAck(context.Context, Message, func(Message)) error { return nil }

// Servers returns one.
func (a *memory) Servers(context.Context) (int, error) { return 1, nil }

// Recovers reports whether the adapter was made with a Recovery.
func (a *memory) Recovers() bool { return a.log != nil }

func (a *memory) Save(_ context.Context, s Session) error {
	if a.log == nil {
		return ErrNoRecovery
	}
	return a.log.save(s)
}

func (a *memory) Restore(ctx context.Context, pid, offset string) (*Session, error) {
	if a.log == nil {
		return nil, ErrNoRecovery
	}
	a.settle(ctx, pid, false)
	return a.log.restore(pid, offset)
}

func (a *memory) Discard(ctx context.Context, pid string) error {
	if a.log == nil {
		return ErrNoRecovery
	}
	a.settle(ctx, pid, true)
	a.log.vault.drop(a.log, pid)
	return nil
}

// settle takes over the socket of a session that is not saved yet.
func (a *memory) settle(ctx context.Context, pid string, forGood bool) {
	if _, err := a.log.vault.find(a.log, pid); err == nil || errors.Is(err, ErrSessionsFull) {
		return
	}
	list := []Namespace{a.Namespace}
	if a.nodes != nil {
		list = a.nodes()
	}
	for _, n := range list {
		if n.TakeOver(ctx, SocketID(pid), forGood) {
			return
		}
	}
}

func (a *memory) Resume(_ context.Context, m Member, s *Session, replay func(Message)) error {
	if a.log == nil {
		return ErrNoRecovery
	}
	return a.log.resume(s, replay, func() { a.JoinAgain(m, s.Trail, s.Rooms...) })
}

// Close forgets the log. Members stay until they are removed.
func (a *memory) Close(context.Context) error {
	if a.log != nil {
		a.log.clear()
	}
	return nil
}

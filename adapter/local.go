package adapter

import "context"

// Local is the part of every adapter that concerns this node alone: the rooms of a namespace and
// what is done to its members. Namespace must be set before use. Safe for concurrent use.
type Local struct {
	Rooms
	Namespace Namespace
}

// Broadcast delivers m to the members that t selects.
func (l *Local) Broadcast(m Message, t Target) { l.Deliver(m, t)() }

// Deliver is Broadcast for an adapter that holds its lock for the order of events, and calls what is
// returned without it.
func (l *Local) Deliver(m Message, t Target) (after func()) {
	after = nothing
	reached := false
	l.Select(t, func(to []Member) {
		reached = true
		if fn := l.Namespace.Deliver(m, t.Flags, to); fn != nil {
			after = fn
		}
	})
	if !reached {
		l.Namespace.Deliver(m, t.Flags, nil)
	}
	return after
}

// DeliverTo is Deliver for one member, whatever rooms it is in.
func (l *Local) DeliverTo(to Member, m Message, f Flags) (after func()) {
	if fn := l.Namespace.Deliver(m, f, []Member{to}); fn != nil {
		return fn
	}
	return nothing
}

func nothing() {}

// Ask delivers m to the members that t selects, asks for acknowledgements and hands each to answer.
// It returns how many were asked, and what ends the wait (never nil).
func (l *Local) Ask(m Message, t Target, answer func(m Message, missing bool)) (asked int, forget func()) {
	forget = func() {}
	l.Select(t, func(to []Member) {
		asked = len(to)
		forget = l.Namespace.DeliverWithAck(m, t.Flags, to, answer)
	})
	if asked == 0 {
		l.Namespace.Deliver(m, t.Flags, nil)
	}
	return asked, forget
}

// BroadcastWithAck is Adapter.BroadcastWithAck on this node alone.
func (l *Local) BroadcastWithAck(ctx context.Context, m Message, t Target, answer func(Message), done func(error)) {
	a := NewAnswers(answer)
	a.Ask()
	n, forget := l.Ask(m, t, a.Put)
	a.Expect(n)
	a.Then(ctx, func(err error) {
		forget()
		done(a.Short(err))
	})
}

// Fetch describes the members that t selects.
func (l *Local) Fetch(t Target) []Details {
	d := []Details{}
	l.Select(t, func(of []Member) { d = l.Namespace.Describe(of) })
	return d
}

// SocketsJoin puts the members that t selects into rooms. One that leaves meanwhile stays out.
func (l *Local) SocketsJoin(t Target, rooms ...string) {
	l.Select(t, func(to []Member) {
		for _, m := range to {
			l.JoinMember(m, rooms...)
		}
	})
}

// SocketsLeave takes the members that t selects out of rooms.
func (l *Local) SocketsLeave(t Target, rooms ...string) {
	l.Select(t, func(to []Member) {
		for _, m := range to {
			l.Leave(m, rooms...)
		}
	})
}

// Disconnect disconnects the members that t selects.
func (l *Local) Disconnect(t Target, closeSession bool) {
	if to := l.Members(t); len(to) > 0 {
		l.Namespace.Disconnect(to, closeSession)
	}
}

package server

import (
	"context"
	"slices"
)

// transit is a socket that is no member of its namespace while its client can come for it: what it was restored
// from is being taken, or what it leaves is being saved.
type transit struct {
	s     *Socket
	saved chan struct{}
}

// depart puts the socket in transit.
func (s *Socket) depart() {
	n := s.nsp
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.transit == nil {
		n.transit = make(map[string][]transit)
	}
	n.transit[s.id] = append(n.transit[s.id], transit{s, s.recovery.saved})
}

// arrive ends the transit of a socket that was put in it.
func (s *Socket) arrive() {
	n := s.nsp
	n.mu.Lock()
	defer n.mu.Unlock()
	if list := slices.DeleteFunc(n.transit[s.id], func(t transit) bool { return t.s == s }); len(list) > 0 {
		n.transit[s.id] = list
	} else {
		delete(n.transit, s.id)
	}
}

// settle says that the state of the socket is saved, or will not be.
func (s *Socket) settle() {
	if r := s.recovery; r != nil && !r.settled.Swap(true) {
		close(r.saved)
		s.arrive()
	}
}

// disown sees to it that nobody comes back to a socket that has left: its state is not saved, unless that has begun.
func (s *Socket) disown() {
	s.mu.Lock()
	b := s.atBorder()
	b.disowned = true
	kept := b.trail != nil
	b.trail = nil
	s.mu.Unlock()
	if kept {
		s.settle()
	}
}

// TakeOver ends the sessions of a socket whose client is coming anew by another, before the server has noticed
// that the old connection is dead, and waits until the socket's state is saved, or will not be.
func (l local) TakeOver(ctx context.Context, id string, forGood bool) bool {
	n := l.n
	n.mu.Lock()
	list := slices.Clone(n.transit[id])
	n.mu.Unlock()
	if s := n.Socket(id); s != nil && s.recovery != nil {
		list = append(list, transit{s, s.recovery.saved})
	}
	for _, t := range list {
		if forGood {
			t.s.disown()
		}
		if t.s.leave(Disconnection{Reason: ReasonTakenOver}) != stateGone {
			t.s.client.session.Abort(ReasonTakenOver)
		}
	}
	for _, t := range list {
		select {
		case <-t.saved:
		case <-ctx.Done():
			return false
		}
	}
	return len(list) > 0
}

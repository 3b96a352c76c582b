package redis

import (
	"context"
	"errors"
	"time"

	"github.com/beanpole/beanpole/adapter"
)

// takeOver ends the connection of a socket, here or on another node, and returns when that has been saved, or will not be, or
// when nobody has it; or, when ctx is about to end, an error if it has not heard of all. One that stands still is not
// waited for, and one whose process has ended as long as the roster has it.
func (n *namespace) takeOver(ctx context.Context, sid string, forGood bool) error {
	if n.Namespace.TakeOver(ctx, sid, forGood) {
		return nil
	}
	if d, ok := ctx.Deadline(); ok { // and then it is looked once more whether it has been saved
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadlineCause(ctx, d.Add(-time.Until(d)/5), adapter.ErrTimeout)
		defer cancel()
	}
	for attempt := 0; ; attempt++ {
		err := n.askWhoHas(ctx, sid, forGood)
		if err == nil || !errors.Is(err, adapter.ErrDegraded) || !pause(ctx, attempt) {
			return err
		}
	}
}

func (n *namespace) askWhoHas(ctx context.Context, sid string, forGood bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := newRequest(kindTakeOver, nil)
	r.enough = cancel // when one has it, the others do not matter
	m := &message{kind: kindTakeOver, sid: sid, close: forGood}
	err := n.finish(ctx, m, r, n.start(ctx, m, r))
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.count > 0:
		return nil
	case err == nil && r.silent > 0:
		return &adapter.PartialError{Nodes: r.silent, Err: errAway}
	}
	return err
}

// yield answers kindTakeOver.
func (n *namespace) yield(m *message) {
	ctx, cancel := context.WithTimeout(n.c.ctx, n.c.cfg.RequestTimeout)
	defer cancel()
	answer := &message{kind: kindTakeOverResponse}
	if n.Namespace.TakeOver(ctx, m.sid, m.close) {
		answer.count = 1
	}
	n.respond(m, answer)
}

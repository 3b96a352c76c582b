package redis

import (
	"context"
	"errors"
	"time"

	"github.com/beanpole/beanpole/adapter"
)

// maxTakeOver bounds how long a client that comes anew waits for the other nodes to say that they do not have
// its socket: one of them may be dead.
const maxTakeOver = time.Second

// takeOver ends the connection of a socket, here or on another node, and returns when that has been saved, or
// when nobody has it; or an error if it has not heard of all.
func (n *namespace) takeOver(ctx context.Context, sid string) error {
	if n.Namespace.TakeOver(ctx, sid) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, maxTakeOver)
	defer cancel()
	for attempt := 0; ; attempt++ {
		r := newRequest(kindTakeOver, nil)
		m := &message{kind: kindTakeOver, sid: sid}
		err := n.finish(ctx, m, r, n.start(ctx, m, r))
		r.mu.Lock()
		had := r.count > 0
		r.mu.Unlock()
		switch {
		case had: // the others do not matter
			return nil
		case !errors.Is(err, adapter.ErrDegraded) || !pause(ctx, attempt):
			return err
		}
	}
}

// yield answers kindTakeOver.
func (n *namespace) yield(m *message) {
	ctx, cancel := context.WithTimeout(n.c.ctx, n.c.cfg.RequestTimeout)
	defer cancel()
	answer := &message{kind: kindTakeOverResponse}
	if n.Namespace.TakeOver(ctx, m.sid) {
		answer.count = 1
	}
	n.respond(m, answer)
}

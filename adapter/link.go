package adapter

import (
	"context"
	"sync/atomic"
	"time"
)

// Link connects a node of a Bus with the others, in all namespaces. While it is cut nothing goes either way and nothing is made up for: what
// is sent from there is for its own clients and returns ErrDegraded, as when Redis cannot be reached; questions return what there is, with a
// PartialError. The others wait for it with their questions, and know after LinkForgotten that it is gone. Sessions that recovery keeps are
// in no node, and can be recovered all the same. The zero value is whole. Methods may be called from any goroutine.
type Link struct {
	cut atomic.Pointer[time.Time] // since when; nil while it is whole
}

// LinkForgotten is how long the others wait for a node whose link is cut, until they take it for dead.
const LinkForgotten = 6 * time.Second

// Cut cuts the link, if it is whole.
func (l *Link) Cut() {
	now := time.Now()
	l.cut.CompareAndSwap(nil, &now)
}

// Mend makes it whole again.
func (l *Link) Mend() { l.cut.Store(nil) }

// missing are nodes that a question does not reach; nil for none.
type missing struct {
	nodes int
	apart bool // from all others, which one that asks knows
}

// reached returns the other nodes that n reaches, and those it misses.
func (n *node) reached() (list []*node, short *missing) {
	if n.link.cut.Load() != nil {
		if others := len(n.others()); others > 0 {
			return nil, &missing{nodes: others, apart: true}
		}
		return nil, nil
	}
	silent := 0
	for _, x := range n.others() {
		switch since := x.link.cut.Load(); {
		case since == nil:
			list = append(list, x)
		case time.Since(*since) < LinkForgotten:
			silent++
		}
	}
	if silent == 0 {
		return list, nil
	}
	return list, &missing{nodes: silent}
}

// count returns how many there are.
func (m *missing) count() int {
	if m == nil || m.apart {
		return 0
	}
	return m.nodes
}

// degraded is the error of what does not wait for others.
func (m *missing) degraded() error {
	if m == nil || !m.apart {
		return nil
	}
	return ErrDegraded
}

// await waits in vain for their answers, as long as ctx lets it, and returns what is missing; at once where that is known.
func (m *missing) await(ctx context.Context) error {
	switch {
	case m == nil:
		return nil
	case m.apart:
		return &PartialError{Nodes: m.nodes, Err: ErrDegraded}
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	<-ctx.Done()
	return &PartialError{Nodes: m.nodes, Err: Ended(ctx)}
}

// busTimeout is how long a question between nodes waits when its context does not say it.
const busTimeout = 5 * time.Second

// bounded returns a ctx with a deadline.
func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, has := ctx.Deadline(); has {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, busTimeout, ErrTimeout)
}

package redis

import (
	"context"
	"slices"
	"time"
)

// await returns nil when all answers to a question are in, the error of ctx otherwise.
func (n *namespace) await(ctx context.Context, r *request, m *message, recount bool) error {
	if !recount {
		return r.answers.Wait(ctx)
	}
	began, asked := time.Now(), r.begun
	last, every := (*round)(nil), firstCount
	for ; ; every = min(2*every, recountEvery) {
		tctx, cancel := context.WithTimeout(ctx, every)
		err := r.answers.Poll(tctx)
		cancel()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return r.answers.Wait(ctx)
		}
		n.fetchMore(r)
		now := n.count(ctx, every/2)
		if now == nil {
			continue
		}
		if (m.kind == kindFetch || m.kind == kindTakeOver) && n.c.bus.broke().After(asked) { // perhaps with answers to what may be asked twice
			asked = time.Now()
			_ = n.publish(m, "") // or it is waited for in vain
		}
		if now != last && now.at.After(began) {
			r.compare(now)
			n.remind(r, m.request, now)
			last = now
		}
	}
}

// round is one count of the other nodes, for all questions that wait then.
type round struct {
	present
	at time.Time
}

// count counts the other nodes, or returns a count that is not older than some time, for all questions that wait. It is
// nil when that was not possible.
func (n *namespace) count(ctx context.Context, old time.Duration) *round {
	select {
	case n.counting <- struct{}{}:
	case <-ctx.Done(): // who counts may have more time, and Redis may stand still
		return nil
	}
	defer func() { <-n.counting }()
	if n.counted != nil && time.Since(n.counted.at) < old {
		return n.counted
	}
	p, err := n.others(ctx)
	if err != nil {
		return nil
	}
	n.counted = &round{p, time.Now()}
	return n.counted
}

// compare gives up nodes asked by name that rounds in a row do not have for long enough: one alone may have met a connection
// being made again. Who has no connection at all is waited for as long as the roster has it. Node peers have no name to be
// counted by, though they answer with one: those that have are waited for until their clients have.
func (r *request) compare(x *round) {
	r.mu.Lock()
	var gone []string
	for uid := range r.waiting {
		switch since, ok := r.absent[uid]; {
		case !slices.Contains(r.named, uid):
		case slices.Contains(x.named, uid), slices.Contains(x.away, uid):
			delete(r.absent, uid)
		case !ok:
			r.absent[uid] = x.at
		case x.at.Sub(since) >= awayFor:
			gone = append(gone, uid)
		}
	}
	now := x.strangers + x.unheard + r.known(x.named)
	recount := false
	switch {
	case r.unnamed == 0 || now >= r.total:
		r.fewer = time.Time{}
	case r.fewer.IsZero():
		r.fewer = x.at
	default:
		recount = x.at.Sub(r.fewer) >= recountEvery
	}
	r.mu.Unlock()
	for _, uid := range gone {
		r.drop(uid)
	}
	if recount {
		r.recount(now)
	}
}

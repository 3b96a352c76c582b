package redis

import (
	"context"
	"errors"
	"slices"
	"time"
)

// present says which nodes have a namespace besides this one.
type present struct {
	named     []string // Beanpole nodes known by name
	away      []string // those without any connection: it is being made again, or their process has ended, as the roster will say
	unheard   int      // Beanpole nodes that have not been heard of yet
	strangers int      // Node peers
	silent    int      // given up, and still listening, as one that stands still: they are not waited for
}

// present finds out when this node hears the others: who asks as soon as it has the namespace must hear the answers, and
// count itself.
func (n *namespace) present(ctx context.Context) (p present, err error) {
	for attempt := 0; ; attempt++ {
		if n.c.state.works() {
			err = n.c.bus.wait(ctx, slices.Concat(n.subs(), []subscription{n.peers})...)
		}
		var e error
		if p, e = n.others(ctx); !errors.Is(e, errUnheard) || !n.c.state.works() || !pause(ctx, attempt) {
			return p, errors.Join(err, e)
		}
	}
}

// others looks who is present. Redis says so by who listens: each node has a channel of its own for each namespace.
// With an error all nodes known are named.
func (n *namespace) others(ctx context.Context) (p present, err error) {
	live, dead := n.c.members.names()
	own := func(uid string) string { return n.c.wire.own(n.name, uid) }
	channels := []string{n.first.name, n.peers.name, own(n.c.uid)}
	for _, uid := range slices.Concat(live, dead) {
		channels = append(channels, own(uid))
	}
	counts, err := n.c.bus.subscribers(ctx, channels)
	if err == nil && counts[own(n.c.uid)] == 0 {
		err = errUnheard // what broke this node's connection may have broken others
	}
	if err != nil {
		return present{named: live}, err
	}
	channels = nil
	var absent []string
	for _, uid := range live {
		if counts[own(uid)] > 0 {
			p.named = append(p.named, uid)
			continue
		}
		absent = append(absent, uid)
		channels = append(channels, own(uid), n.c.cfg.beats(uid))
	}
	everyone, ours := counts[n.first.name], counts[n.peers.name]
	p.strangers, p.unheard = max(0, everyone-ours), ours-1-len(p.named)
	for _, uid := range dead {
		if counts[own(uid)] > 0 { // Redis has not noticed
			p.unheard--
			p.silent++
		}
	}
	p.unheard = max(0, p.unheard)
	if len(absent) == 0 {
		return p, nil
	}
	// Without this namespace, or without a connection? All is on one connection, and its beats come last.
	if counts, err = n.c.bus.subscribers(ctx, channels); err != nil {
		return present{named: live}, err
	}
	for _, uid := range absent {
		switch {
		case counts[own(uid)] > 0:
			p.named = append(p.named, uid)
			p.unheard = max(0, p.unheard-1)
		// In a Redis Cluster they are on connections of their own, and while one of a shard is made again, that says nothing.
		case counts[n.c.cfg.beats(uid)] == 0 || n.c.bus.sharded && time.Since(n.c.bus.broke()) < shardsMove:
			p.away = append(p.away, uid)
		}
	}
	if len(p.away) > 0 {
		n.c.members.doubt()
	}
	return p, nil
}

// shardsMove is how long after a connection of this node to a shard has broken others may have none to it.
const shardsMove = 5 * time.Second

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

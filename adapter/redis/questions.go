package redis

import (
	"context"
	"errors"
	"time"
)

// A question to clients may be open for long, and there may be many of them. So none has a goroutine: one asks those that wait
// to be asked, and counts the other nodes once for all of them; and while there are some that wait for answers, one looks after
// all of them by and by.

// maxReminded is how many questions a round says once more to those that have not answered: each is a message to all.
const maxReminded = 256

// errNotAsked is how a question has failed that has ended before it could be asked.
var errNotAsked = errors.New("not asked yet")

// questions are those to clients. Guarded by namespace.mu.
type questions struct {
	open    int         // to be asked, or to be answered
	waiting []*question // to be asked
	busy    bool        // somebody asks them
	watched bool        // somebody looks after those that have been asked
}

// question is one of them, until it has been asked.
type question struct {
	ctx context.Context
	m   *message
	r   *request
}

// later has a question asked.
func (n *namespace) later(q *question) error {
	if err := n.enlist(q.m, q.r); err != nil {
		return err
	}
	s := &n.asks
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed { // nobody is to begin any more: Cluster.Close waits
		return ErrClosed
	}
	s.open++
	s.waiting = append(s.waiting, q)
	if !s.busy {
		s.busy = true
		n.c.wg.Go(n.askWaiting)
	}
	if !s.watched {
		s.watched = true
		n.lookLater()
	}
	return nil
}

// ended notes that a question is over that later has had asked.
func (n *namespace) ended() {
	n.mu.Lock()
	n.asks.open--
	n.mu.Unlock()
}

func (n *namespace) lookLater() {
	time.AfterFunc(firstCount, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if !n.closed {
			n.c.wg.Go(n.lookAfter)
		}
	})
}

// askWaiting asks what waits, until nothing does.
func (n *namespace) askWaiting() {
	s := &n.asks
	for {
		n.mu.Lock()
		list := s.waiting
		s.waiting = nil
		s.busy = len(list) > 0
		n.mu.Unlock()
		if len(list) == 0 {
			return
		}
		ctx, cancel := context.WithTimeout(n.c.ctx, n.c.cfg.RequestTimeout)
		p, err := n.whom(ctx)
		cancel()
		for _, q := range list {
			n.posed(q.r, n.pose(q.ctx, q.m, q.r, p, err))
		}
	}
}

// lookAfter looks who is missing of those that questions wait for.
func (n *namespace) lookAfter() {
	if list := n.overdue(time.Now()); len(list) > 0 {
		ctx, cancel := context.WithTimeout(n.c.ctx, n.c.cfg.RequestTimeout)
		now := n.count(ctx, firstCount/2)
		cancel()
		reminded := 0
		for _, r := range list {
			n.fetchMore(r)
			if now == nil || !now.at.After(r.begun) {
				continue
			}
			r.compare(now)
			if reminded < maxReminded && n.remind(r, r.id, now) {
				reminded++
			}
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.asks.watched = n.asks.open > 0; n.asks.watched {
		n.lookLater()
	}
}

// overdue returns the questions to clients that are to be looked after now.
func (n *namespace) overdue(now time.Time) (list []*request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range n.requests {
		if r.kind != kindBroadcast {
			continue
		}
		if r.every == 0 {
			r.every, r.due = firstCount, r.begun.Add(firstCount)
		}
		if !now.Before(r.due) {
			r.every = min(2*r.every, recountEvery)
			r.due = now.Add(r.every)
			list = append(list, r)
		}
	}
	return list
}

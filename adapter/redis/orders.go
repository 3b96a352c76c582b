package redis

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// What a link asks of Redis is written by one goroutine, while another reads the answers. These repeat each name, and Redis
// closes a connection on which more waits than client-output-buffer-limit allows: so names are on their way by the piece.

const (
	// maxAsked is about how many bytes of answers may be on their way.
	maxAsked = 1 << 20
	// nameCost is what an answer has besides the name.
	nameCost = 64
)

// write subscribes to list, carries out orders, ends subscriptions nobody wants, and has it proven that the connection brings
// what is published. It returns an error when it cannot.
func (l *link) write(ctx context.Context, ps *redis.PubSub, list []subscription) error {
	l.asked = 0
	if err := l.subscribe(ctx, ps, list); err != nil {
		return err
	}
	t, prove := time.NewTicker(lingering/2), time.NewTicker(proveEvery)
	defer t.Stop()
	defer prove.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-l.wake:
		case <-prove.C:
			err = l.ping(ctx, ps)
		case <-t.C:
			err = l.demand(ctx, ps)
		}
		if err != nil {
			return err
		}
		if err := l.unsubscribe(ctx, ps, l.bus.expired(l)); err != nil {
			return err
		}
		l.mu.Lock()
		list := l.orders
		l.orders = nil
		l.mu.Unlock()
		kept := list[:0]
		for _, s := range list {
			if l.bus.wanted(l, s) {
				kept = append(kept, s)
			}
		}
		if err := l.subscribe(ctx, ps, kept); err != nil {
			return err
		}
	}
}

// ping asks for an answer, which comes behind those to all before.
func (l *link) ping(ctx context.Context, ps *redis.PubSub) error {
	return ps.Ping(ctx, strconv.FormatInt(time.Now().UnixNano(), 10))
}

// demand asks once more for what Redis has refused: what its user may do may have been changed.
func (l *link) demand(ctx context.Context, ps *redis.PubSub) error {
	if !l.denied.Load() {
		return nil
	}
	list := l.bus.unconfirmed(l)
	if len(list) == 0 {
		l.denied.Store(false)
		l.bus.state.set(PartChannels, l.addr, nil)
	}
	for _, s := range list[:min(len(list), 64)] { // in no order, so that all have their turn
		if err := l.subscribe(ctx, ps, []subscription{s}); err != nil {
			return err
		}
	}
	return nil
}

// subscribe asks Redis for list. Answers come to read. Where one may be refused each is asked for by itself, as Redis
// takes all channels of a command or none.
func (l *link) subscribe(ctx context.Context, ps *redis.PubSub, list []subscription) error {
	most := 512
	if l.denied.Load() {
		most = 1
	}
	if i := slices.Index(list, l.bus.last); i >= 0 && len(list) > 1 {
		if err := l.subscribe(ctx, ps, slices.Delete(slices.Clone(list), i, i+1)); err != nil {
			return err
		}
		list = []subscription{l.bus.last}
	}
	names := map[subKind][]string{}
	for _, s := range list {
		names[s.kind] = append(names[s.kind], s.name)
	}
	if err := l.ask(ctx, ps, names[subShard], 1, ps.SSubscribe); err != nil { // they may be in different slots
		return err
	}
	if err := l.ask(ctx, ps, names[subChannel], most, ps.Subscribe); err != nil {
		return err
	}
	return l.ask(ctx, ps, names[subPattern], most, ps.PSubscribe)
}

func (l *link) unsubscribe(ctx context.Context, ps *redis.PubSub, list []subscription) error {
	end := map[subKind]func(context.Context, ...string) error{subChannel: ps.Unsubscribe, subPattern: ps.PUnsubscribe, subShard: ps.SUnsubscribe}
	for _, s := range list {
		if err := l.ask(ctx, ps, []string{s.name}, 1, end[s.kind]); err != nil {
			return err
		}
	}
	return nil
}

// ask sends commands with names, with most of them in one at most.
func (l *link) ask(ctx context.Context, ps *redis.PubSub, names []string, most int, send func(context.Context, ...string) error) error {
	for len(names) > 0 {
		n, size := 0, 0
		for n < min(len(names), most) && (n == 0 || size+len(names[n]) < maxAsked) {
			size += len(names[n]) + nameCost
			n++
		}
		if l.asked += size; l.asked > maxAsked && l.asked > size {
			if err := l.drain(ctx, ps); err != nil {
				return err
			}
			l.asked = size
		}
		if err := send(ctx, names[:n]...); err != nil {
			return err
		}
		names = names[n:]
	}
	return nil
}

// drain waits until the answers to all that was asked have come.
func (l *link) drain(ctx context.Context, ps *redis.PubSub) error {
	start := time.Now().UnixNano()
	if err := l.ping(ctx, ps); err != nil {
		return err
	}
	for l.proven.Load() < start {
		select {
		case <-l.pong:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

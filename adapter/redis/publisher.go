package redis

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// batchCommands and batchBytes bound one pipeline: what may be in doubt when a connection breaks.
	batchCommands = 512
	batchBytes    = 256 << 10
	// publishTimeout bounds one pipeline.
	publishTimeout = 3 * time.Second
	// maxBackoff bounds the pause between two attempts to reach Redis.
	maxBackoff = 2 * time.Second
)

// publisher empties the outbox, from one goroutine, in order, everything that waits in one pipeline.
type publisher struct {
	client redis.UniversalClient
	box    *outbox
	stats  *counters
	state  *state
	maxAge time.Duration
	maxLen int64 // of streams

	ring *ring // nil of an emitter
	// mixed reports whether servers of Node hear a namespace, which cannot ask for what they missed. Nil of an
	// emitter, which cannot be asked.
	mixed func(ctx context.Context, nsp string) (bool, error)

	// Owned by run.
	pending []*command        // taken from the outbox and not done
	failed  int               // attempts in a row that failed
	unsure  map[string]uint64 // by namespace: messages that Redis may not have passed on, not counted yet
	acked   map[string]string
}

// run publishes until the outbox is closed and empty, or ctx is done.
func (p *publisher) run(ctx context.Context) {
	p.acked, p.unsure = map[string]string{}, map[string]uint64{}
	for {
		if len(p.pending) == 0 {
			p.pending = p.box.take(p.pending[:0], batchCommands, batchBytes)
		}
		if len(p.pending) == 0 {
			if p.box.isClosed() {
				return
			}
			select {
			case <-p.box.wake:
			case <-ctx.Done():
				return
			}
			continue
		}
		err := p.flush(ctx)
		if ctx.Err() != nil {
			break
		}
		if err == nil {
			p.failed = 0
			p.state.set("publish", nil)
			p.state.set("outbox", nil)
			p.decide(ctx)
			continue
		}
		p.failed++
		p.state.set("publish", err)
		for _, c := range p.box.expire(time.Now().Add(-p.maxAge)) {
			p.drop(c, lostAge, context.DeadlineExceeded)
		}
		// Those that say something of now come again by themselves.
		p.pending = slices.DeleteFunc(p.pending, func(c *command) bool {
			if c.urgent && c.done != nil {
				c.done("", err)
			}
			return c.urgent && c.done != nil
		})
		if !pause(ctx, p.failed) {
			break
		}
		// A heartbeat need not wait for those before it.
		p.pending = append(p.box.take(nil, 0, 0), p.pending...)
	}
	p.pending = p.box.take(p.pending, p.box.maxMessages, p.box.maxBytes)
	for _, c := range p.pending {
		p.drop(c, lostClosed, ErrClosed)
	}
	p.pending = nil
}

// decide counts messages whose answer was lost where someone cannot ask for them.
func (p *publisher) decide(ctx context.Context) {
	for nsp, n := range p.unsure {
		tctx, cancel := context.WithTimeout(ctx, publishTimeout)
		mixed, err := p.mixed(tctx, nsp)
		cancel()
		if err != nil {
			return // once more behind the next that succeeds
		}
		if mixed {
			p.stats.lost[lostUnconfirmed].Add(n)
		}
		delete(p.unsure, nsp)
	}
}

// pause waits after the n-th failure in a row, with jitter, and reports false when ctx is done.
func pause(ctx context.Context, n int) bool {
	d := min(maxBackoff, 20*time.Millisecond<<min(n, 10))
	t := time.NewTimer(d/2 + rand.N(d/2+1))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (p *publisher) drop(c *command, cause int, err error) {
	p.stats.lost[cause].Add(1)
	p.ring.drop(c)
	if c.done != nil {
		c.done("", err)
	}
}

// flush sends the pending commands. What remains pending with an error is to be tried again.
func (p *publisher) flush(ctx context.Context) error {
	old := time.Now().Add(-p.maxAge)
	p.pending = slices.DeleteFunc(p.pending, func(c *command) bool {
		if c.at.Before(old) {
			p.drop(c, lostAge, context.DeadlineExceeded)
			return true
		}
		return false
	})
	for len(p.pending) > 0 {
		// Commands for different nodes of a Redis Cluster leave in turn; those for one node in order.
		node, err := nodeFor(ctx, p.client, p.pending[0].route)
		if err != nil {
			return err
		}
		part, rest := p.part(ctx, node)
		again, err := p.send(ctx, node, part)
		p.pending = append(again, rest...)
		if err != nil {
			return err
		}
	}
	return nil
}

// part divides the pending commands into those for node and the others.
func (p *publisher) part(ctx context.Context, node *redis.Client) (part, rest []*command) {
	if _, ok := p.client.(*redis.Client); ok {
		return p.pending, nil
	}
	nodes := map[string]*redis.Client{}
	for _, c := range p.pending {
		n, ok := nodes[c.route]
		if !ok {
			n, _ = nodeFor(ctx, p.client, c.route)
			nodes[c.route] = n
		}
		if n == node {
			part = append(part, c)
		} else {
			rest = append(rest, c)
		}
	}
	return part, rest
}

// send sends commands to one node and returns those to be sent again, with an error when there is
// reason to wait before.
func (p *publisher) send(ctx context.Context, node *redis.Client, part []*command) (again []*command, _ error) {
	tctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	pipe := node.Pipeline()
	replies := make([]redis.Cmder, len(part))
	for i, c := range part {
		replies[i] = p.queue(tctx, pipe, c)
	}
	_, _ = pipe.Exec(tctx)
	var cause error
	var doubt []*command
	for i, c := range part {
		err := replies[i].Err()
		switch {
		case err == nil:
			p.stats.published.Add(1)
			p.ring.handed(c)
			id := ""
			if r, ok := replies[i].(*redis.Cmd); ok && c.op == opXAdd {
				id, _ = r.Text()
				p.acked[c.key] = id
			}
			if c.done != nil {
				c.done(id, nil)
			}
		case refused(err):
			if !passing(err) {
				p.state.log.Warn("redis refused a command", "error", err, "advice", advice(err))
				p.drop(c, lostRefused, err)
				continue
			}
			again, cause = append(again, c), err
		case notSent(err):
			again, cause = append(again, c), err
		default:
			doubt, cause = append(doubt, c), err
		}
	}
	if x, ok := p.client.(*redis.ClusterClient); ok && cause != nil {
		x.ReloadState(ctx)
	}
	if len(doubt) == 0 {
		return again, cause
	}
	return append(p.resolve(ctx, doubt, cause), again...), cause
}

func (p *publisher) queue(ctx context.Context, pipe redis.Pipeliner, c *command) redis.Cmder {
	switch c.op {
	case opSPublish:
		return pipe.SPublish(ctx, c.key, c.data)
	case opXAdd:
		return pipe.Do(ctx, c.xadd.args(c.key, p.maxLen)...)
	case opSet:
		return pipe.Do(ctx, "set", c.key, c.data, "px", c.ttl.Milliseconds())
	}
	return pipe.Publish(ctx, c.key, c.data)
}

// passing reports whether a refusal of Redis may pass when one waits: it moves slots, loads, or fails over.
func passing(err error) bool {
	text := err.Error()
	for _, prefix := range []string{"MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "READONLY", "BUSY", "OOM", "NOREPLICAS", "NOAUTH", "WRONGPASS"} {
		if strings.HasPrefix(text, prefix) {
			return true
		}
	}
	return false
}

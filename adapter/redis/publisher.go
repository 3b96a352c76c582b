package redis

import (
	"context"
	"errors"
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
	// last returns an entry of the stream before everything this node has in doubt.
	last func(stream string) string

	// doubt and settled, nil in streams mode, ask whether everyone hears again after the connection
	// broke: what is published before they do is lost. settled is told when they are waited for no more, and
	// returns who has not answered.
	doubt   func()
	settled func(over bool) (silent []string)

	// Owned by run.
	begun   bool       // there was a connection
	held    time.Time  // publishing is held since; zero when it is not
	unheard bool       // publishing goes on though not everyone has answered
	pending []*command // taken from the outbox and not done
	failed  int        // attempts in a row that failed
	acked   map[string]string
}

// run publishes until the outbox is closed and empty, or ctx is done.
func (p *publisher) run(ctx context.Context) {
	p.acked = map[string]string{}
	for {
		if len(p.pending) == 0 {
			if p.hold() {
				p.expire()
				p.pending = p.box.take(p.pending[:0], 0, 0)
			} else {
				p.pending = p.box.take(p.pending[:0], batchCommands, batchBytes)
			}
		}
		if len(p.pending) == 0 {
			if !p.held.IsZero() {
				pause(ctx, 0)
				if ctx.Err() == nil {
					continue
				}
			}
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
			continue
		}
		fresh := errors.Is(err, errFresh)
		if !fresh {
			p.failed++
			p.state.set("publish", err)
		}
		if p.doubt != nil && !refused(err) {
			// Only heartbeats until it is settled; the rest goes back, in order.
			for _, c := range p.pending {
				if c.urgent && c.done != nil {
					c.done("", err)
				}
			}
			p.box.untake(p.pending)
			p.pending = nil
			p.expire()
			p.held, p.unheard = time.Now(), false
			p.doubt()
		}
		if !fresh && !pause(ctx, p.failed) {
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

// holdMax bounds how long others are waited for after a failure, from the first success. A subscription
// that met several dead addresses, as in a failover, is back after some three seconds.
const holdMax = 6 * time.Second

// hold reports whether publishing is held.
func (p *publisher) hold() bool {
	if p.held.IsZero() && !p.unheard {
		return false
	}
	closed := p.box.isClosed()
	over := p.unheard || closed || p.failed == 0 && time.Since(p.held) > holdMax
	silent := p.settled(over)
	if len(silent) > 0 && !over {
		return true
	}
	if len(silent) > 0 && !p.unheard && !closed {
		p.state.log.Warn("publishing goes on without nodes that do not answer", "nodes", silent,
			"advice", "what they miss is counted as lost, unheard; look whether they run and reach the same Redis")
	}
	p.held, p.unheard = time.Time{}, len(silent) > 0
	return false
}

// connected is called before the first command of a new connection. Redis may be another, where nobody listens
// yet: only heartbeats may go there until everyone has answered.
func (p *publisher) connected() error {
	if p.doubt == nil || !p.begun || p.box.isClosed() { // what is last does not wait for others
		p.begun = true
		return nil
	}
	if p.held.IsZero() {
		return errFresh
	}
	p.doubt() // who has answered may have lost the same server
	return nil
}

// expire drops what has waited too long.
func (p *publisher) expire() {
	for _, c := range p.box.expire(time.Now().Add(-p.maxAge)) {
		p.drop(c, lostAge, context.DeadlineExceeded)
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
	tctx, cancel := context.WithTimeout(context.WithValue(ctx, greeter{}, p.connected), publishTimeout)
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
			if p.unheard && !c.urgent {
				p.stats.lost[lostUnheard].Add(1)
			}
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

package redis

import (
	"context"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// batch is one pipeline of commands. The entries of each stream are a transaction in it: Redis takes all of them or
// none. Else it could refuse one, being out of memory for a moment, and take those behind: a stream is read in the
// order in which it was written, so that event would come too late for ever.
type batch struct {
	list    []*command
	replies []*redis.Cmd
	places  []int // of entries, in their transactions
	streams map[string]*transaction
	err     error // of the pipeline
}

type transaction struct {
	entries     []int // indexes of batch.list
	multi, exec *redis.Cmd
}

// sendBatch sends list to a master.
func sendBatch(ctx context.Context, node *redis.Client, list []*command, maxLen func(string) int64) *batch {
	b := &batch{list: list, replies: make([]*redis.Cmd, len(list)), places: make([]int, len(list)), streams: map[string]*transaction{}}
	for i, c := range list {
		if c.op == opXAdd {
			t := b.streams[c.key]
			if t == nil {
				t = &transaction{}
				b.streams[c.key] = t
			}
			b.places[i] = len(t.entries)
			t.entries = append(t.entries, i)
		}
	}
	pipe := node.Pipeline()
	for i, c := range list {
		t := b.streams[c.key]
		if c.op != opXAdd || len(t.entries) == 1 {
			b.replies[i] = queue(ctx, pipe, c, maxLen)
			continue
		}
		if t.entries[0] != i {
			continue
		}
		t.multi = pipe.Do(ctx, "multi")
		for _, k := range t.entries {
			b.replies[k] = queue(ctx, pipe, list[k], maxLen)
		}
		t.exec = pipe.Do(ctx, "exec")
	}
	_, b.err = pipe.Exec(ctx)
	return b
}

func queue(ctx context.Context, pipe redis.Pipeliner, c *command, maxLen func(string) int64) *redis.Cmd {
	switch c.op {
	case opSPublish:
		return pipe.Do(ctx, "spublish", c.key, c.data)
	case opXAdd:
		return pipe.Do(ctx, c.xadd.args(c.key, maxLen(c.key))...)
	case opSet:
		return pipe.Do(ctx, "set", c.key, c.data, "px", c.ttl.Milliseconds())
	}
	return pipe.Do(ctx, "publish", c.key, c.data)
}

// result returns what Redis has answered to the i-th command.
func (b *batch) result(i int) (value any, err error) {
	value, err = b.answer(b.replies[i])
	c := b.list[i]
	if c.op != opXAdd || b.streams[c.key].exec == nil || err != nil || value != "QUEUED" { // or MULTI is not allowed
		return value, err
	}
	t := b.streams[c.key]
	all, err := b.answer(t.exec)
	if err != nil {
		return nil, b.discarded(t, err)
	}
	ids, _ := all.([]any)
	if len(ids) != len(t.entries) {
		return nil, errShape
	}
	if err, ok := ids[b.places[i]].(error); ok {
		return nil, err
	}
	return ids[b.places[i]], nil
}

// answer returns what Redis has answered. Only a value that came back is success: of a connection that was refused
// while it was made the library stamps no command.
func (b *batch) answer(r *redis.Cmd) (value any, _ error) {
	if e := r.Err(); e != nil {
		return nil, e
	}
	if v := r.Val(); v != nil {
		return v, nil
	}
	if b.err == nil {
		return nil, errUnsent
	}
	return nil, fmt.Errorf("%w: %w", b.err, errUnsent)
}

// discarded returns why the entries of a transaction that Redis could have taken were not.
func (b *batch) discarded(t *transaction, err error) error {
	if !refused(err) {
		return err
	}
	for _, i := range t.entries {
		switch e := b.replies[i].Err(); {
		case e == nil:
		case passing(e):
			return e
		default:
			return errDiscarded // because of another, that is dropped
		}
	}
	if _, why, ok := strings.Cut(err.Error(), "because of: "); ok {
		return refusal(why)
	}
	return err
}

// refusal is an answer of Redis that came inside of another.
type refusal string

func (r refusal) Error() string { return string(r) }

// RedisError marks an answer of Redis.
func (refusal) RedisError() {}

const errDiscarded = refusal("EXECABORT")

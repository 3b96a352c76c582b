//go:build !wasip1

package main

import (
	"context"
	"time"
)

// kept is one key, as DUMP gives it.
type kept struct {
	name, dump string
	ttl        time.Duration // 0: it never expires
}

// copy returns what Redis has.
func (r *redisServer) copy() replica {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	c := replica{at: r.w.now()}
	for _, name := range r.back.Keys(ctx, "*").Val() {
		k := kept{name: name, ttl: max(0, r.back.PTTL(ctx, name).Val())}
		if k.dump = r.back.Dump(ctx, name).Val(); k.dump != "" {
			c.keys = append(c.keys, k)
		}
	}
	return c
}

// restore is what the next Redis begins with.
func (r *redisServer) restore(c replica) { r.begin = c.keys }

// fill puts in what restore was given.
func (r *redisServer) fill(ctx context.Context) {
	for _, k := range r.begin {
		if err := r.back.Restore(ctx, k.name, k.ttl, k.dump).Err(); err != nil {
			panic(err)
		}
	}
	r.begin = nil
}

//go:build !wasip1

package main

import (
	"context"
	"time"
)

// replica is what a replica of Redis has at a moment.
type replica struct {
	at   int64
	keys []kept
}

// kept is one key, as DUMP gives it.
type kept struct {
	name, dump string
	ttl        time.Duration // 0: it never expires
}

// replicate takes copies of the data until the load ends, of which a failover finds one that is somewhat old.
func (r *redisServer) replicate() {
	for r.w.pause(200 * time.Millisecond) {
		r.one.Lock()
		c := r.copy()
		r.mu.Lock()
		if r.copies = append(r.copies, c); len(r.copies) > 10 {
			r.copies = r.copies[1:]
		}
		r.mu.Unlock()
		r.one.Unlock()
	}
}

// behind returns the last copy that was taken before a moment, and an empty one when there is none.
func (r *redisServer) behind(at time.Time) replica {
	r.mu.Lock()
	defer r.mu.Unlock()
	x := replica{}
	for _, c := range r.copies {
		if c.at <= int64(at.Sub(r.w.began)) {
			x = c
		}
	}
	r.copies = nil
	return x
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

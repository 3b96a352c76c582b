package main

import (
	"math/rand/v2"
	"slices"
	"sync"
)

// topology is what servers share: one Redis, or a Redis Cluster of masters, each with what has been its replica or is one.
type topology struct {
	w *world

	mu       sync.Mutex
	shards   []*shard // guarded by mu, and what is in them
	began    int      // how many servers there have been
	slots    cluster  // of a Redis Cluster
	retired  []*redisServer
	changing sync.Mutex // one change at a time
}

// shard is a master, and those that were masters before it and have become its replicas.
type shard struct {
	master   *redisServer
	replicas []*redisServer
}

func newTopology(w *world) *topology {
	t := &topology{w: w}
	for range w.plan.Masters {
		t.shards = append(t.shards, &shard{master: t.server()})
	}
	if t.clustered() {
		t.divide()
		w.count("runs with a Redis Cluster")
	}
	for _, x := range t.shards {
		x.master.on()
	}
	return t
}

// clustered reports whether it is a Redis Cluster.
func (t *topology) clustered() bool { return t.w.plan.Masters > 1 }

// masters are those that take commands.
func (w *world) masters() (list []*redisServer) {
	w.redis.mu.Lock()
	defer w.redis.mu.Unlock()
	for _, x := range w.redis.shards {
		list = append(list, x.master)
	}
	return list
}

// master draws one of them.
func (w *world) master(rng *rand.Rand) *redisServer {
	list := w.masters()
	if len(list) == 1 {
		return list[0]
	}
	return list[rng.IntN(len(list))]
}

// hold draws a master to which nothing else happens until one is unlocked: who waits for one may find it dead, and another in
// its place.
func (w *world) hold(rng *rand.Rand) *redisServer {
	for {
		r := w.master(rng)
		r.one.Lock()
		if slices.Contains(w.masters(), r) {
			return r
		}
		r.one.Unlock()
	}
}

// all are masters and replicas.
func (t *topology) all() (list []*redisServer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, x := range t.shards {
		list = append(append(list, x.master), x.replicas...)
	}
	return list
}

// addrs are those of all servers that may be reached.
func (t *topology) addrs() (list []string) {
	for _, r := range t.all() {
		list = append(list, r.addr)
	}
	return list
}

// off ends them all.
func (t *topology) off() {
	for _, r := range t.all() {
		r.off()
	}
}

// channels are those that somebody listens to.
func (t *topology) channels() (list []string) {
	for _, r := range t.all() {
		list = append(list, r.channels()...)
	}
	return slices.Compact(slices.Sorted(slices.Values(list)))
}

// eternal returns the keys, and those of them that never expire.
func (t *topology) eternal() (keys, eternal []string) {
	for _, r := range t.w.masters() {
		k, e := r.eternal()
		keys, eternal = append(keys, k...), append(eternal, e...)
	}
	return keys, eternal
}

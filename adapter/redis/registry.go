package redis

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// registry says in Redis under which address other nodes reach this one, and finds theirs. An entry
// expires when its node stops renewing it.
type registry struct {
	c    *Cluster
	node string
	addr string

	mu    sync.Mutex
	known map[string]place
}

// place is what was last heard of a node.
type place struct {
	addr string // empty: no such node
	at   time.Time
}

const (
	// freshFor is how long an answer of Redis is believed without asking again.
	freshFor = time.Second
	// staleFor is how long it is believed while Redis is out of reach, or the node has not renewed its entry:
	// one that stands still for a moment has all its sessions, and one that is gone refuses the connection.
	staleFor = time.Minute
	// lookupTimeout bounds one question when there is an older answer, firstTimeout when there is none: to wait
	// costs a client less than its session.
	lookupTimeout = 500 * time.Millisecond
	firstTimeout  = 3 * time.Second
)

func (r *registry) key(node string) string { return r.c.cfg.Prefix + "-beanpole:node:" + node }

// run renews the entry of this node until ctx is done, and then takes it out.
func (r *registry) run(ctx context.Context) {
	t := time.NewTicker(r.c.cfg.HeartbeatInterval)
	defer t.Stop()
	ttl := time.Duration(r.c.cfg.HeartbeatMisses+1) * r.c.cfg.HeartbeatInterval
	for {
		tctx, cancel := context.WithTimeout(ctx, publishTimeout)
		err := r.c.client.Set(tctx, r.key(r.node), r.addr, ttl).Err()
		cancel()
		if ctx.Err() != nil {
			return
		}
		r.c.state.set("registry", err)
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// leave says that this node is gone: nobody need try its address, as long as one is believed.
func (r *registry) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	_ = r.c.client.Set(ctx, r.key(r.node), "", staleFor).Err() // else it expires
}

// find returns the address of a node, empty when there is none.
func (r *registry) find(ctx context.Context, node string) (string, error) {
	r.mu.Lock()
	p, ok := r.known[node]
	r.mu.Unlock()
	if ok && time.Since(p.at) < freshFor {
		return p.addr, nil
	}
	stale := p.addr != "" && time.Since(p.at) < staleFor
	timeout := firstTimeout
	if stale {
		timeout = lookupTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	addr, err := r.c.client.Get(ctx, r.key(node)).Result()
	if err != nil && stale {
		return p.addr, nil
	}
	if errors.Is(err, redis.Nil) {
		addr, err = "", nil
	}
	if err != nil {
		return "", err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.known) > 10_000 { // names are a client's to choose
		clear(r.known)
	}
	r.known[node] = place{addr, time.Now()}
	return addr, nil
}

// forget asks Redis again next time.
func (r *registry) forget(node string) {
	r.mu.Lock()
	delete(r.known, node)
	r.mu.Unlock()
}

// secret returns the secret that all nodes share, making it if this is the first node.
func (r *registry) secret(ctx context.Context) (string, error) {
	key := r.c.cfg.Prefix + "-beanpole:secret"
	b := make([]byte, 32)
	rand.Read(b)
	if err := r.c.client.SetNX(ctx, key, base64.RawStdEncoding.EncodeToString(b), 0).Err(); err != nil {
		return "", err
	}
	return r.c.client.Get(ctx, key).Result()
}

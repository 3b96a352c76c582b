package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// registry says in Redis under which address other nodes reach this one, and finds theirs. An entry expires
// when its node stops renewing it.
//
// The value of an entry is the node's URL, and in its fragment the instance: a random text of this registry
// alone. Without a URL the node is not to be found. A second key says which node has an address. So a node finds out, when it renews both, that another
// has its name or announces its address, and takes out what a process that had its address before has left.
type registry struct {
	c        *Cluster
	node     string
	locate   func(context.Context) (string, error)
	instance string
	fixed    bool          // the secret was given
	tried    chan struct{} // closed when the entry was first written, or could not be

	mu     sync.Mutex
	addr   string // of this node; empty until it is known
	secret string // of the cluster; empty until it is known
	known  map[string]place
	twin   error // another node has this one's name or address
	alone  int   // renewals since one that met the twin
}

// place is what was last heard of a node.
type place struct {
	addr     string // empty: no such node, or none that can be meant
	instance string
	at       time.Time
}

// gone is the entry of a node that has left, or whose address another had when it started.
const gone = "#"

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

func newRegistry(c *Cluster, node string, locate func(context.Context) (string, error), secret string) *registry {
	return &registry{c: c, node: node, locate: locate, instance: rand.Text(), fixed: secret != "",
		tried: make(chan struct{}), secret: secret, known: map[string]place{}}
}

func (r *registry) key(node string) string { return r.c.cfg.Prefix + "-beanpole:node:" + node }

// addrKey is the key that says which node has this one's address.
func (r *registry) addrKey() string { return r.c.cfg.Prefix + "-beanpole:addr:" + r.address() }

// address returns this node's own, empty until it is known.
func (r *registry) address() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.addr
}

// settle finds out where this node is, unless that is known.
func (r *registry) settle(ctx context.Context) error {
	if r.address() != "" {
		return nil
	}
	addr, err := r.locate(ctx)
	if err == nil {
		addr, err = nodeURL(addr)
	}
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.addr = addr
	r.mu.Unlock()
	return nil
}

// run renews the entry of this node until ctx is done.
func (r *registry) run(ctx context.Context) {
	t := time.NewTicker(r.c.cfg.HeartbeatInterval)
	defer t.Stop()
	var once sync.Once
	for first := true; ; {
		err := within(ctx, func(ctx context.Context) error { return r.renew(ctx, first) })
		first = first && err != nil
		if err == nil {
			err = r.twinned()
		}
		if ctx.Err() == nil {
			r.c.state.set(PartForwarding, "", err)
		}
		once.Do(func() { close(r.tried) })
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// within calls fn until it succeeds, for as long as a client is let wait.
func within(ctx context.Context, fn func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, firstTimeout)
	defer cancel()
	return persist(ctx, func() error { return fn(ctx) })
}

// renew finds out this node's address and the secret, if they are not known, and renews the entry, unless another node has its name or address: then neither is
// found by it, as nobody could say which of them is meant. first means that what is there was left by a
// process of before.
func (r *registry) renew(ctx context.Context, first bool) error {
	if err := r.settle(ctx); err != nil {
		return err
	}
	if err := r.learn(ctx); err != nil {
		return err
	}
	ttl := time.Duration(r.c.cfg.HeartbeatMisses+1) * r.c.cfg.HeartbeatInterval
	here := r.node + "#" + r.instance
	entry, err := r.swap(ctx, r.key(r.node), r.value(), ttl)
	if err != nil {
		return err
	}
	holder, err := r.swap(ctx, r.addrKey(), here, ttl)
	if err != nil {
		return err
	}
	other, _, _ := strings.Cut(holder, "#")
	if first {
		if other != "" && other != r.node {
			return r.c.client.Set(ctx, r.key(other), gone, staleFor).Err()
		}
		return nil
	}
	var twin error
	switch {
	case entry != "" && entry != gone && !strings.HasSuffix(entry, "#"+r.instance):
		twin = errName
	case holder != "" && holder != here:
		twin = fmt.Errorf("%w: %s", errTwin, r.address())
	}
	if r.meets(twin) {
		return r.c.client.Set(ctx, r.key(r.node), r.value(), ttl).Err()
	}
	return nil
}

// meets notes whether a renewal has met a twin, and reports whether that changes this node's entry. Which of two
// renews last is chance, so a twin is there until one that lives would have been met.
func (r *registry) meets(twin error) (changed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.twin
	switch {
	case twin != nil:
		r.twin, r.alone = twin, 0
	case r.twin != nil:
		if r.alone++; r.alone > r.c.cfg.HeartbeatMisses {
			r.twin = nil
		}
	}
	return (before == nil) != (r.twin == nil)
}

// twinned returns why nobody is led to this node, though it has an entry.
func (r *registry) twinned() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.twin
}

// value is the text of this node's entry: without its address while there is a twin.
func (r *registry) value() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.twin != nil {
		return "#" + r.instance
	}
	return r.addr + "#" + r.instance
}

// swap sets a key for ttl and returns what it held before.
func (r *registry) swap(ctx context.Context, key, value string, ttl time.Duration) (before string, err error) {
	var got *redis.StringCmd
	var set *redis.StatusCmd
	_, _ = r.c.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		got, set = p.Get(ctx, key), p.Set(ctx, key, value, ttl)
		return nil
	})
	if before, err = got.Result(); errors.Is(err, redis.Nil) {
		err = nil
	}
	return before, errors.Join(err, set.Err())
}

// learn takes over the secret that all nodes share, making it if there is none. A Redis that has lost it is
// given this node's again.
func (r *registry) learn(ctx context.Context) error {
	if r.fixed {
		return nil
	}
	own := r.sharedSecret()
	if own == "" {
		own = rand.Text() + rand.Text()
	}
	key := r.c.cfg.Prefix + "-beanpole:secret"
	if err := r.c.client.SetNX(ctx, key, own, 0).Err(); err != nil {
		return err
	}
	secret, err := r.c.client.Get(ctx, key).Result()
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.secret = secret
	r.mu.Unlock()
	return nil
}

// signature returns the secret that a request is signed with, and asks Redis for it if that could not be had yet.
func (r *registry) signature(ctx context.Context) (string, error) {
	if secret := r.sharedSecret(); secret != "" {
		return secret, nil
	}
	err := within(ctx, r.learn)
	return r.sharedSecret(), err
}

// sharedSecret returns the secret of the cluster, empty before it is known.
func (r *registry) sharedSecret() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.secret
}

// leave says that this node is gone, if the entries still are its own: nobody need try its address, as long as one
// is believed.
func (r *registry) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	own := func(key, value string) bool {
		v, err := r.get(ctx, key)
		return err == nil && v == value
	}
	if own(r.key(r.node), r.value()) {
		_ = again(ctx, func() error { return r.c.client.Set(ctx, r.key(r.node), gone, staleFor).Err() }) // else it expires
	}
	if own(r.addrKey(), r.node+"#"+r.instance) {
		_ = again(ctx, func() error { return r.c.client.Del(ctx, r.addrKey()).Err() })
	}
}

func (r *registry) get(ctx context.Context, key string) (v string, err error) {
	err = again(ctx, func() (err error) {
		v, err = r.c.client.Get(ctx, key).Result()
		return err
	})
	return v, err
}

// find returns where a node is: without an address when there is none.
func (r *registry) find(ctx context.Context, node string) (place, error) {
	r.mu.Lock()
	p, ok := r.known[node]
	r.mu.Unlock()
	if ok && time.Since(p.at) < freshFor {
		return p, nil
	}
	stale := p.addr != "" && time.Since(p.at) < staleFor
	timeout := firstTimeout
	if stale {
		timeout = lookupTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	entry, err := r.get(ctx, r.key(node))
	if err != nil && !stale && !errors.Is(err, redis.Nil) { // Redis may fail over, or move the key
		err = persist(ctx, func() (err error) {
			entry, err = r.get(ctx, r.key(node))
			return err
		})
	}
	if err != nil && stale {
		return p, nil
	}
	if errors.Is(err, redis.Nil) {
		err = nil
	}
	if err != nil {
		return place{}, err
	}
	p = place{at: time.Now()}
	p.addr, p.instance, _ = strings.Cut(entry, "#")
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.known) > 10_000 { // names are a client's to choose
		clear(r.known)
	}
	r.known[node] = p
	return p, nil
}

// forget asks Redis again next time.
func (r *registry) forget(node string) {
	r.mu.Lock()
	delete(r.known, node)
	r.mu.Unlock()
}

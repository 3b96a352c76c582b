package redis

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Subscriptions stand at masters. A master that hands over to its replica stays as the replica of that, with the
// connections that it has: what is published still reaches them, in a Redis Cluster and by replication, but nobody
// counts them, and what is published there reaches nobody else. So each interval it is looked whether they stand where
// they should, and what does not is made anew: in a cluster by what it says of its masters, behind one address by
// whether the server to which new connections lead knows this node's subscriptions.

var (
	errHandedOver = errors.New("the server of this connection is no master any more")
	errElsewhere  = errors.New("the server of Redis that takes commands does not have this server's subscriptions: they are on another one, or it has cut them off")
)

// ofSubscriptions is the PartRole of subscriptions that stand elsewhere.
const ofSubscriptions = "subscriptions"

// settle has what does not stand at a master make itself anew. It reports whether it should be looked again soon. writes
// says that Redis has just done what a replica does not.
func (b *bus) settle(ctx context.Context, writes bool, readers map[string]*reader) (again bool) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	switch x := b.client.(type) {
	case *redis.ClusterClient:
		list, err := masters(ctx, x)
		if err == nil {
			b.leave(list)
			for _, r := range readers {
				r.stray(list)
			}
		}
		return false
	case *redis.Client:
		if !writes || b.replica.Load() {
			b.role(ctx, x)
		}
	}
	return b.elsewhere(ctx)
}

// elsewhere looks whether the server that takes commands has this node's subscriptions, and when it has not twice in
// a row, cuts all connections: where each of them leads nobody can say.
func (b *bus) elsewhere(ctx context.Context) (again bool) {
	since := b.broke()
	own := b.last.name
	if !b.has(b.last) {
		b.strayed = 0
		return false
	}
	counts, err := b.subscribers(ctx, []string{own})
	if err != nil || b.broke() != since || !b.has(b.last) { // made again meanwhile
		return false
	}
	if counts[own] > 0 {
		b.strayed = 0
		b.state.set(PartRole, ofSubscriptions, nil)
		return false
	}
	switch b.strayed++; {
	case b.strayed == 1:
		return true
	case b.strayed%10 == 2: // not all the time where that helps nothing
		b.lines.drop()
	case time.Since(since) > calm: // or they have just been cut off, and made again
		b.state.set(PartRole, ofSubscriptions, errElsewhere)
	}
	return false
}

// masters returns the masters of a Redis Cluster by address.
func masters(ctx context.Context, x *redis.ClusterClient) (map[string]*redis.Client, error) {
	var mu sync.Mutex
	list := map[string]*redis.Client{}
	err := x.ForEachMaster(ctx, func(_ context.Context, node *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		list[node.Options().Addr] = node
		return nil
	})
	return list, err
}

// anyMaster returns one of the masters of a Redis Cluster: what has no slot may be subscribed to at each.
func anyMaster(ctx context.Context, x *redis.ClusterClient) (*redis.Client, error) {
	list, err := masters(ctx, x)
	if err != nil || len(list) == 0 {
		return nil, cmp.Or(err, errUnsent)
	}
	return slices.Collect(maps.Values(list))[rand.IntN(len(list))], nil
}

// leave cuts the links whose server is not among the masters any more.
func (b *bus) leave(masters map[string]*redis.Client) {
	b.mu.RLock()
	var list []*link
	for _, l := range b.links {
		if at := l.place(); at != "" && masters[at] == nil {
			list = append(list, l)
		}
	}
	b.mu.RUnlock()
	for _, l := range list {
		l.cut(errHandedOver)
	}
}

// has reports whether Redis has taken a subscription on a connection that holds.
func (b *bus) has(s subscription) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	w := b.wants[s]
	return w != nil && w.confirmed
}

// subscribers returns how many connections subscribe to each channel.
func (b *bus) subscribers(ctx context.Context, channels []string) (map[string]int, error) {
	count := (*redis.Client).PubSubNumSub
	if b.sharded {
		count = (*redis.Client).PubSubShardNumSub
	}
	return countOn(ctx, b.client, count, channels...)
}

// counter is a command that counts subscribers.
type counter func(*redis.Client, context.Context, ...string) *redis.MapStringIntCmd

// countOn counts the subscribers of channels on all nodes of Redis.
func countOn(ctx context.Context, client redis.UniversalClient, count counter, channels ...string) (map[string]int, error) {
	var mu sync.Mutex
	counts := make(map[string]int, len(channels))
	err := eachNode(ctx, client, func(ctx context.Context, node *redis.Client) error {
		var m map[string]int64
		err := again(ctx, func() (err error) {
			m, err = count(node, ctx, channels...).Result()
			return err
		})
		mu.Lock()
		defer mu.Unlock()
		for name, n := range m {
			counts[name] += int(n)
		}
		return err
	})
	return counts, err
}

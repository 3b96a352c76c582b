package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// autoTimeout bounds how long New waits for Redis to say what it can.
const autoTimeout = 3 * time.Second

// choice is what Auto takes, and why.
type choice struct {
	mode    Mode
	cluster bool // Redis is one
	cause   string
}

// decide turns Auto into a mode. The client it returns may be another, made for a Redis Cluster. undecided says that
// Redis could not be asked.
func (c *Config) decide(client redis.UniversalClient) (_ redis.UniversalClient, undecided bool) {
	if c.Mode != Auto {
		return client, false
	}
	ctx, cancel := context.WithTimeout(context.Background(), autoTimeout)
	defer cancel()
	ask := func(client redis.UniversalClient) (x choice, err error) { // until its time is over: Redis may be starting again
		err = persist(ctx, func() (e error) { x, e = choose(ctx, client, c.Prefix, nil); return e })
		return x, err
	}
	x, err := ask(client)
	if x.cluster {
		if o, ok := client.(*redis.Client); ok {
			// Its one address, or any of them, is enough to find the others.
			_ = client.Close()
			client = clustered(clusterOptions(o.Options()))
			if y, e := ask(client); e == nil {
				x, err = y, nil
			}
		}
	}
	if err == nil {
		x = agree(ctx, client, c.Prefix, x)
	}
	c.Mode = x.mode
	log := c.Logger.With("mode", string(x.mode))
	if err != nil {
		log.Warn("redis cannot be asked which mode to use", "error", err,
			"advice", "name the mode in the configuration where servers may start without Redis")
		return client, true
	}
	log.Info("redis mode chosen", "cause", x.cause)
	return client, false
}

// choose asks Redis, and who uses it already besides own, for the best mode. With an error it is a guess.
func choose(ctx context.Context, client redis.UniversalClient, prefix string, own map[Mode]int) (x choice, err error) {
	_, x.cluster = client.(*redis.ClusterClient)
	x.mode = PubSub
	if x.cluster {
		x.mode = Sharded
	}
	if !x.cluster {
		x.cluster, err = isCluster(ctx, client)
		if err != nil {
			return x, err
		}
		if x.cluster {
			return x, nil // its client is another
		}
	}
	// To nobody: whether it may be done, and is known.
	sharded := client.SPublish(ctx, prefix+"-beanpole#?", "").Err()
	if sharded != nil && !refused(sharded) {
		return x, sharded
	}
	used, err := uses(ctx, client, prefix)
	if err != nil {
		return x, err
	}
	switch there := "servers that are there use it"; {
	case used[PubSub] > own[PubSub]:
		x.mode, x.cause = PubSub, there
	case used[Streams] > 0 && used[PubSub] == 0:
		x.mode, x.cause = Streams, there
	case used[Sharded] > own[Sharded]:
		x.mode, x.cause = Sharded, there
	case x.cluster && sharded == nil:
		x.mode, x.cause = Sharded, "Redis is a cluster, in which each channel of this mode lives on one shard only"
	case x.cluster:
		x.mode, x.cause = PubSub, fmt.Sprintf("Redis is a cluster without sharded channels: %v", sharded)
	default:
		x.mode, x.cause = PubSub, "Redis is no cluster: any Redis and any Socket.IO server can do this"
	}
	return x, nil
}

// claimed is how long a choice holds for servers that start at the same time: until who has made it can be seen.
const claimed = 10 * time.Second

// agree returns the choice of a server that has just made another one, and cannot be seen yet: what was seen, or not, may
// be a server that has come or gone meanwhile. One that can still be seen is right.
func agree(ctx context.Context, client redis.UniversalClient, prefix string, x choice) choice {
	key := prefix + "-beanpole:mode"
	if won, err := client.SetNX(ctx, key, string(x.mode), claimed).Result(); won || err != nil {
		return x
	}
	other, err := client.Get(ctx, key).Result()
	if err != nil || Mode(other) == x.mode || !slices.Contains([]Mode{PubSub, Sharded, Streams}, Mode(other)) || !sleep(ctx, time.Second) {
		return x
	}
	if used, err := uses(ctx, client, prefix); err != nil || used[x.mode] > 0 {
		return x
	}
	x.mode, x.cause = Mode(other), "a server that starts at the same time has chosen it"
	return x
}

// isCluster asks a server whether it is one of a Redis Cluster, as ElastiCache Serverless says, too.
func isCluster(ctx context.Context, client redis.UniversalClient) (bool, error) {
	text, err := client.Info(ctx, "server").Result()
	if err != nil && !refused(err) {
		return false, err
	}
	if err == nil {
		return strings.Contains(text, "redis_mode:cluster"), nil
	}
	// It may not be asked; but a cluster knows where its keys are.
	err = client.ClusterSlots(ctx).Err()
	if err != nil && !refused(err) {
		return false, err
	}
	return err == nil, nil
}

// uses returns how many servers with a prefix that have the namespace "/" use each mode, by what they listen to. Servers
// in mode pubsub may listen to the channel of those in mode streams, too, and those in mode streams, if they were told so, to
// that of those in mode sharded.
func uses(ctx context.Context, client redis.UniversalClient, prefix string) (map[Mode]int, error) {
	of, requests := prefix+"#/#", prefix+"-request#/#"
	plain, err := countOn(ctx, client, (*redis.Client).PubSubNumSub, of, requests)
	if err != nil {
		return nil, err
	}
	shards, err := countOn(ctx, client, (*redis.Client).PubSubShardNumSub, of)
	if err != nil && !refused(err) { // it may not know them
		return nil, err
	}
	return map[Mode]int{PubSub: plain[requests], Streams: plain[of], Sharded: shards[of]}, nil
}

// errOthers says that servers, of Node perhaps, use another mode.
var errOthers = errors.New("servers with this Prefix use another mode, and hear nothing of this one")

// others returns an error if servers that have the namespace "/" use another mode than this one.
func (c *Cluster) others(ctx context.Context) error {
	used, err := uses(ctx, c.client, c.cfg.Prefix)
	if err != nil {
		return nil
	}
	delete(used, c.cfg.Mode)
	if c.cfg.ShardedPubSub {
		delete(used, Sharded)
	}
	if c.cfg.Mode == PubSub { // other servers of Beanpole may listen to the channels of rooms, though this one does not
		peers := c.cfg.peers("/")
		counts, err := c.bus.subscribers(ctx, []string{peers})
		if used[Streams] -= max(0, counts[peers]-b2i(!dynamic(c.wire))); err != nil {
			return nil
		}
	}
	for mode, n := range used {
		if n > 0 {
			return fmt.Errorf("%w: %s, and not %s", errOthers, mode, c.cfg.Mode)
		}
	}
	return nil
}

// clusterOptions makes options for the cluster that a server belongs to.
func clusterOptions(o *redis.Options) *redis.ClusterOptions {
	var t *tls.Config
	if o.TLSConfig != nil {
		t = o.TLSConfig.Clone()
	}
	return &redis.ClusterOptions{
		Addrs: []string{o.Addr}, ClientName: o.ClientName, Dialer: o.Dialer, Protocol: o.Protocol,
		Username: o.Username, Password: o.Password, CredentialsProvider: o.CredentialsProvider,
		CredentialsProviderContext: o.CredentialsProviderContext, StreamingCredentialsProvider: o.StreamingCredentialsProvider,
		DialTimeout: o.DialTimeout, ReadTimeout: o.ReadTimeout, WriteTimeout: o.WriteTimeout,
		PoolSize: o.PoolSize, PoolTimeout: o.PoolTimeout, MinIdleConns: o.MinIdleConns, MaxIdleConns: o.MaxIdleConns,
		ConnMaxIdleTime: o.ConnMaxIdleTime, ConnMaxLifetime: o.ConnMaxLifetime, TLSConfig: t,
	}
}

// errMode says that this node and the others cannot hear each other.
var errMode = errors.New("another mode is right than the one taken when Redis could not be asked: start this server again")

// verify asks once more, when Redis answers, what could not be asked when the cluster was made. A mode cannot be
// changed any more: events are on their way.
func (c *Cluster) verify(ctx context.Context) {
	for {
		if c.bus.wait(ctx) != nil {
			return
		}
		own := map[Mode]int{}
		if c.namespace("/") != nil {
			own[c.cfg.Mode] = 1
		}
		x, err := choose(ctx, c.client, c.cfg.Prefix, own)
		if _, plain := c.client.(*redis.Client); err == nil && x.cluster && plain {
			x.mode = Sharded
		}
		if err == nil {
			if x.mode != c.cfg.Mode {
				c.state.set(PartAgreement, "", errMode)
				c.cfg.Logger.Warn("the mode is wrong", "mode", string(c.cfg.Mode), "right", string(x.mode), slog.String("cause", x.cause))
			}
			return
		}
		if !sleep(ctx, c.cfg.HeartbeatInterval) {
			return
		}
	}
}

// sleep waits and reports false when ctx is done.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

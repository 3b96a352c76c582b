package redis

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Servers on one Redis find out whether they are configured alike. Those of one Prefix have a list of their settings
// beside that of who lives. And there is one list of all prefixes: to have several is right where servers are to be
// apart, and cannot be told from a mistake, so it is said, once.

// setup is what all nodes of a cluster must have alike, in one line.
func (c *Config) setup() string {
	text := "mode " + string(c.Mode)
	switch c.Mode {
	case Sharded:
		return text + ", subscriptions " + string(c.Subscriptions)
	case Streams:
		text += fmt.Sprintf(", stream %s, streams %d, sharded channels %t, recovery %t", c.Stream, c.StreamCount, c.ShardedPubSub, c.Recovery != nil)
		if c.Recovery != nil {
			text += ", sessions " + c.SessionPrefix
		}
	}
	return text
}

// agrees returns an error if nobody of the servers there are has the mode and the stream of an emitter.
func (r *roster) agrees(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	setups, err := r.client.ZRange(ctx, r.keys[2], 0, -1).Result()
	mode, _, _ := strings.Cut(r.setup, ", streams ")
	if err != nil || len(setups) == 0 || slices.ContainsFunc(setups, func(s string) bool { return strings.HasPrefix(s, mode) }) {
		return nil
	}
	return fmt.Errorf("%w: this emitter has %s, servers %s", errSettings, r.setup, strings.Join(setups, "; "))
}

// disagrees returns an error if there are nodes that are configured otherwise.
func (r *roster) disagrees(setups []string) error {
	others := slices.DeleteFunc(setups, func(s string) bool { return s == r.setup })
	if len(others) == 0 {
		return nil
	}
	return fmt.Errorf("%w: this one has %s, others %s", errSettings, r.setup, strings.Join(others, "; "))
}

// clusters is the list of the prefixes in use on a Redis, by when they were last, in seconds since 1970. A user of Redis
// who is allowed the keys of another prefix only does without.
const (
	clusters      = DefaultPrefix + "-beanpole#clusters"
	clustersEvery = time.Minute
	ofStream      = " stream "
)

// lookAround says which other clusters there are on this Redis, and complains of those that read the same stream.
func (c *Cluster) lookAround(ctx context.Context) {
	own := c.cfg.Prefix
	if c.cfg.Mode == Streams {
		own += ofStream + c.cfg.Stream
	}
	said := ""
	first, cancel := context.WithTimeout(ctx, publishTimeout)
	_ = c.bus.wait(first) // or this one is counted now and then
	cancel()
	for refusedOnce := false; !refusedOnce; {
		c.state.set(PartAgreement, "mode", c.others(ctx))
		others, err := c.neighbours(ctx, own)
		refusedOnce = forbidden(err)
		var shared error
		for _, x := range others {
			if _, stream, ok := strings.Cut(x, ofStream); ok && c.cfg.Mode == Streams && stream == c.cfg.Stream {
				shared = fmt.Errorf("%w: %s", errStream, x)
			}
		}
		if err == nil {
			c.state.set(PartAgreement, "stream", shared)
		}
		if text := strings.Join(others, "; "); err == nil && text != said {
			if said = text; text != "" {
				c.cfg.Logger.Info("other servers use this Redis with another prefix: they are not of this cluster", "prefix", c.cfg.Prefix,
					"others", text, "advice", "give all the same Prefix if they should be one cluster")
			}
		}
		if !sleep(ctx, clustersEvery) {
			return
		}
	}
}

// neighbours notes that own is in use, and returns what else is.
func (c *Cluster) neighbours(ctx context.Context, own string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	now := time.Now()
	var list *redis.StringSliceCmd
	_, err := c.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.ZAdd(ctx, clusters, redis.Z{Score: float64(now.Unix()), Member: own})
		p.ZRemRangeByScore(ctx, clusters, "-inf", strconv.FormatInt(now.Add(-3*clustersEvery).Unix(), 10))
		p.PExpire(ctx, clusters, time.Hour)
		list = p.ZRange(ctx, clusters, 0, -1)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(list.Val(), func(s string) bool { // of this prefix the list of settings speaks
		prefix, _, _ := strings.Cut(s, ofStream)
		return s == own || prefix == c.cfg.Prefix
	}), nil
}

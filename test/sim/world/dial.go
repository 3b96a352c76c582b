package main

import (
	"context"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// ofRedisHost reports whether an address is one of Redis.
func ofRedisHost(addr string) bool { return strings.HasPrefix(addr, "redis") }

// reach returns the options with which a node reaches Redis, or the masters of a Redis Cluster.
func (w *world) reach(host string) redis.UniversalClient {
	dial := func(ctx context.Context, _, addr string) (net.Conn, error) { return w.net.Dial(ctx, host, addr) }
	calm := &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	if list := w.masters(); len(list) > 1 {
		o := &redis.ClusterOptions{Dialer: dial, DialTimeout: 2 * time.Second, PoolSize: 16, MaintNotificationsConfig: calm}
		for _, r := range list {
			o.Addrs = append(o.Addrs, r.addr)
		}
		return redis.NewClusterClient(o)
	}
	return redis.NewClient(&redis.Options{
		Addr:                     w.masters()[0].addr,
		Dialer:                   dial,
		DialTimeout:              2 * time.Second,
		PoolSize:                 16,
		MaintNotificationsConfig: calm,
	})
}

package main

import (
	"context"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

const redisAddr = "redis:6379"

// client returns the options with which a node reaches it.
func (r *redisServer) client(host string) *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr: redisAddr,
		Dialer: func(ctx context.Context, _, addr string) (net.Conn, error) {
			return r.w.net.Dial(ctx, host, addr)
		},
		DialTimeout:              2 * time.Second,
		PoolSize:                 16,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}

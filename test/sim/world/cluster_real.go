//go:build !wasip1

package main

import "math/rand/v2"

// cluster is nothing: worlds on real connections have one Redis. A real Redis Cluster is tested in adapter/redis.
type cluster struct{}

func (t *topology) server() *redisServer { return newRedis(t.w, "redis") }

func (t *topology) divide() {}

func (t *topology) change(*rand.Rand) {}

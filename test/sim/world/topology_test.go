package main

import (
	"math/rand/v2"
	"testing"
)

// whenDrawn is a source of randomness with which something happens as soon as it is used.
type whenDrawn func()

func (f whenDrawn) Uint64() uint64 {
	f()
	return 0
}

// A fault is of a master that there is when it begins, and not of one that has died since it was drawn.
func TestHoldsTheMasterThatThereIs(t *testing.T) {
	dead, next := &redisServer{}, &redisServer{}
	x := &shard{master: dead}
	w := &world{}
	w.redis = &topology{w: w, shards: []*shard{x, x}}
	if got := w.hold(rand.New(whenDrawn(func() { x.master = next }))); got != next || !dead.one.TryLock() || next.one.TryLock() {
		t.Error("it holds the dead one")
	}
}

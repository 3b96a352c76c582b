package main

import (
	"math/rand/v2"
	"strings"
	"time"

	"github.com/beanpole/beanpole/test/sim/plan"
	"github.com/beanpole/beanpole/test/sim/simnet"
)

// faults lets happen what the plan allows, each kind in a course of its own, until the load ends.
func (w *world) faults() {
	for _, f := range w.plan.Faults {
		var act func(*rand.Rand)
		pause := [2]time.Duration{300 * time.Millisecond, 3 * time.Second}
		switch f {
		case plan.Cut:
			act = w.cutClient
		case plan.Delay:
			act = w.delay
		case plan.Kill:
			act, pause = w.killNode, [2]time.Duration{2 * time.Second, 8 * time.Second}
		case plan.Drain:
			act, pause = w.drainNode, [2]time.Duration{time.Second, 6 * time.Second}
		case plan.Pause:
			act, pause = w.pauseNode, [2]time.Duration{time.Second, 6 * time.Second}
		case plan.RedisCut:
			act = w.cutRedis
		case plan.RedisOff:
			act, pause = func(rng *rand.Rand) { w.restartRedis(rng, false) }, [2]time.Duration{2 * time.Second, 8 * time.Second}
		case plan.RedisNew:
			act, pause = func(rng *rand.Rand) { w.restartRedis(rng, true) }, [2]time.Duration{2 * time.Second, 8 * time.Second}
		case plan.Failover:
			act, pause = w.failOver, [2]time.Duration{2 * time.Second, 8 * time.Second}
		case plan.Idle:
			act = w.hangUp
		case plan.RedisLag:
			act, pause = w.slowRedis, [2]time.Duration{2 * time.Second, 6 * time.Second}
		case plan.RedisIce:
			act, pause = w.freezeRedis, [2]time.Duration{2 * time.Second, 8 * time.Second}
		case plan.RedisBar:
			act, pause = w.barRedis, [2]time.Duration{time.Second, 6 * time.Second}
		case plan.RedisNo:
			act, pause = w.refuseRedis, [2]time.Duration{2 * time.Second, 6 * time.Second}
		}
		if act == nil || w.redis == nil && ofRedis(f) {
			continue
		}
		w.load.Go(func() {
			rng := w.rng("fault " + f)
			for w.pause(between(rng, pause[0], pause[1])) {
				act(rng)
			}
		})
	}
}

// ofRedis reports whether a fault is one of Redis.
func ofRedis(f string) bool {
	return strings.HasPrefix(f, "redis") || f == plan.Failover || f == plan.Idle
}

// cutClient cuts one connection of a client, or one between nodes, on which a client's request may be.
func (w *world) cutClient(rng *rand.Rand) {
	list := w.net.Links(func(l *simnet.Link) bool { return !ofRedisHost(l.To) })
	if len(list) == 0 {
		return
	}
	l := list[rng.IntN(len(list))]
	side := simnet.Side(rng.IntN(4))
	w.count("fault cut")
	for _, c := range w.on(l) {
		c.fault(10 * time.Second)
		c.unsettle()
	}
	if rng.IntN(2) == 0 {
		bytes, byClient := rng.IntN(600), rng.IntN(2) == 0
		w.note("FAULT", "cut %s after %d bytes of client=%v, noticed by %d", l, bytes, byClient, side)
		l.CutAfter(byClient, bytes, side)
		return
	}
	w.note("FAULT", "cut %s, noticed by %d", l, side)
	l.Cut(side)
}

// delay lets nothing arrive for a while.
func (w *world) delay(rng *rand.Rand) {
	list := w.net.Links(func(*simnet.Link) bool { return true })
	if len(list) == 0 {
		return
	}
	l := list[rng.IntN(len(list))]
	d := between(rng, 50*time.Millisecond, 4*time.Second)
	w.note("FAULT", "delay %s by %s", l, d)
	w.count("fault delay")
	for _, c := range w.on(l) {
		c.fault(d + 2*time.Second)
	}
	if ofRedisHost(l.To) {
		w.trouble(d)
	}
	l.Stall(d)
}

// victim draws a node that lives, unless it is the last.
func (w *world) victim(rng *rand.Rand) *node {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []*node
	for _, n := range w.slots {
		if n.web != nil && !n.dead && !n.draining && !n.closed && !n.paused {
			list = append(list, n)
		}
	}
	if len(list) == 0 || len(list) == 1 && len(w.slots) > 1 {
		return nil
	}
	return list[rng.IntN(len(list))]
}

func (w *world) killNode(rng *rand.Rand) {
	n := w.victim(rng)
	if n == nil {
		return
	}
	w.count("fault kill")
	if w.dying(n, rng); !n.live() {
		return
	}
	n.kill()
	time.Sleep(between(rng, 0, 2*time.Second))
	w.start(n.slot).open()
}

func (w *world) drainNode(rng *rand.Rand) {
	n := w.victim(rng)
	if n == nil {
		return
	}
	w.count("fault drain")
	n.drain(func(d time.Duration) time.Duration { return between(rng, 0, d) })
	time.Sleep(between(rng, 0, time.Second))
	w.start(n.slot).open()
}

// pauseNode lets a node stand still.
func (w *world) pauseNode(rng *rand.Rand) {
	n := w.victim(rng)
	if n == nil {
		return
	}
	d := between(rng, 200*time.Millisecond, 8*time.Second)
	w.note("FAULT", "%s stands still for %s", n.name, d)
	w.count("fault pause")
	for _, c := range w.clients { // whose request may be there
		c.fault(d + 2*time.Second)
	}
	w.mu.Lock()
	n.paused = true
	now := w.now()
	n.pauses = append(n.pauses, window{from: now, to: now + int64(d) + second})
	w.model.absent = append(w.model.absent, window{from: now, to: now + int64(d) + 3*settle})
	w.mu.Unlock()
	w.net.Pause(n.name)
	time.Sleep(d)
	w.net.Resume(n.name)
	w.mu.Lock()
	n.paused = false
	w.line("FAULT", n.name+" goes on")
	w.mu.Unlock()
}

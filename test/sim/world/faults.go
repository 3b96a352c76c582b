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
		case plan.RedisCut:
			act = w.cutRedis
		case plan.RedisOff:
			act, pause = func(rng *rand.Rand) { w.restartRedis(rng, false) }, [2]time.Duration{2 * time.Second, 8 * time.Second}
		case plan.RedisNew:
			act, pause = func(rng *rand.Rand) { w.restartRedis(rng, true) }, [2]time.Duration{2 * time.Second, 8 * time.Second}
		case plan.RedisLag:
			act, pause = w.slowRedis, [2]time.Duration{2 * time.Second, 6 * time.Second}
		case plan.RedisNo:
			act, pause = w.refuseRedis, [2]time.Duration{2 * time.Second, 6 * time.Second}
		}
		if act == nil || strings.HasPrefix(f, "redis") && w.redis == nil {
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

// cutClient cuts one connection of a client.
func (w *world) cutClient(rng *rand.Rand) {
	list := w.net.Links(func(l *simnet.Link) bool { return l.From[0] == 'c' })
	if len(list) == 0 {
		return
	}
	l := list[rng.IntN(len(list))]
	side := simnet.Side(rng.IntN(4))
	c := w.client(l.From)
	w.count("fault cut")
	c.fault(10 * time.Second)
	c.unsettle()
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
	if l.From[0] == 'c' {
		w.client(l.From).fault(d + 2*time.Second)
	} else {
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
		if n.web != nil && !n.dead && !n.draining && !n.closed {
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

// trouble notes that the nodes may not hear each other for so long, and the time they need to find together.
func (w *world) trouble(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	w.model.trouble = append(w.model.trouble, window{now, now + int64(d) + 3*settle})
}

func (w *world) cutRedis(rng *rand.Rand) {
	list := w.net.Links(func(l *simnet.Link) bool { return l.To == redisAddr })
	all := rng.IntN(3) == 0
	w.note("FAULT", "cut connections to redis, all=%v", all)
	w.count("fault rediscut")
	w.trouble(0)
	for _, l := range list {
		if all || rng.IntN(3) == 0 {
			if rng.IntN(4) == 0 {
				l.CutAfter(rng.IntN(2) == 0, rng.IntN(400), simnet.Both)
			} else {
				l.Cut(simnet.Both)
			}
		}
	}
}

func (w *world) restartRedis(rng *rand.Rand, empty bool) {
	d := between(rng, 0, 5*time.Second)
	w.redis.one.Lock()
	defer w.redis.one.Unlock()
	w.note("FAULT", "redis restarts in %s, empty=%v", d, empty)
	w.trouble(d)
	if empty {
		w.count("fault redisnew")
	} else {
		w.count("fault redisoff")
	}
	w.redis.off()
	if empty {
		w.mu.Lock()
		w.model.wiped = append(w.model.wiped, w.now())
		w.mu.Unlock()
	}
	time.Sleep(d)
	if empty {
		w.redis.fresh()
	}
	w.redis.on()
	w.note("FAULT", "redis is back")
}

func (w *world) slowRedis(rng *rand.Rand) {
	lag, d := between(rng, 10*time.Millisecond, 800*time.Millisecond), between(rng, 0, 4*time.Second)
	w.note("FAULT", "redis is slow: %s for %s", lag, d)
	w.count("fault redislag")
	w.trouble(d + 2*time.Second)
	w.redis.set("", lag)
	time.Sleep(d)
	w.redis.set("", 0)
}

func (w *world) refuseRedis(rng *rand.Rand) {
	text := []string{"LOADING Redis is loading the dataset in memory",
		"READONLY You can't write against a read only replica.",
		"OOM command not allowed when used memory > 'maxmemory'.",
		"NOPERM User default has no permissions to run the command"}[rng.IntN(4)]
	d := between(rng, 0, 4*time.Second)
	w.note("FAULT", "redis refuses for %s: %s", d, text)
	w.count("fault redisno")
	w.trouble(d)
	w.redis.set(text, 0)
	time.Sleep(d)
	w.redis.set("", 0)
}

package main

import (
	"math/rand/v2"
	"time"

	"github.com/beanpole/beanpole/test/sim/simnet"
)

// trouble notes that the nodes may not hear each other for so long, and the time they need to find together.
func (w *world) trouble(d time.Duration) { w.troubles(d, false) }

// troubles is trouble; mild says that Redis can be reached again at once.
func (w *world) troubles(d time.Duration, mild bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	w.model.trouble = append(w.model.trouble, window{now, now + int64(d) + 3*settle, mild})
}

func (w *world) cutRedis(rng *rand.Rand) {
	list := w.net.Links(func(l *simnet.Link) bool { return l.To == redisAddr })
	all := rng.IntN(3) == 0
	w.note("FAULT", "cut connections to redis, all=%v", all)
	w.count("fault rediscut")
	w.troubles(0, true)
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

// freezeRedis has Redis stand still: what was written to it is read when it goes on.
func (w *world) freezeRedis(rng *rand.Rand) {
	d := between(rng, 0, 6*time.Second)
	w.redis.one.Lock()
	defer w.redis.one.Unlock()
	w.note("FAULT", "redis stands still for %s", d)
	w.count("fault redisice")
	w.trouble(d)
	w.net.Pause("redis")
	time.Sleep(d)
	w.net.Resume("redis")
	w.note("FAULT", "redis goes on")
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

// failOver has a replica take the place of Redis that has not got what was written in the last moments.
func (w *world) failOver(rng *rand.Rand) {
	d, lag := between(rng, 0, 3*time.Second), between(rng, 0, time.Second)
	w.redis.one.Lock()
	defer w.redis.one.Unlock()
	w.note("FAULT", "redis fails over in %s, and loses what was written in the last %s", d, lag)
	w.count("fault failover")
	w.trouble(d)
	w.redis.off()
	behind := w.redis.behind(time.Now().Add(-lag))
	w.mu.Lock()
	now := w.now()
	w.model.lost = append(w.model.lost, window{from: behind.at, to: now})
	w.mu.Unlock()
	time.Sleep(d)
	w.redis.fresh()
	w.redis.restore(behind)
	w.redis.on()
	w.note("FAULT", "redis is another one")
}

// barRedis has one node reach Redis no more for a while, as when a network is parted.
func (w *world) barRedis(rng *rand.Rand) {
	n := w.victim(rng)
	if n == nil {
		return
	}
	d := between(rng, 0, 5*time.Second)
	w.note("FAULT", "%s cannot reach redis for %s", n.name, d)
	w.count("fault redisbar")
	w.trouble(d)
	w.mu.Lock()
	n.parted = n.parted || d > time.Second // with what a connection takes: others may take it for gone
	w.mu.Unlock()
	w.net.Bar(n.name, redisAddr, true)
	time.Sleep(d)
	w.net.Bar(n.name, redisAddr, false)
	w.note("FAULT", "%s can reach redis again", n.name)
}

// hangUp closes the connections to Redis on which nothing has happened for some seconds, as its option timeout does.
func (w *world) hangUp(rng *rand.Rand) {
	patience := between(rng, 2*time.Second, 5*time.Second)
	for _, l := range w.net.Links(func(l *simnet.Link) bool { return l.To == redisAddr }) {
		if l.Idle() > patience {
			w.note("FAULT", "redis closes %s, which is idle", l)
			w.count("fault idle")
			l.HangUp()
		}
	}
}

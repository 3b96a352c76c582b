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
	list := w.net.Links(func(l *simnet.Link) bool { return ofRedisHost(l.To) })
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
	r := w.hold(rng)
	defer r.one.Unlock()
	w.note("FAULT", "%s restarts in %s, empty=%v", r.host, d, empty)
	w.trouble(d)
	if empty {
		w.count("fault redisnew")
	} else {
		w.count("fault redisoff")
	}
	r.off()
	if empty {
		w.mu.Lock()
		w.model.wiped = append(w.model.wiped, w.now())
		w.mu.Unlock()
	}
	time.Sleep(d)
	if empty {
		r.fresh()
	}
	r.on()
	w.note("FAULT", "%s is back", r.host)
}

func (w *world) slowRedis(rng *rand.Rand) {
	lag, d := between(rng, 10*time.Millisecond, 800*time.Millisecond), between(rng, 0, 4*time.Second)
	r := w.master(rng)
	w.note("FAULT", "%s is slow: %s for %s", r.host, lag, d)
	w.count("fault redislag")
	w.trouble(d + 2*time.Second)
	r.set("", lag)
	time.Sleep(d)
	r.set("", 0)
}

// freezeRedis has Redis stand still: what was written to it is read when it goes on.
func (w *world) freezeRedis(rng *rand.Rand) {
	d := between(rng, 0, 6*time.Second)
	r := w.hold(rng)
	defer r.one.Unlock()
	w.note("FAULT", "%s stands still for %s", r.host, d)
	w.count("fault redisice")
	w.trouble(d)
	w.net.Pause(r.host)
	time.Sleep(d)
	w.net.Resume(r.host)
	w.note("FAULT", "%s goes on", r.host)
}

func (w *world) refuseRedis(rng *rand.Rand) {
	text := []string{"LOADING Redis is loading the dataset in memory",
		"READONLY You can't write against a read only replica.",
		"OOM command not allowed when used memory > 'maxmemory'.",
		"NOPERM User default has no permissions to run the command"}[rng.IntN(4)]
	d := between(rng, 0, 4*time.Second)
	r := w.master(rng)
	w.note("FAULT", "%s refuses for %s: %s", r.host, d, text)
	w.count("fault redisno")
	w.trouble(d)
	r.set(text, 0)
	time.Sleep(d)
	r.set("", 0)
}

// failOver has a replica take the place of Redis that has not got what was written in the last moments.
func (w *world) failOver(rng *rand.Rand) {
	if w.redis.clustered() {
		w.redis.change(rng)
		return
	}
	r := w.hold(rng)
	d, lag := between(rng, 0, 3*time.Second), between(rng, 0, time.Second)
	defer r.one.Unlock()
	w.note("FAULT", "redis fails over in %s, and loses what was written in the last %s", d, lag)
	w.count("fault failover")
	w.trouble(d)
	r.off()
	behind := r.lose(lag)
	time.Sleep(d)
	r.fresh()
	r.restore(behind)
	r.on()
	w.note("FAULT", "redis is another one")
}

// lose returns what a replica has of a Redis that has just ended, without what was written to it in the last moments.
func (r *redisServer) lose(lag time.Duration) replica {
	x := r.behind(time.Now().Add(-lag))
	w := r.w
	w.mu.Lock()
	defer w.mu.Unlock()
	w.model.lost = append(w.model.lost, window{from: x.at, to: w.now()})
	return x
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
	bar := func(is bool) {
		for _, addr := range w.redis.addrs() {
			w.net.Bar(n.name, addr, is)
		}
	}
	bar(true)
	time.Sleep(d)
	bar(false)
	w.note("FAULT", "%s can reach redis again", n.name)
}

// hangUp closes the connections to Redis on which nothing has happened for some seconds, as its option timeout does.
func (w *world) hangUp(rng *rand.Rand) {
	patience := between(rng, 2*time.Second, 5*time.Second)
	for _, l := range w.net.Links(func(l *simnet.Link) bool { return ofRedisHost(l.To) }) {
		if l.Idle() > patience {
			w.note("FAULT", "redis closes %s, which is idle", l)
			w.count("fault idle")
			l.HangUp()
		}
	}
}

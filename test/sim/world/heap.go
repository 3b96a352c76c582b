package main

import (
	"context"
	"runtime"
	"time"
)

// What servers still hold when everybody has left is found by doing it twice: clients come and go, and what is in memory
// then is counted; the same once more must not leave more. What a server keeps of each life adds up.

// Of the waves of clients.
const (
	waves    = 4  // at each of the two times
	wave     = 10 // clients
	asksEach = 10 // questions of each server
)

// weighs reports whether the run counts: one of four, where there is no Redis, which would be in the same memory; and the
// library, which keeps what it likes, has no servers then.
func (w *world) weighs() bool { return !w.plan.Redis() && w.rng("weight").IntN(4) == 0 }

// weigh counts, when nobody is there.
func (w *world) weigh() {
	if busy || !w.weighs() {
		return
	}
	w.surge()
	before := w.heap()
	lives := w.surge()
	after := w.heap()
	w.count("weighed")
	w.note("HEAP", "%d objects, then %d after %d lives", before, after, lives)
	if grown := after - before; grown > lives/2 {
		w.violated("leftovers", "HEAP", "%d objects more are in memory when another %d lives have come and gone, of %d", grown, lives, after)
	}
}

// surge has clients come and go, and servers ask, and returns how many lives there were.
func (w *world) surge() (lives int) {
	w.mu.Lock()
	was := w.clients
	w.mu.Unlock()
	for k := range waves {
		w.mu.Lock()
		w.finishing = make(chan struct{})
		w.clients = nil
		w.mu.Unlock()
		for i := range wave {
			w.clients = append(w.clients, newClient(w, i))
		}
		for _, c := range w.clients {
			w.leaving.Go(c.run)
		}
		time.Sleep(3 * time.Second / 2)
		for _, n := range w.slots {
			for range asksEach / waves {
				_, _ = n.io.fetch("/", nil, nil)
				_, _ = n.io.tally(context.Background(), "/", nil, nil)
			}
		}
		close(w.finishing)
		w.leaving.Wait()
		time.Sleep(time.Duration(k+1) * time.Second)
	}
	time.Sleep(10*time.Second + w.maxAway())
	for _, n := range w.slots { // what is kept for a time is dropped with the next
		x := w.tell(n, w.rng("surge"), "")
		_ = n.io.say(x.nsp, x.id, x.what)
	}
	time.Sleep(time.Second)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clients = was
	return len(w.model.births)
}

// heap counts what is in memory, when the world has forgotten what it has seen.
func (w *world) heap() int {
	w.mu.Lock()
	w.model.init(w)
	w.mu.Unlock()
	for range 3 {
		runtime.GC()
		time.Sleep(10 * time.Millisecond) // finalizers
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapObjects)
}

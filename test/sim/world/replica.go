package main

import "time"

// replica is what a replica of Redis has at a moment.
type replica struct {
	at   int64
	keys []kept
}

// replicate takes copies of the data until the load ends, of which a failover finds one that is somewhat old.
func (w *world) replicate() {
	for w.pause(100 * time.Millisecond) {
		for _, r := range w.masters() {
			r.replicate()
		}
	}
}

func (r *redisServer) replicate() {
	r.one.Lock()
	defer r.one.Unlock()
	c := r.copy()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.copies = append(r.copies, c); len(r.copies) > 15 {
		r.copies = r.copies[1:]
	}
}

// behind returns the last copy that was taken before a moment, and an empty one when there is none.
func (r *redisServer) behind(at time.Time) replica {
	r.mu.Lock()
	defer r.mu.Unlock()
	x := replica{}
	for _, c := range r.copies {
		if c.at <= int64(at.Sub(r.w.began)) {
			x = c
		}
	}
	r.copies = nil
	return x
}

//go:build wasip1

package main

import (
	"time"
)

// replica is what a replica of Redis has at a moment.
type replica struct {
	at   int64
	keys []kept
}

// kept is one key.
type kept struct {
	name, kind string
	until      time.Time // it expires; zero means never
	text       string
	fields     map[string]string
	scores     map[string]float64
	entries    []entry
}

type entry struct {
	id     string
	values []string
}

// replicate takes copies of the data until the load ends, of which a failover finds one that is somewhat old.
func (r *redisServer) replicate() {
	for r.w.pause(100 * time.Millisecond) {
		r.one.Lock()
		c := r.copy()
		r.mu.Lock()
		if r.copies = append(r.copies, c); len(r.copies) > 15 {
			r.copies = r.copies[1:]
		}
		r.mu.Unlock()
		r.one.Unlock()
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

// copy returns what Redis has.
func (r *redisServer) copy() replica {
	c := replica{at: r.w.now()}
	for _, name := range r.m.Keys() {
		k := kept{name: name, kind: r.m.Type(name)}
		if d := r.m.TTL(name); d > 0 {
			k.until = time.Now().Add(d)
		}
		switch k.kind {
		case "string":
			k.text, _ = r.m.Get(name)
		case "stream":
			list, _ := r.m.Stream(name)
			for _, e := range list {
				k.entries = append(k.entries, entry{e.ID, e.Values})
			}
		case "hash":
			k.fields = map[string]string{}
			fields, _ := r.m.HKeys(name)
			for _, f := range fields {
				k.fields[f] = r.m.HGet(name, f)
			}
		case "zset":
			k.scores, _ = r.m.SortedSet(name)
		case "":
			continue // it has just expired
		default:
			panic("no copy of a " + k.kind)
		}
		c.keys = append(c.keys, k)
	}
	return c
}

// restore puts a copy into a Redis without data.
func (r *redisServer) restore(c replica) {
	for _, k := range c.keys {
		if !k.until.IsZero() && time.Until(k.until) <= 0 {
			continue
		}
		var err error
		switch k.kind {
		case "string":
			err = r.m.Set(k.name, k.text)
		case "stream":
			for _, e := range k.entries {
				if _, err = r.m.XAdd(k.name, e.id, e.values); err != nil {
					break
				}
			}
		case "hash":
			for f, v := range k.fields {
				r.m.HSet(k.name, f, v)
			}
		case "zset":
			for m, score := range k.scores {
				if _, err = r.m.ZAdd(k.name, score, m); err != nil {
					break
				}
			}
		}
		if err != nil {
			panic(err)
		}
		if !k.until.IsZero() {
			r.m.SetTTL(k.name, time.Until(k.until))
		}
	}
}

//go:build wasip1

package main

import (
	"time"
)

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

// copy returns what Redis has.
func (r *redisServer) copy() replica {
	c := replica{at: r.w.now()}
	for _, name := range r.m.Keys() {
		if k, ok := r.key(name); ok {
			c.keys = append(c.keys, k)
		}
	}
	return c
}

// key returns a key, unless it has just expired.
func (r *redisServer) key(name string) (k kept, ok bool) {
	k = kept{name: name, kind: r.m.Type(name)}
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
		return k, false
	default:
		panic("no copy of a " + k.kind)
	}
	return k, true
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

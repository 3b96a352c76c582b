//go:build wasip1

package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alicebob/miniredis/v2/server"
)

// A Redis Cluster: every key, and every sharded channel, is of a slot, and every slot of a master. Others send who asks
// there; what is published on other channels they pass on to each other. Source: redis.io, Redis cluster specification,
// PUBLISH, SSUBSCRIBE, CLUSTER SLOTS.

const slots = 16384

// cluster says of which shard each slot is.
type cluster struct {
	of   [slots]int
	down bool // a master has died, and its replica has not been elected yet
	// moving are the slots that are on their way to another shard.
	moving map[int]int
	bus    map[[2]*redisServer]chan [2]string
}

// busTakes is how long what is published takes from one to another.
const busTakes = time.Millisecond

// server makes one, which takes no connections yet.
func (t *topology) server() *redisServer {
	host := "redis"
	if t.clustered() {
		host = fmt.Sprintf("redis%d", t.began)
	}
	t.began++
	r := newRedis(t.w, host)
	if t.clustered() {
		r.cluster = t
	}
	return r
}

// divide gives each shard its part of the slots.
func (t *topology) divide() {
	t.slots.bus, t.slots.moving = map[[2]*redisServer]chan [2]string{}, map[int]int{}
	for i := range t.slots.of {
		t.slots.of[i] = i * len(t.shards) / slots
	}
}

// slotOf is the slot of a key. Source: redis.io, Redis cluster specification, key distribution model.
func slotOf(key string) int {
	if _, tag, ok := strings.Cut(key, "{"); ok {
		if tag, _, ok = strings.Cut(tag, "}"); ok && tag != "" {
			key = tag
		}
	}
	crc := uint16(0)
	for i := range len(key) {
		crc ^= uint16(key[i]) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return int(crc) % slots
}

// keyless are the commands that are of no slot.
var keyless = strings.Fields("PING HELLO CLIENT AUTH SELECT MULTI EXEC DISCARD UNWATCH SUBSCRIBE UNSUBSCRIBE PSUBSCRIBE PUNSUBSCRIBE " +
	"SUNSUBSCRIBE PUBSUB PUBLISH INFO COMMAND CONFIG TIME ECHO QUIT KEYS SCAN SCRIPT CLUSTER READONLY READWRITE ROLE WAIT")

// keysOf returns the keys of a command, or its sharded channel: of several of these, which are of one slot, the first.
func keysOf(cmd string, args []string) []string {
	at, n := 0, 1
	switch {
	case slices.Contains(keyless, cmd):
		return nil
	case cmd == "XREAD":
		at = slices.IndexFunc(args, func(x string) bool { return strings.EqualFold(x, "streams") }) + 1
	case (cmd == "EVAL" || cmd == "EVALSHA") && len(args) > 1:
		at = 2
		n, _ = strconv.Atoi(args[1])
	case cmd == "XINFO":
		at = 1
	case slices.Contains(several, cmd):
		n = len(args)
	}
	return args[min(at, len(args)):min(at+n, len(args))]
}

// several are the commands of which each argument is a key.
var several = strings.Fields("DEL UNLINK EXISTS TOUCH MGET WATCH")

// hook does what a server of a Redis Cluster does beside what each does, and reports whether it has answered.
func (t *topology) hook(r *redisServer, c *server.Peer, cmd string, args []string) bool {
	switch {
	case cmd == "CLUSTER" && len(args) == 1 && strings.EqualFold(args[0], "SLOTS"):
		t.writeSlots(c)
		return true
	case cmd == "PUBLISH" && len(args) == 2:
		t.pass(r, args[0], args[1])
	}
	if nested(c) {
		return false
	}
	keys := keysOf(cmd, args)
	t.mu.Lock()
	down := t.slots.down && len(keys) > 0 && cmd != "SPUBLISH" && cmd != "SSUBSCRIBE" // Source: redis.conf, cluster-allow-pubsubshard-when-down
	t.mu.Unlock()
	x := r.asker(c)
	asking, keys := x.next(cmd, keys...)
	switch {
	case cmd == "ASKING":
		c.WriteOK()
		return true
	case down:
		x.refused()
		refuse(c, "CLUSTERDOWN The cluster is down")
		return true
	}
	has := map[string]bool{}
	for _, key := range keys {
		has[key] = r.m.Exists(key)
	}
	no := t.redirect(r, c, has, slices.Contains(sharded, cmd), asking)
	if no {
		x.refused()
	}
	if no && cmd == "EXEC" {
		discard(c)
	}
	return no
}

// sharded are the commands whose keys are channels.
var sharded = []string{"SPUBLISH", "SSUBSCRIBE"}

// redirect answers who asks for keys of one slot, or a channel, that are to be asked for at another master, or later, and
// reports whether it has. has says of each whether it is there.
func (t *topology) redirect(r *redisServer, c *server.Peer, has map[string]bool, channel, asking bool) bool {
	slot := -1
	for key := range has {
		slot = slotOf(key)
	}
	if slot < 0 {
		return false
	}
	t.mu.Lock()
	owner, to := t.shards[t.slots.of[slot]].master, (*redisServer)(nil)
	if k, ok := t.slots.moving[slot]; ok {
		to = t.shards[k].master
	}
	t.mu.Unlock()
	no := holding{mine: owner == r, goes: to != nil, comes: to == r}.refusal(has, channel, asking)
	switch no {
	case "":
		return false
	case "ASK":
		owner = to
		t.w.count("sent elsewhere by ASK")
	case "TRYAGAIN":
		t.w.count("told to try again")
		refuse(c, "TRYAGAIN Multiple keys request during rehashing of slot")
		return true
	}
	refuse(c, fmt.Sprintf("%s %d %s", no, slot, owner.addr))
	return true
}

// asker is what a connection has said before. It alone uses that.
func (r *redisServer) asker(c *server.Peer) *asker {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.askers[c]
	if a == nil {
		a = &asker{}
		r.askers[c] = a
		c.OnDisconnect(func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			delete(r.askers, c)
		})
	}
	return a
}

func (t *topology) writeSlots(c *server.Peer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var begins []int
	for i := range t.slots.of {
		if i == 0 || t.slots.of[i] != t.slots.of[i-1] {
			begins = append(begins, i)
		}
	}
	c.WriteLen(len(begins))
	for i, first := range begins {
		last := slots - 1
		if i+1 < len(begins) {
			last = begins[i+1] - 1
		}
		x := t.shards[t.slots.of[first]]
		list := append([]*redisServer{x.master}, x.replicas...)
		c.WriteLen(2 + len(list))
		c.WriteInt(first)
		c.WriteInt(last)
		for _, r := range list {
			c.WriteLen(3)
			c.WriteBulk(r.host)
			c.WriteInt(6379)
			c.WriteBulk(r.host)
		}
	}
}

// pass has others publish what is published on a channel that is not sharded, in its order.
func (t *topology) pass(from *redisServer, channel, payload string) {
	for _, to := range t.all() {
		if to == from {
			continue
		}
		t.mu.Lock()
		way := t.slots.bus[[2]*redisServer{from, to}]
		if way == nil {
			way = make(chan [2]string, 1<<16)
			t.slots.bus[[2]*redisServer{from, to}] = way
			go func() {
				for x := range way {
					time.Sleep(busTakes)
					to.m.Publish(x[0], x[1])
				}
			}()
		}
		t.mu.Unlock()
		way <- [2]string{channel, payload}
	}
}

// change has a master die and its replica take over, without what had not come to it; or hand over to it; or slots move.
func (t *topology) change(rng *rand.Rand) {
	t.changing.Lock()
	defer t.changing.Unlock()
	k := rng.IntN(len(t.shards))
	switch rng.IntN(3) {
	case 0:
		t.die(rng, k)
	case 1:
		t.handOver(k)
	default:
		t.move(rng, k, (k+1+rng.IntN(len(t.shards)-1))%len(t.shards))
	}
}

// die has a master end, and its replica take its place at an address of its own.
func (t *topology) die(rng *rand.Rand, k int) {
	w, r := t.w, t.shards[k].master
	d, lag := between(rng, 0, 4*time.Second), between(rng, 0, time.Second)
	r.one.Lock()
	defer r.one.Unlock()
	w.note("FAULT", "%s dies, its replica takes over in %s, without what was written in the last %s", r.host, d, lag)
	w.count("fault failover")
	w.trouble(d)
	r.off()
	behind := r.lose(lag)
	t.elect(true)
	time.Sleep(d)
	next := t.server()
	next.restore(behind)
	next.on()
	t.mu.Lock()
	t.shards[k].master = next
	t.mu.Unlock()
	t.elect(false)
	w.note("FAULT", "%s is a master in place of %s", next.host, r.host)
}

// elect notes that a master is missing, or that none is any more.
func (t *topology) elect(down bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.slots.down = down
}

// handOver has a master hand over to its replica, which has everything, and become one.
func (t *topology) handOver(k int) {
	w, r := t.w, t.shards[k].master
	r.one.Lock()
	defer r.one.Unlock()
	next := t.server()
	w.note("FAULT", "%s hands over to %s", r.host, next.host)
	w.count("fault handover")
	w.troubles(0, true)
	next.on()
	t.mu.Lock()
	next.restore(r.copy())
	x := t.shards[k]
	x.master, x.replicas = next, append(x.replicas, r)
	t.mu.Unlock()
	r.expel(func(string) bool { return true })
}

// move has half of the slots of a shard become another's, one after the other: those of keys and channels that there are in
// any case. The keys of one go one by one, and what is not there any more is asked for at the other meanwhile.
func (t *topology) move(rng *rand.Rand, from, to int) {
	w, a, b := t.w, t.shards[from].master, t.shards[to].master
	for _, k := range []int{min(from, to), max(from, to)} {
		r := t.shards[k].master
		r.one.Lock()
		defer r.one.Unlock()
	}
	var used []int
	for _, name := range append(a.m.Keys(), a.channels()...) {
		if slot := slotOf(name); t.slots.of[slot] == from && !slices.Contains(used, slot) {
			used = append(used, slot)
		}
	}
	slices.Sort(used)
	var moves []int
	d := time.Duration(0)
	wait := map[int]time.Duration{}
	for i, slot := range used {
		if i%2 == 0 {
			moves = append(moves, slot)
			wait[slot] = between(rng, 0, 200*time.Millisecond)
			d += 2 * wait[slot]
		}
	}
	w.note("FAULT", "%d slots move from %s to %s in %s", len(moves), a.host, b.host, d)
	w.count("fault slots move")
	w.troubles(d, true)
	set := func(slot, shard int, moving bool) {
		t.mu.Lock()
		defer t.mu.Unlock()
		if delete(t.slots.moving, slot); moving {
			t.slots.moving[slot] = shard
		} else {
			t.slots.of[slot] = shard
		}
	}
	for _, slot := range moves {
		is := func(name string) bool { return slotOf(name) == slot }
		set(slot, to, true)
		time.Sleep(wait[slot])
		for _, name := range a.m.Keys() {
			if k, ok := a.key(name); ok && is(name) {
				b.restore(replica{keys: []kept{k}})
				a.m.Del(name)
				time.Sleep(wait[slot] / 4)
			}
		}
		time.Sleep(wait[slot])
		set(slot, to, false)
		a.expel(is)
	}
	w.note("FAULT", "%d slots have moved from %s to %s", len(moves), a.host, b.host)
}

// expel ends the subscriptions to sharded channels that are another's by now, and says so to who had them.
func (r *redisServer) expel(is func(string) bool) {
	r.mu.Lock()
	names := slices.Sorted(maps.Keys(r.shards))
	to := map[string][]*server.Peer{}
	for _, name := range names {
		if is(name) {
			to[name] = slices.Clone(r.shards[name])
		}
	}
	r.mu.Unlock()
	for _, name := range names {
		for _, c := range to[name] {
			r.sunsubscribe(c, "", []string{name})
		}
	}
}

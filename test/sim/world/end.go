package main

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/test/sim/simnet"
)

// end lets everything come to rest, and looks at what is left.
func (w *world) end() {
	w.mu.Lock()
	for i := range w.model.trouble { // nothing happens any more
		if x := &w.model.trouble[i]; x.to == 0 {
			x.to = w.now()
		}
	}
	w.mu.Unlock()
	if w.redis != nil {
		for _, r := range w.masters() {
			r.set("", 0)
		}
	}
	for _, l := range w.net.Links(func(*simnet.Link) bool { return true }) {
		l.Spare()
	}
	time.Sleep(calm)
	quiet := w.now()
	w.note("WORLD", "all is quiet")
	w.rest()
	w.stayed()
	w.deliveries(quiet)
	w.handled()
	w.orders()
	w.ask()
	for _, c := range w.clients {
		for _, what := range c.unanswered() {
			w.violated("ack-answered", c.name, "no acknowledgement of %s", what)
		}
	}
	w.note("WORLD", "clients leave")
	close(w.finishing)
	w.leaving.Wait()
	time.Sleep(10 * time.Second)
	waits := w.plan.Recovers() && w.rng("patience").IntN(4) == 0
	if waits {
		time.Sleep(w.maxAway()) // until nobody can come back
	}
	w.emptied(waits || !w.plan.Recovers())
	w.unheard()
	w.weighed()
	for _, n := range w.slots {
		n.stop()
	}
	w.conclude()
}

// calm is how long nothing happens before all must be well: clients come back, what was held is published.
const calm = 20 * time.Second

// ailing names a part of a cluster that does not work, or none. A state of a session that could not be kept, and a channel
// or an entry that was refused, are remembered for a minute, unless the next is taken meanwhile: what failed before since is
// no violation.
func ailing(s redis.Status, since time.Time) string {
	for _, p := range s.Parts {
		if p.Err != nil && (!lasting(p) || p.Since.After(since)) {
			return fmt.Sprintf("%s %s: %v", p.Kind, p.Of, p.Err)
		}
	}
	return ""
}

// lasting reports whether it is said for a minute.
func lasting(p redis.Part) bool {
	var refusal interface{ RedisError() }
	return p.Kind == redis.PartRecovery || p.Kind == redis.PartRefusals || p.Kind == redis.PartSending && errors.As(p.Err, &refusal)
}

// rest checks that everybody who should be there is.
func (w *world) rest() {
	w.back()
	w.claimed()
	waits := false
	for _, n := range w.slots {
		if n.cluster != nil {
			waits = waits || !n.cluster.Status().Up
			if s := n.cluster.Status(); s.Nodes != len(w.slots) {
				w.violated("cluster-up", n.name, "nodes=%d, though all has been well for %s", s.Nodes, calm)
			} else if what := ailing(s, time.Now().Add(-calm/2)); what != "" {
				w.violated("cluster-up", n.name, "%s, though all has been well for %s", what, calm)
			}
			s := n.cluster.Stats()
			for range 20 { // a heartbeat is on its way
				if s.Waiting == 0 {
					break
				}
				time.Sleep(50 * time.Millisecond)
				s = n.cluster.Stats()
			}
			if s.Waiting != 0 {
				w.violated("leftovers", n.name, "%d messages wait to be published", s.Waiting)
			} else if len(s.Lost) > 0 {
				w.note(n.name, "lost %v", s.Lost)
			}
		}
	}
	if !waits {
		return
	}
	w.count("a server up a minute later")
	time.Sleep(minute)
	for _, n := range w.slots {
		if s := n.cluster.Status(); !s.Up {
			w.violated("cluster-up", n.name, "%v, though all has been well for %s", s.Err, calm+minute)
		}
	}
}

// minute is how long a server may say that it could not keep a state, and some seconds in which it looks.
const minute = 65 * time.Second

// orders checks the rooms that servers have given, and those that clients have joined.
func (w *world) orders() {
	for _, n := range w.slots {
		for _, nsp := range namespaces {
			for _, s := range n.io.members(nsp) {
				w.roomsOf(n, s)
			}
		}
	}
}

func (w *world) roomsOf(n *node, s member) {
	w.mu.Lock()
	l := w.model.lives[s.id()]
	if l == nil {
		w.mu.Unlock()
		w.violated("rooms", n.name, "%s is a socket that nobody knows", s.id())
		return
	}
	for _, room := range []string{"x1", "x2"} {
		o := w.model.given[room]
		known := o != nil && o.err == nil && l.nsp == "/" && l.alive(o.at) && !w.model.unwell(o.at-settle, o.at+settle)
		for _, k := range l.conns { // it must have been on one node, all the time it took
			known = known && (k.open < o.at-settle || k.open > o.at+settle) && (k.shaky == 0 || k.shaky < o.at-settle || k.shaky > o.at+settle)
		}
		known = known && l.steady(o.at, o.at+settle)
		is := slices.Contains(s.rooms(), room)
		if known && is != o.in {
			w.mu.Unlock()
			w.violated("rooms", l.client.name, "%s in %s: %v, and was ordered %v at %s", s.id(), room, is, o.in, time.Duration(o.at))
			w.mu.Lock()
		}
	}
	got := s.rooms()
	certain, possible := l.rooms()
	fits, client := l.fits(got), l.client.name
	w.mu.Unlock()
	if !fits {
		w.violated("rooms", client, "%s is in %v, and should be in %v, at most in %v", s.id(), got, certain, possible)
	}
}

// ask asks each server for what all know.
func (w *world) ask() {
	for i, n := range w.slots {
		d := &driver{w: w, slot: i, rng: w.rng("end")}
		for _, nsp := range namespaces[:1] {
			d.query(n, nsp, nil, nil)
		}
	}
}

// emptied checks that the servers hold nothing when everybody has left. forGood says that nobody can come back.
func (w *world) emptied(forGood bool) {
	for _, n := range w.slots {
		if k := n.io.Engine().Sessions(); k != 0 {
			w.violated("leftovers", n.name, "%d sessions", k)
		}
		for nsp, k := range n.io.SocketCounts() {
			if k != 0 {
				w.violated("leftovers", n.name, "%d sockets in %s", k, nsp)
			}
		}
		for _, nsp := range n.io.names() {
			if nsp != "/" && forGood {
				w.violated("leftovers", n.name, "namespace %s is still open", nsp)
			}
		}
		if s := n.io.Stats(); s.Connected != s.Disconnected {
			w.violated("leftovers", n.name, "%d connected, %d disconnected", s.Connected, s.Disconnected)
		}
	}
	w.mu.Lock()
	var open []string
	for _, l := range w.model.births {
		for _, k := range l.conns {
			if k.closed == 0 && !k.node.dead {
				open = append(open, l.sid+" of "+l.client.name+" on "+k.node.name)
			}
		}
	}
	w.mu.Unlock()
	if len(open) > 0 {
		w.violated("disconnect-last", "disconnect", "no disconnect handler ran for %v", open)
	}
}

// unheard checks that Redis has no subscription to the channel of a room that nobody is in.
func (w *world) unheard() {
	if w.redis == nil {
		return
	}
	uids := map[string]bool{}
	for _, n := range w.all {
		uids[n.cluster.UID()] = true
	}
	for _, name := range w.redis.channels() {
		if x := strings.Split(name, "#"); len(x) == 4 && x[0] == "socket.io" && x[2] != "" && x[2] != "*" && !uids[x[2]] {
			w.violated("leftovers", "redis", "somebody listens to %s, and nobody is in that room", name)
		}
	}
}

// conclude checks that nothing runs any more when all has been stopped, and what Redis has.
func (w *world) conclude() {
	time.Sleep(10 * time.Second)
	if w.redis != nil {
		keys, eternal := w.redis.eternal()
		w.note("WORLD", "redis has %v", keys)
		for _, key := range eternal {
			if key != "socket.io" && key != "socket.io-beanpole:secret" {
				w.violated("leftovers", "redis", "the key %s never expires", key)
			}
		}
		w.redis.off()
	}
	time.Sleep(5 * time.Second)
	var left []string
	for _, g := range strings.Split(stacks(), "\n\n") {
		if ofProduct(g) {
			left = append(left, g)
		}
	}
	w.note("WORLD", "%d goroutines", runtime.NumGoroutine())
	if len(left) > 0 {
		w.violated("leftovers", "goroutines", "%d goroutines: %s", len(left), fmt.Sprint(left))
	}
}

// ofProduct reports whether a goroutine, by its stack, is one of Beanpole, or of what Beanpole uses: whatever a package
// of the project or of zishang's has called or started, but for the world's own.
func ofProduct(stack string) bool {
	for line := range strings.Lines(stack) {
		line = strings.TrimPrefix(line, "created by ")
		switch {
		case strings.HasPrefix(line, "github.com/beanpole/beanpole/test/sim/"):
		case strings.HasPrefix(line, "github.com/beanpole/beanpole/"), strings.HasPrefix(line, "github.com/zishang520/"),
			strings.HasPrefix(line, "github.com/redis/"):
			return true
		}
	}
	return false
}

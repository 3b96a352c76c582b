//go:build wasip1

package main

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"

	"github.com/beanpole/beanpole/test/sim/simnet"
)

// redisServer is the Redis of the world: miniredis behind the simulated network, with sharded channels, which
// miniredis lacks, and faults.
type redisServer struct {
	w          *world
	host, addr string
	m          *miniredis.Miniredis
	cluster    *topology // nil unless it is one of a Redis Cluster

	one      sync.Mutex // held while it restarts
	mu       sync.Mutex
	srv      *server.Server   // nil while it is off
	listener *simnet.Listener // of srv
	shards   map[string][]*server.Peer
	of       map[*server.Peer][]string
	askers   map[*server.Peer]*asker
	copies   []replica
	refusal  string // what every command is answered with
	lag      time.Duration
	news     chan struct{} // closed when a stream gets an entry
}

func newRedis(w *world, host string) *redisServer {
	r := &redisServer{w: w, host: host, addr: host + ":6379", shards: map[string][]*server.Peer{}, of: map[*server.Peer][]string{}, askers: map[*server.Peer]*asker{}, news: make(chan struct{})}
	r.fresh()
	return r
}

// fresh begins without data.
func (r *redisServer) fresh() {
	r.m = miniredis.NewMiniRedis()
	r.m.ClockTTL(true)
	r.m.Seed(int(r.w.plan.Seed))
}

// on makes it take connections.
func (r *redisServer) on() {
	c, err := r.m.Dial() // starts it; the connection is not used
	if err != nil {
		panic(err)
	}
	_ = c.Close()
	srv := r.m.Server()
	srv.SetPreHook(r.hook)
	for _, cmd := range []struct {
		name string
		f    server.Cmd
	}{{"SSUBSCRIBE", r.ssubscribe}, {"SUNSUBSCRIBE", r.sunsubscribe}, {"SPUBLISH", r.spublish}} {
		if err := srv.Register(cmd.name, cmd.f); err != nil {
			panic(err)
		}
	}
	l, err := r.w.net.Listen(r.host, r.addr)
	if err != nil {
		panic(err)
	}
	r.mu.Lock()
	r.srv, r.listener = srv, l
	r.mu.Unlock()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			srv.ServeConn(c)
		}
	}()
}

// off ends it; data stay until fresh.
func (r *redisServer) off() {
	r.mu.Lock()
	l := r.listener
	r.srv, r.listener = nil, nil
	r.shards, r.of = map[string][]*server.Peer{}, map[*server.Peer][]string{}
	r.mu.Unlock()
	_ = l.Close()
	for _, x := range r.w.net.Links(func(l *simnet.Link) bool { return l.To == r.addr }) {
		x.Cut(simnet.Both)
	}
	r.m.Close()
	r.m.Ctx, r.m.CtxCancel = context.WithCancel(context.Background()) // or nothing would block after a restart
}

func (r *redisServer) set(refusal string, lag time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refusal, r.lag = refusal, lag
}

// hook is called before each command.
func (r *redisServer) hook(c *server.Peer, cmd string, args ...string) bool {
	r.mu.Lock()
	refusal, lag := r.refusal, r.lag
	r.mu.Unlock()
	if lag > 0 {
		time.Sleep(lag)
	}
	if r.cluster != nil && r.cluster.hook(r, c, cmd, args) {
		return true
	}
	switch {
	case refusal == "" && cmd == "PUBSUB" && len(args) > 0 && strings.EqualFold(args[0], "SHARDNUMSUB"):
		r.mu.Lock()
		defer r.mu.Unlock()
		c.WriteLen(2 * len(args[1:]))
		for _, name := range args[1:] {
			c.WriteBulk(name)
			c.WriteInt(len(r.shards[name]))
		}
		return true
	case refusal == "" && cmd == "XADD":
		r.mu.Lock()
		close(r.news)
		r.news = make(chan struct{})
		r.mu.Unlock()
		return false
	case refusal == "" && cmd == "XREAD":
		return r.block(c, args)
	case refusal == "":
		return false
	case strings.HasPrefix(refusal, "READONLY"), strings.HasPrefix(refusal, "OOM"):
		switch cmd {
		case "XADD", "SET", "DEL", "SETNX", "EXPIRE":
		default:
			return false
		}
	case cmd == "HELLO" || cmd == "PING" || cmd == "CLIENT":
		return false
	}
	refuse(c, refusal)
	return true
}

// refuse answers with an error, which ends a transaction that a client has begun, as Redis has it. Miniredis does so with
// its own errors alone, and has no other way to say it.
func refuse(c *server.Peer, text string) {
	if x := reflect.ValueOf(c.Ctx); x.Kind() == reflect.Pointer {
		f := x.Elem().FieldByName("dirtyTransaction")
		*(*bool)(f.Addr().UnsafePointer()) = true
	}
	c.WriteError(text)
}

// nested reports whether a command is of a script, whose keys its EVAL has named. Miniredis is locked meanwhile.
func nested(c *server.Peer) bool {
	x := reflect.ValueOf(c.Ctx)
	return x.Kind() == reflect.Pointer && x.Elem().FieldByName("nested").Bool()
}

// discard ends a transaction that has just been refused, when it was to be carried out.
func discard(c *server.Peer) {
	x := reflect.ValueOf(c.Ctx)
	if x.Kind() != reflect.Pointer {
		return
	}
	for _, name := range []string{"transaction", "dirtyTransaction", "watch"} {
		f := x.Elem().FieldByName(name)
		reflect.NewAt(f.Type(), f.Addr().UnsafePointer()).Elem().SetZero()
	}
}

// block waits as XREAD COUNT n BLOCK ms STREAMS stream id does, and reports whether it has answered that there is
// nothing. Miniredis would read the stream from its start with each command of anybody: a fifth of all that a run costs.
func (r *redisServer) block(c *server.Peer, args []string) bool {
	if len(args) != 7 || !strings.EqualFold(args[2], "block") {
		return false
	}
	ms, _ := strconv.Atoi(args[3])
	ms1, seq1 := streamID(args[6])
	for end := time.Now().Add(time.Duration(ms) * time.Millisecond); ; {
		r.mu.Lock()
		news := r.news
		r.mu.Unlock()
		list, _ := r.m.Stream(args[5])
		if k := len(list); k > 0 {
			if ms2, seq2 := streamID(list[k-1].ID); ms2 > ms1 || ms2 == ms1 && seq2 > seq1 {
				return false
			}
		}
		if r.cluster != nil && r.cluster.redirect(r, c, map[string]bool{args[5]: true}, false, true) {
			return true
		}
		left := time.Until(end)
		if left <= 0 || c.Closed() {
			c.WriteLen(-1)
			return true
		}
		t := time.NewTimer(min(left, 250*time.Millisecond))
		select {
		case <-news:
			time.Sleep(time.Microsecond) // it is being added
		case <-t.C:
		}
		t.Stop()
	}
}

// streamID reads the id of an entry.
func streamID(id string) (ms, seq uint64) {
	a, b, _ := strings.Cut(id, "-")
	ms, _ = strconv.ParseUint(a, 10, 64)
	seq, _ = strconv.ParseUint(b, 10, 64)
	return ms, seq
}

// The sharded channels of Redis 7, which miniredis lacks. Source: redis.io, SSUBSCRIBE, SPUBLISH, PUBSUB.

func (r *redisServer) ssubscribe(c *server.Peer, _ string, args []string) {
	for _, name := range args {
		r.mu.Lock()
		if _, ok := r.of[c]; !ok {
			c.OnDisconnect(func() { r.drop(c) })
		}
		if !contains(r.of[c], name) {
			r.of[c] = append(r.of[c], name)
			r.shards[name] = append(r.shards[name], c)
		}
		n := len(r.of[c])
		r.mu.Unlock()
		c.Block(func(w *server.Writer) {
			w.WritePushLen(3)
			w.WriteBulk("ssubscribe")
			w.WriteBulk(name)
			w.WriteInt(n)
			w.Flush()
		})
	}
}

func (r *redisServer) sunsubscribe(c *server.Peer, _ string, args []string) {
	for _, name := range args {
		r.mu.Lock()
		r.of[c] = without(r.of[c], name)
		r.shards[name] = without(r.shards[name], c)
		n := len(r.of[c])
		r.mu.Unlock()
		c.Block(func(w *server.Writer) {
			w.WritePushLen(3)
			w.WriteBulk("sunsubscribe")
			w.WriteBulk(name)
			w.WriteInt(n)
			w.Flush()
		})
	}
}

func (r *redisServer) spublish(c *server.Peer, _ string, args []string) {
	if len(args) != 2 {
		c.WriteError("ERR wrong number of arguments for 'spublish' command")
		return
	}
	r.mu.Lock()
	to := append([]*server.Peer(nil), r.shards[args[0]]...)
	r.mu.Unlock()
	for _, p := range to {
		p.Block(func(w *server.Writer) {
			w.WritePushLen(3)
			w.WriteBulk("smessage")
			w.WriteBulk(args[0])
			w.WriteBulk(args[1])
			w.Flush()
		})
	}
	c.WriteInt(len(to))
}

func (r *redisServer) drop(c *server.Peer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range r.of[c] {
		r.shards[name] = without(r.shards[name], c)
	}
	delete(r.of, c)
}

func contains[T comparable](list []T, x T) bool {
	for _, y := range list {
		if x == y {
			return true
		}
	}
	return false
}

func without[T comparable](list []T, x T) []T {
	out := list[:0:0]
	for _, y := range list {
		if y != x {
			out = append(out, y)
		}
	}
	return out
}

// channels are those that somebody listens to.
func (r *redisServer) channels() []string {
	out := r.m.PubSubChannels("*")
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(r.shards)) {
		if len(r.shards[name]) > 0 {
			out = append(out, name)
		}
	}
	return out
}

// eternal returns the keys, and those of them that never expire.
func (r *redisServer) eternal() (keys, eternal []string) {
	keys = r.m.Keys()
	for _, key := range keys {
		if r.m.TTL(key) == 0 && r.m.Exists(key) { // it may have expired just now
			eternal = append(eternal, key)
		}
	}
	return keys, eternal
}

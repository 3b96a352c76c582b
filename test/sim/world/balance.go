package main

import (
	"context"
	"encoding/hex"
	"errors"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/test/sim/plan"
	"github.com/beanpole/beanpole/test/sim/simnet"
	"github.com/beanpole/beanpole/transport"
)

// askedHeader has the id of a request of a client, by which it is counted at each node that it comes to.
const askedHeader = "X-Asked"

// request is one of a client, wherever it comes to.
type request struct {
	by             *client
	at             *node // where it came first
	first, further int   // how often it came from the client, and from another node
}

// asking returns the id of a request.
func (w *world) asking(c *client) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	id := c.name + "r" + strconv.Itoa(len(w.model.asked))
	w.model.asked[id] = &request{by: c}
	return id
}

// way is the address that the balancer sends a request of the session to: half of them to any node.
func (e *engine) way() string {
	w := e.c.w
	if !w.plan.Has(plan.Stray) || w.redis == nil || w.stopped() {
		return e.addr
	}
	e.c.mu.Lock()
	k := e.c.jit.IntN(2 * w.plan.Nodes)
	e.c.mu.Unlock()
	if k >= w.plan.Nodes {
		return e.addr
	}
	addr := "n" + strconv.Itoa(k) + ":80"
	if addr != e.addr {
		w.count("fault stray")
		e.mu.Lock()
		e.strayed = true
		e.mu.Unlock()
	}
	return addr
}

// astray reports whether requests of the session have gone to other nodes.
func (e *engine) astray() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.strayed
}

// on are the clients of a connection: who opened it, or all whose requests may be on it.
func (w *world) on(l *simnet.Link) []*client {
	if l.From[0] == 'c' {
		return []*client{w.client(l.From)}
	}
	var out []*client
	for _, c := range w.clients {
		c.mu.Lock()
		e := c.engine
		c.mu.Unlock()
		if e == nil || ofRedisHost(l.To) {
			continue
		}
		if e.astray() {
			out = append(out, c)
		}
	}
	return out
}

// counted is a node's handler that counts where a request comes to.
func (n *node) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(askedHeader)
		_, forwarded := r.Header["Beanpole-Forwarded"]
		n.w.mu.Lock()
		x := n.w.model.asked[id]
		again := false
		if x != nil {
			if forwarded {
				x.further++
				n.w.counts["forwarded"]++
			} else {
				x.first++
				x.at = n
			}
			again = x.first > 1 || x.further > 1
		}
		n.w.mu.Unlock()
		if again {
			n.w.violated("forwarded", id, "the request %s %s came to servers %d times from its client and %d times from another server",
				r.Method, r.URL.RequestURI(), x.first, x.further)
		}
		next.ServeHTTP(rw, r)
	})
}

// refused checks that a session whose request is refused is not there.
func (e *engine) refused(asked string, status *errStatus) {
	w := e.c.w
	e.mu.Lock()
	leaves := e.err != nil || e.closes // by polling, and it may have been upgraded meanwhile
	e.mu.Unlock()
	if leaves {
		return
	}
	holder := w.at(e.addr)
	held := false
	holder.io.Engine().Each(func(s *transport.Session) bool { held = s.ID() == e.sid; return !held })
	now := w.now()
	w.mu.Lock()
	x := w.model.asked[asked]
	excused := holder.dead || holder.draining || w.plan.Redis() && w.model.unwell(now-settle, now) ||
		holder.opened == 0
	if x != nil && x.at != nil {
		excused = excused || x.at.opened == 0
	}
	w.mu.Unlock()
	if held && !excused && !e.c.troubled(now-settle, now) {
		w.violated("forwarded", asked, "%s was refused by %v, though %s holds its session (%d, %d)", e.c.name, status, holder.name, x.first, x.further)
	}
}

// at is the node of an address now.
func (w *world) at(addr string) *node {
	slot, _ := strconv.Atoi(addr[1:2])
	return w.node(slot)
}

// unknown is the transport's UnknownSession.
func (n *node) unknown(rw http.ResponseWriter, r *http.Request, sid string) bool {
	f := n.forward.Load()
	return f != nil && f.UnknownSession(rw, r, sid)
}

// announce makes the node known to the others. Source: server/host/cluster.go.
func (n *node) announce() {
	id := n.io.Engine().NodeID()
	f, err := n.cluster.Forward(redis.ForwardConfig{
		Node: hex.EncodeToString(id[:]), URL: "http://" + n.addr, AnswerTimeout: pingInterval + pingTimeout,
		DialTimeout: 2 * time.Second,
		Dial: func(ctx context.Context, _, addr string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
			defer cancel()
			return n.w.net.Dial(ctx, n.name, addr)
		},
		NodeOf: func(sid string) (string, bool) {
			id, ok := transport.NodeOf(sid)
			return hex.EncodeToString(id[:]), ok
		},
	})
	if err != nil {
		if !errors.Is(err, redis.ErrClosed) {
			n.w.violated("forwarded", n.name, "Forward returned %v", err)
		}
		return
	}
	n.forward.Store(f)
	n.w.mu.Lock()
	n.opened = n.w.now()
	n.w.mu.Unlock()
}

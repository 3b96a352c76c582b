package host

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// While the host stops, what waits for its client is waited for so long, and looked at so often.
const (
	stopGrace = 2 * time.Second
	stopLook  = 50 * time.Millisecond
)

// connections are those of the http.Server. The zero value is ready.
type connections struct {
	all sync.Map // of *connection, by net.Conn
}

// connection is what is known of one.
type connection struct {
	used  atomic.Bool // it has asked for something
	waits atomic.Bool // for its client, who has yet to send a body or to take an answer
}

type connectionKey struct{}

// context is http.Server.ConnContext.
func (cs *connections) context(ctx context.Context, c net.Conn) context.Context {
	conn := new(connection)
	cs.all.Store(c, conn)
	return context.WithValue(ctx, connectionKey{}, conn)
}

// of returns the connection of r, or one that nobody knows if there is none.
func (cs *connections) of(r *http.Request) *connection {
	if conn, ok := r.Context().Value(connectionKey{}).(*connection); ok {
		return conn
	}
	return new(connection)
}

// note is http.Server.ConnState.
func (cs *connections) note(c net.Conn, state http.ConnState) {
	switch state {
	case http.StateHijacked, http.StateClosed:
		cs.all.Delete(c)
	case http.StateActive, http.StateIdle:
		if v, ok := cs.all.Load(c); ok {
			conn := v.(*connection)
			conn.used.Store(true)
			conn.waits.Store(false)
		}
	}
}

// hurry ends, until ctx is done, what http.Server's Shutdown would wait for although no handler is at work:
// connections that have asked for nothing yet (browsers, proxies and forwarders open some in advance), and those
// that are found waiting for their clients for stopGrace in all. Handlers are waited for.
func (cs *connections) hurry(ctx context.Context) {
	waited := make(map[*connection]time.Duration)
	tick := time.NewTicker(stopLook)
	defer tick.Stop()
	for ctx.Err() == nil {
		cs.all.Range(func(c, v any) bool {
			conn := v.(*connection)
			if conn.waits.Load() {
				waited[conn] += stopLook
			}
			if !conn.used.Load() || waited[conn] > stopGrace {
				_ = c.(net.Conn).Close()
			}
			return true
		})
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

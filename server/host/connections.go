package host

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/beanpole/beanpole/internal/limit"
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
	limit.KeepUnsentSmall(c)
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

// forwarding is transport.Config.UnknownSession around next, which has another server answer: while a request waits for
// that, as a poll does, it does not wait for its client.
func (cs *connections) forwarding(next func(http.ResponseWriter, *http.Request, string) bool) func(http.ResponseWriter, *http.Request, string) bool {
	return func(w http.ResponseWriter, r *http.Request, sid string) bool {
		f := forwarded{w, cs.of(r)}
		f.conn.waits.Store(false)
		defer f.conn.waits.Store(true)
		if r.ContentLength != 0 {
			own := *r // net/http looks at the body that it made
			own.Body = forwardedBody{r.Body, f.conn}
			r = &own
		}
		return next(f, r, sid)
	}
}

// forwarded writes the answer of another server.
type forwarded struct {
	http.ResponseWriter
	conn *connection
}

// Write waits for the client.
func (f forwarded) Write(b []byte) (int, error) {
	f.conn.waits.Store(true)
	defer f.conn.waits.Store(false)
	return f.ResponseWriter.Write(b)
}

// FlushError waits for the client. http.ResponseController finds it here.
func (f forwarded) FlushError() error {
	f.conn.waits.Store(true)
	defer f.conn.waits.Store(false)
	return http.NewResponseController(f.ResponseWriter).Flush()
}

// Unwrap is for http.ResponseController.
func (f forwarded) Unwrap() http.ResponseWriter { return f.ResponseWriter }

// forwardedBody is the body of a request that another server answers.
type forwardedBody struct {
	io.ReadCloser
	conn *connection
}

// Read waits for the client.
func (b forwardedBody) Read(p []byte) (int, error) {
	b.conn.waits.Store(true)
	defer b.conn.waits.Store(false)
	return b.ReadCloser.Read(p)
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

package transport

import (
	"net"
	"sync"
	"sync/atomic"

	"github.com/beanpole/beanpole/internal/shrink"
)

// Returns returns a listener for the http.Server which serves s. It must serve it beside its own:
//
//	go httpServer.Serve(srv.Returns())
//
// The connections of polling then leave net/http, which is most of what a poll costs and of what one that waits keeps.
// Plain requests of sessions that come on them are read by s and handed to the http.Server's handler as net/http would,
// so that what stands around s sees them all; every other request goes back to net/http with its connection, by this
// listener. The http.Server's IdleTimeout, MaxHeaderBytes, BaseContext, ConnContext, ConnState and ErrorLog hold on;
// what SetKeepAlivesEnabled says is not seen.
//
// The context of such a request ends with its handler, and not before if the client goes. Connections over TLS stay in
// net/http. So do those of requests whose ResponseWriter has been wrapped by a handler
// around s, which may want to add to the head of the answer; gin, which wraps each, is known to add nothing.
// Closing the http.Server closes the listener, and the connections when what is served on them has been answered.
func (s *Server) Returns() net.Listener {
	s.returns.taken = &s.conns
	s.returns.open.Store(canPark && s.cfg.ParkAfter > 0)
	return &s.returns
}

// returns is a listener for connections that are net/http's again. The zero returns is ready.
type returns struct {
	open  atomic.Bool
	taken *pollConns // set by Returns

	mu     sync.Mutex
	conns  []net.Conn    // guarded by mu
	closed bool          // guarded by mu
	more   chan struct{} // guarded by mu; not nil if Accept waits; closed when there is more to do
}

func (l *returns) put(conn net.Conn) {
	l.mu.Lock()
	closed := l.closed
	if !closed {
		l.conns = append(l.conns, conn)
		l.poke()
	}
	l.mu.Unlock()
	if closed {
		_ = conn.Close()
	}
}

// poke wakes Accept. Called with mu held.
func (l *returns) poke() {
	if l.more != nil {
		close(l.more)
		l.more = nil
	}
}

// Accept waits for a connection. Only one goroutine may be in it.
func (l *returns) Accept() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		if l.closed {
			return nil, net.ErrClosed
		}
		if len(l.conns) > 0 {
			return shrink.First(&l.conns), nil
		}
		more := make(chan struct{})
		l.more = more
		l.mu.Unlock()
		<-more
		l.mu.Lock()
	}
}

// Close closes the connections that nobody has accepted, those that come, and those that wait for a request. What is
// being answered is.
func (l *returns) Close() error {
	if l.open.Swap(false) {
		l.taken.end()
	}
	l.mu.Lock()
	conns := l.conns
	l.conns, l.closed = nil, true
	l.poke()
	l.mu.Unlock()
	for _, conn := range conns {
		_ = conn.Close()
	}
	return nil
}

// Addr returns an address that says no more than what this is.
func (l *returns) Addr() net.Addr { return &net.UnixAddr{Name: "returned connections"} }

// earlyConn is a connection from which something has been read already.
type earlyConn struct {
	net.Conn
	early []byte // owned by who reads
}

func (c *earlyConn) Read(b []byte) (int, error) {
	if len(c.early) == 0 {
		return c.Conn.Read(b)
	}
	n := copy(b, c.early)
	c.early = c.early[n:]
	return n, nil
}

// unwrap returns what conn is by now.
func unwrap(conn net.Conn) net.Conn {
	if c, ok := conn.(*earlyConn); ok && len(c.early) == 0 {
		return c.Conn
	}
	return conn
}

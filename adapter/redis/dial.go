package redis

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"
)

// dialFunc makes a connection.
type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// lines are the connections of a client. The library waits for the answers to a greeting, and for a handshake of TLS,
// whatever becomes of the client; so whoever closes it cuts them.
type lines struct {
	ctx    context.Context // ended by cut
	cancel context.CancelFunc

	mu   sync.Mutex
	open map[net.Conn]struct{}
}

func newLines() *lines {
	l := &lines{open: map[net.Conn]struct{}{}}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

// through makes connections as next does, or, if that is nil, with TLS as t says. A timeout of zero is the library's.
func (l *lines) through(next dialFunc, t *tls.Config, timeout time.Duration) dialFunc {
	if next == nil {
		orDefault(&timeout, 5*time.Second)
		plain := &net.Dialer{Timeout: timeout, KeepAlive: 5 * time.Minute}
		next = plain.DialContext
		if t != nil {
			next = (&tls.Dialer{NetDialer: plain, Config: t}).DialContext
		}
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(l.ctx, cancel)()
		c, err := next(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.ctx.Err() != nil {
			_ = c.Close()
			return nil, net.ErrClosed
		}
		l.open[c] = struct{}{}
		if tcp, ok := c.(*net.TCPConn); ok {
			return &tracedTCP{tcp, l}, nil // in which the library can look whether it is still open
		}
		return &traced{c, l}, nil
	}
}

// drop ends all connections: the next are made anew.
func (l *lines) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.open {
		_ = c.Close()
	}
	clear(l.open)
}

// cut ends all connections and lets none be made.
func (l *lines) cut() {
	l.cancel()
	l.drop()
}

// close closes a connection, unless it has been cut.
func (l *lines) close(c net.Conn) error {
	l.mu.Lock()
	_, ok := l.open[c]
	delete(l.open, c)
	l.mu.Unlock()
	if !ok {
		return nil
	}
	return c.Close()
}

type tracedTCP struct {
	*net.TCPConn
	l *lines
}

// Close closes the connection.
func (c *tracedTCP) Close() error { return c.l.close(c.TCPConn) }

type traced struct {
	net.Conn
	l *lines
}

// Close closes the connection.
func (c *traced) Close() error { return c.l.close(c.Conn) }

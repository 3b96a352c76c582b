package servertest

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
)

// line is what lies between one client and its server: an http.Server that listens in memory, and the connections.
type line struct {
	// Set by newLine, then read only.
	web    *http.Server
	served chan struct{} // closed when web has ended
	addr   net.Addr      // of the client

	handler atomic.Pointer[http.Handler] // of the server that the line leads to

	mu sync.Mutex
	// Guarded by mu.
	conns   []*conn // the client's ends
	waiting []*conn // the server's, not yet accepted
	come    *sync.Cond
	down    bool // no connection can be made
	held    bool // the client reads nothing
	closed  bool
}

var (
	errDown     = errors.New("the line is cut")
	serverAddr  = &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80}
	clientCount atomic.Uint32
)

// newLine makes a line to h, from an address of its own.
func newLine(h http.Handler) *line {
	n := clientCount.Add(1)
	l := &line{served: make(chan struct{}), addr: &net.TCPAddr{IP: net.IPv4(10, byte(n>>16), byte(n>>8), byte(n)), Port: 50000}}
	l.come = sync.NewCond(&l.mu)
	l.lead(h)
	l.web = &http.Server{
		Handler:  http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*l.handler.Load()).ServeHTTP(w, r) }),
		ErrorLog: log.New(io.Discard, "", 0), // of connections that break, as they are meant to
	}
	go func() { // ends with close
		defer close(l.served)
		_ = l.web.Serve(l)
	}()
	return l
}

// lead has requests from now on go to h.
func (l *line) lead(h http.Handler) { l.handler.Store(&h) }

// transport returns what carries the client's requests.
func (l *line) transport() *http.Transport { return &http.Transport{DialContext: l.dial} }

func (l *line) dial(context.Context, string, string) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down || l.closed {
		return nil, &net.OpError{Op: "dial", Net: "memory", Addr: serverAddr, Err: errDown}
	}
	client, server := pair(l.addr, serverAddr)
	client.in.hold(l.held)
	l.conns, l.waiting = append(l.conns, client), append(l.waiting, server)
	l.come.Signal()
	return client, nil
}

// Accept is net.Listener's.
func (l *line) Accept() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.waiting) == 0 && !l.closed {
		l.come.Wait()
	}
	if l.closed {
		return nil, net.ErrClosed
	}
	c := l.waiting[0]
	l.waiting = slices.Delete(l.waiting, 0, 1)
	return c, nil
}

// Addr is net.Listener's.
func (l *line) Addr() net.Addr { return serverAddr }

// Close is net.Listener's.
func (l *line) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.come.Broadcast()
	return nil
}

// cut breaks all connections, and no other is made until mend.
func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = true
	for _, c := range l.conns {
		c.cut()
	}
	l.conns = nil
}

// mend ends cut.
func (l *line) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = false
}

// hold says whether the client reads nothing.
func (l *line) hold(held bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = held
	for _, c := range l.conns {
		c.hold(held)
	}
}

// close ends the line and what serves it.
func (l *line) close() {
	_ = l.web.Close() // its listener's Close has no error
	<-l.served
	l.cut()
}

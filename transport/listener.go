package transport

import (
	"net"
	"runtime"
	"time"
)

// crowdGap is the time between two connections from which they are no crowd.
const crowdGap = time.Millisecond

// Listener returns a listener that accepts from l and gives way when connections come in a crowd: before
// each of those, what open sessions have to do is done. Give it to the http.Server that serves a Server:
//
//	httpServer.Serve(transport.Listener(l))
//
// When thousands of clients connect at once, they wait in the kernel's queue of connections and not in
// front of the sessions in the scheduler's: http.Server accepts as fast as it can, and each connection is
// work that it cannot put off. The connections are those of l, as they are.
func Listener(l net.Listener) net.Listener { return &yielding{Listener: l} }

type yielding struct {
	net.Listener
	turnstile turnstile

	// Owned by Accept, which http.Server calls from one goroutine.
	last time.Time
}

// Accept waits for a connection. Only one goroutine may be in it.
func (y *yielding) Accept() (net.Conn, error) {
	if !y.last.IsZero() && time.Since(y.last) < crowdGap && !y.turnstile.pass() {
		runtime.Gosched()
	}
	conn, err := y.Listener.Accept()
	y.last = time.Now()
	return conn, err
}

// Close closes the listener.
func (y *yielding) Close() error {
	y.turnstile.close()
	return y.Listener.Close()
}

package servertest

import (
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// window is how many bytes may be under way on a connection before a write waits: what a kernel would keep.
const window = 64 << 10

// lane is one direction of a connection. Who waits in it waits for its cond alone, so that a bubble of testing/synctest
// knows that nothing can go on.
type lane struct {
	mu   sync.Mutex
	cond *sync.Cond
	// Guarded by mu.
	bytes          []byte
	finished       bool  // nothing more is written
	held           bool  // what has come is not read
	reader, writer error // what each of them gets from now on
	reading        deadline
	writing        deadline
}

func newLane() *lane {
	l := &lane{}
	l.cond = sync.NewCond(&l.mu)
	return l
}

// deadline is guarded by the mu of its lane.
type deadline struct {
	at    time.Time
	timer *time.Timer
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

// set sets a deadline of the lane.
func (l *lane) set(d *deadline, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
	}
	d.at, d.timer = at, nil
	if !at.IsZero() && (l.reader == nil || l.writer == nil) {
		d.timer = time.AfterFunc(time.Until(at), l.wake)
	}
	l.cond.Broadcast()
}

func (l *lane) wake() {
	l.mu.Lock() // or one that is about to wait would miss it
	defer l.mu.Unlock()
	l.cond.Broadcast()
}

// end ends the reading and the writing with these errors, and drops what is under way.
func (l *lane) end(reader, writer error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reader == nil {
		l.reader = reader
	}
	if l.writer == nil {
		l.writer = writer
	}
	l.bytes = nil
	for _, d := range []*deadline{&l.reading, &l.writing} {
		if d.timer != nil {
			d.timer.Stop()
		}
	}
	l.cond.Broadcast()
}

// finish ends the writing: what is under way arrives.
func (l *lane) finish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.finished = true; l.writer == nil {
		l.writer = net.ErrClosed
	}
	l.cond.Broadcast()
}

// hold says whether what comes is kept from its reader.
func (l *lane) hold(held bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = held
	l.cond.Broadcast()
}

func (l *lane) isHeld() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held
}

func (l *lane) read(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		switch {
		case l.reader != nil:
			return 0, l.reader
		case l.reading.passed():
			return 0, os.ErrDeadlineExceeded
		case len(l.bytes) > 0 && !l.held:
			n := copy(b, l.bytes)
			l.bytes = l.bytes[n:]
			l.cond.Broadcast()
			return n, nil
		case l.finished && !l.held:
			return 0, io.EOF
		}
		l.cond.Wait()
	}
}

// write writes b, or without wait what can be taken at once.
func (l *lane) write(b []byte, wait bool) (n int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		switch {
		case l.writer != nil:
			return n, l.writer
		case l.writing.passed():
			return n, os.ErrDeadlineExceeded
		case n == len(b):
			return n, nil
		}
		if room := min(window-len(l.bytes), len(b)-n); room > 0 {
			l.bytes = append(l.bytes, b[n:n+room]...)
			n += room
			l.cond.Broadcast()
			continue
		}
		if !wait {
			return n, nil
		}
		l.cond.Wait()
	}
}

// conn is one end of a connection in memory.
type conn struct {
	in, out       *lane
	local, remote net.Addr
	closed        atomic.Bool // while nothing is read: the other end hears of it when that is over
}

var _ net.Conn = (*conn)(nil)

// pair returns the two ends of a connection.
func pair(client, server net.Addr) (*conn, *conn) {
	a, b := newLane(), newLane()
	return &conn{in: a, out: b, local: client, remote: server}, &conn{in: b, out: a, local: server, remote: client}
}

// Read is net.Conn's.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.in.read(b)
	return n, c.wrap("read", err)
}

// Write is net.Conn's.
func (c *conn) Write(b []byte) (int, error) {
	n, err := c.out.write(b, true)
	return n, c.wrap("write", err)
}

// TryWrite writes what can be taken without waiting, as the transport does with a socket: what is volatile leaves then,
// too, behind something else.
func (c *conn) TryWrite(b []byte) (int, error) {
	n, err := c.out.write(b, false)
	return n, c.wrap("write", err)
}

func (c *conn) wrap(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: "memory", Source: c.local, Addr: c.remote, Err: err}
}

// Close is net.Conn's. What was written arrives, and what the other end writes from now on does not. The end of a client
// that stands still is none for the server.
func (c *conn) Close() error {
	if c.in.isHeld() {
		c.closed.Store(true)
		c.in.end(net.ErrClosed, nil)
		return nil
	}
	c.out.finish()
	c.in.end(net.ErrClosed, syscall.EPIPE)
	return nil
}

// hold says whether what comes is read.
func (c *conn) hold(held bool) {
	if c.in.hold(held); !held && c.closed.Load() {
		_ = c.Close()
	}
}

// cut ends the connection for both ends.
func (c *conn) cut() {
	c.in.end(syscall.ECONNRESET, syscall.ECONNRESET)
	c.out.end(syscall.ECONNRESET, syscall.ECONNRESET)
}

// LocalAddr is net.Conn's.
func (c *conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr is net.Conn's.
func (c *conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline is net.Conn's.
func (c *conn) SetDeadline(t time.Time) error {
	_ = c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

// SetReadDeadline is net.Conn's.
func (c *conn) SetReadDeadline(t time.Time) error { c.in.set(&c.in.reading, t); return nil }

// SetWriteDeadline is net.Conn's.
func (c *conn) SetWriteDeadline(t time.Time) error { c.out.set(&c.out.writing, t); return nil }

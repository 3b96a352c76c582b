//go:build wasip1

package simnet

import (
	"io"
	"net"
	"sync/atomic"
	"time"
)

// Conn is one end of a connection. It is a net.Conn.
type Conn struct {
	link          *Link
	local, remote address
	in, out       *stream
	gate          *gate // of its host
	closed        atomic.Bool
}

var _ net.Conn = (*Conn)(nil)

// Link returns the connection that c is an end of.
func (c *Conn) Link() *Link { return c.link }

// Read is net.Conn's.
func (c *Conn) Read(b []byte) (int, error) {
	c.gate.pass()
	n, err := c.in.read(b)
	c.gate.pass() // what has arrived waits, too
	if err != nil && err != io.EOF {
		err = &net.OpError{Op: "read", Net: "tcp", Source: c.local, Addr: c.remote, Err: err}
	}
	return n, err
}

// Write is net.Conn's.
func (c *Conn) Write(b []byte) (int, error) {
	c.gate.pass()
	n, err := c.out.write(b)
	c.gate.pass()
	if err != nil {
		err = &net.OpError{Op: "write", Net: "tcp", Source: c.local, Addr: c.remote, Err: err}
	}
	return n, err
}

// Close is net.Conn's. What was written arrives, and then the end.
func (c *Conn) Close() error {
	c.gate.pass()
	if c.closed.Swap(true) {
		return nil
	}
	c.in.cutReader(net.ErrClosed)
	c.in.refuse()
	c.out.finish(net.ErrClosed)
	return nil
}

// CloseWrite ends what is written and goes on reading.
func (c *Conn) CloseWrite() error {
	c.out.finish(net.ErrClosed)
	return nil
}

func (c *Conn) shut() bool { return c.closed.Load() }

// LocalAddr is net.Conn's.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr is net.Conn's.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline is net.Conn's.
func (c *Conn) SetDeadline(t time.Time) error {
	c.in.setReadDeadline(t)
	c.out.setWriteDeadline(t)
	return nil
}

// SetReadDeadline is net.Conn's.
func (c *Conn) SetReadDeadline(t time.Time) error { c.in.setReadDeadline(t); return nil }

// SetWriteDeadline is net.Conn's.
func (c *Conn) SetWriteDeadline(t time.Time) error { c.out.setWriteDeadline(t); return nil }

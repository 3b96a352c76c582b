package transport

import (
	"net"
	"time"
)

// A stream is the connection under a WebSocket. One goroutine reads and closes it. Writes are made under
// Session.mu (tryWrite) or by the one goroutine that drains an outbox (write), never both at a time.
// Deadlines may be set by anybody before it is closed.
type stream interface {
	// read waits for bytes and returns them in a buffer of readPool, which the caller puts back, or in that
	// of the reading if there is room of the caller's. A stream of a socket holds no buffer of its own while it waits.
	read(*reading) (*buffer, error)
	// tryWrite writes what can be written without waiting, which may be nothing.
	tryWrite(b []byte) (n int, err error)
	// write waits until it has written at least one byte of bufs, or the deadline for writing has come.
	write(bufs [][]byte) (n int, err error)

	setDeadline(t time.Time)      // of both directions
	setReadDeadline(t time.Time)  // the zero time means none
	setWriteDeadline(t time.Time) // the zero time means none
	// endWriting tells the peer that nothing more comes, without waiting, if that is possible.
	endWriting()
	close()
}

// reading is what reading a stream takes, apart from it since most streams are parked. The zero reading
// is ready; it may be used for one stream after the other.
type reading struct {
	once func(fd uintptr) bool // r.readFD, made a func value once
	b    *buffer
	err  error
	into []byte // the caller's room; nil for a buffer of readPool
	own  buffer // what has been read to into
}

// take returns a buffer to read to.
func (r *reading) take() *buffer {
	if r.into == nil {
		return readPool.Get().(*buffer)
	}
	r.own.b = r.into
	return &r.own
}

// put gives b, which take has returned, back.
func (r *reading) put(b *buffer) {
	if b == &r.own {
		r.own.b, r.into = nil, nil
	} else if b != nil {
		putRead(b)
	}
}

// longAgo is a deadline that has passed.
func longAgo() time.Time { return time.Unix(1, 0) }

// newStream returns the stream for conn.
func newStream(conn net.Conn) stream {
	conn = unwrap(conn)
	if s := newSocketStream(conn); s != nil {
		return s
	}
	return &plainStream{conn: conn}
}

// plainStreamBuffer is what a plainStream holds while it waits, in bytes.
const plainStreamBuffer = 1 << 10

// plainStream is a stream of any net.Conn: TLS, or a connection that a listener has wrapped. It has to
// hold a buffer while it waits, and every write is made by the goroutine that drains the outbox, unless the
// connection has TryWrite, by which one in memory says that it can take bytes at once.
type plainStream struct {
	conn net.Conn
	in   [plainStreamBuffer]byte // owned by the reader
}

func (p *plainStream) read(r *reading) (*buffer, error) {
	in := r.into
	if in == nil {
		in = p.in[:]
	}
	n, err := p.conn.Read(in)
	if n == 0 {
		if err == nil {
			err = net.ErrClosed // a Conn that breaks io.Reader's rule must not make the reader spin
		}
		return nil, err
	}
	b := r.take()
	if r.into == nil {
		copy(b.b, in[:n])
	}
	b.b = b.b[:n]
	return b, nil
}

func (p *plainStream) tryWrite(b []byte) (int, error) {
	if c, ok := p.conn.(interface{ TryWrite(b []byte) (int, error) }); ok {
		return c.TryWrite(b)
	}
	return 0, nil
}

func (p *plainStream) write(bufs [][]byte) (n int, err error) {
	// Of a large buffer a part, so that the deadline is one for progress.
	b := bufs[0]
	if len(b) > readBuffer {
		b = b[:readBuffer]
	}
	return p.conn.Write(b)
}

func (p *plainStream) setDeadline(t time.Time)      { _ = p.conn.SetDeadline(t) }
func (p *plainStream) setReadDeadline(t time.Time)  { _ = p.conn.SetReadDeadline(t) }
func (p *plainStream) setWriteDeadline(t time.Time) { _ = p.conn.SetWriteDeadline(t) }

// endWriting leaves the peer less time, as TLS's way of it may block.
func (p *plainStream) endWriting() { p.setReadDeadline(time.Now().Add(brokenGrace)) }

func (p *plainStream) close() { _ = p.conn.Close() }

//go:build unix

package transport

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/beanpole/beanpole/internal/limit"
)

// socketStream is a stream of a TCP or Unix socket. It waits with Go's poller but makes the system calls
// itself, so that it holds no buffer while it waits: 5.8 KB of memory for an idle session (measured,
// stack of the reader included) instead of 10 or 20.
type socketStream struct {
	socket
	ws wsConn // see room
}

// socket is a socketStream without the room for a WebSocket.
type socket struct {
	conn net.Conn
	raw  syscall.RawConn
}

// room returns where the WebSocket over s is to be: beside it, so that a broadcast that comes to the one
// has the other.
func (s *socketStream) room() *wsConn { return &s.ws }

// newSocketStream returns the stream of conn for a WebSocket if it is a socket, or nil.
func newSocketStream(conn net.Conn) stream {
	if s := openSocket(conn); s.conn != nil {
		return &socketStream{socket: s}
	}
	return nil
}

// newSocket returns the stream of conn, or nil if it is no socket.
func newSocket(conn net.Conn) stream {
	if s := openSocket(conn); s.conn != nil {
		return &s
	}
	return nil
}

func openSocket(conn net.Conn) (s socket) {
	switch conn.(type) {
	case *net.TCPConn, *net.UnixConn:
	default: // what wraps a socket may want to see the bytes
		return s
	}
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return s
	}
	limit.KeepUnsentSmall(conn)
	return socket{conn, raw}
}

func (s *socket) rawConn() syscall.RawConn { return s.raw }

func (s *socket) read(r *reading) (*buffer, error) {
	if r.once == nil {
		r.once = r.readFD
	}
	err := s.raw.Read(r.once)
	b := r.b
	r.b = nil
	if err == nil {
		err = r.err
	}
	if err != nil {
		r.put(b)
		b = nil
	}
	return b, err
}

func (r *reading) readFD(fd uintptr) bool {
	b := r.take()
	n, err := ignoringEINTR(func() (int, error) { return syscall.Read(int(fd), b.b) })
	if err == syscall.EAGAIN { //nolint:errorlint // a bare number
		if r.into == nil {
			putRead(b)
		}
		return false
	}
	r.b = b
	r.err = nil
	switch {
	case err != nil:
		r.err = os.NewSyscallError("read", err)
	case n <= 0:
		r.err = io.EOF
	default:
		b.b = b.b[:n]
	}
	return true
}

func (s *socket) tryWrite(b []byte) (int, error) {
	w := writings.Get().(*writing)
	w.out = b
	return w.end(s.raw.Write(w.now))
}

func (s *socket) write(bufs [][]byte) (int, error) {
	w := writings.Get().(*writing)
	w.bufs = bufs
	return w.end(s.raw.Write(w.some))
}

// writing is what one call of tryWrite or write needs. It is pooled rather than kept in the stream, of
// whose 200 bytes it was half. now and some are nowFD and someFD, made func values once.
type writing struct {
	now, some func(fd uintptr) bool

	out   []byte
	bufs  [][]byte
	wrote int
	err   error
}

var writings = sync.Pool{New: func() any {
	w := new(writing)
	w.now, w.some = w.nowFD, w.someFD
	return w
}}

// end puts w back and returns what has been written.
func (w *writing) end(err error) (int, error) {
	n := w.wrote
	if err == nil {
		err = w.err
	}
	w.out, w.bufs, w.wrote, w.err = nil, nil, 0, nil
	writings.Put(w)
	return n, err
}

func (w *writing) nowFD(fd uintptr) bool {
	for len(w.out) > 0 {
		n, err := ignoringEINTR(func() (int, error) { return syscall.Write(int(fd), w.out) })
		if n > 0 {
			w.wrote += n
			w.out = w.out[n:]
		}
		if err == syscall.EAGAIN { //nolint:errorlint // a bare number
			break
		}
		if err != nil {
			w.err = os.NewSyscallError("write", err)
			break
		}
	}
	return true
}

func (w *writing) someFD(fd uintptr) bool {
	n, err := ignoringEINTR(func() (int, error) { return writeBuffers(int(fd), w.bufs) })
	if err == syscall.EAGAIN { //nolint:errorlint // a bare number
		return false
	}
	if err != nil {
		w.err = os.NewSyscallError("write", err)
	}
	w.wrote = max(n, 0)
	return true
}

// ignoringEINTR calls fn again while a signal interrupts it.
func ignoringEINTR(fn func() (int, error)) (int, error) {
	for {
		n, err := fn()
		if err != syscall.EINTR { //nolint:errorlint // a bare number
			return n, err
		}
	}
}

func (s *socket) setDeadline(t time.Time)      { _ = s.conn.SetDeadline(t) }
func (s *socket) setReadDeadline(t time.Time)  { _ = s.conn.SetReadDeadline(t) }
func (s *socket) setWriteDeadline(t time.Time) { _ = s.conn.SetWriteDeadline(t) }

func (s *socket) endWriting() {
	if c, ok := s.conn.(interface{ CloseWrite() error }); ok {
		_ = c.CloseWrite()
	}
}

func (s *socket) close() { _ = s.conn.Close() }

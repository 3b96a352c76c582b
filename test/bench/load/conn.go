package load

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// conn is one TCP connection of a client.
type conn struct {
	client   *Client
	fd       int // -1 when closed
	interest uint32
	dialing  bool
	frames   bool   // speaks WebSocket; else HTTP
	in       []byte // the beginning of a unit that is not complete
	out      []byte // what the kernel has not taken
	batch    []byte // what is written at the end of this read
	parts    []byte // the beginning of a message in several frames
	partsOp  byte
}

// ready works off an event of c.
func (s *Swarm) ready(c *conn, events uint32) {
	if c.dialing {
		if events&(unix.EPOLLERR|unix.EPOLLHUP) != 0 {
			s.lost(c, "connection refused")
			return
		}
		c.dialing = false
		s.poller.want(c, unix.EPOLLIN)
		s.dialed(c)
		return
	}
	if events&unix.EPOLLOUT != 0 {
		s.drain(c)
	}
	if events&(unix.EPOLLIN|unix.EPOLLERR|unix.EPOLLHUP|unix.EPOLLRDHUP) != 0 && c.fd >= 0 {
		s.read(c)
	}
}

// read takes what one read brings and then writes what that has led to.
func (s *Swarm) read(c *conn) {
	n, e := rawRead(c.fd, s.poller.buf)
	switch {
	case e == syscall.EAGAIN || e == syscall.EINTR:
		return
	case e != 0 || n == 0:
		s.lost(c, "connection closed")
		return
	}
	data := s.poller.buf[:n]
	if len(c.in) > 0 {
		c.in = append(c.in, data...)
		data = c.in
	}
	var used int
	if c.frames {
		used = s.readFrames(c, data)
	} else {
		used = s.readResponses(c, data)
	}
	if c.fd < 0 {
		return
	}
	if rest := data[used:]; len(rest) == 0 {
		c.in = nil
	} else {
		c.in = append([]byte(nil), rest...)
	}
	s.flush(c)
}

// flush writes the batch of c.
func (s *Swarm) flush(c *conn) {
	if len(c.batch) > 0 {
		s.write(c, c.batch)
		c.batch = c.batch[:0]
	}
}

// write writes b now, as far as the kernel takes it.
func (s *Swarm) write(c *conn, b []byte) {
	if c.fd < 0 {
		return
	}
	if len(c.out) == 0 {
		n, e := rawWrite(c.fd, b)
		switch {
		case e == 0:
			b = b[n:]
		case e != syscall.EAGAIN:
			s.lost(c, "write failed")
			return
		}
		if len(b) == 0 {
			return
		}
	}
	c.out = append(c.out, b...)
	s.poller.want(c, c.interest|unix.EPOLLOUT)
}

func (s *Swarm) drain(c *conn) {
	n, e := rawWrite(c.fd, c.out)
	if e != 0 {
		if e != syscall.EAGAIN {
			s.lost(c, "write failed")
		}
		return
	}
	if c.out = c.out[n:]; len(c.out) == 0 {
		c.out = nil
		s.poller.want(c, c.interest&^unix.EPOLLOUT)
	}
}

package transport

import (
	"errors"
	"net"
	"sync"
	"time"

	"github.com/gobwas/ws"
)

const (
	// closeGrace is how long a client has to answer a close frame, and how long what waits before it has
	// to leave. RFC 6455, section 7.1.1.
	closeGrace = 5 * time.Second
	// brokenGrace is how long a connection that cannot be written to is still read.
	brokenGrace = time.Second
)

// wsConn is one WebSocket: the transport of its session (Session.ws), a candidate for that
// (Session.upgrade), or neither, on its way out.
type wsConn struct {
	// Set by newWSConn, then read only.
	s       *Session
	stream  stream
	deflate bool // permessage-deflate has been agreed on

	// Owned by the reader.
	reads  reads
	reader *reader // nil while c is parked, unless a frame has come in part

	// Guarded by s.mu.
	life     life
	armed    bool          // the parker's
	out      *outbox       // nil unless a goroutine drains it
	gathered *buffer       // frames of the turn in progress
	batch    *batch        // what waits for the flusher; nil while something is gathered
	err      error         // why c has failed
	restedAt time.Duration // uptime of the last call of rest, or zero
}

// life is how far a WebSocket is.
//
//	parked ⇄ open ─► closing ─► failed ─► hungUp or deaf
//
// Any but open may be passed over, and between parked and open alone is there a way back: who wants to end a
// connection finds how far that is already.
type life uint8

const (
	lifeParked  life = iota + 1 // nobody reads; see park.go
	lifeOpen                    // read, and written to
	lifeClosing                 // a close frame is the last that waits to leave
	lifeFailed                  // nothing can be written any more; what the client had sent is still read
	lifeHungUp                  // the last has been written, and nothing is received any more but the client's close frame
	lifeDeaf                    // nor that: it would not be understood
)

// reads is what a reader knows of its connection's silence; see park.go.
type reads uint8

const (
	readsOn   reads = iota // nothing
	readsWoke              // nothing has been read since the parker woke it
	// The deadline for reading is watch's.
	readsSilence // and nothing has been read since
	readsSpeech  // and something has
)

// reader is what a WebSocket needs while it is read. It is pooled, since most are parked: 200 bytes less
// for each of those. Owned by who reads the WebSocket.
type reader struct {
	c        *wsConn
	frames   frameReader
	onFrame  func(ws.OpCode, []byte) error // r.takeFrame, made a func value once
	in       reading
	packets  uint64 // counted in this read
	turn     bool   // what is read is the session's: c is its transport
	received bool   // the receiver got something in this turn
}

// readerPool is shared by all servers of the process; it holds nothing but room.
var readerPool sync.Pool

// takeReader makes sure that c has a reader.
func (c *wsConn) takeReader() *reader {
	if c.reader == nil {
		r, ok := readerPool.Get().(*reader)
		if !ok {
			r = new(reader)
			r.onFrame = r.takeFrame
		}
		r.c, r.frames = c, newFrameReader(c.s.srv.cfg.MaxHTTPBufferSize, c.deflate)
		c.reader = r
	}
	return c.reader
}

// putReader puts the reader of c back, unless it holds part of a message.
func (c *wsConn) putReader() {
	if r := c.reader; r != nil && r.frames.between() {
		c.reader = nil
		r.c = nil
		readerPool.Put(r)
	}
}

// newWSConn returns the WebSocket of s over stream. Its reader, which the caller starts and which closes
// stream, is counted in Server.wg.
func newWSConn(s *Session, stream stream, deflate bool) *wsConn {
	c := new(wsConn)
	if r, ok := stream.(interface{ room() *wsConn }); ok {
		c = r.room()
	}
	c.s, c.stream, c.deflate, c.life = s, stream, deflate, lifeOpen
	return c
}

// start works off what came with the handshake, and then parks or reads the connection.
func (c *wsConn) start(early []byte) {
	defer c.s.srv.wg.Done()
	if len(early) > 0 && !c.take(early, nil) {
		return
	}
	c.s.mu.Lock()
	parked := c.park()
	c.s.mu.Unlock()
	if !parked {
		c.read()
	}
}

// readLoop is read on a goroutine that is counted in Server.wg.
func (c *wsConn) readLoop() {
	defer c.s.srv.wg.Done()
	c.read()
}

// read reads the connection until it ends, is parked, or until a turn's Work has lost the reader.
func (c *wsConn) read() {
	in := &c.takeReader().in
	for {
		if c.reads == readsOn && c.parkable() {
			c.watch()
		}
		b, err := c.stream.read(in)
		switch {
		case err == nil:
			woke := c.reads == readsWoke
			if c.reads == readsSilence {
				c.reads = readsSpeech
			}
			if !c.take(b.b, b) || woke && c.rest() {
				return
			}
		case c.reads < readsSilence || !isTimeout(err):
			c.gone(err)
			return
		case c.quiet():
			return
		}
	}
}

// take works off the bytes of one read, which lie in from if that is not nil, and reports whether the
// caller is to go on reading.
func (c *wsConn) take(data []byte, from *buffer) bool {
	s, r := c.s, c.takeReader()
	s.rx.Lock()
	s.mu.Lock()
	if r.turn = s.ws == c && c.life < lifeHungUp; r.turn {
		s.beginTurn()
		s.extendPing()
	}
	s.mu.Unlock()

	size := len(data)
	r.received, r.packets = false, 0
	err := r.feed(data)
	if from != nil {
		r.in.put(from)
	}
	r.in.into = r.frames.room()
	s.srv.counters.bytesIn.Add(uint64(size))
	s.srv.counters.packetsIn.Add(r.packets)

	s.mu.Lock()
	if err != nil {
		c.stop(err)
	}
	closed, received := errors.Is(err, errPeerClosed), r.received
	var turn uint64
	switch {
	case received && closed:
		turn = s.beginWork(nil)
	case received:
		turn = s.beginWork(c)
	case r.turn:
		s.endGather()
	}
	if closed && received {
		// The client waits for the end of the connection, which is not to wait for a handler.
		s.srv.wg.Add(1) // the reader still is
		go func() {
			defer s.srv.wg.Done()
			c.gone(nil)
		}()
	}
	s.unlock()
	s.rx.Unlock()
	switch {
	case received:
		return s.work(turn) && !closed
	case closed:
		c.gone(nil)
	}
	return !closed
}

// feed has takeFrame called for what is in data. Called with rx held.
func (r *reader) feed(data []byte) (err error) {
	err = errExited
	defer func() {
		if errors.Is(err, errExited) {
			r.c.readerLost()
		}
	}()
	return r.frames.feed(data, r.onFrame)
}

// readerLost ends the session, whose receiver is just ending the goroutine that reads, and has another end
// the connection. Called with rx held, which it gives back.
func (c *wsConn) readerLost() {
	s := c.s
	s.mu.Lock()
	s.endGather()
	s.end(ReasonForcedServerClose, errExited)
	s.srv.wg.Add(1) // this goroutine is still counted
	s.unlock()
	s.rx.Unlock()
	go c.readLoop()
}

// takeFrame is called for every message and control frame in what was read.
func (r *reader) takeFrame(op ws.OpCode, data []byte) error {
	c, s := r.c, r.c.s
	switch op {
	case ws.OpPing:
		s.mu.Lock()
		c.sendFrame(ws.OpPong, data)
		s.unlock()
		return nil
	case ws.OpPong:
		return nil
	case ws.OpClose:
		s.mu.Lock()
		c.answerClose(data)
		s.unlock()
		return newCloseError(data)
	}
	r.packets++
	var p enginePacket
	var err error
	if s.proto == 4 {
		p, err = parsePacket4(data, op == ws.OpBinary)
	} else {
		p, err = parsePacket3(data, op == ws.OpBinary)
	}
	if !r.turn {
		return c.takeProbe(p, err)
	}
	if err != nil {
		return err
	}
	message, err := s.onPacket(p)
	r.received = r.received || message
	return err
}

// stop ends what c belongs to, since the client closed it or sent what it may not. Called with mu held.
func (c *wsConn) stop(err error) {
	var broken *frameError
	var invalid packetError
	reason, frame, linger := ReasonTransportError, closeFrame(nil), true
	switch {
	case errors.Is(err, errPeerClosed):
		reason, frame, linger = ReasonTransportClose, nil, false
	case errors.Is(err, errClientClosed):
		reason = ReasonTransportClose
	case errors.As(err, &broken):
		reason = broken.reason
		frame = closeFrame(ws.NewCloseFrameBody(broken.code, ""))
	case errors.As(err, &invalid):
		reason = ReasonParseError
	}
	if linger { // else the reader ends c
		c.end(lifeDeaf, frame, true)
	}
	if c.s.upgrade != nil && c.s.upgrade.c == c {
		c.s.dropCandidate("candidate " + string(reason))
	}
	if c.s.ws == c {
		c.s.end(reason, causeOf(err))
	}
}

// causeOf leaves out the cause that says no more than the reason.
func causeOf(err error) error {
	if errors.Is(err, errClientClosed) {
		return nil
	}
	return err
}

// gone ends c: its reader's last act. err is why reading failed, nil after a close frame.
func (c *wsConn) gone(err error) {
	s := c.s
	s.mu.Lock()
	if s.upgrade != nil && s.upgrade.c == c {
		s.dropCandidate("candidate closed")
	}
	if c.life < lifeHungUp {
		// The peer ended the connection; what it does not read need not be written.
		c.life = lifeHungUp
		c.out.clear()
		c.stream.setWriteDeadline(longAgo())
	}
	if s.ws == c {
		if c.err != nil {
			err = c.err
		}
		s.end(ReasonTransportClose, err)
	}
	c.dropGathered()
	// A close frame may still be on its way, for no longer than closeGrace.
	for c.out != nil {
		drained := c.out.drained.wait()
		s.mu.Unlock()
		<-drained
		s.mu.Lock()
	}
	s.unlock()
	c.stream.close()
	c.putReader()
}

// isTimeout reports whether err is a deadline's.
func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

package zishang

import (
	"errors"
	"io"
	"slices"
	"strings"
	"sync/atomic"

	epacket "github.com/zishang520/engine.io-go-parser/packet"
	"github.com/zishang520/engine.io/v2/engine"
	"github.com/zishang520/engine.io/v2/transports"
	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io-go-parser/v2/parser"
	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/transport"
)

// This file is what the library, and the application by Socket.Conn, sees of a session, and what it sends to it.

// conn is a session as the library's engine.Socket.
type conn struct {
	*emitter    // of the application's listeners on Socket.Conn
	inertSocket // what is the transport's own affair

	// Set by connOf, then read only.
	h       *Handler
	session *transport.Session
	client  *socket.Client

	closed   atomic.Bool
	upgraded atomic.Bool                       // the upgrade has been told
	request  atomic.Pointer[types.HttpContext] // while newSocket makes one
}

// inertSocket is a session of the library that nothing is done with.
type inertSocket struct{ engine.Socket }

var _ engine.Socket = (*conn)(nil)

// connOf returns the session's.
func (h *Handler) connOf(s *transport.Session) *conn {
	if c, ok := h.conns.Load(s); ok {
		return c.(*conn)
	}
	c := &conn{emitter: newEmitter(h.protect), inertSocket: h.inert, h: h, session: s}
	c.client = socket.NewClient(h.io, c)
	h.internals.stopTimer(c.client)
	c.Clear() // of the library's listeners: package server reads, and ends the sockets
	first, _ := h.conns.LoadOrStore(s, c)
	if !s.Open() {
		h.conns.Delete(s) // Closed may have been here before
	}
	return first.(*conn)
}

// receiver stands between a session and package server's client.
type receiver struct {
	transport.Receiver
	conn *conn
}

// wrap is called for every new session.
func (h *Handler) wrap(s *transport.Session, r transport.Receiver) transport.Receiver {
	c := h.connOf(s)
	h.protect("connection", func() { h.engine.Emit("connection", c) })
	return receiver{r, c}
}

// Receive takes one message of the session.
func (r receiver) Receive(m transport.Message) {
	r.conn.h.learn()
	r.conn.notice(m)
	r.Receiver.Receive(m)
}

// Closed ends all sockets of the client, and tells the library.
func (r receiver) Closed(reason transport.CloseReason, cause error) {
	c := r.conn
	c.closed.Store(true)
	r.Receiver.Closed(reason, cause)
	c.h.conns.Delete(c.session)
	c.Emit("close", string(reason), cause)
}

// handover is the library's parser: it hands packets on as they are, to be encoded by package server.
type handover struct{}

var _ parser.Parser = handover{}

// handed is a packet on its way through the library to conn.Write.
type handed struct {
	types.BufferInterface // empty, for who looks into it
	packet                *parser.Packet
}

// Clone returns the same packet, which nobody changes: the library clones for every receiver.
func (p *handed) Clone() types.BufferInterface { return p }

// NewEncoder returns the encoder.
func (p handover) NewEncoder() parser.Encoder { return p }

// Encode hands p on.
func (handover) Encode(p *parser.Packet) []types.BufferInterface {
	return []types.BufferInterface{&handed{types.NewStringBuffer(nil), p}}
}

// NewDecoder returns a decoder that refuses everything: sessions of package server are not decoded here.
func (handover) NewDecoder() parser.Decoder { return refusing{newEmitter(nil)} }

// refusing is what the library takes for the decoder of a session.
type refusing struct{ *emitter }

// Add returns an error.
func (refusing) Add(any) error {
	return errors.New("zishang: serve the Handler that New returned, not Server.ServeHandler or Attach")
}

// Destroy does nothing.
func (refusing) Destroy() {}

// Write sends a packet of the library, or as one message what an application writes by itself. It neither
// blocks nor emits: the library holds a lock of the client meanwhile.
func (c *conn) Write(data io.Reader, _ *epacket.Options, sent engine.SendCallback) engine.Socket {
	if p, ok := data.(*handed); !ok {
		if m, err := rawMessage(data); err == nil {
			_ = c.session.Send(transport.SendOptions{}, m) // a session that closed says so by Closed
		}
	} else if p.packet.Type == parser.EVENT {
		if s, ok := c.h.internals.byNamespace(c.client).Load(p.packet.Nsp); ok {
			memberOf(s).emit(p.packet)
		}
	} // the others are package server's
	if sent != nil {
		sent(c.Transport())
	}
	return c
}

// Send is Write.
func (c *conn) Send(data io.Reader, o *epacket.Options, sent engine.SendCallback) engine.Socket {
	return c.Write(data, o, sent)
}

func rawMessage(data io.Reader) (transport.Message, error) {
	b, err := io.ReadAll(data)
	switch data.(type) {
	case *types.StringBuffer, *strings.Reader:
		return transport.Message{Data: b}, err
	}
	return transport.Message{Data: b, Binary: true}, err
}

// Id returns the session id, a credential.
func (c *conn) Id() string { return c.session.ID() }

// Protocol returns the revision of Engine.IO the client speaks.
func (c *conn) Protocol() int { return c.session.Protocol() }

// Request returns the request that opened the session, without body.
func (c *conn) Request() *types.HttpContext {
	if r := c.request.Load(); r != nil {
		return r
	}
	return newContext(newRequest(c.session.Handshake()))
}

// newSocket makes a socket of the session. The library asks for the request five times, and must not keep it.
func (c *conn) newSocket(nsp socket.Namespace, auth any, previous *socket.Session) *socket.Socket {
	c.request.Store(c.Request())
	defer c.request.Store(nil)
	return socket.NewSocket(nsp, c.client, auth, previous)
}

// RemoteAddress returns the client's address without port, as transport.Config.ClientAddr tells it.
func (c *conn) RemoteAddress() string { return c.session.Handshake().Addr() }

// Transport returns a view of the transport in use.
func (c *conn) Transport() transports.Transport { return view{transports.MakeTransport(), c} }

// ReadyState is "open" as long as something can be sent.
func (c *conn) ReadyState() string {
	switch {
	case c.closed.Load():
		return "closed"
	case !c.session.Open():
		return "closing"
	}
	return "open"
}

// Upgraded reports whether the session was upgraded from polling to WebSocket.
func (c *conn) Upgraded() bool {
	return c.session.Transport() == transport.WebSocket &&
		c.session.Handshake().Query().Get("transport") == string(transport.Polling)
}

// Close closes the session; with discard, what waits is dropped.
func (c *conn) Close(discard bool) {
	if discard {
		c.session.Abort(transport.ReasonForcedClose)
		return
	}
	c.session.Close(transport.ReasonForcedClose)
}

// notice tells those who listen of a message that has come, and of the upgrade, with the first one after it. They run
// on the goroutine that reads from the client.
func (c *conn) notice(m transport.Message) {
	if !c.hears("packet", "data", "message", "upgrade") {
		return
	}
	if c.Upgraded() && !c.upgraded.Swap(true) {
		c.h.background(func() { c.Emit("upgrade", c.Transport()) })
	}
	data := func() types.BufferInterface { // each has its own, to read it
		if m.Binary {
			return types.NewBytesBuffer(slices.Clone(m.Data))
		}
		return types.NewStringBuffer(slices.Clone(m.Data))
	}
	c.Emit("packet", &epacket.Packet{Type: epacket.MESSAGE, Data: data()})
	c.Emit("data", data())
	c.Emit("message", data())
}

package zishang

import (
	"io"
	"net/url"
	"strings"
	"sync"

	epacket "github.com/zishang520/engine.io-go-parser/packet"
	"github.com/zishang520/engine.io/v2/engine"
	"github.com/zishang520/engine.io/v2/events"
	"github.com/zishang520/engine.io/v2/transports"
	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io-go-parser/v2/parser"

	"github.com/beanpole/beanpole/transport"
)

// This file is what the library, and the application by Socket.Conn, sees of a session.

var _ engine.Socket = (*session)(nil)

// Id returns the session id, a credential.
func (s *session) Id() string { return s.session.ID() }

// Protocol returns the revision of Engine.IO the client speaks. While the library makes its client, that
// is 4: for 3 it would run the application's middlewares within accept, which must not block.
func (s *session) Protocol() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.opened {
		return 4
	}
	return s.session.Protocol()
}

// contextCache holds the library's view of the request while a connection is being made: the library
// asks five times then, and must not keep it.
type contextCache struct {
	mu      sync.Mutex
	users   int
	context *types.HttpContext
}

// Request returns the request that opened the session, without body.
func (s *session) Request() *types.HttpContext {
	c := &s.request
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.context != nil {
		return c.context
	}
	context := newContext(newRequest(s.session.Handshake()))
	if c.users > 0 {
		c.context = context
	}
	return context
}

// keepRequest makes Request keep what it returns until as many calls of dropRequest.
func (s *session) keepRequest() {
	s.request.mu.Lock()
	s.request.users++
	s.request.mu.Unlock()
}

func (s *session) dropRequest() {
	s.request.mu.Lock()
	if s.request.users--; s.request.users == 0 {
		s.request.context = nil
	}
	s.request.mu.Unlock()
}

// RemoteAddress returns the client's address without port, as transport.Config.ClientAddr tells it.
func (s *session) RemoteAddress() string { return s.session.Handshake().Addr() }

// Transport returns a view of the transport in use.
func (s *session) Transport() transports.Transport { return view{s.h.inert, s} }

// ReadyState is "open" as long as something can be sent.
func (s *session) ReadyState() string {
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	switch {
	case closed:
		return "closed"
	case !s.session.Open():
		return "closing"
	}
	return "open"
}

// SetReadyState does nothing: the transport knows its state.
func (s *session) SetReadyState(string) {}

// Upgraded reports whether the session was upgraded from polling to WebSocket.
func (s *session) Upgraded() bool {
	return s.session.Transport() == transport.WebSocket &&
		s.session.Handshake().Query().Get("transport") == string(transport.Polling)
}

// Upgrading is never true: an upgrade is the transport's own affair.
func (s *session) Upgrading() bool { return false }

// Construct does nothing: the session is made by the transport.
func (s *session) Construct(string, engine.BaseServer, transports.Transport, *types.HttpContext, int) {
}

// MaybeUpgrade does nothing, likewise.
func (s *session) MaybeUpgrade(transports.Transport) {}

// Send is Write.
func (s *session) Send(data io.Reader, o *epacket.Options, sent engine.SendCallback) engine.Socket {
	return s.Write(data, o, sent)
}

// Write sends a packet of the library, or as one message what an application writes by itself. It neither
// blocks nor emits: the library holds a lock of the client meanwhile.
func (s *session) Write(data io.Reader, _ *epacket.Options, sent engine.SendCallback) engine.Socket {
	if e, ok := data.(*encoded); ok {
		s.write(e)
	} else if m, err := rawMessage(data); err == nil {
		_ = s.session.Send(transport.SendOptions{}, m)
	}
	if sent != nil {
		sent(s.Transport())
	}
	return s
}

func rawMessage(data io.Reader) (transport.Message, error) {
	b, err := io.ReadAll(data)
	switch data.(type) {
	case *types.StringBuffer, *strings.Reader:
		return transport.Message{Data: b}, err
	}
	return transport.Message{Data: b, Binary: true}, err
}

func (s *session) write(e *encoded) {
	var m *member
	switch e.typ {
	case parser.CONNECT:
		if m = s.connecting(e.namespace); m == nil || m.over.Load() {
			return // the client has been refused, or has left, while the library was at it
		}
	case parser.CONNECT_ERROR:
		m = s.connecting(e.namespace)
	case parser.DISCONNECT:
		if m := s.connected(e.namespace); m == nil || m.over.Load() || m.leaving.Load() {
			return // the client has left by itself, or was never told that it is in
		}
	}
	_ = s.session.Send(transport.SendOptions{}, e.messages...) // a session that closed says so by Closed
	if m != nil && e.typ == parser.CONNECT_ERROR {
		m.refused()
	}
}

// Close closes the session; with discard, what waits is dropped.
func (s *session) Close(discard bool) {
	if discard {
		s.session.Abort(transport.ReasonForcedClose)
		return
	}
	s.session.Close(transport.ReasonForcedClose)
}

// noticeUpgrade tells who listens for the event upgrade, with the first message that comes after it.
func (s *session) noticeUpgrade() {
	if s.ListenerCount("upgrade") == 0 {
		return
	}
	s.mu.Lock()
	told := s.upgraded
	s.mu.Unlock()
	if told || !s.Upgraded() {
		return
	}
	s.mu.Lock()
	s.upgraded = true
	s.mu.Unlock()
	s.h.wg.Go(func() { s.h.protect("upgrade", func() { s.Emit("upgrade", s.Transport()) }) })
}

// view is a session's transport. What it does not know is answered by an inert one.
type view struct {
	transports.Transport
	s *session
}

func (v view) Name() string                { return string(v.s.session.Transport()) }
func (v view) Sid() string                 { return v.s.session.ID() }
func (v view) Writable() bool              { return v.s.session.Writable() }
func (v view) Protocol() int               { return v.s.session.Protocol() }
func (v view) Discarded() bool             { return false }
func (v view) Proto() transports.Transport { return v }
func (v view) ReadyState() string          { return v.s.ReadyState() }
func (v view) HandlesUpgrades() bool       { return v.s.session.Transport() == transport.WebSocket }
func (v view) SupportsBinary() bool        { return true }

// MaxHttpBufferSize returns the limit of a message, in bytes.
func (v view) MaxHttpBufferSize() int64 { return v.s.h.cfg.Transport.MaxHTTPBufferSize }

// Close closes the session.
func (v view) Close(then ...types.Callable) {
	v.s.Close(false)
	for _, fn := range then {
		fn()
	}
}

// On, Once and AddListener register nothing: transports here have no events, and the view lives only as
// long as it is looked at.
func (view) On(events.EventName, ...events.Listener) error          { return nil }
func (view) Once(events.EventName, ...events.Listener) error        { return nil }
func (view) AddListener(events.EventName, ...events.Listener) error { return nil }

// The rest would change the inert transport that all views share, or write past the session.
func (view) SetSid(string)                                 {}
func (view) SetWritable(bool)                              {}
func (view) SetSupportsBinary(bool)                        {}
func (view) SetReadyState(string)                          {}
func (view) SetHttpCompression(*types.HttpCompression)     {}
func (view) SetPerMessageDeflate(*types.PerMessageDeflate) {}
func (view) SetMaxHttpBufferSize(int64)                    {}
func (view) Prototype(transports.Transport)                {}
func (view) Construct(*types.HttpContext)                  {}
func (view) Discard()                                      {}
func (view) OnRequest(*types.HttpContext)                  {}
func (view) OnError(string, error)                         {}
func (view) OnPacket(*epacket.Packet)                      {}
func (view) OnData(types.BufferInterface)                  {}
func (view) OnClose()                                      {}
func (view) Send([]*epacket.Packet)                        {}
func (view) DoClose(types.Callable)                        {}

// splitQuery separates the query from a namespace as v2 clients send it ("/admin?token=1"). Source:
// socket.io/lib/client.ts, _parseNamespace.
func splitQuery(nsp string) (name, query string) {
	name, query, _ = strings.Cut(nsp, "?")
	return name, query
}

// connectPacket is the CONNECT of a client as the library takes it: the name of a v2 client's namespace
// is a URL to it.
func (s *session) connectPacket(name string, auth []byte, query string) *parser.Packet {
	p := &parser.Packet{Type: parser.CONNECT, Nsp: name}
	if s.session.Protocol() == 3 {
		p.Nsp = (&url.URL{Path: name, RawQuery: query}).String()
		return p
	}
	if len(auth) > 0 {
		p.Data = value(auth, nil)
	}
	return p
}

package zishang

import (
	epacket "github.com/zishang520/engine.io-go-parser/packet"
	"github.com/zishang520/engine.io/v2/events"
	"github.com/zishang520/engine.io/v2/transports"
	"github.com/zishang520/engine.io/v2/types"

	"github.com/beanpole/beanpole/transport"
)

// view is a session's transport. What it does not know is answered by an inert one.
type view struct {
	transports.Transport
	c *conn
}

func (v view) Name() string                { return string(v.c.session.Transport()) }
func (v view) Sid() string                 { return v.c.session.ID() }
func (v view) Writable() bool              { return v.c.session.Writable() }
func (v view) Protocol() int               { return v.c.session.Protocol() }
func (v view) Discarded() bool             { return false }
func (v view) Proto() transports.Transport { return v }
func (v view) ReadyState() string          { return v.c.ReadyState() }
func (v view) HandlesUpgrades() bool       { return v.c.session.Transport() == transport.WebSocket }
func (v view) SupportsBinary() bool        { return true }

// MaxHttpBufferSize returns the limit of a message, in bytes.
func (v view) MaxHttpBufferSize() int64 { return v.c.h.cfg.Transport.MaxHTTPBufferSize }

// Close closes the session.
func (v view) Close(then ...types.Callable) {
	v.c.Close(false)
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

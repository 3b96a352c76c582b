package zishang

import (
	"cmp"

	"github.com/zishang520/engine.io/v2/transports"
	"github.com/zishang520/engine.io/v2/types"

	"github.com/beanpole/beanpole/transport"
)

// view is a session's transport. What it does not know is asked of, and told to, an inert one.
type view struct {
	transports.Transport
	c *conn
}

func (v view) Name() string                { return string(v.c.session.Transport()) }
func (v view) Sid() string                 { return v.c.session.ID() }
func (v view) Writable() bool              { return v.c.session.Writable() }
func (v view) Protocol() int               { return v.c.session.Protocol() }
func (v view) Proto() transports.Transport { return v }
func (v view) ReadyState() string          { return v.c.ReadyState() }
func (v view) HandlesUpgrades() bool       { return v.c.session.Transport() == transport.WebSocket }
func (v view) SupportsBinary() bool        { return true }

// MaxHttpBufferSize returns the limit of a message, in bytes.
func (v view) MaxHttpBufferSize() int64 {
	return cmp.Or(v.c.h.cfg.Transport.MaxHTTPBufferSize, transport.DefaultMaxHTTPBufferSize)
}

// Close closes the session.
func (v view) Close(then ...types.Callable) {
	v.c.Close(false)
	for _, fn := range then {
		fn()
	}
}

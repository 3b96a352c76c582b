package main

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/gobwas/httphead"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
	"github.com/gobwas/ws/wsutil"

	"github.com/beanpole/beanpole/test/sim/plan"
	"github.com/beanpole/beanpole/transport"
)

// What is compressed on the way: the messages of a WebSocket with permessage-deflate, and the answers to polls, which net/http
// undoes. Source: RFC 7692.

// compressFrom is the size from which servers compress. It is below the default, as messages of the world are short.
const compressFrom = 100

// compress lets servers compress for those that ask for it.
func (w *world) compress(cfg *transport.Config) {
	if w.plan.Does(plan.Deflate) {
		cfg.PerMessageDeflate = &transport.PerMessageDeflate{Threshold: compressFrom}
		cfg.HTTPCompression.Threshold = compressFrom
	}
}

// compresses reports whether the client asks for it, on WebSockets or when it polls.
func (c *client) compresses(transport string) bool {
	return c.w.plan.Does(plan.Deflate) && c.w.rng(c.name+" compresses "+transport).IntN(2) == 0
}

// deflateOffer is what such a client offers.
func (c *client) deflateOffer() []httphead.Option {
	if !c.compresses(byWebSocket) {
		return nil
	}
	return []httphead.Option{wsflate.DefaultParameters.Option()}
}

// deflates reports whether a server that was offered it has agreed to it.
func deflates(hs ws.Handshake) bool {
	return slices.ContainsFunc(hs.Extensions, func(o httphead.Option) bool { return string(o.Name) == wsflate.ExtensionName })
}

// deflater compresses messages, one after the other: what it takes to make one is much.
type deflater struct {
	mu sync.Mutex
	w  *flate.Writer // guarded by mu
}

const deflateTail = "\x00\x00\xff\xff"

func (d *deflater) compress(data []byte) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	var b bytes.Buffer
	if d.w == nil {
		d.w, _ = flate.NewWriter(nil, flate.BestSpeed)
	}
	d.w.Reset(&b)
	_, _ = d.w.Write(data)
	_ = d.w.Flush()
	return bytes.TrimSuffix(b.Bytes(), []byte(deflateTail))
}

// inflate undoes it.
func inflate(data []byte) ([]byte, error) {
	return io.ReadAll(flate.NewReader(io.MultiReader(bytes.NewReader(data), bytes.NewReader([]byte(deflateTail+"\x01\x00\x00\xff\xff")))))
}

// read is wsutil.ReadServerData on a connection that may have compressed messages.
func (c *wsConn) read() ([]byte, ws.OpCode, error) {
	var m wsflate.MessageState
	r := wsutil.Reader{Source: c, State: ws.StateClientSide | ws.StateExtended, Extensions: []wsutil.RecvExtension{&m}}
	control := wsutil.ControlFrameHandler(c, ws.StateClientSide)
	r.OnIntermediate = control
	for {
		h, err := r.NextFrame()
		if err != nil {
			return nil, 0, err
		}
		if h.OpCode.IsControl() {
			if err := control(h, &r); err != nil {
				return nil, 0, err
			}
			continue
		}
		data, err := io.ReadAll(&r)
		if err == nil && m.IsCompressed() {
			c.of.w.count("messages inflated")
			if data, err = inflate(data); err != nil {
				err = fmt.Errorf("inflate: %w", err)
			}
		}
		if err == nil && h.OpCode == ws.OpText && !utf8.Valid(data) {
			err = errors.New("a text that is not UTF-8")
		}
		return data, h.OpCode, err
	}
}

// write writes a message, compressed if it is not short.
func (c *wsConn) write(op ws.OpCode, data []byte) error {
	f := ws.NewFrame(op, true, data)
	if c.deflate && len(data) >= compressFrom {
		f = ws.NewFrame(op, true, c.of.w.deflater.compress(data))
		f.Header.Rsv = ws.Rsv(true, false, false)
	} else {
		f.Payload = slices.Clone(data)
	}
	return ws.WriteFrame(c, ws.MaskFrameInPlace(f))
}

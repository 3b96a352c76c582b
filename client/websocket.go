package client

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// socket is the frames on a connection.
type webSocket struct {
	conn   io.ReadWriteCloser
	reader wsutil.Reader
	limit  int

	mu sync.Mutex // held while something is written
	w  *bufio.Writer
}

// dial opens a WebSocket by a request as any other, whose answer has the connection as its body.
func (e *engine) dial(ctx context.Context) (*webSocket, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, e.address(WebSocket), nil)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	r.Header = e.cfg.Header.Clone()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	nonce := make([]byte, 16)
	rand.Read(nonce)
	key := base64.StdEncoding.EncodeToString(nonce)
	for k, v := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key} {
		r.Header.Set(k, v)
	}
	res, err := e.http.Do(r)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	conn, ok := res.Body.(io.ReadWriteCloser)
	if res.StatusCode != http.StatusSwitchingProtocols || !ok {
		defer res.Body.Close()
		b, _ := io.ReadAll(io.LimitReader(res.Body, 200))
		return nil, &StatusError{res.StatusCode, string(b)}
	}
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) // RFC 6455, section 1.3
	if res.Header.Get("Sec-WebSocket-Accept") != base64.StdEncoding.EncodeToString(sum[:]) {
		_ = conn.Close()
		return nil, errors.New("client: the answer to the WebSocket's handshake is another's")
	}
	c := &webSocket{conn: conn, limit: e.cfg.MaxMessageBytes, w: bufio.NewWriter(conn)}
	c.reader = wsutil.Reader{Source: bufio.NewReader(conn), State: ws.StateClientSide, MaxFrameSize: int64(c.limit), OnIntermediate: c.control}
	return c, nil
}

// read returns the next message.
func (c *webSocket) read() (frame, error) {
	for {
		h, err := c.reader.NextFrame()
		if err != nil {
			return frame{}, err
		}
		if h.OpCode.IsControl() {
			if err := c.control(h, &c.reader); err != nil {
				return frame{}, err
			}
			continue
		}
		b, err := io.ReadAll(io.LimitReader(&c.reader, int64(c.limit)+1))
		if err == nil && len(b) > c.limit {
			err = fmt.Errorf("client: message of more than %d bytes", c.limit)
		}
		return frame{b, h.OpCode == ws.OpBinary}, err
	}
}

// control answers a frame that is no message. io.EOF is the other side's end.
func (c *webSocket) control(h ws.Header, r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	switch h.OpCode {
	case ws.OpPing:
		return c.send(ws.NewPongFrame(b))
	case ws.OpClose:
		_ = c.send(ws.NewCloseFrame(b)) // the connection ends in any case
		return io.EOF
	}
	return nil
}

// send writes frames, in one write where they are small. Their payloads are not used afterwards.
func (c *webSocket) send(list ...ws.Frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range list {
		if err := ws.WriteFrame(c.w, ws.MaskFrameInPlace(f)); err != nil {
			return err
		}
	}
	return c.w.Flush()
}

// write sends packets, each as a message.
func (c *webSocket) write(batch []frame) error {
	list := make([]ws.Frame, len(batch))
	for i, f := range batch {
		if list[i] = ws.NewTextFrame(f.data); f.binary {
			list[i] = ws.NewBinaryFrame(f.data)
		}
	}
	return c.send(list...)
}

func text(s string) frame { return frame{data: []byte(s)} }

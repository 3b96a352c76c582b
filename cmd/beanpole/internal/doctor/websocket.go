package doctor

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // what the protocol has
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gobwas/ws"
)

// socket is a WebSocket. One goroutine reads it.
type socket struct {
	conn   io.ReadWriteCloser
	open   opened
	in     chan string
	ended  chan struct{} // closed after the last packet
	err    error         // why, set before ended is closed
	closed bool          // by a close frame
	code   ws.StatusCode // of it; Node and Beanpole send none, which is 0 here
	write  sync.Mutex
	pinged func()        // called for every ping, before it is answered
	bears  time.Duration // how long the other side may take to take a frame
	free   func() bool   // of what cuts the connection when nobody waits for it any more
}

// parting is how long the end of a connection may take: a close frame has to be taken.
const parting = time.Second

// upgrade sends a WebSocket handshake. The answer has a connection unless it was refused.
func (c *client) upgrade(ctx context.Context, query string) (*reply, error) {
	answer, err := c.insist(ctx, func() (*reply, error) {
		u := c.target(query)
		r, err := c.request(ctx, http.MethodGet, u, nil)
		if err != nil {
			return nil, err
		}
		var nonce [16]byte
		_, _ = rand.Read(nonce[:]) // never fails
		key := base64.StdEncoding.EncodeToString(nonce[:])
		r.Body, r.GetBody, r.ContentLength = nil, nil, 0
		r.Header.Set("Upgrade", "websocket")
		r.Header.Set("Connection", "Upgrade")
		r.Header.Set("Sec-WebSocket-Version", "13")
		r.Header.Set("Sec-WebSocket-Key", key)
		answer, err := c.answer(r, u)
		if err == nil && answer.conn != nil {
			if err = answer.fits(key); err != nil {
				_ = answer.conn.Close()
			}
		}
		return answer, err
	})
	if err != nil {
		return nil, errUpgrade{err}
	}
	answer.method = methodUpgrade
	return answer, nil
}

// methodUpgrade is the method of a reply to a WebSocket handshake.
const methodUpgrade = "WebSocket"

// errHandshake is returned for an answer to a WebSocket handshake that browsers refuse.
type errHandshake struct{ header, value string }

// Error names the header.
func (e errHandshake) Error() string {
	return fmt.Sprintf("101 with %s: %s, which does not belong to the request", e.header, orElse(e.value, "none"))
}

// fits reports whether a 101 is one for a request with that key, without extensions and protocols. RFC 6455, 4.1.
func (r *reply) fits(key string) error {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // what the protocol has
	for header, want := range map[string]string{"Sec-WebSocket-Accept": base64.StdEncoding.EncodeToString(sum[:]), "Sec-WebSocket-Extensions": "", "Sec-WebSocket-Protocol": ""} {
		if got := r.header.Get(header); got != want {
			return errHandshake{header, got}
		}
	}
	return nil
}

// listen makes a socket of an upgraded connection, which does not outlive ctx by more than parting.
func (c *client) listen(ctx context.Context, conn io.ReadWriteCloser, pinged func()) *socket {
	s := &socket{conn: conn, in: make(chan string, 64), ended: make(chan struct{}), pinged: pinged, bears: c.Timeout}
	s.free = context.AfterFunc(ctx, func() { s.cut(parting) })
	go s.read()
	return s
}

// dial opens a session over WebSocket alone. Where this address may have no more sessions for now, it waits.
func (c *client) dial(ctx context.Context, pinged func()) (*socket, error) {
	for {
		s, err := c.tryDial(ctx, pinged)
		if !c.limit(ctx, err) {
			return s, err
		}
	}
}

func (c *client) tryDial(ctx context.Context, pinged func()) (*socket, error) {
	life, end := context.WithCancelCause(context.WithoutCancel(ctx))
	cancel := func() { end(nil) }
	stop := context.AfterFunc(ctx, cancel)
	timer := time.AfterFunc(c.Timeout, func() { end(errSilent) })
	r, err := c.upgrade(life, "EIO=4&transport=websocket")
	timer.Stop()
	if err != nil && errors.Is(context.Cause(life), errSilent) {
		err = errUpgrade{errSilent}
	}
	if err != nil || r.conn == nil {
		stop()
		cancel()
		if err == nil {
			err = errAnswer{r}
		}
		return nil, err
	}
	stop() // from here on the connection ends by close; cancel would cut it
	s := c.listen(ctx, closer{r.conn, cancel}, pinged)
	s.open.reply = r
	p, err := s.expect(ctx, c.Timeout, "0{")
	if err == nil {
		err = json.Unmarshal([]byte(p[1:]), &s.open)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// closer also gives back what the request holds.
type closer struct {
	io.ReadWriteCloser
	cancel func()
}

// Close closes the connection.
func (c closer) Close() error {
	err := c.ReadWriteCloser.Close()
	c.cancel()
	return err
}

// read hands on text messages and answers pings of both kinds.
func (s *socket) read() {
	defer close(s.ended)
	r := bufio.NewReader(s.conn)
	for {
		h, err := ws.ReadHeader(r)
		if err != nil {
			s.err = err
			return
		}
		if h.Length > maxAnswer {
			s.err = errors.New("a frame is too large")
			return
		}
		payload := make([]byte, h.Length)
		if _, err := io.ReadFull(r, payload); err != nil {
			s.err = err
			return
		}
		switch h.OpCode {
		case ws.OpPing:
			_ = s.frame(ws.NewPongFrame(payload))
		case ws.OpClose:
			var reason string
			s.closed = true
			s.code, reason = ws.ParseCloseFrameData(payload)
			if s.err = errClosed; s.code != 0 {
				s.err = fmt.Errorf("closed with %d %s", s.code, reason)
			}
			_ = s.frame(ws.NewCloseFrame(payload))
			return
		case ws.OpText:
			p := string(payload)
			if p == "2" {
				if s.pinged != nil {
					s.pinged()
				}
				if s.send("3") != nil {
					continue
				}
			}
			select {
			case s.in <- p:
			default: // nobody waits for so many
			}
		}
	}
}

// cut ends the connection after a while, and with it whatever waits for the other side.
func (s *socket) cut(after time.Duration) *time.Timer {
	return time.AfterFunc(after, func() { _ = s.conn.Close() })
}

// frame sends a frame. Who does not take it, as he reads nothing, loses the connection.
func (s *socket) frame(f ws.Frame) error {
	s.write.Lock()
	defer s.write.Unlock()
	defer s.cut(s.bears).Stop()
	return ws.WriteFrame(s.conn, ws.MaskFrameInPlace(f))
}

// send sends one packet.
func (s *socket) send(p string) error { return s.frame(ws.NewTextFrame([]byte(p))) }

// expect waits for a packet that begins with prefix.
func (s *socket) expect(ctx context.Context, timeout time.Duration, prefix string) (string, error) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for {
		select {
		case p := <-s.in:
			if strings.HasPrefix(p, prefix) {
				return p, nil
			}
		case <-s.ended:
			select {
			case p := <-s.in: // what came before the end
				if strings.HasPrefix(p, prefix) {
					return p, nil
				}
				continue
			default:
			}
			return "", s.err
		case <-timer.C:
			return "", errSilent
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// echo goes once there and back.
func (s *socket) echo(ctx context.Context, timeout time.Duration) error {
	if err := s.send("40" + noNamespace + ","); err != nil {
		return err
	}
	_, err := s.expect(ctx, timeout, "44"+noNamespace)
	return err
}

// close ends the connection and waits until it is read no more.
func (s *socket) close() {
	if s == nil {
		return
	}
	timer := s.cut(parting)
	_ = s.frame(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusNormalClosure, "")))
	timer.Stop()
	_ = s.conn.Close()
	<-s.ended
	s.free()
}

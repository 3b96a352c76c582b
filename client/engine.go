package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/gobwas/ws"
)

// frame is one packet of Engine.IO as WebSockets carry it: a text that begins with its type, or a binary message.
type frame struct {
	data   []byte
	binary bool
}

// engine is one Engine.IO session. It begins with open, and is over when done is closed and wait has returned.
type engine struct {
	// Set by open, then read only.
	cfg    *Config
	url    *url.URL
	http   *http.Client
	take   func(e *engine, f frame) error // is given each message in order; its error ends the session
	hello  hello
	ctx    context.Context
	cancel context.CancelFunc

	wg     sync.WaitGroup
	done   chan struct{} // closed when the session has ended
	polled chan struct{} // closed when there are no polls any more
	wake   chan struct{} // holds a token while there is something to write

	turn sync.Mutex // held while packets are written, before mu

	mu      sync.Mutex
	out     []frame
	bytes   int        // of out
	busy    bool       // something is being written
	ws      *webSocket // nil while there are only polls
	pausing bool       // polls end for an upgrade
	closing bool       // ends when all is written
	ended   bool
	reason  Reason
	err     error
	alive   *time.Timer
}

// hello is the OPEN packet. Protocol: Handshake.
type hello struct {
	SID          string   `json:"sid"`
	Upgrades     []string `json:"upgrades"`
	PingInterval int64    `json:"pingInterval"` // milliseconds, as the next
	PingTimeout  int64    `json:"pingTimeout"`
	MaxPayload   int      `json:"maxPayload"`
}

// open opens a session. ctx bounds its opening and, until it ends, its life.
func open(ctx context.Context, cfg *Config, u *url.URL, client *http.Client, take func(*engine, frame) error) (*engine, error) {
	e := &engine{cfg: cfg, url: u, http: client, take: take, done: make(chan struct{}), polled: make(chan struct{}), wake: make(chan struct{}, 1)}
	e.ctx, e.cancel = context.WithCancel(ctx)
	first, rest, err := e.begin()
	if err == nil && (first.binary || len(first.data) == 0 || first.data[0] != '0' || json.Unmarshal(first.data[1:], &e.hello) != nil) {
		err = errors.New("client: the first packet is no handshake: is this a Socket.IO server, of version 3 or 4?")
	}
	if err != nil {
		e.cancel()
		if e.ws != nil {
			_ = e.ws.conn.Close()
		}
		return nil, err
	}
	e.mu.Lock() // the timer may be quick
	e.alive = time.AfterFunc(e.patience(), func() { e.end(ReasonPingTimeout, nil) })
	e.mu.Unlock()
	if e.ws != nil {
		close(e.polled)
		e.wg.Go(func() { e.read(e.ws) })
	} else {
		e.wg.Go(func() {
			if rest == nil || e.payload(rest) {
				e.poll()
			} else {
				close(e.polled)
			}
		})
		if slices.Contains(e.cfg.Transports, WebSocket) && slices.Contains(e.hello.Upgrades, string(WebSocket)) {
			e.wg.Go(e.upgrade)
		}
	}
	e.wg.Go(e.write)
	return e, nil
}

// begin gets the first packet, and what else came with it, by the first transport.
func (e *engine) begin() (first frame, rest []byte, err error) {
	ctx, cancel := context.WithTimeoutCause(e.ctx, e.cfg.ConnectTimeout, ErrTimeout)
	defer cancel()
	if e.cfg.Transports[0] == Polling {
		body, err := e.request(ctx, http.MethodGet, nil)
		for i, b := range body {
			if b == separator[0] {
				return frame{data: body[:i]}, body[i+1:], err
			}
		}
		return frame{data: body}, nil, err
	}
	if e.ws, err = e.dial(ctx); err != nil {
		return frame{}, nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = e.ws.conn.Close() })
	defer stop()
	first, err = e.ws.read()
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	return first, nil, err
}

// patience is how long the server may be silent. Protocol: Heartbeat.
func (e *engine) patience() time.Duration {
	d := time.Duration(e.hello.PingInterval+e.hello.PingTimeout) * time.Millisecond
	if d <= 0 || d > 24*time.Hour {
		d = 24 * time.Hour
	}
	return d
}

// packet takes one packet. It reports false when the session has ended.
func (e *engine) packet(f frame) bool {
	e.mu.Lock()
	if !e.ended {
		e.alive.Reset(e.patience())
	}
	ended := e.ended
	e.mu.Unlock()
	if ended {
		return false
	}
	kind := byte('4')
	if !f.binary {
		if len(f.data) == 0 {
			e.end(ReasonParseError, errors.New("client: empty packet"))
			return false
		}
		kind = f.data[0]
		f.data = f.data[1:]
	}
	switch kind {
	case '1':
		e.end(ReasonTransportClose, nil)
		return false
	case '2':
		_ = e.send(frame{data: append([]byte("3"), f.data...)}) // if not, the session is over
	case '4':
		if err := e.take(e, f); err != nil {
			e.end(ReasonParseError, err)
			return false
		}
	case '6':
	default:
		e.end(ReasonParseError, fmt.Errorf("client: packet of type %q", kind))
		return false
	}
	return true
}

// read takes what comes by a WebSocket.
func (e *engine) read(c *webSocket) {
	for {
		f, err := c.read()
		switch {
		case errors.Is(err, io.EOF):
			e.end(ReasonTransportClose, nil)
			return
		case err != nil:
			e.end(ReasonTransportError, fmt.Errorf("client: %w", err))
			return
		}
		if !e.packet(f) {
			return
		}
	}
}

// upgrade goes on by WebSocket, if that is possible. Protocol: Upgrade.
func (e *engine) upgrade() {
	c, err := e.probe()
	if err != nil {
		e.cfg.Logger.Debug("no upgrade to WebSocket", "err", err)
		return
	}
	e.mu.Lock()
	e.pausing = true
	e.mu.Unlock()
	select {
	case <-e.polled: // the server answers the poll that it has
	case <-e.done:
	}
	e.turn.Lock()
	err = c.write([]frame{text("5")})
	e.mu.Lock()
	if e.ended {
		err = ErrClosed
	} else {
		e.ws = c
	}
	e.mu.Unlock()
	e.turn.Unlock()
	if err != nil {
		_ = c.conn.Close()
		e.end(ReasonTransportError, err)
		return
	}
	e.read(c)
}

// probe opens a WebSocket and tries whether it carries packets.
func (e *engine) probe() (*webSocket, error) {
	ctx, cancel := context.WithTimeoutCause(e.ctx, e.cfg.ConnectTimeout, ErrTimeout)
	defer cancel()
	c, err := e.dial(ctx)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.conn.Close() })
	defer stop()
	if err = c.write([]frame{text("2probe")}); err == nil {
		var f frame
		if f, err = c.read(); err == nil && string(f.data) != "3probe" {
			err = fmt.Errorf("client: the probe was answered %q", f.data)
		}
	}
	if err != nil {
		_ = c.conn.Close()
		return nil, err
	}
	return c, nil
}

// send queues packets. It never waits.
func (e *engine) send(list ...frame) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ended || e.closing {
		return ErrDisconnected
	}
	size := 0
	for _, f := range list {
		size += len(f.data)
	}
	if e.bytes > 0 && e.bytes+size > e.cfg.MaxBufferBytes {
		return ErrBufferFull
	}
	e.out, e.bytes = append(e.out, list...), e.bytes+size
	select {
	case e.wake <- struct{}{}:
	default:
	}
	return nil
}

// writable reports whether a packet would leave at once.
func (e *engine) writable() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return !e.ended && !e.busy && len(e.out) == 0
}

// write writes what is queued until the session ends.
func (e *engine) write() {
	for {
		select {
		case <-e.wake:
		case <-e.done:
			return
		}
		for e.writeSome() {
		}
	}
}

func (e *engine) writeSome() (more bool) {
	e.turn.Lock()
	defer e.turn.Unlock()
	e.mu.Lock()
	c := e.ws
	n := len(e.out)
	if c == nil && n > 0 {
		n = e.fits(e.out)
	}
	batch := e.out[:n:n]
	e.out = e.out[n:]
	for _, f := range batch {
		e.bytes -= len(f.data)
	}
	e.busy = n > 0
	last := n == 0 && e.closing && !e.ended
	e.mu.Unlock()
	var err error
	switch {
	case last && c != nil:
		_ = c.send(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusNormalClosure, ""))) // it ends in any case
	case last:
		_ = e.post([]frame{text("1")})
	case n == 0:
		return false
	case c != nil:
		err = c.write(batch)
	default:
		err = e.post(batch)
	}
	e.mu.Lock()
	e.busy = false
	e.mu.Unlock()
	if last {
		e.end(ReasonClient, nil)
	} else if err != nil {
		e.end(ReasonTransportError, err)
	}
	return err == nil && !last
}

// close ends the session when all that is queued has been written.
func (e *engine) close() {
	e.mu.Lock()
	e.closing = true
	e.mu.Unlock()
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// end ends the session, the first time.
func (e *engine) end(reason Reason, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ended {
		return
	}
	if e.closing {
		reason, err = ReasonClient, nil
	}
	e.ended, e.reason, e.err = true, reason, err
	e.alive.Stop()
	if e.ws != nil {
		_ = e.ws.conn.Close()
	}
	e.cancel()
	close(e.done)
}

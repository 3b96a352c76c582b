package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gobwas/ws"
)

// The ways a client connects.
const (
	byWebSocket = "websocket"
	byPolling   = "polling"
	byUpgrade   = "upgrade"
)

var (
	errDropped = errors.New("dropped by the client")
	errClosed  = errors.New("closed by the server")
	errSilence = errors.New("ping timeout")
)

// engine is one Engine.IO session of a client, protocol 4. Source: engine.io-protocol, engine.io-client/lib.
type engine struct {
	c      *client
	kind   string
	addr   string // of the node that holds the session
	holder *node  // that node, nil if another came there meanwhile
	began  int64
	sid    string
	// greeting is what an old client says of itself in the query, from the first request on.
	greeting string
	rest     []frame       // that came with the first
	done     chan struct{} // closed when it has ended

	mu   sync.Mutex
	cond sync.Cond
	// Guarded by mu.
	out       []frame
	err       error // why it has ended
	closes    bool  // the client ends it
	conn      *wsConn
	switching bool // between two transports: nothing is written
	posting   bool
	polling   bool
	seen      time.Time
	strayed   bool      // requests have gone to other nodes
	slow      time.Time // nothing is read until then

	tr   *http.Transport
	http *http.Client
}

// wsConn is a WebSocket whose frames are written one at a time.
type wsConn struct {
	net.Conn
	of      *client
	r       io.Reader
	old     bool // of protocol 3
	deflate bool // messages may be compressed
	mu      sync.Mutex
}

func (c *wsConn) Read(b []byte) (int, error) { return c.r.Read(b) }

func (c *wsConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.Conn.Write(b)
}

// open opens a session to an address.
func (c *client) open(kind, addr string) (*engine, error) {
	e := &engine{c: c, kind: kind, addr: addr, done: make(chan struct{}), seen: time.Now()}
	e.cond.L = &e.mu
	e.holder, e.began = c.w.at(addr), c.w.now()
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Second)
	defer cancel()
	var first frame
	if kind == byWebSocket {
		conn, err := e.dial(ctx, "")
		if err != nil {
			return nil, err
		}
		_ = conn.SetReadDeadline(time.Now().Add(4 * time.Second))
		if first, err = readFrame(conn); err != nil {
			_ = conn.Close()
			return nil, err
		}
		_ = conn.SetReadDeadline(time.Time{})
		e.conn = conn
	} else {
		e.tr = &http.Transport{DisableCompression: !c.compresses(byPolling), MaxIdleConnsPerHost: 2,
			DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) { return c.w.net.Dial(ctx, c.name, addr) }}
		e.http = &http.Client{Transport: e.tr}
		list, err := e.get(ctx)
		if err != nil {
			e.tr.CloseIdleConnections()
			return nil, err
		}
		first, e.rest = list[0], list[1:]
		if len(list) > 1 && !c.old {
			c.w.violated("protocol", c.name, "%d packets in the answer to the handshake: %v", len(list), list)
		}
	}
	var hello struct {
		SID                       string
		Upgrades                  []string
		PingInterval, PingTimeout int
	}
	if !strings.HasPrefix(first.text, "0") || json.Unmarshal([]byte(first.text[1:]), &hello) != nil || hello.SID == "" {
		c.w.violated("protocol", c.name, "the first packet is %s", first)
		return nil, errClosed
	}
	e.sid = hello.SID
	if c.w.at(addr) != e.holder {
		e.holder = nil
	}
	e.greeted(hello.PingInterval, hello.PingTimeout)
	c.w.note(c.name, "open by %s to %s", kind, addr)
	c.w.count("sessions by " + kind)
	e.mu.Lock()
	e.seen = time.Now()
	e.mu.Unlock()
	return e, nil
}

// start lets packets come in and go out.
func (e *engine) start() {
	for _, f := range e.rest {
		e.packet(f, false)
	}
	if e.c.old {
		go e.beat()
	}
	go e.write()
	go e.watch()
	if e.conn != nil {
		go e.readWebSocket(e.conn)
		return
	}
	go e.poll()
	if e.kind == byUpgrade {
		go e.upgrade()
	}
}

func (e *engine) dial(ctx context.Context, sid string) (*wsConn, error) {
	d := ws.Dialer{NetDial: func(ctx context.Context, _, addr string) (net.Conn, error) {
		return e.c.w.net.Dial(ctx, e.c.name, addr)
	}, Extensions: e.c.deflateOffer()}
	url := "ws://" + e.addr + e.query("websocket")
	asked := ""
	if sid != "" {
		url = "ws://" + e.way() + e.query("websocket")
		asked = e.c.w.asking(e.c)
		d.Header = ws.HandshakeHeaderHTTP{askedHeader: {asked}}
	}
	conn, br, hs, err := d.Dial(ctx, url)
	if err != nil {
		if status, ok := errors.AsType[ws.StatusError](err); ok && sid != "" {
			e.refused(asked, &errStatus{int(status), "to a WebSocket"})
		}
		return nil, err
	}
	c := &wsConn{Conn: conn, of: e.c, r: conn, old: e.c.old, deflate: deflates(hs)}
	if br != nil {
		c.r = br
	}
	return c, nil
}

func readFrame(c *wsConn) (frame, error) {
	data, op, err := c.read()
	if err != nil {
		return frame{}, err
	}
	if op == ws.OpBinary {
		if c.old {
			if len(data) == 0 || data[0] != 4 {
				return frame{}, fmt.Errorf("a binary message that begins with %v", data[:min(len(data), 1)])
			}
			data = data[1:]
		}
		return frame{bin: append([]byte{}, data...)}, nil
	}
	return frame{text: string(data)}, nil
}

func writeFrame(c *wsConn, f frame) error {
	if f.bin != nil {
		if c.old {
			return c.write(ws.OpBinary, append([]byte{4}, f.bin...))
		}
		return c.write(ws.OpBinary, f.bin)
	}
	return c.write(ws.OpText, []byte(f.text))
}

// send queues packets.
func (e *engine) send(list ...frame) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.out = append(e.out, list...)
	e.cond.Broadcast()
}

// end ends the session. What is left open is cut off.
func (e *engine) end(err error) {
	e.mu.Lock()
	if e.err != nil {
		e.mu.Unlock()
		return
	}
	e.err = err
	if e.conn != nil {
		_ = e.conn.Close()
	}
	if e.tr != nil {
		e.tr.CloseIdleConnections()
	}
	e.cond.Broadcast()
	e.mu.Unlock()
	e.c.w.note(e.c.name, "session ends: %v", err)
	if err != errDropped {
		e.ends(err)
	}
	e.c.ended()
	close(e.done)
}

func (e *engine) over() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.err != nil
}

// write sends what is queued until the session ends.
func (e *engine) write() {
	for {
		e.mu.Lock()
		for e.err == nil && (len(e.out) == 0 || e.switching) {
			e.cond.Wait()
		}
		if e.err != nil {
			e.mu.Unlock()
			return
		}
		list, conn := e.out, e.conn
		e.out = nil
		e.posting = conn == nil
		e.mu.Unlock()
		var err error
		if conn != nil {
			for _, f := range list {
				if err = writeFrame(conn, f); err != nil {
					break
				}
				e.c.left([]frame{f}, false)
			}
		} else {
			if err = e.post(e.payload(list)); err == nil {
				e.c.left(list, true)
			}
		}
		e.mu.Lock()
		e.posting = false
		e.cond.Broadcast()
		e.mu.Unlock()
		if err != nil {
			e.end(fmt.Errorf("write: %w", err))
			return
		}
	}
}

// watch ends the session when the server is silent.
func (e *engine) watch() {
	const patience = pingInterval + pingTimeout
	for {
		e.mu.Lock()
		at := e.seen
		if e.slow.After(at) {
			at = e.slow
		}
		e.mu.Unlock()
		d := time.Until(at.Add(patience))
		if d <= 0 {
			e.end(errSilence)
			return
		}
		t := time.NewTimer(d)
		select {
		case <-t.C:
		case <-e.done:
			t.Stop()
			return
		}
	}
}

// pace waits as long as the client does not read.
func (e *engine) pace() {
	for {
		e.mu.Lock()
		d := time.Until(e.slow)
		e.mu.Unlock()
		if d <= 0 {
			return
		}
		t := time.NewTimer(d)
		select {
		case <-t.C:
		case <-e.done:
			t.Stop()
			return
		}
	}
}

func (e *engine) readWebSocket(conn *wsConn) {
	for {
		e.pace()
		f, err := readFrame(conn)
		if err != nil {
			e.end(fmt.Errorf("read: %w", err))
			return
		}
		e.packet(f, true)
	}
}

// packet takes one packet from the server.
func (e *engine) packet(f frame, websocket bool) {
	e.mu.Lock()
	e.seen = time.Now()
	ended := e.err != nil
	e.mu.Unlock()
	if ended {
		return
	}
	if f.bin != nil {
		e.c.binary(f.bin)
		return
	}
	if f.text == "" {
		e.c.w.violated("protocol", e.c.name, "an empty packet")
		return
	}
	if f.text[0] == 'b' && e.c.old && e.c.base64() != "" {
		b, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(f.text, "b4"))
		if err != nil {
			e.c.w.violated("protocol", e.c.name, "packet %s", f)
		}
		e.c.binary(b)
		return
	}
	switch f.text[0] {
	case '1':
		e.end(errClosed)
	case '3':
		if !e.c.old {
			e.c.w.violated("protocol", e.c.name, "packet %s", f)
		}
	case '2':
		if e.c.old {
			e.c.w.violated("protocol", e.c.name, "packet %s", f)
		}
		e.send(frame{text: "3"})
	case '4':
		e.c.message(f.text[1:])
	case '6':
		if websocket {
			e.c.w.violated("protocol", e.c.name, "NOOP on a WebSocket")
		}
	default:
		e.c.w.violated("protocol", e.c.name, "packet %s", f)
	}
}

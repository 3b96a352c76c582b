package main

import (
	"context"
	"fmt"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// close ends the session in the protocol's way.
func (e *engine) close() {
	e.mu.Lock()
	conn, ended := e.conn, e.err != nil
	e.closes = true
	e.mu.Unlock()
	if ended {
		return
	}
	if conn != nil {
		e.c.closing()
		_ = wsutil.WriteClientMessage(conn, ws.OpClose, ws.NewCloseFrameBody(ws.StatusNormalClosure, ""))
	} else {
		_ = e.post(e.payload([]frame{{text: "1"}}))
	}
	e.end(errDropped)
}

// breakOff ends the session in the middle of a message.
func (e *engine) breakOff(at int) {
	e.mu.Lock()
	conn, ended := e.conn, e.err != nil
	e.mu.Unlock()
	switch {
	case ended:
	case conn == nil: // half a POST
		if c, err := e.c.w.net.Dial(context.Background(), e.c.name, e.addr); err == nil {
			b := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\n"+`42["up",1,"cut off`, e.query("polling"))
			_, _ = c.Write([]byte(b[:at%len(b)]))
			_ = c.Close()
		}
	case at%4 == 0: // an attachment is missing
		_ = writeFrame(conn, frame{text: `452-["up",1,{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`})
		_ = writeFrame(conn, frame{bin: []byte("one")})
	default:
		b := ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte(`42["up",1,"cut off"]`))))
		_, _ = conn.Write(b[:at%len(b)])
	}
	e.end(errDropped)
}

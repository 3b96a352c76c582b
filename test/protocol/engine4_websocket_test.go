package protocol

import (
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// Engine.IO 4: Packet encoding, WebSocket. A packet is a frame; binary is sent as it is.
func TestEngine4WebSocketSendsAndReceives(t *testing.T) {
	t.Parallel()
	s := openWebSocket(t)
	s.join()
	s.send(`42["message","€ 😀"]`)
	s.expect(`42["message-back","€ 😀"]`)
	s.send(`451-["message",{"_placeholder":true,"num":0}]`)
	s.sendBinary([]byte{0, 255, 1})
	s.expect(`451-["message-back",{"_placeholder":true,"num":0}]`, "b\x00\xff\x01")
}

// Engine.IO 4: Message. What is no packet ends the session.
func TestEngine4WebSocketInvalidPacket(t *testing.T) {
	t.Parallel()
	for _, packet := range []string{"abc", "", "7", "😀"} {
		t.Run(packet, func(t *testing.T) {
			s := openWebSocket(t)
			s.send(packet)
			s.closed()
		})
	}
}

// Engine.IO 4: Heartbeat. The direction is the server's: a client's PING ends the session.
func TestEngine4ClientMayNotPing(t *testing.T) {
	t.Parallel()
	s := openWebSocket(t)
	s.send("2")
	s.closed()
	p := openPolling(t)
	p.post("2")
	p.gone()
}

// Engine.IO 4: packet type close.
//
// Node's server ignores the packet on a WebSocket (socket.ts, onPacket, has no case for it) and the
// protocol's own suite passes by the ping timeout. Beanpole closes.
func TestEngine4ClosePacketOverWebSocket(t *testing.T) {
	t.Parallel()
	s := openWebSocket(t) // whose ping timeout nobody waits for
	if onNode {
		s = openQuick(t)
	}
	s.send("1")
	s.unanswered()
}

// Engine.IO 4: Heartbeat. PING every pingInterval, and the session lives while PONGs come.
func TestEngine4HeartbeatOverWebSocket(t *testing.T) {
	t.Parallel()
	start := time.Now()
	s := openQuick(t)
	s.join()
	for i := range 3 {
		if got := s.raw(); got != "2" {
			t.Fatalf("got %q, want PING", got)
		}
		if took, want := time.Since(start), time.Duration(i+1)*quickInterval; took < want {
			t.Errorf("PING %d came after %v, want %v at least", i, took, want)
		}
		s.send("3")
	}
	s.echo()
}

// Engine.IO 4: Heartbeat.
func TestEngine4HeartbeatOverPolling(t *testing.T) {
	t.Parallel()
	p := openAt(t, quickPath+"?EIO=4&transport=polling", false)
	p.join()
	for range 3 {
		if a := p.poll(); a.status != 200 || a.body != "2" {
			t.Fatalf("poll: %d %q, want PING", a.status, a.body)
		}
		p.send("3")
	}
	p.echo()
}

// Engine.IO 4: Heartbeat. No PONG within pingTimeout: the session is over.
func TestEngine4PingTimeout(t *testing.T) {
	t.Parallel()
	p := openAt(t, quickPath+"?EIO=4&transport=polling", false)
	p.join() // else it is the connect timeout
	start := time.Now()
	s := openQuick(t)
	s.join()
	if got := s.raw(); got != "2" {
		t.Fatalf("got %q, want PING", got)
	}
	s.unanswered()
	if took := time.Since(start); took < quickInterval+quickTimeout {
		t.Errorf("closed after %v, want %v", took, quickInterval+quickTimeout)
	}
	p.gone()
}

// Engine.IO 4: Heartbeat, and CVE-like reports of other servers: a PONG nobody asked for is harmless.
func TestEngine4EarlyPong(t *testing.T) {
	t.Parallel()
	s := openWebSocket(t)
	s.send("3", "3", "3")
	s.join()
	s.send("3probe")
	s.echo()
	p := openPolling(t)
	p.send("3", "3")
	p.join()
	p.echo()
}

// RFC 6455 sections 5.2 to 5.5 and 8.1; the codes are those of Node's ws.
func TestWebSocketFrameErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		send func(*socket)
		want ws.StatusCode
	}{
		{"text not UTF-8", func(s *socket) { s.send("4\xff") }, 1007},
		{"reserved bit", func(s *socket) { s.frame(true, 1, ws.OpText, []byte("4")) }, 1002},
		{"compressed without the extension", func(s *socket) { s.frame(true, 4, ws.OpText, []byte("4")) }, 1002},
		{"reserved opcode", func(s *socket) { s.frame(true, 0, 3, nil) }, 1002},
		{"continuation of nothing", func(s *socket) { s.frame(true, 0, ws.OpContinuation, []byte("4")) }, 1002},
		{"long ping", func(s *socket) { s.frame(true, 0, ws.OpPing, make([]byte, 126)) }, 1002},
		{"fragmented ping", func(s *socket) { s.frame(false, 0, ws.OpPing, nil) }, 1002},
		{"not masked", func(s *socket) { _, _ = s.conn.Write(ws.MustCompileFrame(ws.NewTextFrame([]byte("40")))) }, 1002},
		{"close code 1005", func(s *socket) { s.frame(true, 0, ws.OpClose, []byte{3, 0xed}) }, 1002},
		{"over the limit", func(s *socket) { s.frame(true, 0, ws.OpText, make([]byte, maxPayload+1)) }, 1009},
		{"over the limit in fragments", func(s *socket) {
			s.frame(false, 0, ws.OpText, make([]byte, maxPayload))
			s.frame(true, 0, ws.OpContinuation, []byte("x"))
		}, 1009},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := openWebSocket(t)
			tt.send(s)
			if got := s.closed(); got != tt.want {
				t.Errorf("close code %d, want %d", got, tt.want)
			}
		})
	}
}

// RFC 6455 sections 5.4 and 5.5.
func TestWebSocketFragmentsAndControlFrames(t *testing.T) {
	t.Parallel()
	s := openWebSocket(t)
	s.join()
	s.frame(false, 0, ws.OpText, []byte(`42["mess`))
	s.frame(true, 0, ws.OpPing, []byte("there?"))
	s.frame(false, 0, ws.OpContinuation, nil)
	s.frame(true, 0, ws.OpContinuation, []byte(`age","whole"]`))
	var pong, message bool
	for !pong || !message {
		op, data, err := s.read()
		switch {
		case err != nil:
			t.Fatal(err)
		case op == ws.OpPong && data == "there?":
			pong = true
		case op == ws.OpText && data == `42["message-back","whole"]`:
			message = true
		case op == ws.OpText && data == "2":
			s.send("3")
		default:
			t.Fatalf("got opcode %x %q", op, data)
		}
	}
}

// RFC 6455 section 5.5.1: a close frame is answered with one of the same code.
func TestWebSocketCloseHandshake(t *testing.T) {
	t.Parallel()
	s := openWebSocket(t)
	s.frame(true, 0, ws.OpClose, []byte{3, 0xe8})
	if got := s.closed(); got != 1000 {
		t.Errorf("answered with %d, want 1000", got)
	}
}

// A message of exactly the limit passes.
func TestWebSocketMessageAtTheLimit(t *testing.T) {
	t.Parallel()
	s := openWebSocket(t)
	s.join()
	pad := make([]byte, maxPayload-len(`42["message",""]`))
	for i := range pad {
		pad[i] = 'a'
	}
	s.send(`42["message","` + string(pad) + `"]`)
	if got := s.next(); len(got) != maxPayload+len("-back") {
		t.Errorf("%d bytes came back, want %d", len(got), maxPayload+len("-back"))
	}
}

// RFC 7692 section 7: a client that offers the extension gets it, and small or large messages pass.
func TestWebSocketDeflate(t *testing.T) {
	t.Parallel()
	s := openWebSocket(t, "Sec-WebSocket-Extensions", "permessage-deflate; server_no_context_takeover; client_max_window_bits")
	if got := s.header.Get("Sec-WebSocket-Extensions"); got == "" {
		t.Fatal("the extension was not taken")
	}
	s.join()
	s.send(`42["message","plain"]`)
	s.expect(`42["message-back","plain"]`)
	s.frame(true, 4, ws.OpText, deflate(`42["message","packed"]`))
	s.expect(`42["message-back","packed"]`)
	s.send(`42["large",5000]`)
	s.expect(`42["large","` + strings.Repeat("x", 5000) + `"]`)
}

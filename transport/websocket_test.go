package transport

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

func TestBadFrames(t *testing.T) {
	unmasked := ws.MustCompileFrame(ws.NewTextFrame([]byte("4x")))
	for _, test := range []struct {
		name         string
		bytes        []byte
		code, reason string
	}{
		{"unmasked", unmasked, "1002", "transport error"},
		{"reserved opcode", maskedFrame(ws.OpCode(5), "x"), "1002", "transport error"},
		{"invalid UTF-8", maskedFrame(ws.OpText, "4\xff"), "1007", "transport error"},
		{"too big", maskedFrame(ws.OpText, "4"+strings.Repeat("x", 1000)), "1009", "transport error"},
		{"unknown packet", maskedFrame(ws.OpText, "9"), "none", "parse error"},
		{"empty message", maskedFrame(ws.OpText, ""), "none", "parse error"},
		{"client ping", maskedFrame(ws.OpText, "2"), "none", "transport error"},
		{"close packet", maskedFrame(ws.OpText, "1"), "none", "transport close"},
		{"close", maskedFrame(ws.OpClose, "\x03\xe9"), "1001", "transport close"},
		{"close without code", maskedFrame(ws.OpClose, ""), "none", "transport close"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHarness(t, Config{MaxHTTPBufferSize: 1000}, nil)
			c, r := h.openWebSocket()
			// What came before in the same segment is received.
			c.write(maskedFrame(ws.OpText, "4before"), test.bytes, maskedFrame(ws.OpText, "4behind"))
			want(t, "code", c.eof(), test.code)
			want(t, "reason", r.reason(t), test.reason)
			want(t, "messages", strings.Join(r.messages(t, 1), ","), "before")
		})
	}
}

func TestClientGone(t *testing.T) {
	h := newHarness(t, Config{}, nil)
	c, r := h.openWebSocket()
	c.conn.Close()
	want(t, "FIN", r.reason(t), "transport close")
	c, r = h.openWebSocket()
	c.conn.(*net.TCPConn).SetLinger(0)
	c.conn.Close()
	want(t, "RST", r.reason(t), "transport close")
}

func TestFramesSentWithTheHandshake(t *testing.T) {
	h := newHarness(t, Config{}, echo)
	frames := append(maskedFrame(ws.OpText, "4first"), maskedFrame(ws.OpText, "4second")...)
	c, _, err := h.tryDialWith("EIO=4&transport=websocket", "", frames[:len(frames)-3])
	if err != nil {
		t.Fatal(err)
	}
	c.text() // open
	want(t, "echo", c.text(), "4first")
	c.write(frames[len(frames)-3:])
	want(t, "echo", c.text(), "4second")
}

func TestWebSocketOverTLS(t *testing.T) {
	var opened = make(chan *recorder, 10)
	srv, err := New(Config{Accept: func(s *Session) Receiver {
		r := &recorder{session: s, signal: make(chan struct{}, 1), done: make(chan struct{})}
		echo(r)
		opened <- r
		return r
	}})
	if err != nil {
		t.Fatal(err)
	}
	ts := httptest.NewTLSServer(srv)
	defer ts.Close()
	defer srv.Shutdown(t.Context())
	dial := func() *wsClient {
		raw, err := tls.Dial("tcp", ts.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		c := newWSClient(t, raw)
		t.Cleanup(func() { raw.Close() })
		c.write([]byte("GET /?EIO=4&transport=websocket HTTP/1.1\r\n" + wsHeaders + "\r\n"))
		if status, err := c.readHead(); status != 101 {
			t.Fatalf("status %d, %v", status, err)
		}
		c.text()
		return c
	}
	c := dial()
	r := receive(t, "session", opened)
	if _, ok := r.session.ws.stream.(*plainStream); !ok {
		t.Fatalf("stream is %T", r.session.ws.stream)
	}
	var sent []byte
	for i := range 100 {
		sent = append(sent, maskedFrame(ws.OpText, fmt.Sprint("4", i, strings.Repeat("x", 1000)))...)
	}
	go c.write(sent) //nolint:staticcheck // its Fatalf ends the goroutine, and the test by what does not come
	for i := range 100 {
		want(t, "echo", c.text(), fmt.Sprint("4", i, strings.Repeat("x", 1000)))
	}
	r.session.Close(ReasonForcedServerClose)
	want(t, "close", c.text(), "close none")
	c.write(maskedFrame(ws.OpClose, ""))
	want(t, "reason", r.reason(t), "forced server close")
	want(t, "end", c.eof(), "no close frame")

	c = dial()
	r = receive(t, "session", opened)
	c.write(maskedFrame(ws.OpClose, "\x03\xe8"))
	want(t, "close", c.text(), "close 1000")
	want(t, "reason", r.reason(t), "transport close")
	c = dial()
	r = receive(t, "session", opened)
	r.session.Abort(ReasonForcedServerClose)
	want(t, "reason", r.reason(t), "forced server close")
	c.eof()
}

func TestDeflate(t *testing.T) {
	h := newHarness(t, Config{PerMessageDeflate: &PerMessageDeflate{Threshold: 100}}, nil)
	c, _, err := h.tryDialWith("EIO=4&transport=websocket", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n", nil)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(c.head, "permessage-deflate; server_no_context_takeover") {
		t.Fatalf("head %q", c.head)
	}
	c.text()
	s := h.session().session
	long := Message{Data: []byte(strings.Repeat("x", 1000))}
	_ = s.Send(SendOptions{}, Message{Data: []byte("short")}, long)
	_ = s.SendPrepared(SendOptions{}, Prepare(long))
	_ = s.Send(SendOptions{NoCompress: true}, long)
	got := ""
	for range 4 {
		f, err := c.frame()
		if err != nil {
			t.Fatal(err)
		}
		got += fmt.Sprint(f.Header.Rsv1(), f.Header.Length < 100, " ")
	}
	want(t, "frames", got, "false true true true true true false false ")
}

func TestProtocol3WebSocket(t *testing.T) {
	h := newHarness(t, Config{AllowEIO3: true}, echo)
	c := h.dial("EIO=3&transport=websocket")
	if open := c.text(); !strings.HasPrefix(open, `0{"sid":"`) {
		t.Fatalf("first message %q", open)
	}
	c.send("2")
	want(t, "pong", c.text(), "3")
	c.write(maskedFrame(ws.OpText, "4x"), maskedFrame(ws.OpBinary, "\x04\x01"))
	want(t, "echo", c.text(), "4x")
	want(t, "echo", c.text(), "b:0401")
	c = h.dial("EIO=3&transport=websocket&b64=1")
	c.text()
	c.send("b4AQ==")
	want(t, "echo", c.text(), "b4AQ==")
}

// Everybody who connects and goes away again, at any moment, leaves nothing behind. goleak checks the
// goroutines, Cleanup the sessions.
func TestAbortedConnects(t *testing.T) {
	h := newHarness(t, Config{PingInterval: 50 * time.Millisecond, PingTimeout: 50 * time.Millisecond}, echo)
	request := "GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\r\n" + wsHeaders + "\r\n" +
		string(maskedFrame(ws.OpText, "4hello")) + string(maskedFrame(ws.OpClose, ""))
	polling := "GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n"
	for i := range 300 {
		conn, err := net.Dial("tcp", h.addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write([]byte(request[:min(len(request), i*2)]))
		if i%3 == 0 {
			_ = conn.(*net.TCPConn).SetLinger(0)
		}
		conn.Close()
		conn, err = net.Dial("tcp", h.addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write([]byte(polling))
		conn.Close()
	}
	eventually(t, "sessions gone", func() bool { return h.srv.Sessions() == 0 })
}

// A session that cannot be parked costs its reader and nothing else.
func TestIdleWebSocketHasOneGoroutine(t *testing.T) {
	h := newHarness(t, Config{ParkAfter: -1}, nil)
	const n = 50
	before := goroutinesIn("transport.(*wsConn)")
	for range n {
		h.openWebSocket()
	}
	eventually(t, "readers", func() bool { return goroutinesIn("transport.(*wsConn)") == before+n })
	eventually(t, "net/http is done", func() bool { return goroutinesIn("net/http.(*conn).serve") == 0 })
}

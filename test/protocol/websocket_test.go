package protocol

import (
	"bufio"
	"compress/flate"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// socket is a raw WebSocket.
type socket struct {
	t      testing.TB
	conn   net.Conn
	r      *bufio.Reader
	header http.Header // of the handshake's answer
	hello  hello
	eio3   bool
}

// connect opens a connection to the target.
func connect(t testing.TB) net.Conn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", strings.TrimPrefix(target, "http://"), patience)
	if err != nil {
		t.Fatal(err)
	}
	endsWith(t, func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// upgrade sends a WebSocket handshake and returns the answer, whatever it is, with the connection.
func upgrade(t testing.TB, uri string, head ...string) (net.Conn, *bufio.Reader, *http.Response) {
	t.Helper()
	conn := connect(t)
	req := "GET " + uri + " HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	for i := 0; i+1 < len(head); i += 2 {
		req += head[i] + ": " + head[i+1] + "\r\n"
	}
	if _, err := io.WriteString(conn, req+"\r\n"); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatalf("websocket handshake: %v", err)
	}
	return conn, r, res
}

// dial opens a WebSocket with the query appended to transport=websocket. It reads nothing from it.
func dial(t testing.TB, query string, head ...string) *socket {
	t.Helper()
	return dialAt(t, path, query, head...)
}

// dialAt is dial at another path.
func dialAt(t testing.TB, at, query string, head ...string) *socket {
	t.Helper()
	conn, r, res := upgrade(t, at+"?transport=websocket&"+query, head...)
	if res.StatusCode != 101 {
		b, _ := io.ReadAll(res.Body)
		t.Fatalf("websocket handshake: %d %s", res.StatusCode, b)
	}
	return &socket{t: t, conn: conn, r: r, header: res.Header}
}

// openWebSocket opens a session of Engine.IO 4 on a WebSocket.
func openWebSocket(t testing.TB, head ...string) *socket {
	t.Helper()
	s := dial(t, "EIO=4", head...)
	s.hello = parseHello(t, s.raw())
	return s
}

// openQuick opens a session of Engine.IO 4 at quickPath on a WebSocket.
func openQuick(t testing.TB) *socket {
	t.Helper()
	s := dialAt(t, quickPath, "EIO=4")
	s.hello = parseHello(t, s.raw())
	return s
}

// openWebSocket3 opens a session of Engine.IO 3 on a WebSocket.
func openWebSocket3(t testing.TB) *socket { t.Helper(); return openAt3(t, path) }

// openQuick3 is openWebSocket3 at quickPath.
func openQuick3(t testing.TB) *socket { t.Helper(); return openAt3(t, quickPath) }

func openAt3(t testing.TB, at string) *socket {
	t.Helper()
	s := dialAt(t, at, "EIO=3")
	s.eio3 = true
	s.hello = parseHello(t, s.raw())
	return s
}

// frame writes one frame, masked.
func (s *socket) frame(fin bool, rsv byte, op ws.OpCode, payload []byte) {
	s.t.Helper()
	h := ws.Header{Fin: fin, Rsv: rsv, OpCode: op, Masked: true, Mask: ws.NewMask(), Length: int64(len(payload))}
	masked := append([]byte(nil), payload...)
	ws.Cipher(masked, h.Mask, 0)
	w := bufio.NewWriterSize(s.conn, len(masked)+ws.MaxHeaderSize)
	if err := ws.WriteHeader(w, h); err != nil {
		s.t.Fatal(err)
	}
	_, _ = w.Write(masked)
	// The server may have closed already, which the test then sees when it reads.
	_ = s.conn.SetWriteDeadline(time.Now().Add(patience))
	_ = w.Flush()
}

func (s *socket) send(packets ...string) {
	s.t.Helper()
	for _, p := range packets {
		s.frame(true, 0, ws.OpText, []byte(p))
	}
}

func (s *socket) sendBinary(b []byte) { s.t.Helper(); s.frame(true, 0, ws.OpBinary, b) }

// read returns the next frame.
func (s *socket) read() (ws.OpCode, string, error) {
	_ = s.conn.SetReadDeadline(time.Now().Add(patience))
	h, err := ws.ReadHeader(s.r)
	if err != nil {
		return 0, "", err
	}
	if h.Masked || !h.Fin {
		return 0, "", errors.New("a server's frame is masked or a fragment")
	}
	b := make([]byte, h.Length)
	_, err = io.ReadFull(s.r, b)
	if err == nil && h.Rsv1() { // RFC 7692: compressed by itself
		b, err = io.ReadAll(flate.NewReader(strings.NewReader(string(b) + "\x00\x00\xff\xff\x01\x00\x00\xff\xff")))
	}
	return h.OpCode, string(b), err
}

// raw returns the next text frame; anything else fails the test.
func (s *socket) raw() string {
	s.t.Helper()
	op, data, err := s.read()
	if err != nil || op != ws.OpText {
		s.t.Fatalf("got opcode %x, %.100q, %v, want a text frame", op, data, err)
	}
	return data
}

// next returns the next packet that is no ping, answering those. A binary one has "b" before it.
func (s *socket) next() string {
	s.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		op, data, err := s.read()
		switch {
		case err != nil || op == ws.OpClose:
			s.t.Fatalf("the session has ended: opcode %x, %q, %v", op, data, err)
		case op == ws.OpBinary:
			return "b" + data
		case op == ws.OpText && data == "2" && !s.eio3:
			s.send("3")
		case op == ws.OpText:
			return data
		}
	}
	s.t.Fatal("no packet")
	return ""
}

func (s *socket) expect(want ...string) {
	s.t.Helper()
	for _, w := range want {
		if got := s.next(); got != w {
			s.t.Fatalf("got %.300q, want %.300q", got, w)
		}
	}
}

// join connects to the main namespace and takes what the application greets with.
func (s *socket) join() {
	s.t.Helper()
	s.send("40")
	if got := s.next(); !strings.HasPrefix(got, `40{"sid":"`) {
		s.t.Fatalf("got %q, want CONNECT", got)
	}
	s.expect(`42["auth",{}]`)
}

// echo proves that the session works.
func (s *socket) echo() {
	s.t.Helper()
	s.send(`42["message","echo"]`)
	s.expect(`42["message-back","echo"]`)
}

// unanswered waits until the server ends the WebSocket, and answers no ping meanwhile.
func (s *socket) unanswered() {
	s.t.Helper()
	for {
		op, data, err := s.read()
		var timeout net.Error
		switch {
		case errors.As(err, &timeout) && timeout.Timeout():
			s.t.Fatal("the server does not end the session")
		case err != nil || op == ws.OpClose:
			return
		case data != "2":
			s.t.Fatalf("got opcode %x %q, want a PING or the end", op, data)
		}
	}
}

// closed waits until the server closes the WebSocket, answering its pings. It returns the code of its
// close frame, 1005 for one without a code and 1006 if there was none.
func (s *socket) closed() ws.StatusCode {
	s.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		op, data, err := s.read()
		var timeout net.Error
		switch {
		case errors.As(err, &timeout) && timeout.Timeout():
			s.t.Fatal("the server does not close the WebSocket")
		case err != nil:
			return ws.StatusAbnormalClosure
		case op == ws.OpClose:
			s.frame(true, 0, ws.OpClose, nil)
			if len(data) < 2 {
				return ws.StatusNoStatusRcvd
			}
			return ws.StatusCode(binary.BigEndian.Uint16([]byte(data)))
		case op == ws.OpText && data == "2":
			s.send("3")
		}
	}
	s.t.Fatal("the server does not close the WebSocket")
	return 0
}

package protocol

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// The tests of this file are not parallel: they judge the server's sessions and memory.

// slack is how much more memory the server may hold after a test than before, in bytes.
const slack = 8 << 20

// bounded runs a test and then waits until the sessions are gone and the memory is back.
func bounded(t *testing.T, test func()) {
	t.Helper()
	awaitStats(t, "no session at the start", func(s stats) bool { return s.Sessions == 0 })
	before, err := readStats()
	if err != nil {
		t.Fatal(err)
	}
	test()
	endSessions(t)
	awaitStats(t, fmt.Sprintf("no session and %d bytes of heap", before.Heap), func(s stats) bool {
		return s.Sessions == 0 && s.Heap < before.Heap+slack
	})
	s := openWebSocket(t) // and it serves
	s.join()
	s.echo()
	_ = s.conn.Close()
}

func deflate(s string) []byte {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestCompression)
	_, _ = io.WriteString(w, s)
	_ = w.Flush()
	return bytes.TrimSuffix(b.Bytes(), []byte("\x00\x00\xff\xff"))
}

// An EVENT without payload, which ended other servers by a nil. Socket.IO 5: the payload is mandatory,
// else the receiver MUST close. Node runs it as an event without a name and goes on.
func TestBareEvent(t *testing.T) {
	bounded(t, func() {
		for _, packet := range []string{"42", "421", "42/custom,", "450-"} {
			s := openWebSocket(t)
			s.join()
			s.send("40/custom,")
			s.next()
			s.next()
			s.send(packet)
			if onNode && packet != "450-" {
				s.echo()
				_ = s.conn.Close()
				continue
			}
			if onNode {
				s.send(`42["message"]`) // is text where Node waits for the attachments it has not counted
			}
			s.closed()
		}
	})
}

// An ACK without payload, or without an id, that nobody waits for. Node ignores it, and so does this server.
func TestBareAck(t *testing.T) {
	bounded(t, func() {
		s := openWebSocket(t)
		s.join()
		s.send("43", "431", "43[]")
		s.echo()
		_ = s.conn.Close()
	})
}

// CVE-2026-33151: attachments are counted, ten by default.
func TestTooManyAttachments(t *testing.T) {
	bounded(t, func() {
		s := openWebSocket(t)
		s.join()
		var ten strings.Builder
		for i := range 10 {
			fmt.Fprintf(&ten, `,{"_placeholder":true,"num":%d}`, i)
		}
		s.send(`4510-["message"` + ten.String() + `]`)
		for range 10 {
			s.sendBinary([]byte("x"))
		}
		s.expect(`4510-["message-back"` + ten.String() + `]`)
		for range 10 {
			s.expect("bx")
		}
		s.send(`4511-["message"]`)
		s.closed()
		s = openWebSocket(t)
		s.join()
		s.send(`459999999999999999999-["message"]`)
		s.closed()
	})
}

// Two placeholders for one attachment multiply its bytes when the event is sent on. Node takes them,
// Beanpole refuses them.
func TestSharedAttachment(t *testing.T) {
	bounded(t, func() {
		s := openWebSocket(t)
		s.join()
		s.send(`451-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]`)
		s.sendBinary([]byte("x"))
		if onNode {
			s.expect(`452-["message-back",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, "bx", "bx")
			_ = s.conn.Close()
			return
		}
		s.closed()
	})
}

// CVE-2026-69185: attachments that never come. The session's end frees what has.
func TestMissingAttachments(t *testing.T) {
	bounded(t, func() {
		for range 20 {
			s := openWebSocket(t)
			s.join()
			s.send(`4510-["message"]`)
			for range 3 {
				s.sendBinary(make([]byte, maxPayload/2))
			}
			_ = s.conn.Close()
		}
	})
}

// Names that mean something to JavaScript objects are data.
func TestPrototypeNames(t *testing.T) {
	bounded(t, func() {
		s := openWebSocket(t)
		s.send("40/__proto__")
		s.expect(`44/__proto__,{"message":"Invalid namespace"}`)
		s.send("40/constructor")
		s.expect(`44/constructor,{"message":"Invalid namespace"}`)
		s.join()
		s.send(`42["message",{"__proto__":{"polluted":true},"constructor":{"prototype":1},"toString":null}]`)
		switch got := s.next(); {
		case !strings.Contains(got, `"__proto__":{"polluted":true}`), !strings.Contains(got, `"toString":null`):
			t.Errorf("got %s", got)
		}
		s.send(`42["__proto__",1]`, `42["constructor"]`, `42["hasOwnProperty","x"]`)
		s.echo()
		_ = s.conn.Close()
	})
}

// JSON nested 100,000 deep. Node's own emit of such a value overflows its stack and ends the process,
// so Node is asked with an event nobody listens to.
func TestDeepJSON(t *testing.T) {
	const depth = 100_000
	bounded(t, func() {
		for _, nest := range []string{strings.Repeat("[", depth) + strings.Repeat("]", depth),
			strings.Repeat(`{"a":`, depth) + "1" + strings.Repeat("}", depth), strings.Repeat("[", depth)} {
			s := openWebSocket(t)
			s.join()
			event := "message"
			if onNode {
				event = "nobody listens"
			}
			s.send(`42["` + event + `",` + nest + `]`)
			if onNode && !strings.HasSuffix(nest, "[") {
				s.echo()
				_ = s.conn.Close()
				continue
			}
			s.closed()
		}
	})
}

// Engine.IO 4: maxPayload, counted with and without Content-Length. 413, and the session ends, since engine.io 6.6.13.
func TestBodyOverTheLimit(t *testing.T) {
	bounded(t, func() {
		for _, chunked := range []bool{false, true} {
			p := openPolling(t)
			p.join()
			body := `42["nobody listens","` + strings.Repeat("a", maxPayload-len(`42["nobody listens",""]`)) + `"]`
			post := func(body string) answer {
				t.Helper()
				var r io.Reader = strings.NewReader(body)
				if chunked {
					r = io.MultiReader(r) // hides the length
				}
				req, err := http.NewRequestWithContext(t.Context(), "POST", target+p.uri, r)
				if err != nil {
					t.Fatal(err)
				}
				return do(t, req)
			}
			if a := post(body); a.status != 200 {
				t.Errorf("chunked %v, at the limit: %d %q", chunked, a.status, a.body)
			}
			if a := post(body + " "); a.status != 413 {
				t.Errorf("chunked %v, one byte over: %d %q, want 413", chunked, a.status, a.body)
			}
			p.gone()
		}
	})
}

// A body that has no end. Node answers 413 and goes on reading; Beanpole ends the connection.
func TestEndlessBody(t *testing.T) {
	bounded(t, func() {
		p := openPolling(t)
		conn, err := net.DialTimeout("tcp", strings.TrimPrefix(target, "http://"), patience)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(patience))
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", p.uri)
		chunk := fmt.Sprintf("%x\r\n%s\r\n", 64<<10, strings.Repeat("a", 64<<10))
		sent := 0
		for ; sent < 100<<20; sent += 64 << 10 {
			if _, err := io.WriteString(conn, chunk); err != nil {
				break
			}
		}
		if sent >= 100<<20 && !onNode {
			t.Error("the server reads without end")
		}
	})
}

// permessage-deflate, RFC 7692: 20 MB in 20 KB. The limit counts what comes out: 1009.
func TestDeflateBomb(t *testing.T) {
	bomb := deflate(`42["message","` + strings.Repeat("0", 20<<20) + `"]`)
	bounded(t, func() {
		for range 10 {
			s := openWebSocket(t, "Sec-WebSocket-Extensions", "permessage-deflate; server_no_context_takeover")
			s.join()
			s.frame(true, 4, ws.OpText, bomb)
			if got := s.closed(); got != 1009 {
				t.Errorf("close code %d, want 1009", got)
			}
		}
		s := openWebSocket(t, "Sec-WebSocket-Extensions", "permessage-deflate; server_no_context_takeover")
		s.frame(true, 4, ws.OpText, []byte("\xff\xff\xff\xff"))
		if got := s.closed(); got != 1007 {
			t.Errorf("garbage: close code %d, want 1007", got)
		}
	})
}

// Socket.IO 5: a client may be in many namespaces over one session. (A thousand need not be allowed, but
// must be survived; both servers allow them.)
func TestThousandNamespaces(t *testing.T) {
	bounded(t, func() {
		s := openWebSocket(t)
		for i := range 999 {
			s.send(fmt.Sprintf("40/dyn-%d,", i))
			if got := s.next(); !strings.HasPrefix(got, fmt.Sprintf(`40/dyn-%d,{"sid":"`, i)) {
				t.Fatalf("namespace %d: %q", i, got)
			}
		}
		s.join()
		s.echo()
		if !onNode { // which knows no limit
			s.send("40/custom,") // the 1001st
			if got := s.next(); !strings.HasPrefix(got, `44/custom,{"message":"`) {
				t.Errorf("the 1001st namespace: %q", got)
			}
			s.echo()
		}
		_ = s.conn.Close()
	})
}

// Invalid UTF-8 in a body becomes U+FFFD, as Node's decoder does it; in a frame it is 1007.
func TestInvalidUTF8(t *testing.T) {
	bounded(t, func() {
		p := openPolling(t)
		p.join()
		p.send("42[\"message\",\"a\xffb\"]")
		p.expect("42[\"message-back\",\"a\uFFFDb\"]")
		p.send("1")
		s := openWebSocket(t)
		s.join()
		s.send("42[\"message\",\"a\xffb\"]")
		if got := s.closed(); got != 1007 {
			t.Errorf("close code %d, want 1007", got)
		}
	})
}

// A body that drips must not hold the session for ever: Beanpole's BodyTimeout. Node has http.Server's
// requestTimeout, five minutes.
func TestSlowBody(t *testing.T) {
	if onNode {
		t.Skip("takes minutes on Node")
	}
	bounded(t, func() {
		p := openAt(t, strictPath+"?EIO=4&transport=polling", false)
		p.join()
		conn, err := net.DialTimeout("tcp", strings.TrimPrefix(target, "http://"), patience)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n", p.uri)
		stop := make(chan struct{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-stop:
					return
				case <-tick.C:
					if _, err := io.WriteString(conn, "4"); err != nil {
						return
					}
				}
			}
		}()
		answer, err := io.ReadAll(conn)
		close(stop)
		<-done
		if !strings.HasPrefix(string(answer), "HTTP/1.1 408 ") {
			t.Errorf("answer %.100q, %v", answer, err)
		}
	})
}

// Connections that end at every moment leave nothing behind.
func TestAbortedConnects(t *testing.T) {
	const rounds = 100
	address := strings.TrimPrefix(target, "http://")
	handshake := "GET " + quickPath + "?EIO=4&transport=%s HTTP/1.1\r\nHost: x\r\n%s\r\n"
	webSocket := "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	write := func(text string) net.Conn {
		t.Helper()
		conn, err := net.DialTimeout("tcp", address, patience)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	reset := func(conn net.Conn) { // a RST instead of a FIN
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	}
	connect := string(ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte("40")))))
	bounded(t, func() {
		for i := range rounds {
			half := fmt.Sprintf(handshake, "websocket", webSocket)
			reset(write(half[:len(half)*i/rounds]))
			reset(write(fmt.Sprintf(handshake, "polling", "")))
			_ = write(fmt.Sprintf(handshake, "websocket", webSocket)).Close()
			reset(write(fmt.Sprintf(handshake, "websocket", webSocket) + connect))
			_ = write(fmt.Sprintf(handshake, "websocket", webSocket) + connect[:1+i%len(connect)]).Close()
			if i%10 != 0 {
				continue
			}
			p := openPolling(t)
			reset(write("GET " + p.uri + " HTTP/1.1\r\nHost: x\r\n\r\n"))
			p = openPolling(t)
			reset(write("POST " + p.uri + " HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n4"))
			p = openPolling(t)
			reset(p.candidate().conn)
			p = openPolling(t)
			s := p.candidate()
			s.send("2probe")
			_ = s.raw()
			s.send("5", "40")
			reset(s.conn)
		}
	})
}

// Many bad requests leave nothing behind.
func TestFloodOfBadRequests(t *testing.T) {
	bounded(t, func() {
		for i := range 200 {
			request(t, "GET", path+"?EIO=4&transport=polling&sid=unknown"+fmt.Sprint(i), "")
			request(t, "POST", path+"?EIO=4&transport=polling&sid=unknown", "4")
			request(t, "GET", path+"?"+strings.Repeat("a=1&", 100), "")
		}
	})
}

package protocol

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// The tests of this file, with those of hostile_test.go, are the published advisories on Socket.IO's
// packages and on ws, which it stands on, turned against this server. docs/security.md says which is which.

// sendRaw writes bytes on a connection of its own and returns what is answered within a moment, if
// anything is. With reset the connection is torn down instead.
func sendRaw(t *testing.T, data string, reset bool) string {
	t.Helper()
	conn, err := net.DialTimeout("tcp", strings.TrimPrefix(target, "http://"), patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(conn, data) // the server may have had enough of it
	if reset {
		_ = conn.(*net.TCPConn).SetLinger(0)
		return ""
	}
	_ = conn.(*net.TCPConn).CloseWrite()
	b, _ := io.ReadAll(conn)
	return string(b)
}

// cheap fails if fn makes the process compute for longer than most, the server's work and the test's. A clock
// would tell how busy the machine is; one on Node is not asked, and has the patience of every wait.
func cheap(t *testing.T, most time.Duration, fn func()) {
	t.Helper()
	computed := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			t.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before := computed()
	fn()
	if took := computed() - before; took > most && !onNode {
		t.Errorf("computed for %v", took)
	}
}

func webSocketRequest(query string, head ...string) string {
	return "GET " + path + "?" + query + " HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" + strings.Join(head, "") + "\r\n"
}

// maskedFrame is a client's frame, whatever its head says.
func maskedFrame(fin bool, rsv byte, op ws.OpCode, payload []byte) []byte {
	h := ws.Header{Fin: fin, Rsv: rsv, OpCode: op, Masked: true, Length: int64(len(payload))}
	var b bytes.Buffer
	_ = ws.WriteHeader(&b, h) // a zero mask leaves the payload as it is
	b.Write(payload)
	return b.Bytes()
}

// CVE-2017-16031: ids that can be guessed.
func TestSessionIDsCannotBeGuessed(t *testing.T) {
	bounded(t, func() {
		seen := make(map[string]bool)
		for range 50 {
			p := openPolling(t)
			sid := p.hello.SID
			if len(sid) != 20 || seen[sid[8:]] {
				t.Errorf("sid %q of %d seen", sid, len(seen))
			}
			seen[sid[8:]] = true // what comes before may name the server
			p.send("1")
		}
	})
}

// CVE-2020-28481: any origin was allowed unless told otherwise.
func TestOriginsAreNotAllowedByDefault(t *testing.T) {
	for _, method := range []string{"GET", "OPTIONS"} {
		a := request(t, method, strictPath+"?EIO=4&transport=polling", "", "Origin", "https://evil.example.com",
			"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization")
		for name := range a.header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s: %s %q", method, name, a.header.Get(name))
			}
		}
		if method == "GET" {
			sid := parseHello(t, a.body).SID
			request(t, "POST", strictPath+"?EIO=4&transport=polling&sid="+sid, "1")
		}
	}
}

// CVE-2020-36048: a body full of the smallest packets cost far more than it weighed.
func TestBodyOfTheSmallestPackets(t *testing.T) {
	bounded(t, func() {
		p := openPolling(t)
		p.join()
		cheap(t, 5*time.Second, func() {
			if a := p.post(strings.Repeat("3\x1e", maxPayload/2-1) + "3"); a.status != 200 {
				t.Errorf("%d %q", a.status, a.body)
			}
		})
		p.echo()
		p.send("1")
	})
}

// CVE-2020-36049: long numbers, names and strings cost their square.
func TestLongPacketsCostWhatTheyWeigh(t *testing.T) {
	const n = maxPayload - 100
	digits, letters := strings.Repeat("1", n), strings.Repeat("a", n)
	bounded(t, func() {
		cheap(t, 10*time.Second, func() {
			for _, packet := range []string{
				"42" + digits + `["x"]`, "45" + digits + `-["x"]`, "43" + digits + "[]", "42/" + letters + `,["x"]`, "40/" + letters,
				"42" + letters, `42["x","` + letters, `42["` + letters + `"]`, `42["x",` + digits + "]",
				`42["x"` + strings.Repeat(",1", n/2) + "]", "4" + strings.Repeat("[", n), "44" + letters,
			} {
				s := openWebSocket(t)
				s.join()
				s.send(packet)
				_ = s.conn.(*net.TCPConn).CloseWrite() // whether it took offence or not
				s.closed()
			}
		})
	})
}

// CVE-2022-2421: the number of a placeholder could be the name of a method.
func TestPlaceholderNumbersAreNumbers(t *testing.T) {
	bounded(t, func() {
		for _, num := range []string{`"splice"`, `"__proto__"`, `"length"`, `"constructor"`, `{"toString":"x"}`, "1e400", "-0.1", "9007199254740993", "[0]", `""`} {
			s := openWebSocket(t)
			s.join()
			s.send(`451-["message",{"_placeholder":true,"num":` + num + `}]`)
			s.sendBinary([]byte("x"))
			s.closed()
		}
	})
}

// CVE-2022-21676: a bad frame in the same segment as the handshake, before anybody listened for errors.
func TestBadFrameRightBehindTheHandshake(t *testing.T) {
	bounded(t, func() {
		for range 10 {
			for _, frame := range [][]byte{
				maskedFrame(true, 3, ws.OpText, []byte("40")), // RSV2 and RSV3
				maskedFrame(true, 7, ws.OpText, []byte("40")),
				maskedFrame(true, 0, 3, []byte("40")), // reserved opcode
				maskedFrame(false, 0, ws.OpPing, nil), // fragmented control frame
				maskedFrame(true, 0, ws.OpPing, make([]byte, 200)),
				maskedFrame(true, 0, ws.OpContinuation, nil),
				maskedFrame(true, 0, ws.OpClose, []byte{1}),
				maskedFrame(true, 0, ws.OpText, []byte{0xff}),
				{0x81, 0x02, '4', '0'}, // without a mask
				{0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0},
			} {
				got := sendRaw(t, webSocketRequest("EIO=4&transport=websocket")+string(frame), false)
				if !strings.HasPrefix(got, "HTTP/1.1 101 ") {
					t.Errorf("frame %x: %.100q", frame[:2], got)
				}
			}
		}
	})
}

// CVE-2022-41940: a connection that is reset while its upgrade is refused. TestAbortedConnects resets
// those that are accepted.
func TestResetWhileTheUpgradeIsRefused(t *testing.T) {
	bounded(t, func() {
		for range 30 {
			for _, query := range []string{"EIO=4&transport=websocket&sid=unknown", "EIO=4&transport=abc", "EIO=9&transport=websocket", ""} {
				sendRaw(t, webSocketRequest(query), true)
				sendRaw(t, webSocketRequest(query)+string(maskedFrame(true, 0, ws.OpText, []byte("2probe"))), true)
			}
		}
	})
}

// CVE-2023-31125: parameters of the query that are not what they should be, on both ways in.
func TestQueriesThatAreNotWhatTheyShouldBe(t *testing.T) {
	bounded(t, func() {
		for _, query := range []string{
			"EIO=4&transport=polling", // as an upgrade
			"EIO=4&transport=websocket&transport=polling", "EIO=4&transport=polling&transport=polling", "EIO=4&transport[]=websocket",
			"EIO=4&transport[x]=polling", "EIO=4&transport=__proto__", "EIO=4&transport=toString", "EIO=4&transport=webtransport",
			"EIO=4&transport=", "EIO=4&transport", "EIO=4&EIO=3&transport=abc", "EIO=&transport=abc", "EIO=4;transport=polling",
			"EIO=4&transport=polling&sid=", "EIO=4&transport=websocket&sid=a&sid=b", "EIO=4&transport=websocket&sid[]=a",
			"EIO=4&transport=%", "EIO=4&transport=%zz&sid=%00", "EIO=4&transport=polling%00", "&&&&=&=&", "EIO=4&transport=polling&j=abc&b64=%",
		} {
			plain := "GET " + quickPath + "?" + query + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
			upgrade := strings.Replace(webSocketRequest(query), path, quickPath, 1)
			for _, req := range []string{plain, upgrade, strings.Replace(plain, "GET", "POST", 1)} {
				got := sendRaw(t, req, false)
				if strings.HasPrefix(got, "HTTP/1.1 5") {
					t.Errorf("%q: %.200q", req, got)
				}
			}
		}
		closePolls(t)
	})
}

// closePolls waits until the sessions that nobody polls have ended by their heartbeat.
func closePolls(t *testing.T) {
	t.Helper()
	awaitStats(t, "no session", func(s stats) bool { return s.Sessions == 0 })
}

// CVE-2023-32695: an event's name that is an object with a toString of its own.
func TestEventNamesAreText(t *testing.T) {
	bounded(t, func() {
		for _, packet := range []string{
			`42[{"toString":"foo"}]`, `421[{"toString":1,"valueOf":2}]`, `42[["message"],1]`, `42[true]`, `42[null,1]`, `42[{}]`,
			`42[{"_placeholder":true,"num":0}]`,
		} {
			s := openWebSocket(t)
			s.join()
			s.send(packet)
			s.closed()
		}
		s := openWebSocket(t)
		s.join()
		s.send(`451-[{"_placeholder":true,"num":0}]`)
		s.sendBinary([]byte("message"))
		s.closed()
	})
}

// CVE-2024-38355: the event "error" had a meaning to the server, and without a listener ended it.
func TestEventNamesMeanNothingToTheServer(t *testing.T) {
	bounded(t, func() {
		s := openWebSocket(t)
		s.join()
		for _, name := range []string{"error", "connection", "close", "uncaughtException", "data", "drain", "middleware", ""} {
			s.send(`42["`+name+`"]`, `42["`+name+`",{"message":1}]`, `425["`+name+`",null]`)
		}
		s.echo()
		_ = s.conn.Close()
	})
}

// CVE-2026-59725: binary bodies that no session takes. They are answered and leave nothing.
func TestBinaryBodiesLeaveNothing(t *testing.T) {
	bounded(t, func() {
		body := strings.Repeat("\x00", 200_000)
		for range 40 {
			p := openPolling(t)
			if a := p.post(body, "Content-Type", "application/octet-stream"); a.status != 400 {
				t.Errorf("POST: %d %q, want 400", a.status, a.body)
			}
			p = openPolling(t) // the rest never comes
			sendRaw(t, "POST "+p.uri+" HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\nContent-Length: 900000\r\n\r\n"+body[:1000], true)
		}
		closePolls(t)
	})
}

// CVE-2024-37890: more headers than the HTTP server keeps.
func TestManyHeaders(t *testing.T) {
	bounded(t, func() {
		var head strings.Builder
		for i := range 2500 {
			fmt.Fprintf(&head, "x%d: y\r\n", i)
		}
		for range 10 {
			got := sendRaw(t, webSocketRequest("EIO=4&transport=websocket", head.String()), false)
			if !strings.HasPrefix(got, "HTTP/1.1 101 ") && !strings.HasPrefix(got, "HTTP/1.1 4") {
				t.Errorf("%.100q", got)
			}
		}
	})
}

// CVE-2021-32640 and GHSA-5v72-xg48-5rpm: headers of the handshake that took long to parse, or were
// names of methods.
func TestHeadersOfTheHandshake(t *testing.T) {
	bounded(t, func() {
		cheap(t, 5*time.Second, func() {
			for _, head := range []string{
				"Sec-WebSocket-Protocol: b" + strings.Repeat(" ", 50_000) + "x\r\n",
				"Sec-WebSocket-Protocol: " + strings.Repeat("a,", 20_000) + "\r\n",
				"Sec-WebSocket-Extensions: constructor, __proto__; toString=1\r\n",
				"Sec-WebSocket-Extensions: permessage-deflate" + strings.Repeat("; a=b", 10_000) + "\r\n",
				"Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99; client_max_window_bits=\"\r\n",
				"Sec-WebSocket-Extensions: " + strings.Repeat("permessage-deflate, ", 5_000) + "\r\n",
			} {
				got := sendRaw(t, webSocketRequest("EIO=4&transport=websocket", head), false)
				if !strings.HasPrefix(got, "HTTP/1.1 101 ") && !strings.HasPrefix(got, "HTTP/1.1 4") {
					t.Errorf("%.60q: %.100q", head, got)
				}
			}
		})
	})
}

// CVE-2026-48779: a message in fragments so small that each cost more than it held.
func TestTinyFragments(t *testing.T) {
	for _, size := range []int{0, 1} {
		bounded(t, func() {
			before, err := readStats()
			if err != nil {
				t.Fatal(err)
			}
			s := openWebSocket(t)
			s.join()
			var b bytes.Buffer
			b.Write(maskedFrame(false, 0, ws.OpText, []byte(`42["message","`)))
			for range 100_000 {
				b.Write(maskedFrame(false, 0, ws.OpContinuation, []byte("a")[:size]))
			}
			_ = s.conn.SetWriteDeadline(time.Now().Add(patience))
			if _, err := s.conn.Write(b.Bytes()); err != nil {
				_ = s.conn.Close() // enough is enough, too
				return
			}
			s.frame(true, 0, ws.OpPing, []byte("read so far?"))
			for {
				op, data, err := s.read()
				if err != nil || op == ws.OpPong && data == "read so far?" {
					break // ended it may be: no pong can stand between the fragments of a text
				}
			}
			if now, err := readStats(); err != nil || now.Heap > before.Heap+slack {
				t.Errorf("%d bytes of heap before, %d in the midst, %v", before.Heap, now.Heap, err)
			}
			s.frame(true, 0, ws.OpContinuation, []byte(`"]`))
			_ = s.conn.Close()
		})
	}
}

// TestSecurityDocumentNamesTests looks for every test that docs/security.md names.
func TestSecurityDocumentNamesTests(t *testing.T) {
	document, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "grep", "-rhoE", "--include=*_test.go", `^func (Test|Fuzz)\w+`, "../..").Output()
	if err != nil {
		t.Fatal(err)
	}
	there := "\n" + string(out)
	named := regexp.MustCompile("`((?:Test|Fuzz)[A-Z][A-Za-z0-9]+)`").FindAllSubmatch(document, -1)
	if len(named) < 20 {
		t.Errorf("%d tests named", len(named))
	}
	for _, m := range named {
		if !strings.Contains(there, "\nfunc "+string(m[1])+"\n") {
			t.Errorf("docs/security.md names %s, which is not there", m[1])
		}
	}
}

package protocol

import (
	"strconv"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

// The .NET client, github.com/doghappy/socket.io-client-csharp, 4.0.2 (c0b8d265) to 4.0.3 (65def9bc), and
// 3.1.1 (e1420af2), over .NET's HttpClient and ClientWebSocket. Both speak protocol 4, or 3 with
// EIO = EngineIO.V3. Paths are those of version 4, under src/SocketIOClient.

// dotnetRequest is a request of version 4: Protocol/Http/SystemHttpClient.cs gives a GET a body too, an
// empty one. POSTs have the time in milliseconds behind the sid (Protocol/Http/HttpAdapter.cs).
func dotnetRequest(t testing.TB, method, query, contentType, body string) answer {
	t.Helper()
	return exchange(t, body,
		method+" "+path+"?"+query+" HTTP/1.1",
		"Host: "+host(),
		"Content-Type: "+contentType,
		"Content-Length: "+strconv.Itoa(len(body)),
	)
}

const dotnetText = "text/plain; charset=utf-8"

// dotnetWebSocket is the handshake of ClientWebSocket, which wants each of these headers once.
func dotnetWebSocket(t testing.TB, query string) *socket {
	t.Helper()
	s, answer := handshake(t,
		"GET "+path+"?"+query+" HTTP/1.1",
		"Host: "+host(),
		"Connection: Upgrade",
		"Upgrade: websocket",
		"Sec-WebSocket-Version: 13",
		"Sec-WebSocket-Key: "+websocketKey,
	)
	want(t, answer, "Connection", "Upgrade")
	want(t, answer, "Upgrade", "websocket")
	want(t, answer, "Sec-WebSocket-Accept", websocketAccept)
	return s
}

// sendChunks sends a message as Protocol/WebSocket/SystemClientWebSocketAdapter.cs does: in frames of
// 8 KB, wherever that falls in a character.
func (s *socket) sendChunks(op ws.OpCode, data string) {
	s.t.Helper()
	const size = 8 << 10
	for len(data) > size {
		s.frame(false, 0, op, []byte(data[:size]))
		op, data = ws.OpContinuation, data[size:]
	}
	s.frame(true, 0, op, []byte(data))
}

// With AutoUpgrade, the default: Session/Http/HttpSession.cs posts CONNECT, SocketIO.cs opens the
// WebSocket before any poll, and Session/WebSocket/WebSocketSession.cs sends UPGRADE without a probe.
// DisconnectAsync sends DISCONNECT and waits for the answer to a close frame.
func TestDotNetUpgradesWithoutProbe(t *testing.T) {
	t.Parallel()
	a := dotnetRequest(t, "GET", "EIO=4&transport=polling&room=a+b", dotnetText, "")
	if a.status != 200 {
		t.Fatalf("handshake: %d %s", a.status, a.body)
	}
	sid := parseHello(t, a.body).SID
	if a := dotnetRequest(t, "POST", "EIO=4&transport=polling&room=a+b&sid="+sid+"&t=1700000000000", dotnetText, `40/custom,{"token":"abc"}`); a.status != 200 || a.body != "ok" {
		t.Fatalf("POST: %d %q", a.status, a.body)
	}
	s := dotnetWebSocket(t, "EIO=4&transport=websocket&sid="+sid+"&room=a+b")
	s.send("5")
	if got := s.next(); !strings.HasPrefix(got, `40/custom,{"sid":"`) {
		t.Fatalf("got %q, want CONNECT", got)
	}
	s.expect(`42/custom,["auth",{"token":"abc"}]`)
	s.send(`42/custom,1["message-with-ack","x"]`)
	s.expect(`43/custom,1["x"]`)
	s.frame(true, 0, ws.OpPong, nil) // ClientWebSocket's keep-alive; nobody has asked
	s.send("41/custom,")
	s.sendClose(ws.StatusNormalClosure, "io client disconnect")
	if got := s.closed(); got != ws.StatusNormalClosure {
		t.Errorf("answered with %d, want 1000", got)
	}
}

// Without AutoUpgrade: Session/Http/EngineIOAdapter/HttpEngineIO4Adapter.cs posts attachments apart from
// their event, all of them together.
func TestDotNetPolling(t *testing.T) {
	t.Parallel()
	p := openAt(t, path+"?EIO=4&transport=polling", false)
	query := strings.TrimPrefix(p.uri, path+"?") + "&t=1700000000000"
	post := func(body string) {
		t.Helper()
		if a := dotnetRequest(t, "POST", query, dotnetText, body); a.status != 200 || a.body != "ok" {
			t.Fatalf("POST: %d %q", a.status, a.body)
		}
	}
	post("40")
	a := dotnetRequest(t, "GET", query, dotnetText, "")
	if !strings.HasPrefix(a.body, `40{"sid":"`) || !strings.HasPrefix(a.header.Get("Content-Type"), "text/plain") {
		t.Fatalf("poll: %d %q %q, want CONNECT as text", a.status, a.header.Get("Content-Type"), a.body)
	}
	p.queue = p.split(a.body)[1:]
	p.expect(`42["auth",{}]`)
	post(`452-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`)
	post("bAQI=\x1ebAwQ=")
	p.expect(`452-["message-back",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, "bAQI=", "bAwQ=")
	post("41")
	p.send("3")
}

// Protocol/WebSocket/SystemClientWebSocketAdapter.cs: what is larger than 8 KB comes in fragments.
func TestDotNetFragments(t *testing.T) {
	t.Parallel()
	s := dotnetWebSocket(t, "EIO=4&transport=websocket")
	parseHello(t, s.raw())
	s.join()
	text := strings.Repeat("€", 10_000)
	s.sendChunks(ws.OpText, `42["message","`+text+`"]`)
	s.expect(`42["message-back","` + text + `"]`)
	data := strings.Repeat("\x00\xff", 8<<10)
	s.send(`451-["message",{"_placeholder":true,"num":0}]`)
	s.sendChunks(ws.OpBinary, data)
	s.expect(`451-["message-back",{"_placeholder":true,"num":0}]`, "b"+data)
}

// Protocol 3 over polling: Session/Http/EngineIOAdapter/HttpEngineIO3Adapter.cs posts an event as text
// and its attachments as octets, and reads both kinds. There is no b64.
func TestDotNetPollingProtocol3(t *testing.T) {
	t.Parallel()
	p := openAt(t, path+"?EIO=3&transport=polling", true)
	p.join3()
	query := strings.TrimPrefix(p.uri, path+"?") + "&t=1700000000000"
	post := func(contentType, body string) {
		t.Helper()
		if a := dotnetRequest(t, "POST", query, contentType, body); a.status != 200 || a.body != "ok" {
			t.Fatalf("POST: %d %q", a.status, a.body)
		}
	}
	post(dotnetText, "10:40/custom,")
	p.expect("40/custom,", `42/custom,["auth",{}]`)
	post(dotnetText, "1:2")
	p.expect("3")
	post(dotnetText, joinText3(`451-["message",{"_placeholder":true,"num":0}]`))
	post("application/octet-stream", joinBinary3("b\x01\x02\x03\x04"))
	var got string
	for want := joinBinary3(`451-["message-back",{"_placeholder":true,"num":0}]`, "b\x01\x02\x03\x04"); got != want; {
		a := dotnetRequest(t, "GET", query, dotnetText, "")
		if a.status != 200 || a.header.Get("Content-Type") != "application/octet-stream" || !strings.HasPrefix(want, got+a.body) {
			t.Fatalf("poll: %d %q %q, want %q", a.status, a.header.Get("Content-Type"), a.body, want)
		}
		got += a.body
	}
}

// Protocol 3 with AutoUpgrade: UPGRADE without a probe here too, and binary with a 4 before it.
func TestDotNetUpgradeProtocol3(t *testing.T) {
	t.Parallel()
	p := openAt(t, path+"?EIO=3&transport=polling", true)
	s := dotnetWebSocket(t, "EIO=3&transport=websocket&sid="+p.hello.SID)
	s.send("5")
	s.send(`451-["message",{"_placeholder":true,"num":0}]`)
	s.sendBinary([]byte{4, 1, 2, 3})
	for {
		got := s.next()
		if got == "40" || got == `42["auth",{}]` {
			continue
		}
		if want := `451-["message-back",{"_placeholder":true,"num":0}]`; got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
		break
	}
	s.expect("b\x04\x01\x02\x03")
	s.send("2")
	s.expect("3")
}

// Version 3.1.1: SocketIO.cs asks by a handshake whether there are WebSockets, leaves that session, and
// opens another. Its CONNECT of protocol 3 has the query behind the namespace (SystemTextJsonSerializer.cs).
// It leaves without DISCONNECT.
func TestDotNetVersion3(t *testing.T) {
	t.Parallel()
	if a := exchange(t, "", "GET "+path+"?EIO=4&transport=polling HTTP/1.1", "Host: "+host()); !strings.Contains(a.body, "websocket") {
		t.Fatalf("handshake: %d %s", a.status, a.body)
	}
	s := dotnetWebSocket(t, "EIO=4&transport=websocket")
	parseHello(t, s.raw())
	s.join()
	s.send(`421["message-with-ack","x"]`)
	s.expect(`431["x"]`)
	s.sendClose(ws.StatusNormalClosure, "")
	if got := s.closed(); got != ws.StatusNormalClosure {
		t.Errorf("answered with %d, want 1000", got)
	}
	s = dotnetWebSocket(t, "EIO=3&transport=websocket&token=abc")
	parseHello(t, s.raw())
	s.join3()
	s.send("40/custom?token=abc,")
	s.expect("40/custom,", `42/custom,["auth",{"token":"abc"}]`)
	s.send("2")
	s.expect("3")
}

package protocol

import (
	"slices"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

// The Swift client, github.com/socketio/socket.io-client-swift, 16.1.1 (42da871d, all of it under
// Source/SocketIO), with Starscream 4.0.8 as its WebSocket (under Sources). It speaks protocol 4, and
// protocol 3 when made with .version(.two).

// swiftWebSocket is the WebSocket handshake: Engine/SocketEngine.swift, createURLs; Engine/
// SocketEngineSpec.swift, urlWebSocketWithSid; Starscream's Framer/HTTPHandler.swift, createUpgrade.
// The Host always has the port, the Origin has the scheme of the WebSocket. The order of the headers is
// CFNetwork's.
func swiftWebSocket(t testing.TB, query string, head ...string) (*socket, []string) {
	t.Helper()
	return handshake(t, append([]string{
		"GET " + path + "?transport=websocket" + query + " HTTP/1.1",
		"Host: " + host(),
		"Sec-WebSocket-Version: 13",
		"Sec-WebSocket-Key: " + websocketKey,
		"Upgrade: websocket",
		"Connection: Upgrade",
		"Origin: ws://" + host(),
	}, head...)...)
}

// swiftPost is the header of a POST: Engine/SocketEnginePollable.swift, createRequestForPostWithPostWait.
var swiftPost = []string{"Content-Type", "text/plain; charset=UTF-8"}

// Engine/SocketEngine.swift: handleOpen begins to poll and opens the WebSocket beside it. The "3probe"
// stops the POSTs, and the poll that is under way must return before "5" is sent (doFastUpgrade). A
// "6" that was meant for a POST follows it on the WebSocket, with all else that waited for one.
func TestSwiftPollingAndUpgrade(t *testing.T) {
	t.Parallel()
	p := openAt(t, path+"?transport=polling&b64=1&EIO=4", false)
	s, answer := swiftWebSocket(t, "&EIO=4&sid="+p.hello.SID, "Cookie: AWSALB=abc; AWSALBCORS=abc")
	// Starscream looks the header up by exactly this name; Security/FoundationSecurity.swift.
	want(t, answer, "Sec-WebSocket-Accept", websocketAccept)
	if a := p.post("40/,", swiftPost...); a.status != 200 || a.body != "ok" {
		t.Fatalf("POST: %d %q", a.status, a.body)
	}
	if got := p.next(); !strings.HasPrefix(got, `40{"sid":"`) {
		t.Fatalf("got %q, want CONNECT", got)
	}
	p.expect(`42["auth",{}]`)
	poll := p.later(true)
	s.send("2probe")
	if got := s.raw(); got != "3probe" {
		t.Fatalf("got %q, want 3probe", got)
	}
	if a := poll(); a.status != 200 || a.body != "6" && a.body != "2" {
		t.Fatalf("pending poll: %d %q, want an answer", a.status, a.body)
	}
	s.send("5", "6", `42["message","waited"]`)
	s.expect(`42["message-back","waited"]`)
	s.send("3", "41/,", "1")
	s.sendClose(ws.StatusNormalClosure, "")
	s.closed()
}

// Engine/SocketEngineSpec.swift, createBinaryDataForSend: attachments are packets of the same POST, in
// base64. Parse/SocketPacket.swift: the members of a placeholder are in no order.
func TestSwiftBinaryOverPolling(t *testing.T) {
	t.Parallel()
	p := openAt(t, path+"?transport=polling&b64=1&EIO=4", false)
	p.join()
	body := `451-["message",{"num":0,"_placeholder":true}]` + "\x1ebAQIDBA=="
	if a := p.post(body, swiftPost...); a.status != 200 || a.body != "ok" {
		t.Fatalf("POST: %d %q", a.status, a.body)
	}
	p.expect(`451-["message-back",{"_placeholder":true,"num":0}]`, "bAQIDBA==")
	p.send("1")
	p.gone()
}

// Manager/SocketManager.swift: connectSocket puts a comma behind every namespace, "/" too; the payload
// of connect(withPayload:) follows. Acknowledgements count from 0. Foundation's JSON has "\/" for "/".
func TestSwiftNamespaces(t *testing.T) {
	t.Parallel()
	s, _ := swiftWebSocket(t, "&EIO=4")
	parseHello(t, s.raw())
	s.enter(`40/,{"token":"abc"}`, "", `{"token":"abc"}`)
	s.enter(`40/custom,{"token":"abc"}`, "/custom,", `{"token":"abc"}`)
	s.send("40/refused,")
	s.expect(`44/refused,{"message":"not authorized"}`)
	s.send(`42/custom,0["message-with-ack","a\/b"]`)
	s.expect(`43/custom,0["a/b"]`)
	s.send(`451-/custom,1["message-with-ack",{"num":0,"_placeholder":true}]`)
	s.sendBinary([]byte{1, 2, 3, 4})
	s.expect(`461-/custom,1[{"_placeholder":true,"num":0}]`, "b\x01\x02\x03\x04")
	// Ack/SocketAckEmitter.swift: ack.with() without arguments.
	s.send(`42/custom,["ask"]`)
	got := s.next()
	id, ok := strings.CutSuffix(strings.TrimPrefix(got, "42/custom,"), `["question",1]`)
	if !ok {
		t.Fatalf("got %q, want a question", got)
	}
	s.send("43/custom," + id + "[]")
	s.expect(`42/custom,["answer"]`)
	s.send("41/custom,")
	s.echo()
}

// With .compress: Starscream's Compression/WSCompression.swift takes what the answer says from a header
// spelt exactly so. It keeps a window unless told not to; Engine/WSEngine.swift compresses every frame,
// even the close frame, which ends the session as surely.
func TestSwiftCompression(t *testing.T) {
	t.Parallel()
	s, answer := swiftWebSocket(t, "&EIO=4",
		"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits; server_max_window_bits=15")
	if onNode {
		t.Skip("its answers keep a window, which this package's client does not")
	}
	want(t, answer, "Sec-WebSocket-Extensions",
		"permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=15")
	parseHello(t, s.raw())
	s.frame(true, 4, ws.OpText, deflate("40/,"))
	if got := s.next(); !strings.HasPrefix(got, `40{"sid":"`) {
		t.Fatalf("got %q, want CONNECT", got)
	}
	s.expect(`42["auth",{}]`)
	s.frame(true, 4, ws.OpText, deflate(`42["large",5000]`))
	s.expect(`42["large","` + strings.Repeat("x", 5000) + `"]`)
	s.frame(true, 4, ws.OpClose, deflate("\x03\xe8"))
	s.closed()
}

// Protocol 3: a PING at once when the session opens, then one per interval (Engine/SocketEngine.swift,
// sendPing); no CONNECT for "/" (Manager/SocketManager.swift, _engineDidOpen); text payloads with b64=1,
// attachments as "b4" packets. The WebSocket has no b64, so there they are binary with a 4 before them.
func TestSwiftProtocol3(t *testing.T) {
	t.Parallel()
	p := openAt(t, path+"?transport=polling&b64=1&EIO=3", true)
	if a := p.post("1:2", swiftPost...); a.status != 200 || a.body != "ok" {
		t.Fatalf("POST: %d %q", a.status, a.body)
	}
	got := []string{p.next(), p.next(), p.next()}
	slices.Sort(got) // nothing orders the PONG among them
	if want := []string{"3", "40", `42["auth",{}]`}; !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
	const event, back = `451-["message",{"num":0,"_placeholder":true}]`, `451-["message-back",{"_placeholder":true,"num":0}]`
	if a := p.post("10:40/custom,", swiftPost...); a.status != 200 {
		t.Fatalf("POST: %d %q", a.status, a.body)
	}
	p.expect("40/custom,", `42/custom,["auth",{}]`)
	if a := p.post(joinText3(event, "b4AQIDBA=="), swiftPost...); a.status != 200 {
		t.Fatalf("POST: %d %q", a.status, a.body)
	}
	p.expect(back, "b4AQIDBA==")
	poll := p.later(true)
	s, _ := swiftWebSocket(t, "&EIO=3&sid="+p.hello.SID)
	s.send("2probe")
	if got := s.raw(); got != "3probe" {
		t.Fatalf("got %q, want 3probe", got)
	}
	if a := poll(); a.status != 200 || a.body != "1:6" {
		t.Fatalf("pending poll: %d %q, want NOOP", a.status, a.body)
	}
	s.send("5", event)
	s.sendBinary([]byte{4, 1, 2, 3, 4})
	s.expect(back, "b\x04\x01\x02\x03\x04")
	s.send("2")
	s.expect("3")
	s.send("41/custom,", "1")
	s.sendClose(ws.StatusNormalClosure, "")
	s.closed()
}

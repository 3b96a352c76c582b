package protocol

import (
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

// The Dart client, github.com/rikulo/socket.io-client-dart, 3.1.6 (ddc95d9b), with socket_io_common 3.1.1
// (f30216e9); its versions 2 are alike. It speaks protocol 4; version 1.0.2, with socket_io_common 1.0.1,
// protocol 3. On Dart's own VM, so in Flutter too, it has WebSocket alone, that of dart:io (sdk/lib/_http/
// websocket_impl.dart). On the web it is the browser's.

// dartRequest is the handshake of dart:io: header names in lower case, compression always offered.
func dartRequest(query string) []string {
	lines := []string{
		"GET " + path + "?" + query + " HTTP/1.1",
		"user-agent: Dart/3.8 (dart:io)",
		"connection: Upgrade",
		"cache-control: no-cache",
		"accept-encoding: gzip",
		"content-length: 0",
		"sec-websocket-version: 13",
		"host: " + host(),
		"sec-websocket-key: " + websocketKey,
		"upgrade: websocket",
	}
	if !onNode { // whose answers keep a window, which this package's client does not
		lines = append(lines, "sec-websocket-extensions: permessage-deflate; client_max_window_bits")
	}
	return lines
}

func dartWebSocket(t testing.TB, query string) (*socket, []string) {
	t.Helper()
	s, answer := handshake(t, dartRequest(query)...)
	want(t, answer, "Sec-WebSocket-Accept", websocketAccept)
	return s, answer
}

// lib/src/socket.dart, onopen and emitWithAck; socket_io_common's parser.dart: CONNECT has the payload of
// setAuth or none, acknowledgements count from 0, binary is framed as it is. lib/src/engine/transport.dart
// puts the program's query first, coded as a form is. disconnect() sends DISCONNECT and a close frame
// without a code.
func TestDartWebSocket(t *testing.T) {
	t.Parallel()
	s, _ := dartWebSocket(t, "room=a+b&EIO=4&transport=websocket")
	parseHello(t, s.raw())
	s.enter(`40{"token":"abc"}`, "", `{"token":"abc"}`)
	s.enter(`40/custom,{"token":"abc"}`, "/custom,", `{"token":"abc"}`)
	s.send(`420["message-with-ack","x"]`)
	s.expect(`430["x"]`)
	s.send(`451-/custom,1["message-with-ack",{"_placeholder":true,"num":0}]`)
	s.sendBinary([]byte{0, 1, 255})
	s.expect(`461-/custom,1[{"_placeholder":true,"num":0}]`, "b\x00\x01\xff")
	s.send("40/refused,")
	s.expect(`44/refused,{"message":"not authorized"}`)
	s.send("41/custom,", "41")
	s.frame(true, 0, ws.OpClose, nil)
	s.closed()
}

// The extension, once taken: dart:io compresses every message from then on, keeping its window unless the
// answer forbids it.
func TestDartCompression(t *testing.T) {
	t.Parallel()
	if onNode {
		t.Skip("its answers keep a window, which this package's client does not")
	}
	s, answer := dartWebSocket(t, "EIO=4&transport=websocket")
	want(t, answer, "Sec-WebSocket-Extensions", "permessage-deflate; server_no_context_takeover; client_no_context_takeover")
	parseHello(t, s.raw())
	s.frame(true, 4, ws.OpText, deflate("40"))
	if got := s.next(); !strings.HasPrefix(got, `40{"sid":"`) {
		t.Fatalf("got %q, want CONNECT", got)
	}
	s.expect(`42["auth",{}]`)
	s.frame(true, 4, ws.OpText, deflate(`451-["message",{"_placeholder":true,"num":0}]`))
	s.frame(true, 4, ws.OpBinary, deflate("\x00\x01\xff"))
	s.expect(`451-["message-back",{"_placeholder":true,"num":0}]`, "b\x00\x01\xff")
}

// lib/src/engine/transport/io_transports.dart makes a WebSocket of every transport, and the default is
// polling first: a WebSocket that says transport=polling. Node opens it and closes it at once; Beanpole
// refuses it, which dart:io reports as a connection that was not upgraded. setTransports(['websocket'])
// is what helps.
func TestDartDefaultTransports(t *testing.T) {
	t.Parallel()
	request := dartRequest("EIO=4&transport=polling")
	if onNode {
		s, _ := handshake(t, request...)
		s.closed()
	} else if a := exchange(t, "", request...); a.status != 400 {
		t.Errorf("%d %q, want 400", a.status, a.body)
	}
}

// Version 1.0.2: lib/src/manager.dart puts the namespace's query behind it; socket_io_common's
// engine/parser puts a 4 before binary; lib/src/engine/socket.dart, setPing: the first PING after one
// interval, then one after each PONG.
func TestDartProtocol3(t *testing.T) {
	t.Parallel()
	s, _ := dartWebSocket(t, "EIO=3&transport=websocket")
	parseHello(t, s.raw())
	s.join3()
	s.send("40/custom?token=a%20b,")
	s.expect("40/custom,", `42/custom,["auth",{"token":"a b"}]`)
	s.send("2")
	s.expect("3")
	s.send(`451-/custom,0["message-with-ack",{"_placeholder":true,"num":0}]`)
	s.sendBinary([]byte{4, 1, 2, 3})
	s.expect(`461-/custom,0[{"_placeholder":true,"num":0}]`, "b\x04\x01\x02\x03")
	s.send("41/custom,", "41")
	s.frame(true, 0, ws.OpClose, nil)
	s.closed()
}

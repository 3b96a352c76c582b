package protocol

import (
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

// The C++ client, github.com/socketio/socket.io-client-cpp, 3.1.0 (aba189cb) and what came after it up to
// 18b04350, with WebSocket++ 0.8.2. It speaks protocol 4; 2.0 and 2.1.0 (973eeaa6) protocol 3. All have
// WebSocket alone.

// cppWebSocket is the handshake: src/internal/sio_client_impl.cpp, connect_impl; WebSocket++'s processors/
// hybi13.hpp, client_handshake_request. The headers come sorted.
func cppWebSocket(t testing.TB, query string) *socket {
	t.Helper()
	s, answer := handshake(t,
		"GET "+path+"?"+query+" HTTP/1.1",
		"Connection: Upgrade",
		"Host: "+host(),
		"Sec-WebSocket-Key: "+websocketKey,
		"Sec-WebSocket-Version: 13",
		"Upgrade: websocket",
		"User-Agent: WebSocket++/0.8.2",
	)
	want(t, answer, "Sec-WebSocket-Accept", websocketAccept)
	parseHello(t, s.raw())
	return s
}

// src/internal/sio_packet.cpp, accept: a namespace has a comma behind it only if something follows.
// src/sio_socket.cpp: acknowledgements are counted over all sockets, from 1; an event that asks for one
// gets it when its handler returns. close() sends DISCONNECT for each socket, and a close frame.
func TestCPPWebSocket(t *testing.T) {
	t.Parallel()
	s := cppWebSocket(t, "EIO=4&transport=websocket&t=1700000000&token=a%20b%2Bc")
	s.enter("40", "", "{}")
	s.enter("40/custom", "/custom,", "{}")
	s.send(`421["message-with-ack","x",1.5]`)
	s.expect(`431["x",1.5]`)
	s.send(`42/custom,2["message-with-ack","y"]`)
	s.expect(`43/custom,2["y"]`)
	// The client cannot read binary of protocol 4: put_payload wants a 4 before it. It can send it.
	s.send(`451-["message",{"_placeholder":true,"num":0}]`)
	s.sendBinary([]byte{4, 1, 2, 3})
	s.expect(`451-["message-back",{"_placeholder":true,"num":0}]`, "b\x04\x01\x02\x03")
	s.send(`42/custom,["ask"]`)
	got := s.next()
	id, ok := strings.CutSuffix(strings.TrimPrefix(got, "42/custom,"), `["question",1]`)
	if !ok {
		t.Fatalf("got %q, want a question", got)
	}
	s.send("43/custom," + id + "[]")
	s.expect(`42/custom,["answer"]`)
	s.send("40/refused")
	s.expect(`44/refused,{"message":"not authorized"}`)
	s.send("41/custom", "41")
	s.sendClose(ws.StatusNormalClosure, "End by user")
	if got := s.closed(); got != ws.StatusNormalClosure {
		t.Errorf("answered with %d, want 1000", got)
	}
}

// After 3.1.0 connect takes an auth object; src/internal/sio_client_impl.cpp closes with 1008 when the
// server has been silent for too long.
func TestCPPAuth(t *testing.T) {
	t.Parallel()
	s := cppWebSocket(t, "EIO=4&transport=websocket&t=1700000000")
	s.enter(`40{"token":"abc"}`, "", `{"token":"abc"}`)
	s.enter(`40/custom,{"token":"abc"}`, "/custom,", `{"token":"abc"}`)
	s.sendClose(ws.StatusPolicyViolation, "Ping timeout")
	if got := s.closed(); got != ws.StatusPolicyViolation {
		t.Errorf("answered with %d, want 1008", got)
	}
}

// Version 2.1.0: no CONNECT for "/", a PING per interval, a 4 before binary.
func TestCPPProtocol3(t *testing.T) {
	t.Parallel()
	s := cppWebSocket(t, "EIO=3&transport=websocket&t=1700000000")
	s.join3()
	s.send("40/custom")
	s.expect("40/custom,", `42/custom,["auth",{}]`)
	s.send("2")
	s.expect("3")
	s.send(`451-/custom,1["message-with-ack",{"_placeholder":true,"num":0}]`)
	s.sendBinary([]byte{4, 1, 2, 3})
	s.expect(`461-/custom,1[{"_placeholder":true,"num":0}]`, "b\x04\x01\x02\x03")
	s.send("41/custom", "41")
	s.sendClose(ws.StatusNormalClosure, "End by user")
	if got := s.closed(); got != ws.StatusNormalClosure {
		t.Errorf("answered with %d, want 1000", got)
	}
}

// Version 1.6.1 says EIO=4 years before there was one, and speaks 3: it waits for a CONNECT, and its
// first PING ends the session. So it does on Node; servers of version 2 did not look at the number.
func TestCPPVersion1IsRefused(t *testing.T) {
	t.Parallel()
	s := cppWebSocket(t, "EIO=4&transport=websocket&t=1700000000")
	s.send("2")
	s.closed()
}

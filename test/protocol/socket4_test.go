package protocol

import (
	"strings"
	"testing"
)

// onBoth3 runs a test of Socket.IO 4 over each transport of Engine.IO 3.
func onBoth3(t *testing.T, test func(*testing.T, session)) {
	t.Helper()
	t.Run("polling", func(t *testing.T) {
		t.Parallel()
		p := openPolling3(t)
		p.join3()
		test(t, p)
	})
	t.Run("websocket", func(t *testing.T) {
		t.Parallel()
		s := openWebSocket3(t)
		s.join3()
		test(t, s)
	})
}

// Socket.IO 4: Connection to the default namespace. The server sends CONNECT unasked and without payload.
func TestSocket4ImplicitConnect(t *testing.T) {
	t.Parallel()
	onBoth3(t, func(t *testing.T, s session) { s.echo() })
}

// Socket.IO 4 has one id for session and socket; clients take it from the OPEN packet.
func TestSocket4SocketIDIsTheSessions(t *testing.T) {
	t.Parallel()
	s := openWebSocket3(t)
	s.join3()
	s.send(`420["id"]`)
	s.expect(`430["` + s.hello.SID + `"]`)
	s.send("40/custom")
	s.expect("40/custom,", `42/custom,["auth",{}]`)
	s.send(`42/custom,1["id"]`)
	s.expect(`43/custom,1["/custom#` + s.hello.SID + `"]`)
}

// Socket.IO 4: packet CONNECT. Further information is a query behind the namespace.
func TestSocket4NamespaceWithQuery(t *testing.T) {
	t.Parallel()
	onBoth3(t, func(t *testing.T, s session) {
		s.send("40/custom?token=1234&uid=a%20b,")
		s.expect("40/custom,", `42/custom,["auth",{"token":"1234","uid":"a b"}]`)
		s.send(`42/custom,["message",1]`)
		s.expect(`42/custom,["message-back",1]`)
	})
}

// Socket.IO 4: packet ERROR. The payload is what went wrong, as text, or the error's data.
func TestSocket4ConnectError(t *testing.T) {
	t.Parallel()
	onBoth3(t, func(t *testing.T, s session) {
		s.send("40/refused,")
		s.expect(`44/refused,"not authorized"`)
		s.send("40/refused?token=a,")
		s.expect(`44/refused,"not authorized"`)
		s.send("40/refused-with-data,")
		s.expect(`44/refused-with-data,{"code":"E1"}`)
		s.send("40/random,")
		s.expect(`44/random,{"message":"Invalid namespace"}`)
		s.echo()
	})
}

// Socket.IO 4: packets EVENT and ACK.
func TestSocket4EventsAndAcks(t *testing.T) {
	t.Parallel()
	onBoth3(t, func(t *testing.T, s session) {
		s.send(`42["message","€",{"a":[1]}]`, `4212["message-with-ack","x"]`)
		s.expect(`42["message-back","€",{"a":[1]}]`, `4312["x"]`)
		s.send(`42["ask"]`)
		got := s.next()
		id, ok := strings.CutSuffix(strings.TrimPrefix(got, "42"), `["question",1]`)
		if !ok {
			t.Fatalf("got %q", got)
		}
		s.send("43" + id + `["yes"]`)
		s.expect(`42["answer","yes"]`)
	})
}

// Socket.IO 4: packets BINARY_EVENT and BINARY_ACK.
func TestSocket4Binary(t *testing.T) {
	t.Parallel()
	s := openWebSocket3(t)
	s.join3()
	s.send(`451-12["message-with-ack",{"_placeholder":true,"num":0}]`)
	s.sendBinary([]byte{4, 3, 2, 1})
	s.expect(`461-12[{"_placeholder":true,"num":0}]`, "b\x04\x03\x02\x01")
}

// Socket.IO 4: Disconnection from a non-default namespace.
func TestSocket4Disconnect(t *testing.T) {
	t.Parallel()
	onBoth3(t, func(t *testing.T, s session) {
		s.send("40/custom,")
		s.expect("40/custom,", `42/custom,["auth",{}]`)
		s.send("41/custom,")
		s.echo()
		s.send(`42["leave",false]`)
		s.expect(`42["last"]`, "41")
	})
}

// Socket.IO 4 clients know no CONNECT payload, but one that sends CONNECT for the main namespace, which
// it is already in, is closed as in protocol 5.
func TestSocket4DuplicateConnect(t *testing.T) {
	t.Parallel()
	s := openWebSocket3(t)
	s.join3()
	s.send("40")
	s.closed()
}

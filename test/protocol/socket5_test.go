package protocol

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// session is what the Socket.IO tests need of either transport.
type session interface {
	send(packets ...string)
	expect(want ...string)
	next() string
	join()
	echo()
}

// onBoth runs a test of Socket.IO 5 over each transport.
func onBoth(t *testing.T, test func(*testing.T, session)) {
	t.Helper()
	t.Run("polling", func(t *testing.T) { t.Parallel(); test(t, openPolling(t)) })
	t.Run("websocket", func(t *testing.T) { t.Parallel(); test(t, openWebSocket(t)) })
}

// Socket.IO 5: Connection to a namespace. The answer is a CONNECT with the socket's id, which is not the
// session's.
func TestSocket5Connect(t *testing.T) {
	t.Parallel()
	s := openWebSocket(t)
	s.send("40")
	got := s.next()
	id, ok := strings.CutPrefix(got, `40{"sid":"`)
	id, ok2 := strings.CutSuffix(id, `"}`)
	if !ok || !ok2 || len(id) != 20 || id == s.hello.SID {
		t.Errorf("got %q, want a CONNECT with an id of 20 characters, not %q", got, s.hello.SID)
	}
	s.expect(`42["auth",{}]`)
	s.send(`420["id"]`)
	s.expect(`430["` + id + `"]`)
}

// Socket.IO 5: Connection to a namespace, with a payload.
func TestSocket5ConnectWithPayload(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s session) {
		s.send(`40{"token":"123"}`)
		if got := s.next(); !strings.HasPrefix(got, `40{"sid":"`) {
			t.Fatalf("got %q", got)
		}
		s.expect(`42["auth",{"token":"123"}]`)
	})
}

// Socket.IO 5: Connection to a namespace. Several over one session; the comma may be missing.
func TestSocket5CustomNamespace(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s session) {
		s.send(`40/custom,{"token":"abc"}`)
		if got := s.next(); !strings.HasPrefix(got, `40/custom,{"sid":"`) {
			t.Fatalf("got %q", got)
		}
		s.expect(`42/custom,["auth",{"token":"abc"}]`)
		s.join()
		s.send(`42/custom,["message",1]`, `42["message",2]`)
		got := []string{s.next(), s.next()} // of two sockets, between which there is no order
		slices.Sort(got)
		if want := []string{`42/custom,["message-back",1]`, `42["message-back",2]`}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
	s := openWebSocket(t)
	s.send("40/custom")
	if got := s.next(); !strings.HasPrefix(got, `40/custom,{"sid":"`) {
		t.Errorf("without comma: %q", got)
	}
}

// Socket.IO 5: Connection to a namespace. CONNECT_ERROR if it is not allowed; the session lives.
func TestSocket5ConnectError(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s session) {
		s.send("40/random")
		s.expect(`44/random,{"message":"Invalid namespace"}`)
		s.send("40/refused,")
		s.expect(`44/refused,{"message":"not authorized"}`)
		s.send("40/refused-with-data,")
		got := s.next()
		refusal, ok := strings.CutPrefix(got, "44/refused-with-data,")
		var e struct {
			Message string
			Data    struct{ Code string }
		}
		if !ok || json.Unmarshal([]byte(refusal), &e) != nil || e.Message != "not authorized" || e.Data.Code != "E1" {
			t.Errorf("got %q, want the error with its data", got)
		}
		s.send("40/refused,") // may be tried again
		s.expect(`44/refused,{"message":"not authorized"}`)
		s.join()
		s.echo()
	})
}

// Socket.IO 5: Connection to a namespace. Without a CONNECT first the server MUST close.
func TestSocket5NoConnectFirst(t *testing.T) {
	t.Parallel()
	for _, packet := range []string{`42["message"]`, "43[]", "41", `44{"message":"x"}`, "42/custom,[\"message\"]"} {
		t.Run(packet, func(t *testing.T) {
			s := openWebSocket(t)
			s.send(packet)
			s.closed()
		})
	}
	p := openPolling(t)
	p.send(`42["message"]`)
	p.gone()
}

// Socket.IO 5: Connection to a namespace. And not for ever: connectTimeout.
func TestSocket5ConnectTimeout(t *testing.T) {
	t.Parallel()
	start := time.Now()
	s := openQuick(t)
	s.closed() // PINGs are answered meanwhile
	if took := time.Since(start); took < connectTimeout {
		t.Errorf("closed after %v, want %v", took, connectTimeout)
	}
}

// Socket.IO 5: Connection to a namespace. A second CONNECT for one is invalid; Node closes the session.
func TestSocket5DuplicateConnect(t *testing.T) {
	t.Parallel()
	s := openWebSocket(t)
	s.join()
	s.send("40")
	s.closed()
}

// Socket.IO 5: Sending and receiving data.
func TestSocket5Events(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s session) {
		s.join()
		for _, args := range []string{`1,"2",{"3":[true]}`, `null,false,1.5,-0.001,1e+21`, `"\"\\\n\u0000€😀"`, `{},[]`, `[[[]]]`} {
			s.send(`42["message",` + args + `]`)
			want := strings.ReplaceAll(args, `\u0000`, "\\u0000")
			if got := s.next(); got != `42["message-back",`+want+`]` {
				t.Errorf("%s came back as %s", args, got)
			}
		}
		s.send(`42["message"]`)
		s.expect(`42["message-back"]`)
		s.send(`42["nobody listens",1]`, `42[12,"a number is a name too"]`)
		s.echo()
	})
}

// Socket.IO 5: Packet encoding, with binary data.
func TestSocket5BinaryEvent(t *testing.T) {
	t.Parallel()
	s := openWebSocket(t)
	s.join()
	s.send(`452-["message",{"_placeholder":true,"num":0},[{"deep":{"_placeholder":true,"num":1}}]]`)
	s.sendBinary([]byte{1, 2, 3})
	s.sendBinary(nil)
	s.expect(`452-["message-back",{"_placeholder":true,"num":0},[{"deep":{"_placeholder":true,"num":1}}]]`, "b\x01\x02\x03", "b")
	p := openPolling(t)
	p.join()
	p.send(`452-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, "bAQID", "bBAUG")
	p.expect(`452-["message-back",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, "bAQID", "bBAUG")
}

// Socket.IO 5: Packet encoding. Attachments may be used out of order and are numbered anew on the way back.
func TestSocket5AttachmentsOutOfOrder(t *testing.T) {
	t.Parallel()
	s := openWebSocket(t)
	s.join()
	s.send(`452-["message",{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]`)
	s.sendBinary([]byte("zero"))
	s.sendBinary([]byte("one"))
	s.expect(`452-["message-back",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, "bone", "bzero")
}

// Socket.IO 5: Acknowledgement. MUST be answered with the same id; the values are an array.
func TestSocket5Ack(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s session) {
		s.join()
		s.send(`42456["message-with-ack",1,"2",{"3":[false]}]`)
		s.expect(`43456[1,"2",{"3":[false]}]`)
		s.send(`420["message-with-ack"]`)
		s.expect(`430[]`)
	})
	s := openWebSocket(t)
	s.join()
	s.send(`451-789["message-with-ack",{"_placeholder":true,"num":0}]`)
	s.sendBinary([]byte{1, 2, 3})
	s.expect(`461-789[{"_placeholder":true,"num":0}]`, "b\x01\x02\x03")
}

// Socket.IO 5: Acknowledgement of the client's, text and binary; one nobody waits for is ignored.
func TestSocket5ClientAck(t *testing.T) {
	t.Parallel()
	s := openWebSocket(t)
	s.join()
	ask := func() (id string) {
		t.Helper()
		s.send(`42["ask"]`)
		got := s.next()
		id, ok := strings.CutSuffix(strings.TrimPrefix(got, "42"), `["question",1]`)
		if !ok || id == "" {
			t.Fatalf("got %q, want a question with an id", got)
		}
		return id
	}
	s.send("43" + ask() + `["yes",2]`)
	s.expect(`42["answer","yes",2]`)
	s.send("461-" + ask() + `[{"_placeholder":true,"num":0}]`)
	s.sendBinary([]byte{7})
	s.expect(`451-["answer",{"_placeholder":true,"num":0}]`, "b\x07")
	s.send("43" + ask()) // with no payload at all
	s.expect(`42["answer"]`)
	id := ask()
	s.send("43"+id+`[]`, "43"+id+`["twice"]`, `4399999["of nothing"]`)
	s.expect(`42["answer"]`)
	s.echo()
}

// What a middleware emits comes behind the answer to CONNECT, and the disconnect handler that it sets runs.
func TestSocket5MiddlewareEmitsAndWatches(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s session) {
		s.join()
		s.send(`420["id"]`)
		connect := `40/greeted,{"tell":` + strings.Trim(s.next(), "430[]") + `}`
		s.send(connect)
		if onNode { // before the answer: its clients keep such an event until they are connected
			s.expect(`42/greeted,["early",1]`)
		}
		if got := s.next(); !strings.HasPrefix(got, "40/greeted,{") {
			t.Errorf("got %q, want the answer to CONNECT", got)
		}
		if !onNode {
			s.expect(`42/greeted,["early",1]`)
		}
		s.expect(`42/greeted,["late"]`)
		s.send("41/greeted")
		s.expect(`42["left","client namespace disconnect"]`)
	})
}

// Socket.IO 5: Disconnection from a namespace. No answer, and the session goes on.
func TestSocket5Disconnect(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s session) {
		s.join()
		s.send("40/custom,")
		s.next()
		s.expect(`42/custom,["auth",{}]`)
		s.send("41/custom,")
		s.echo()
		s.send("40/custom,") // and may be joined again
		if got := s.next(); !strings.HasPrefix(got, `40/custom,{"sid":"`) {
			t.Errorf("got %q", got)
		}
	})
}

// Socket.IO 5: Disconnection by the server: what was sent before arrives before.
func TestSocket5ServerDisconnects(t *testing.T) {
	t.Parallel()
	s := openWebSocket(t)
	s.join()
	s.send(`42["leave",false]`)
	s.expect(`42["last"]`, "41")
	s.join() // the session lives
	s.send(`42["leave",true]`)
	s.expect(`42["last"]`, "41")
	s.closed()
}

// Socket.IO 5: Packet encoding. What is no packet MUST end the connection.
func TestSocket5InvalidPackets(t *testing.T) {
	t.Parallel()
	for _, packet := range []string{
		"4abc", "4", "47", "4-1", "42{}", "42[]", "42null", `42"message"`, "42[null]", "42[{}]", `42["a"`, `42["a"]]`, "42[1,]",
		`42abc["a"]`, `42["disconnect"]`, `42["connect"]`, `42["connect_error"]`, `42["disconnecting"]`,
		`42["newListener"]`, `42["removeListener"]`,
		`40"text"`, "40[]", "40{", "41{}", "43{}", `431{"a":1}`, `43"a"`,
		`44[]`, "45", "45-[]", `45["a"]`, `4511-["a"]`, "451e1-[]", `45x-["a"]`, `45-1-["a"]`, `451["a"]`, "46-1[]",
	} {
		t.Run(packet, func(t *testing.T) {
			t.Parallel()
			s := openWebSocket(t)
			s.join()
			s.send(packet)
			s.closed()
		})
	}
}

// Socket.IO 5: Sending and receiving data. A text packet cannot stand among attachments, nor an
// attachment by itself.
func TestSocket5MisplacedAttachments(t *testing.T) {
	t.Parallel()
	s := openWebSocket(t)
	s.join()
	s.sendBinary([]byte{1})
	s.closed()
	s = openWebSocket(t)
	s.join()
	s.send(`451-["message",{"_placeholder":true,"num":0}]`, `42["message"]`)
	s.closed()
	for _, num := range []string{"1", "-1", "1e9", "0.5", `"0"`, "null", "true", "[]"} {
		t.Run("placeholder "+num, func(t *testing.T) {
			s := openWebSocket(t)
			s.join()
			s.send(`451-["message",{"_placeholder":true,"num":` + num + `}]`)
			s.sendBinary([]byte{1})
			if onNode && num == "0.5" {
				s.next() // Node takes it for undefined
				return
			}
			s.closed()
		})
	}
}

// A client that vanishes takes its session with it, without a heartbeat's wait.
func TestSocket5EndOfConnection(t *testing.T) {
	for range 20 {
		s := openWebSocket(t)
		s.join()
		if err := s.conn.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s := openWebSocket(t)
	s.frame(true, 0, ws.OpClose, nil)
	s.closed()
	awaitStats(t, "no session", func(st stats) bool { return st.Sessions == 0 })
}

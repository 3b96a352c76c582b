package transport

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// What RFC 6455 asks of a server, over real connections, once for each way a WebSocket is read. The cases
// are those that the public conformance suites have; what Engine.IO leaves over of them (an empty text is
// no packet) is seen on the packet's data.

// wsReader is a way of reading a WebSocket.
type wsReader struct {
	name  string
	start func(http.Handler) *httptest.Server
	park  time.Duration // Config.ParkAfter
	// parks tells that a connection is parked before the next piece comes.
	parks bool
}

func wsReaders() []wsReader {
	all := []wsReader{
		{name: "socket", start: httptest.NewServer, park: -1},
		{name: "plain", start: httptest.NewTLSServer, park: time.Millisecond},
	}
	if canPark {
		all = append(all, wsReader{name: "parked", start: httptest.NewServer, park: time.Millisecond, parks: true})
	}
	return all
}

// A rfcCase is what a client sends and what it sees.
type rfcCase struct {
	name string
	sent []byte
	// want has the frames that come back, one word each as wsClient.text has them. If the last is a close
	// frame, the server ends the connection; else the client does, with code 1000, and the server answers.
	want []string
	// reason is why the session ends; empty means ReasonTransportError if the server ends it.
	reason CloseReason
	whole  bool // not in pieces, since others like it are
}

// echoAtOnce makes a recorder send back what it gets from Receive: in the order of the frames, pongs
// included.
func echoAtOnce(r *recorder) {
	r.onReceive = func(r *recorder, m Message) {
		_ = r.session.Send(SendOptions{}, Message{Data: bytes.Clone(m.Data), Binary: m.Binary})
	}
}

// eachReader runs cases against echoing sessions of cfg, in one piece and in small ones, on every way of
// reading. headers are those of the handshake.
func eachReader(t *testing.T, cfg Config, headers string, cases []rfcCase) {
	t.Helper()
	for _, reader := range wsReaders() {
		t.Run(reader.name, func(t *testing.T) {
			t.Parallel()
			cfg := cfg
			cfg.ParkAfter = reader.park
			h := newHarnessOn(t, cfg, echoAtOnce, reader.start)
			failed := 0
			for _, test := range cases {
				sizes := []int{len(test.sent)}
				if n := len(test.sent); n > 1 && !test.whole {
					sizes = append(sizes, 1+n/50) // one byte, or for the time it takes some fifty pieces
				}
				for _, size := range sizes {
					if !h.play(t, reader, headers, test, size) {
						t.Errorf("%s, in pieces of %d", test.name, size)
						if failed++; failed == 5 { // each may take a ping timeout
							t.FailNow()
						}
					}
				}
			}
		})
	}
}

// play runs test on a session of its own and reports whether it went as it should.
func (h *harness) play(t *testing.T, reader wsReader, headers string, test rfcCase, size int) bool {
	t.Helper()
	c, status, err := h.tryDialWith("EIO=4&transport=websocket", headers, nil)
	if err != nil || status != 101 {
		t.Fatalf("websocket: status %d, %v", status, err)
	}
	defer c.conn.Close()
	c.text() // open
	r := h.session()
	if _, parks := r.session.ws.stream.(descriptor); parks != (reader.name != "plain") {
		t.Fatalf("stream is %T", r.session.ws.stream)
	}
	// The client reads all the while, or what it sends could wait for what it does not read.
	frames := make(chan []string, 1)
	go func() {
		var got []string
		for {
			f, err := c.frame()
			if err != nil {
				if isTimeout(err) {
					got = append(got, "no end")
				}
				frames <- got
				return
			}
			got = append(got, frameText(f))
			if f.Header.OpCode == ws.OpClose { // end our half, too; what comes behind is still seen
				_ = c.conn.(interface{ CloseWrite() error }).CloseWrite()
			}
		}
	}()

	sent := test.sent
	want := append([]string(nil), test.want...)
	reason := test.reason
	if n := len(want); n == 0 || !strings.HasPrefix(want[n-1], "close") {
		sent = append(bytes.Clone(sent), maskedFrame(ws.OpClose, "\x03\xe8")...)
		want = append(want, "close 1000")
		reason = ReasonTransportClose
	} else if reason == "" {
		reason = ReasonTransportError
	}
	for piece := range slices.Chunk(sent, size) {
		if reader.parks {
			eventually(t, "parked or ended", func() bool {
				r.session.mu.Lock()
				defer r.session.mu.Unlock()
				return r.session.ws.life == lifeParked || r.session.state == stateClosed
			})
		}
		before := h.srv.counters.bytesIn.Load()
		if _, err := c.conn.Write(piece); err != nil {
			break // what came before was enough
		}
		if size == len(test.sent) {
			continue
		}
		// Read, so that the next piece is read by itself; or not read any more.
		for start := time.Now(); h.srv.counters.bytesIn.Load() == before && r.session.Open(); time.Sleep(50 * time.Microsecond) {
			if time.Since(start) > patience {
				t.Fatal("a piece was not read")
			}
		}
	}
	got := receive(t, "end of the connection", frames)
	ended := r.reason(t)
	ok := true
	if a, b := fmt.Sprintf("%.500q", got), fmt.Sprintf("%.500q", want); a != b {
		t.Errorf("got %s\nwant %s", a, b)
		ok = false
	}
	if ended != string(reason) {
		t.Errorf("reason %q, want %q", ended, reason)
		ok = false
	}
	return ok
}

// rawFrame returns a frame with the first byte as told, and its length in as many bytes as form says: 7, 16 or 64
// bits, whether that is the shortest or not.
func rawFrame(first byte, form int, mask [4]byte, payload string) []byte {
	b := []byte{first}
	switch n := uint64(len(payload)); form {
	case 7:
		b = append(b, 0x80|byte(n))
	case 16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), n)
	}
	b = append(b, mask[:]...)
	masked := []byte(payload)
	ws.Cipher(masked, mask, 0)
	return append(b, masked...)
}

func part(fin bool, op ws.OpCode, payload string) []byte {
	return clientFrame(fin, 0, op, []byte(payload))
}

const goOn = ws.OpContinuation

func pong(payload string) string { return "op 10 " + payload }

// Section 5.2: lengths in each of their forms.
func TestWebSocketLengths(t *testing.T) {
	mask := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	var cases []rfcCase
	for _, n := range []int{1, 2, 124, 125, 126, 127, 128, 65534, 65535, 65536, 65537} {
		payload := "4" + strings.Repeat("*", n-1)
		cases = append(cases,
			rfcCase{name: fmt.Sprint("text of ", n), sent: maskedFrame(ws.OpText, payload), want: []string{payload}},
			rfcCase{name: fmt.Sprint("binary of ", n), sent: maskedFrame(ws.OpBinary, payload), want: []string{fmt.Sprintf("b:%x", payload)}})
	}
	cases = append(cases,
		rfcCase{name: "empty binary", sent: maskedFrame(ws.OpBinary, ""), want: []string{"b:"}},
		// The sender must use the shortest form. Node's ws takes the others, and so do we: the meaning is
		// clear, and a client that a server of Node's accepts is not refused.
		rfcCase{name: "5 in 16 bits", sent: rawFrame(0x81, 16, mask, "4five"), want: []string{"4five"}},
		rfcCase{name: "5 in 64 bits", sent: rawFrame(0x81, 64, mask, "4five"), want: []string{"4five"}},
		rfcCase{name: "125 in 16 bits", sent: rawFrame(0x81, 16, mask, "4"+strings.Repeat("x", 124)), want: []string{"4" + strings.Repeat("x", 124)}},
		rfcCase{name: "200 in 64 bits", sent: rawFrame(0x81, 64, mask, "4"+strings.Repeat("x", 199)), want: []string{"4" + strings.Repeat("x", 199)}},
		rfcCase{name: "nothing in 64 bits", sent: join(rawFrame(0x82, 64, mask, ""), text("4a")), want: []string{"b:", "4a"}},
		rfcCase{name: "ping of 5 in 16 bits", sent: rawFrame(0x89, 16, mask, "Hello"), want: []string{"close 1002"}},
		rfcCase{name: "ping of 5 in 64 bits", sent: rawFrame(0x89, 64, mask, "Hello"), want: []string{"close 1002"}},
		rfcCase{name: "64 bits, the highest set", sent: []byte("\x82\xff\x80\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00hello"), want: []string{"close 1002"}},
		rfcCase{name: "64 bits, all set", sent: []byte("\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00"), want: []string{"close 1002"}},
		rfcCase{name: "63 bits, all set", sent: []byte("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00"), want: []string{"close 1009"}},
		rfcCase{name: "32 bits, which a small int has as -1", sent: []byte("\x82\xff\x00\x00\x00\x00\xff\xff\xff\xff\x00\x00\x00\x00"), want: []string{"close 1009"}},
	)
	eachReader(t, Config{}, "", cases)
}

// Section 5.3: a client masks, with whatever key.
func TestWebSocketMasks(t *testing.T) {
	var cases []rfcCase
	for _, mask := range [][4]byte{{}, {0xff, 0xff, 0xff, 0xff}, {0, 0, 0, 1}, {'4', 0, 0x80, 7}} {
		payload := "4µ masked by the key"
		cases = append(cases,
			rfcCase{name: fmt.Sprintf("key %x", mask), sent: rawFrame(0x81, 7, mask, payload), want: []string{payload}},
			rfcCase{name: fmt.Sprintf("fragments, one with key %x", mask), want: []string{payload},
				sent: join(rawFrame(0x01, 7, mask, payload[:2]), rawFrame(0x00, 7, [4]byte{9, 8, 7, 6}, payload[2:9]), rawFrame(0x80, 7, mask, payload[9:]))},
			rfcCase{name: fmt.Sprintf("ping with key %x", mask), sent: rawFrame(0x89, 7, mask, "Hello"), want: []string{pong("Hello")}})
	}
	for op, what := range map[ws.OpCode]string{ws.OpText: "text", ws.OpBinary: "binary", ws.OpPing: "ping", ws.OpPong: "pong", ws.OpClose: "close"} {
		payload := []byte("4a")
		if op == ws.OpClose {
			payload = []byte("\x03\xe8")
		}
		cases = append(cases, rfcCase{name: "not masked: " + what, sent: join(text("4before"), appendFrame(nil, op, payload), text("4behind")),
			want: []string{"4before", "close 1002"}})
	}
	cases = append(cases, rfcCase{name: "a fragment not masked", sent: join(part(false, ws.OpText, "4a"), appendFrame(nil, goOn, []byte("b"))), want: []string{"close 1002"}})
	eachReader(t, Config{}, "", cases)
}

// Section 5.4: fragments, and what may stand between them.
func TestWebSocketFragments(t *testing.T) {
	bytewise := func(op ws.OpCode, payload string) []byte {
		var b []byte
		for i := range len(payload) {
			b = append(b, part(i == len(payload)-1, op, payload[i:i+1])...)
			op = goOn
		}
		return b
	}
	ping := func(s string) []byte { return maskedFrame(ws.OpPing, s) }
	cases := []rfcCase{
		{name: "two", sent: join(part(false, ws.OpText, "4frag"), part(true, goOn, "ment")), want: []string{"4fragment"}},
		{name: "two of a binary", sent: join(part(false, ws.OpBinary, "\x00"), part(true, goOn, "\xff")), want: []string{"b:00ff"}},
		{name: "one byte each", sent: bytewise(ws.OpText, "4one byte each"), want: []string{"4one byte each"}},
		{name: "one byte each of 600", sent: bytewise(ws.OpBinary, strings.Repeat("abc", 200)), want: []string{"b:" + strings.Repeat("616263", 200)}},
		{name: "empty ones", sent: join(part(false, ws.OpText, ""), part(false, goOn, ""), part(true, goOn, "4a")), want: []string{"4a"}},
		{name: "empty last", sent: join(part(false, ws.OpText, "4a"), part(true, goOn, "")), want: []string{"4a"}},
		{name: "all empty", sent: join(part(false, ws.OpBinary, ""), part(false, goOn, ""), part(true, goOn, "")), want: []string{"b:"}},
		{name: "a thousand empty ones", sent: join(part(false, ws.OpText, "4a"), bytes.Repeat(part(false, goOn, ""), 1000), part(true, goOn, "b")), want: []string{"4ab"}},
		{name: "ping between", sent: join(part(false, ws.OpText, "4frag"), ping("p"), part(true, goOn, "ment")), want: []string{pong("p"), "4fragment"}},
		{name: "pong between", sent: join(part(false, ws.OpText, "4frag"), maskedFrame(ws.OpPong, "p"), part(true, goOn, "ment")), want: []string{"4fragment"}},
		{name: "pings between all", sent: join(part(false, ws.OpText, "4a"), ping("1"), part(false, goOn, "b"), ping("2"), ping("3"), part(false, goOn, ""), ping("4"), part(true, goOn, "c"), text("4d")),
			want: []string{pong("1"), pong("2"), pong("3"), pong("4"), "4abc", "4d"}},
		{name: "long ping between", sent: join(part(false, ws.OpText, "4"), ping(strings.Repeat("p", 125)), part(true, goOn, "x")), want: []string{pong(strings.Repeat("p", 125)), "4x"}},
		{name: "close between", sent: join(part(false, ws.OpText, "4a"), maskedFrame(ws.OpClose, "\x03\xe9"), part(true, goOn, "b")), want: []string{"close 1001"}, reason: ReasonTransportClose},
		{name: "two messages", sent: join(part(false, ws.OpText, "4a"), part(true, goOn, "b"), part(false, ws.OpBinary, "c"), part(true, goOn, "d")), want: []string{"4ab", "b:6364"}},

		{name: "fragmented ping", sent: join(part(false, ws.OpPing, "a"), part(true, goOn, "b")), want: []string{"close 1002"}},
		{name: "fragmented pong", sent: join(part(false, ws.OpPong, "a"), part(true, goOn, "b")), want: []string{"close 1002"}},
		{name: "fragmented close", sent: part(false, ws.OpClose, "\x03\xe8"), want: []string{"close 1002"}},
		{name: "fragmented ping between", sent: join(part(false, ws.OpText, "4a"), part(false, ws.OpPing, "p"), part(true, goOn, "b")), want: []string{"close 1002"}},
		{name: "last of nothing", sent: join(part(true, goOn, "4a"), text("4b")), want: []string{"close 1002"}},
		{name: "more of nothing", sent: join(part(false, goOn, "4a"), text("4b")), want: []string{"close 1002"}},
		{name: "more of a whole message", sent: join(text("4a"), part(true, goOn, "b")), want: []string{"4a", "close 1002"}},
		{name: "more after a fragmented message", sent: join(part(false, ws.OpText, "4a"), part(true, goOn, "b"), part(false, goOn, "c")), want: []string{"4ab", "close 1002"}},
		{name: "text inside a text", sent: join(part(false, ws.OpText, "4a"), text("4b")), want: []string{"close 1002"}},
		{name: "binary inside a text", sent: join(part(false, ws.OpText, "4a"), maskedFrame(ws.OpBinary, "b")), want: []string{"close 1002"}},
		{name: "first fragments of two", sent: join(part(false, ws.OpText, "4a"), part(false, ws.OpText, "4b"), part(true, goOn, "c")), want: []string{"close 1002"}},
		{name: "text inside an empty fragment", sent: join(part(false, ws.OpText, ""), text("4b")), want: []string{"close 1002"}},
	}
	eachReader(t, Config{}, "", cases)
}

// Section 5.5: pings, pongs.
func TestWebSocketControlFrames(t *testing.T) {
	all := make([]byte, 125)
	for i := range all {
		all[i] = byte(0x83 + i)
	}
	var ten []byte
	var pongs []string
	for i := range 10 {
		ten = append(ten, maskedFrame(ws.OpPing, fmt.Sprint("payload-", i))...)
		pongs = append(pongs, pong(fmt.Sprint("payload-", i)))
	}
	eachReader(t, Config{}, "", []rfcCase{
		{name: "empty ping", sent: maskedFrame(ws.OpPing, ""), want: []string{pong("")}},
		{name: "ping", sent: maskedFrame(ws.OpPing, "Hello"), want: []string{pong("Hello")}},
		{name: "binary ping", sent: maskedFrame(ws.OpPing, "\x00\xff\xfe\xfd\xfc\xfb\x00\xff"), want: []string{pong("\x00\xff\xfe\xfd\xfc\xfb\x00\xff")}},
		{name: "ping of 125", sent: maskedFrame(ws.OpPing, string(all)), want: []string{pong(string(all))}},
		{name: "ping of 126", sent: clientFrame(true, 0, ws.OpPing, make([]byte, 126)), want: []string{"close 1002"}},
		{name: "pong of 126", sent: clientFrame(true, 0, ws.OpPong, make([]byte, 126)), want: []string{"close 1002"}},
		{name: "close of 126", sent: clientFrame(true, 0, ws.OpClose, append([]byte("\x03\xe8"), bytes.Repeat([]byte("x"), 124)...)), want: []string{"close 1002"}},
		{name: "empty pong", sent: join(maskedFrame(ws.OpPong, ""), text("4a")), want: []string{"4a"}},
		{name: "pong of nothing asked", sent: join(maskedFrame(ws.OpPong, "unsolicited"), maskedFrame(ws.OpPing, "p")), want: []string{pong("p")}},
		{name: "ten pings", sent: ten, want: pongs},
		{name: "pings around a message", sent: join(maskedFrame(ws.OpPing, "1"), text("4a"), maskedFrame(ws.OpPing, "2")), want: []string{pong("1"), "4a", pong("2")}},
	})
}

// Section 5.2: reserved bits and opcodes.
func TestWebSocketReserved(t *testing.T) {
	var cases []rfcCase
	for rsv := byte(1); rsv < 8; rsv++ {
		for _, op := range []ws.OpCode{ws.OpText, ws.OpBinary, ws.OpPing, ws.OpPong, ws.OpClose} {
			cases = append(cases, rfcCase{name: fmt.Sprintf("bits %03b of opcode %d", rsv, op), whole: rsv != 4, want: []string{"4before", pong("p"), "close 1002"},
				sent: join(text("4before"), maskedFrame(ws.OpPing, "p"), clientFrame(true, rsv, op, nil), text("4behind"), maskedFrame(ws.OpPing, "q"))})
		}
		cases = append(cases, rfcCase{name: fmt.Sprintf("bits %03b of a continuation", rsv), want: []string{"close 1002"},
			sent: join(part(false, ws.OpText, "4a"), clientFrame(true, rsv, goOn, []byte("b")))})
	}
	for _, op := range []ws.OpCode{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		for _, payload := range []string{"", "4reserved"} {
			cases = append(cases, rfcCase{name: fmt.Sprintf("opcode %d with %q", op, payload), whole: payload == "", want: []string{"4before", "close 1002"},
				sent: join(text("4before"), maskedFrame(op, payload), text("4behind"))})
		}
		cases = append(cases, rfcCase{name: fmt.Sprintf("opcode %d between fragments", op), want: []string{"close 1002"},
			sent: join(part(false, ws.OpText, "4a"), maskedFrame(op, ""), part(true, goOn, "b"))})
	}
	eachReader(t, Config{}, "", cases)
}

// Section 8.1: text is UTF-8, wherever it is divided.
func TestWebSocketUTF8(t *testing.T) {
	// The last digits of each are the code point's.
	valid := []string{
		"Hello-µ@ßöäüàá-UTF-8!!", "κόσμε", "\x00", "\x7f",
		"\u0080", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\ufffd", "\ufffe", "\uffff", "\ufdd0",
		"\U00010000", "\U0001fffe", "\U0001ffff", "\U000fffff", "\U00100000", "\U0010fffe", "\U0010ffff",
	}
	invalid := map[string]string{
		"a continuation alone": "\x80", "the last continuation alone": "\xbf", "two continuations": "\x80\xbf",
		"no such first byte c0": "\xc0\x80", "no such first byte c1": "\xc1\xbf",
		"no such first byte f5": "\xf5\x80\x80\x80", "no such first byte f8": "\xf8\x88\x80\x80\x80", "no such first byte fc": "\xfc\x84\x80\x80\x80\x80",
		"fe": "\xfe", "ff": "\xff", "two of them": "\xfe\xff",
		"two bytes, one there": "\xc3", "three, two there": "\xe2\x82", "four, three there": "\xf0\x9f\x98",
		"cut, and more": "\xe2\x82x", "cut, and a first byte": "\xc3\xc3\xa9",
		"/ in two bytes": "\xc0\xaf", "/ in three": "\xe0\x80\xaf", "/ in four": "\xf0\x80\x80\xaf",
		"7f in two bytes": "\xc1\xbf", "7ff in three": "\xe0\x9f\xbf", "ffff in four": "\xf0\x8f\xbf\xbf",
		"the first surrogate": "\xed\xa0\x80", "the last": "\xed\xbf\xbf", "a pair": "\xed\xa0\xbd\xed\xb8\x80",
		"over 10ffff": "\xf4\x90\x80\x80",
	}
	var cases []rfcCase
	for _, s := range valid {
		// One after the other on one connection, divided behind every byte, and then into all of them.
		payload := "4x" + s + "y"
		sent, want := text(payload), []string{payload}
		for i := range len(payload) + 1 {
			sent = append(sent, join(part(false, ws.OpText, payload[:i]), maskedFrame(ws.OpPing, "p"), part(true, goOn, payload[i:]))...)
			want = append(want, pong("p"), payload)
		}
		op := ws.OpText
		for i := range len(payload) {
			sent = append(sent, part(i == len(payload)-1, op, payload[i:i+1])...)
			op = goOn
		}
		cases = append(cases, rfcCase{name: fmt.Sprintf("%+q", s), sent: sent, want: append(want, payload)})
	}
	for name, s := range invalid {
		payload := "4κόσμε" + s
		cases = append(cases,
			rfcCase{name: name, sent: join(text("4before"), text(payload), text("4behind")), want: []string{"4before", "close 1007"}},
			rfcCase{name: name + ", and text behind", sent: text(payload + "edited"), want: []string{"close 1007"}, whole: true})
		for i := len(payload) - len(s); i <= len(payload); i++ {
			cases = append(cases, rfcCase{name: fmt.Sprint(name, ", divided at ", i), want: []string{"close 1007"}, whole: true,
				sent: join(part(false, ws.OpText, payload[:i]), part(true, goOn, payload[i:]), text("4behind"))})
		}
		cases = append(cases, rfcCase{name: name + ", in a binary", whole: true, want: []string{fmt.Sprintf("b:%x", payload)},
			sent: maskedFrame(ws.OpBinary, payload)})
	}
	// A control frame's payload but the close reason is no text.
	cases = append(cases, rfcCase{name: "in a ping", sent: maskedFrame(ws.OpPing, "\xff\xfe"), want: []string{pong("\xff\xfe")}})
	eachReader(t, Config{}, "", cases)
}

// Sections 5.5.1, 7.1 and 7.4: closing.
func TestWebSocketClose(t *testing.T) {
	body := func(code int, reason string) string {
		return string(binary.BigEndian.AppendUint16(nil, uint16(code))) + reason
	}
	clientEnds := func(name, payload, want string, behind ...[]byte) rfcCase {
		return rfcCase{name: name, sent: append(maskedFrame(ws.OpClose, payload), join(behind...)...), want: []string{want}, reason: ReasonTransportClose}
	}
	fault := func(name, payload, want string) rfcCase {
		return rfcCase{name: name, sent: join(text("4before"), maskedFrame(ws.OpClose, payload)), want: []string{"4before", want}}
	}
	cases := []rfcCase{
		clientEnds("without code", "", "close none"),
		clientEnds("with a reason", body(1000, "Hello World!"), "close 1000"),
		clientEnds("with a reason of 123 bytes", body(1000, strings.Repeat("x", 123)), "close 1000"),
		clientEnds("with a reason in UTF-8", body(1000, "Hello-µ@ßöäüàá"), "close 1000"),
		clientEnds("and a text behind", body(1000, ""), "close 1000", text("4a")),
		clientEnds("and a ping behind", body(1000, ""), "close 1000", maskedFrame(ws.OpPing, "p")),
		clientEnds("and a close behind", body(1000, ""), "close 1000", maskedFrame(ws.OpClose, body(1001, ""))),
		clientEnds("and garbage behind", body(1000, ""), "close 1000", []byte(strings.Repeat("\xff", 50))),
		fault("one byte", "\x03", "close 1002"),
		fault("reason not in UTF-8", body(1000, "\xce\xba\xed\xa0\x80edited"), "close 1007"),
		fault("reason cut inside a rune", body(1000, strings.Repeat("x", 121)+"\xe2\x82"), "close 1007"),
		{name: "a message, and close", sent: join(text("4a"), maskedFrame(ws.OpClose, body(1000, ""))), want: []string{"4a", "close 1000"}, reason: ReasonTransportClose},
		{name: "in the middle of a message", sent: join(part(false, ws.OpText, "4a"), maskedFrame(ws.OpClose, body(1000, "")), part(true, goOn, "b")),
			want: []string{"close 1000"}, reason: ReasonTransportClose},
	}
	for _, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999} {
		cases = append(cases,
			clientEnds(fmt.Sprint("code ", code), body(code, ""), fmt.Sprint("close ", code)),
			clientEnds(fmt.Sprint("code ", code, " and reason"), body(code, "reason"), fmt.Sprint("close ", code)))
	}
	// 1004 to 1006 and 1015 are never sent (section 7.4.1), 1016 to 2999 are kept for the protocol.
	for _, code := range []int{0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		cases = append(cases, fault(fmt.Sprint("code ", code), body(code, ""), "close 1002"),
			fault(fmt.Sprint("code ", code, " and reason"), body(code, "reason"), "close 1002"))
	}
	eachReader(t, Config{}, "", cases)
}

// Section 10.4: sizes.
func TestWebSocketSizes(t *testing.T) {
	const limit = 1 << 20
	var cases []rfcCase
	for _, n := range []int{64 << 10, 256 << 10, limit} {
		payload := strings.Repeat("µ", n/2)
		payload = "4" + payload[2:] + "x"
		cases = append(cases, rfcCase{name: fmt.Sprint("text of ", n), sent: maskedFrame(ws.OpText, payload), want: []string{payload}})
		for _, size := range []int{64, 4096, 65536} {
			var sent []byte
			op := ws.OpText
			for i := 0; i < n; i += size {
				sent = append(sent, part(i+size >= n, op, payload[i:i+size])...)
				op = goOn
			}
			cases = append(cases, rfcCase{name: fmt.Sprint("text of ", n, " in fragments of ", size), whole: size == 64, sent: sent, want: []string{payload}})
		}
	}
	over := strings.Repeat("x", limit)
	cases = append(cases,
		rfcCase{name: "over the limit", sent: maskedFrame(ws.OpText, "4"+over), want: []string{"close 1009"}},
		rfcCase{name: "over the limit by its header", sent: maskedFrame(ws.OpText, "4"+over)[:14], want: []string{"close 1009"}},
		rfcCase{name: "over the limit in fragments", sent: join(part(false, ws.OpText, "4"+over[1:]), part(false, goOn, ""), part(true, goOn, "x")), want: []string{"close 1009"}})
	eachReader(t, Config{MaxHTTPBufferSize: limit, MaxBacklogBytes: 4 * limit}, "", cases)
}

// Section 4.2.1: what a handshake has to have.
func TestWebSocketHandshakes(t *testing.T) {
	const path = "/engine.io/?EIO=4&transport=websocket"
	head := func(headers ...string) string { return strings.Join(headers, "\r\n") + "\r\n\r\n" }
	const host, upgrade, connection, key, version = "Host: x", "Upgrade: websocket", "Connection: Upgrade",
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"
	for _, reader := range wsReaders() {
		h := newHarnessOn(t, Config{ParkAfter: reader.park}, nil, reader.start)
		for _, test := range []struct {
			name, request string
			status        int
		}{
			{"as it should be", head("GET "+path+" HTTP/1.1", host, upgrade, connection, key, version), 101},
			{"names and tokens in another case", head("GET "+path+" HTTP/1.1", "host: x", "upgrade: WebSocket", "connection: keep-alive, UPGRADE", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==", "SEC-WEBSOCKET-VERSION: 13"), 101},
			{"no key", head("GET "+path+" HTTP/1.1", host, upgrade, connection, version), 400},
			{"key of 15 bytes", head("GET "+path+" HTTP/1.1", host, upgrade, connection, "Sec-WebSocket-Key: MTIzNDU2Nzg5MDEyMzQ1", version), 400},
			{"key not in base64", head("GET "+path+" HTTP/1.1", host, upgrade, connection, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=!", version), 400},
			{"no version", head("GET "+path+" HTTP/1.1", host, upgrade, connection, key), 426},
			{"version 8", head("GET "+path+" HTTP/1.1", host, upgrade, connection, key, "Sec-WebSocket-Version: 8"), 426},
			{"POST", head("POST "+path+" HTTP/1.1", host, upgrade, connection, key, version, "Content-Length: 0"), 400},
			{"HTTP/1.0", head("GET "+path+" HTTP/1.0", host, upgrade, connection, key, version), 400},
			{"no Connection", head("GET "+path+" HTTP/1.1", host, upgrade, key, version), 400},
			{"no Upgrade", head("GET "+path+" HTTP/1.1", host, connection, key, version), 400},
			{"Upgrade to something else", head("GET "+path+" HTTP/1.1", host, "Upgrade: h2c", connection, key, version), 400},
		} {
			conn, err := h.connect()
			if err != nil {
				t.Fatal(err)
			}
			c := newWSClient(t, conn)
			c.write([]byte(test.request))
			status, err := c.readHead()
			if status != test.status {
				t.Errorf("%s, %s: status %d, %v, want %d", reader.name, test.name, status, err, test.status)
			}
			if status == 101 {
				// RFC 6455, section 1.3, has this key and its answer.
				if !strings.Contains(c.head, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n") {
					t.Errorf("%s, %s: %q", reader.name, test.name, c.head)
				}
				c.text()
				h.session()
			}
			conn.Close()
		}
	}
}

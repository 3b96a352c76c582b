package protocol

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/gobwas/ws"
)

// joinText3 is the text form of a payload of protocol 3: lengths in UTF-16 code units.
func joinText3(packets ...string) string {
	var b strings.Builder
	for _, p := range packets {
		fmt.Fprintf(&b, "%d:%s", len(utf16.Encode([]rune(p))), p)
	}
	return b.String()
}

// splitText3 takes one apart.
func splitText3(t testing.TB, body string) (packets []string) {
	t.Helper()
	for body != "" {
		length, rest, ok := strings.Cut(body, ":")
		n, err := strconv.Atoi(length)
		units := utf16.Encode([]rune(rest))
		if !ok || err != nil || n > len(units) {
			t.Fatalf("%.200q is no payload of protocol 3", body)
		}
		packets = append(packets, string(utf16.Decode(units[:n])))
		body = string(utf16.Decode(units[n:]))
	}
	return packets
}

// joinBinary3 is the binary form; binary packets have "b" before their data here.
func joinBinary3(packets ...string) string {
	var b strings.Builder
	for _, p := range packets {
		mark := byte(0)
		if data, ok := strings.CutPrefix(p, "b"); ok {
			mark, p = 1, "\x04"+data
		}
		b.WriteByte(mark)
		for _, digit := range strconv.Itoa(len(p)) {
			b.WriteByte(byte(digit - '0'))
		}
		b.WriteString("\xff" + p)
	}
	return b.String()
}

// join3 takes the CONNECT that protocol 4 of Socket.IO sends unasked, and the application's greeting.
func (p *poller) join3() { p.t.Helper(); p.expect("40", `42["auth",{}]`) }

func (s *socket) join3() { s.t.Helper(); s.expect("40", `42["auth",{}]`) }

// Engine.IO 3: Anatomy, and Payload. The handshake is a length-prefixed OPEN packet.
func TestEngine3HandshakeOverPolling(t *testing.T) {
	t.Parallel()
	a := request(t, "GET", path+"?EIO=3&transport=polling", "")
	if a.status != 200 || a.header.Get("Content-Type") != "text/plain; charset=UTF-8" {
		t.Fatalf("%d %q %s", a.status, a.header.Get("Content-Type"), a.body)
	}
	packets := splitText3(t, a.body)
	h := parseHello(t, packets[0])
	if h.PingInterval != pingInterval.Milliseconds() || h.PingTimeout != pingTimeout.Milliseconds() || len(h.Upgrades) != 1 {
		t.Errorf("OPEN %+v", h)
	}
}

// engine.io/lib/server.ts: without EIO the protocol is 3.
func TestEngine3IsTheDefault(t *testing.T) {
	t.Parallel()
	a := request(t, "GET", path+"?transport=polling", "")
	if a.status != 200 || !strings.Contains(a.body, `:0{"sid"`) {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// Engine.IO 3: Payload. The length counts characters, as JavaScript does.
func TestEngine3PollingSendsAndReceives(t *testing.T) {
	t.Parallel()
	p := openPolling3(t)
	p.join3()
	p.send(`42["message","hello"]`, `42["message","€"]`, `42["message","😀"]`)
	p.expect(`42["message-back","hello"]`, `42["message-back","€"]`, `42["message-back","😀"]`)
}

// Engine.IO 3: Payload. Text with b64=1, or binary where XHR2 is there.
func TestEngine3BinaryOverPolling(t *testing.T) {
	t.Parallel()
	const header = `451-["message",{"_placeholder":true,"num":0}]`
	const back = `451-["message-back",{"_placeholder":true,"num":0}]`
	t.Run("b64=1", func(t *testing.T) {
		p := openPolling3(t, "&b64=1")
		p.join3()
		p.send(header, "b4AQIDBA==")
		p.expect(back, "b4AQIDBA==")
	})
	t.Run("binary", func(t *testing.T) {
		p := openPolling3(t)
		p.join3()
		if a := p.post(joinBinary3(header, "b\x01\x02\x03\x04"), "Content-Type", "application/octet-stream"); a.status != 200 || a.body != "ok" {
			t.Fatalf("POST: %d %q", a.status, a.body)
		}
		var got string
		for want := joinBinary3(back, "b\x01\x02\x03\x04"); got != want; {
			a := p.poll()
			if a.status != 200 || a.header.Get("Content-Type") != "application/octet-stream" || !strings.HasPrefix(want, got+a.body) {
				t.Fatalf("poll: %d %q %q, want %q", a.status, a.header.Get("Content-Type"), a.body, want)
			}
			got += a.body
		}
	})
	t.Run("text in the binary form", func(t *testing.T) {
		p := openPolling3(t)
		p.join3()
		if a := p.post(joinBinary3(`42["message","€ 😀"]`), "Content-Type", "application/octet-stream"); a.status != 200 {
			t.Fatalf("POST: %d %q", a.status, a.body)
		}
		p.expect(`42["message-back","€ 😀"]`)
	})
}

// Engine.IO 3: Payload. What cannot be read ends the session.
func TestEngine3InvalidPayloadClosesTheSession(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{"no length": "abc", "too long": "9:4a", "kind": "2:9a", "protocol 4": "40"} {
		t.Run(name, func(t *testing.T) {
			p := openPolling3(t)
			p.join3()
			p.post(body)
			p.gone()
		})
	}
	for name, body := range map[string]string{"no end": "\x00\x01", "digit": "\x00\x0b\xff4"} {
		t.Run("binary, "+name, func(t *testing.T) {
			p := openPolling3(t)
			p.join3()
			p.post(body, "Content-Type", "application/octet-stream")
			p.gone()
		})
	}
}

// Engine.IO 3: packets ping and pong. The client pings, the server answers.
func TestEngine3Heartbeat(t *testing.T) {
	t.Parallel()
	start := time.Now()
	s := openQuick3(t)
	s.join3()
	p := openAt(t, quickPath+"?EIO=3&transport=polling", true)
	p.join3()
	for time.Since(start) < quickInterval+quickTimeout { // without, they would end
		s.send("2")
		s.expect("3")
		p.send("2")
		p.expect("3")
		time.Sleep(quickInterval) // the client's own clock
	}
	s.echo()
	p.echo()
}

// Engine.IO 3: Timeouts. Without PINGs the session ends after pingInterval + pingTimeout; the server
// sends none itself.
func TestEngine3PingTimeout(t *testing.T) {
	t.Parallel()
	start := time.Now()
	s := openQuick3(t)
	s.join3()
	if op, data, err := s.read(); err == nil && op != ws.OpClose || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("got opcode %x %q, %v, want the end", op, data, err)
	}
	if took := time.Since(start); took < quickInterval+quickTimeout {
		t.Errorf("closed after %v, want %v", took, quickInterval+quickTimeout)
	}
}

// engine.io/lib/socket.ts: a PONG has the wrong direction in protocol 3.
func TestEngine3ClientMayNotPong(t *testing.T) {
	t.Parallel()
	s := openWebSocket3(t)
	s.join3()
	s.send("3")
	s.closed()
}

// Engine.IO 3: Packet. Binary over a WebSocket has the kind in its first byte, both ways.
func TestEngine3BinaryOverWebSocket(t *testing.T) {
	t.Parallel()
	s := openWebSocket3(t)
	s.join3()
	s.send(`451-["message",{"_placeholder":true,"num":0}]`)
	s.sendBinary([]byte{4, 1, 2, 3})
	s.expect(`451-["message-back",{"_placeholder":true,"num":0}]`, "b\x04\x01\x02\x03")
}

// Engine.IO 3: Transport upgrading.
func TestEngine3Upgrade(t *testing.T) {
	t.Parallel()
	p := openPolling3(t)
	p.join3()
	poll := p.later(true)
	s := p.candidate()
	s.send("2probe")
	if got := s.raw(); got != "3probe" {
		t.Fatalf("got %q, want 3probe", got)
	}
	if a := poll(); a.status != 200 || a.body != "1:6" {
		t.Errorf("pending poll: %d %q, want NOOP", a.status, a.body)
	}
	s.send("5")
	s.echo()
	s.send("2")
	s.expect("3")
	if a := p.poll(); a.status != 400 {
		t.Errorf("poll after the upgrade: %d %q", a.status, a.body)
	}
}

// Engine.IO 3: packet close.
func TestEngine3Close(t *testing.T) {
	t.Parallel()
	p := openPolling3(t)
	p.join3()
	poll := p.later(true)
	p.send("1")
	if a := poll(); a.status != 200 || a.body != "1:6" {
		t.Errorf("poll: %d %q, want NOOP", a.status, a.body)
	}
	p.gone()
}

// A length that overflows or a count that does not end must cost nothing.
func TestEngine3AbsurdLengths(t *testing.T) {
	t.Parallel()
	huge := strings.Repeat("9", 1000) + ":4a"
	p := openPolling3(t)
	p.join3()
	p.post(huge)
	p.gone()
	p = openPolling3(t)
	p.join3()
	p.post("\x00"+strings.Repeat("\x09", 1000)+"\xff4", "Content-Type", "application/octet-stream")
	p.gone()
	s := openWebSocket3(t)
	s.join3()
	s.sendBinary(binary.BigEndian.AppendUint32(nil, 0xffffffff))
	if onNode { // ignores binary packets of no known kind
		s.echo()
	} else {
		s.closed()
	}
}

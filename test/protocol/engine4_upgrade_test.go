package protocol

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

// candidate opens a WebSocket for the polling session.
func (p *poller) candidate() *socket {
	p.t.Helper()
	eio := "4"
	if p.eio3 {
		eio = "3"
	}
	at, _, _ := strings.Cut(p.uri, "?")
	s := dialAt(p.t, at, "EIO="+eio+"&sid="+p.hello.SID)
	s.eio3 = p.eio3
	return s
}

// Engine.IO 4: Upgrade. PING probe, PONG probe, NOOP to the pending poll, UPGRADE; then the WebSocket
// is the session's.
func TestEngine4Upgrade(t *testing.T) {
	t.Parallel()
	p := openPolling(t)
	p.join()
	poll := p.later(true)
	s := p.candidate()
	s.send("2probe")
	if got := s.raw(); got != "3probe" {
		t.Fatalf("got %q, want 3probe", got)
	}
	if a := poll(); a.status != 200 || a.body != "6" {
		t.Errorf("pending poll: %d %q, want NOOP", a.status, a.body)
	}
	// A poll that comes while the upgrade is under way must not wait either.
	if a := p.poll(); a.status != 200 || a.body != "6" {
		t.Errorf("later poll: %d %q, want NOOP", a.status, a.body)
	}
	s.send("5")
	s.echo()
}

// Engine.IO 4: Upgrade. Packets behind UPGRADE, in the same segment, are the session's.
func TestEngine4MessagesRightBehindUpgrade(t *testing.T) {
	t.Parallel()
	p := openPolling(t)
	p.join()
	s := p.candidate()
	s.send("2probe")
	if got := s.raw(); got != "3probe" {
		t.Fatalf("got %q, want 3probe", got)
	}
	var b []byte
	for _, packet := range []string{"5", `42["message",1]`, `42["message",2]`} {
		b = append(b, ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte(packet))))...)
	}
	if _, err := s.conn.Write(b); err != nil {
		t.Fatal(err)
	}
	s.expect(`42["message-back",1]`, `42["message-back",2]`)
}

// Engine.IO 4: WebSocket, and the protocol's suite: after the upgrade polls get 400 and the session lives.
func TestEngine4PollsAfterUpgrade(t *testing.T) {
	t.Parallel()
	p := openPolling(t)
	p.join()
	s := p.candidate()
	s.send("2probe")
	if got := s.raw(); got != "3probe" {
		t.Fatalf("got %q", got)
	}
	s.send("5")
	s.echo()
	for _, a := range []answer{p.poll(), p.post(`42["message","stray"]`)} {
		if want := `{"code":3,"message":"Bad request"}`; a.status != 400 || a.body != want {
			t.Errorf("%d %q, want 400 %s", a.status, a.body, want)
		}
	}
	s.echo()
}

// Engine.IO 4: WebSocket. A second WebSocket for a session MUST be closed; the first lives.
func TestEngine4SecondWebSocket(t *testing.T) {
	t.Parallel()
	p := openPolling(t)
	p.join()
	s := p.candidate()
	s.send("2probe")
	if got := s.raw(); got != "3probe" {
		t.Fatalf("got %q", got)
	}
	during := p.candidate()
	during.closed()
	s.send("5")
	s.echo()
	after := p.candidate()
	after.send("2probe", "5", `42["message","stray"]`)
	after.closed()
	s.echo()
}

// Engine.IO 4: Upgrade, and socket.ts, _maybeUpgrade: what is neither probe nor upgrade costs the
// candidate its connection and the session nothing.
func TestEngine4FailedUpgradeLeavesPolling(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		do   func(*socket)
	}{
		{"a message", func(s *socket) { s.send(`42["message","too early"]`) }},
		{"another ping", func(s *socket) { s.send("2") }},
		{"no packet", func(s *socket) { s.send("abc") }},
		{"a bad frame", func(s *socket) { s.send("\xff") }},
		{"a close frame", func(s *socket) { s.frame(true, 0, ws.OpClose, nil) }},
		{"the end", func(s *socket) { _ = s.conn.Close() }},
		{"the end after the probe", func(s *socket) { s.send("2probe"); s.raw(); _ = s.conn.Close() }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := openPolling(t)
			p.join()
			s := p.candidate()
			tt.do(s)
			s.closed()
			_ = s.conn.Close()
			for {
				p.send(`42["message","echo"]`)
				if got := p.next(); got == `42["message-back","echo"]` {
					break
				} else if got != "6" {
					t.Fatalf("got %q", got)
				}
			}
			// The next candidate has its chance, once the server knows that this one has ended.
			for attempt := 0; ; attempt++ {
				s = p.candidate()
				s.send("2probe")
				op, data, err := s.read()
				if data == "3probe" {
					break
				}
				if op != ws.OpClose && err == nil || attempt > 100 {
					t.Fatalf("second attempt: opcode %x %q, %v", op, data, err)
				}
				_ = s.conn.Close()
			}
			s.send("5")
			s.echo()
		})
	}
}

// The session ends while a candidate is there: the candidate ends too.
func TestEngine4SessionClosesDuringUpgrade(t *testing.T) {
	t.Parallel()
	p := openPolling(t)
	s := p.candidate()
	s.send("2probe")
	if got := s.raw(); got != "3probe" {
		t.Fatalf("got %q", got)
	}
	p.send("1")
	s.closed()
	p.gone()
}

// Engine.IO 4: Upgrade. Nothing is lost, doubled or out of order, in either direction, when messages
// flow all the while. (engine.io issue 284, socket.io-client issue 989.)
func TestEngine4UpgradeUnderLoad(t *testing.T) {
	t.Parallel()
	const sessions, messages = 8, 200
	for i := range sessions {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			p := openPolling(t)
			p.join()
			got := make([]string, 0, messages)
			take := func(packet string) {
				if strings.HasPrefix(packet, "42") {
					got = append(got, packet)
				}
			}
			sent := 0
			batch := func(n int) (packets []string) {
				for ; n > 0; n-- {
					packets = append(packets, fmt.Sprintf(`42["message",%d]`, sent))
					sent++
				}
				return packets
			}
			for range messages / 40 {
				p.send(batch(10)...)
			}
			s := p.candidate()
			s.send("2probe")
			p.send(batch(10)...)
			if packet := s.raw(); packet != "3probe" {
				t.Fatalf("got %q", packet)
			}
			// As a client does: the poll under way is read to its end, then no more.
			p.send(batch(10)...)
			a := p.poll()
			for _, packet := range p.split(a.body) {
				take(packet)
			}
			s.send("5")
			s.send(batch(messages - sent)...)
			for len(got) < messages {
				take(s.next())
			}
			for k, packet := range got {
				if want := fmt.Sprintf(`42["message-back",%d]`, k); packet != want {
					t.Fatalf("message %d is %q, want %q", k, packet, want)
				}
			}
			s.echo()
		})
	}
}

// Engine.IO 4: Heartbeat goes on across the upgrade.
func TestEngine4HeartbeatAfterUpgrade(t *testing.T) {
	t.Parallel()
	p := openAt(t, quickPath+"?EIO=4&transport=polling", false)
	p.join()
	s := p.candidate()
	s.send("2probe")
	if got := s.raw(); got != "3probe" {
		t.Fatalf("got %q", got)
	}
	s.send("5")
	for range 3 {
		if got := s.raw(); got != "2" {
			t.Fatalf("got %q, want PING", got)
		}
		s.send("3")
	}
	s.unanswered()
}

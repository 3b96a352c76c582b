package transport

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// writes is a stream that takes everything, and keeps it write by write.
type writes struct {
	sink
	all [][]byte
}

func (w *writes) tryWrite(b []byte) (int, error) {
	w.all = append(w.all, b)
	return len(b), nil
}

// texts returns what the writes have been, each message followed by a space, and each write by a bar.
func (w *writes) texts(t *testing.T) string {
	t.Helper()
	var out strings.Builder
	for _, b := range w.all {
		for r := bytes.NewReader(b); r.Len() > 0; {
			f, err := ws.ReadFrame(r)
			if err != nil {
				t.Fatal(err)
			}
			if f.Header.OpCode == ws.OpClose {
				f.Payload = []byte("close")
			}
			fmt.Fprintf(&out, "%.8s ", f.Payload)
		}
		out.WriteString("| ")
	}
	return strings.TrimSpace(out.String())
}

// burstSession returns a session whose writes are kept, and whose flusher is the test.
func burstSession(t *testing.T) (*Session, *writes) {
	s, _ := benchSession(t, 1)
	s.opened.Store(true)
	s.hs = &Handshake{}
	w := &writes{sink: s.ws.stream.(sink)}
	s.ws.stream = w
	s.srv.flusher.running = true
	s.srv.sessions[s.sid] = s
	return s, w
}

func prepared(text string) *Prepared { return Prepare(Message{Data: []byte(text)}) }

var inBurst = SendOptions{Burst: true}

func TestBroadcastsOfABurstLeaveTogether(t *testing.T) {
	big := strings.Repeat("x", joinLimit)
	for _, test := range []struct {
		name string
		act  func(s *Session)
		want string
	}{
		{"alone", func(s *Session) { _ = s.SendPrepared(SendOptions{}, prepared("a")) }, "4a |"},
		{"flushed", func(s *Session) {
			for _, text := range []string{"a", "b", "c"} {
				_ = s.SendPrepared(inBurst, prepared(text))
			}
			if packets, size := s.Backlog(); packets != 3 || size != 6 {
				t.Errorf("%d packets, %d bytes wait", packets, size)
			}
		}, "4a 4b 4c |"},
		{"the last is no burst's", func(s *Session) {
			_ = s.SendPrepared(inBurst, prepared("a"))
			_ = s.SendPrepared(SendOptions{}, prepared("b"))
		}, "4a 4b |"},
		{"another message behind", func(s *Session) {
			_ = s.SendPrepared(inBurst, prepared("a"))
			_ = s.Send(SendOptions{}, Message{Data: []byte("own")})
			_ = s.SendPrepared(inBurst, prepared("b"))
		}, "4a | 4own | 4b |"},
		{"large", func(s *Session) {
			_ = s.SendPrepared(inBurst, prepared("a"))
			_ = s.SendPrepared(inBurst, prepared(big))
		}, "4a | 4xxxxxxx |"},
		{"many", func(s *Session) {
			for range 5 {
				_ = s.SendPrepared(inBurst, prepared(big[:gatherLimit/4-8]))
			}
		}, "4xxxxxxx 4xxxxxxx 4xxxxxxx 4xxxxxxx | 4xxxxxxx |"},
		{"in a turn", func(s *Session) {
			_ = s.SendPrepared(inBurst, prepared("a"))
			s.mu.Lock()
			s.beginTurn()
			s.mu.Unlock()
			_ = s.SendPrepared(inBurst, prepared("b"))
			s.srv.flusher.flush(false) // to it, the session has nothing
			_ = s.Send(SendOptions{}, Message{Data: []byte("own")})
			s.mu.Lock()
			s.endGather()
			s.mu.Unlock()
		}, "4a 4b 4own |"},
		{"ping", func(s *Session) {
			_ = s.SendPrepared(inBurst, prepared("a"))
			s.mu.Lock()
			s.sendPacket(enginePacket{kind: kindPing})
			s.mu.Unlock()
		}, "4a | 2 |"},
		{"answered close", func(s *Session) {
			_ = s.SendPrepared(inBurst, prepared("a"))
			s.mu.Lock()
			s.ws.stream = deadlines{s.ws.stream.(*writes)}
			s.ws.answerClose(nil)
			s.ws.stream = s.ws.stream.(deadlines).writes
			s.mu.Unlock()
		}, "4a | close |"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, w := burstSession(t)
			test.act(s)
			s.srv.flusher.flush(false)
			want(t, "writes", w.texts(t), test.want)
			if packets, size := s.Backlog(); packets != 0 || size != 0 {
				t.Errorf("%d packets, %d bytes are left", packets, size)
			}
			want(t, "flusher has some", s.srv.flusher.flush(false), false)
		})
	}
}

// deadlines is writes that take deadlines.
type deadlines struct{ *writes }

func (deadlines) setDeadline(time.Time) {}

// Sessions with the same queue share the bytes, whatever others have queued in between.
func TestBurstsShareTheirBytes(t *testing.T) {
	a, wa := burstSession(t)
	b, wb := burstSession(t)
	other, wo := burstSession(t)
	b.srv, other.srv = a.srv, a.srv
	p, q, r := prepared("p"), prepared("q"), prepared("r")
	for _, s := range []*Session{a, other, b} {
		_ = s.SendPrepared(inBurst, p)
	}
	_ = other.SendPrepared(inBurst, r)
	for _, s := range []*Session{a, b} {
		_ = s.SendPrepared(inBurst, q)
	}
	a.srv.flusher.flush(false)
	want(t, "a", wa.texts(t), "4p 4q |")
	want(t, "b", wb.texts(t), "4p 4q |")
	want(t, "other", wo.texts(t), "4p 4r |")
	if &wa.all[0][0] != &wb.all[0][0] {
		t.Error("the bytes are not shared")
	}
}

// Broadcasts of several goroutines, in bursts and not, with messages of the sessions' own in between, reach each
// client in the order of the calls of each.
func TestOrderOfBursts(t *testing.T) {
	const sessions, senders, each = 8, 4, 500
	h := newHarness(t, Config{}, nil)
	var clients []*wsClient
	var all []*Session
	for range sessions {
		clients = append(clients, h.dial("EIO=4&transport=websocket"))
		all = append(all, h.session().session)
	}
	var done sync.WaitGroup
	for sender := range senders {
		done.Go(func() {
			for n := range each {
				p := prepared(fmt.Sprintf("%d:%d", sender, 2*n))
				for _, s := range all {
					_ = s.SendPrepared(SendOptions{Burst: n%7 != 0}, p)
				}
				for _, s := range all {
					_ = s.Send(SendOptions{}, Message{Data: fmt.Appendf(nil, "%d:%d", sender, 2*n+1)})
				}
			}
		})
	}
	for _, c := range clients {
		done.Go(func() {
			c.text() // OPEN
			var next [senders]int
			for range senders * each * 2 {
				var sender, n int
				f, err := c.frame()
				if err == nil {
					_, err = fmt.Sscanf(string(f.Payload), "4%d:%d", &sender, &n)
				}
				if err != nil || n != next[sender] {
					t.Errorf("%q, %v; want number %d", f.Payload, err, next[sender])
					return
				}
				next[sender]++
			}
		})
	}
	done.Wait()
}

// BenchmarkBurst is so many broadcasts to 1,000 sessions at once, without the system calls.
func BenchmarkBurst(b *testing.B) {
	for _, n := range []int{1, 32} {
		b.Run(fmt.Sprint("broadcasts=", n), func(b *testing.B) {
			first, _ := benchSession(b, 1)
			all := []*Session{first}
			for range 999 {
				s, _ := benchSession(b, 1)
				s.srv = first.srv
				all = append(all, s)
			}
			first.srv.flusher.running = true
			b.ReportAllocs()
			for b.Loop() {
				for range n {
					p := prepared("the same for all")
					for _, s := range all {
						_ = s.SendPrepared(SendOptions{Burst: n > 1}, p)
					}
				}
				first.srv.flusher.flush(false)
			}
		})
	}
}

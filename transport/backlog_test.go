package transport

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/gobwas/ws"
)

// uncompressed keeps what is large from being compressed, which takes long under the race detector.
var uncompressed = SendOptions{NoCompress: true}

// A client whose packets are read one by one, over either transport.
type packetReader func() string

// onBoth runs test with a session over each transport.
func onBoth(t *testing.T, cfg Config, test func(t *testing.T, r *recorder, next packetReader)) {
	t.Run("websocket", func(t *testing.T) {
		c, r := newHarness(t, cfg, nil).openWebSocket()
		test(t, r, c.text)
	})
	t.Run("polling", func(t *testing.T) {
		c, r := newHarness(t, cfg, nil).openPolling()
		var got []string
		test(t, r, func() string {
			if len(got) == 0 {
				got = strings.Split(c.get().body, "\x1e")
			}
			p := got[0]
			got = got[1:]
			return p
		})
	})
}

// One large message is not held against a client, whatever waits before and behind it.
func TestLargeMessageIsNoSlowClient(t *testing.T) {
	large := bytes.Repeat([]byte("x"), 8<<20) // more than a kernel takes
	for _, prepared := range []bool{false, true} {
		t.Run(fmt.Sprint("prepared=", prepared), func(t *testing.T) {
			onBoth(t, Config{MaxBacklogBytes: 1 << 20}, func(t *testing.T, r *recorder, next packetReader) {
				for range 2 {
					want(t, "before", r.session.Send(SendOptions{}, Message{Data: []byte("before")}), nil)
					var err error
					if prepared {
						err = r.session.SendPrepared(uncompressed, Prepare(Message{Data: large}))
					} else {
						err = r.session.Send(uncompressed, Message{Data: large})
					}
					want(t, "large", err, nil)
					for i := range 100 { // nor is what follows
						want(t, "behind", r.session.Send(SendOptions{}, Message{Data: fmt.Append(nil, i)}), nil)
					}
					want(t, "packet", next(), "4before")
					want(t, "size", len(next()), len(large)+1)
					for i := range 100 {
						want(t, "packet", next(), fmt.Sprint("4", i))
					}
					eventually(t, "all has left", func() bool { n, _ := r.session.Backlog(); return n == 0 })
				}
			})
		})
	}
}

func TestMessagesHaveALargestSize(t *testing.T) {
	lines := make(logLines, 10)
	cfg := Config{MaxSendBytes: 1000, Logger: slog.New(slog.NewTextHandler(lines, nil))}
	onBoth(t, cfg, func(t *testing.T, r *recorder, next packetReader) {
		half, over := Message{Data: bytes.Repeat([]byte("x"), 499)}, Message{Data: bytes.Repeat([]byte("x"), 500)}
		want(t, "over", r.session.Send(SendOptions{}, half, over), ErrTooLarge)
		want(t, "over", r.session.SendPrepared(SendOptions{}, Prepare(half, over)), ErrTooLarge)
		want(t, "fits", r.session.Send(SendOptions{}, half, half), nil)
		want(t, "open", r.session.Open(), true)
		want(t, "size", len(next())+len(next()), 1000)
		want(t, "warning", strings.Contains(<-lines, "larger than MaxSendBytes"), true)
		r.session.srv.apart.Info("next")
		want(t, "no other", strings.Contains(<-lines, "msg=next"), true) // not one for each
	})
}

// logLines gets the lines of a log.
type logLines chan string

func (l logLines) Write(b []byte) (int, error) { l <- string(b); return len(b), nil }

// Who waits for the session may send as much as it likes.
func TestReadyKeepsTheBacklogSmall(t *testing.T) {
	const n, limit = 1200, 256 << 10
	onBoth(t, Config{MaxBacklogBytes: limit}, func(t *testing.T, r *recorder, next packetReader) {
		var wg sync.WaitGroup
		defer wg.Wait()
		wg.Go(func() {
			for i := range n {
				if err := r.session.Ready(t.Context()); err != nil {
					t.Errorf("message %d: %v", i, err)
					return
				}
				data := append(fmt.Append(nil, i, " "), make([]byte, 10<<10)...)
				if err := r.session.Send(uncompressed, Message{Data: data}); err != nil {
					t.Errorf("message %d: %v", i, err)
					return
				}
			}
		})
		for i := range n {
			number, _, _ := strings.Cut(next(), " ")
			want(t, "packet", number, fmt.Sprint("4", i))
		}
	})
}

// However large messages are, and whoever else waits and sends, none that was waited for is too much.
func TestWhatIsSentWhenReadyIsTaken(t *testing.T) {
	cfg := Config{MaxBacklogBytes: 64 << 10, MaxBacklogPackets: 16}
	group := make([]Message, 12)
	for i := range group {
		group[i].Data = []byte("x")
	}
	all := [][]Message{{{Data: []byte("x")}}, {{Data: make([]byte, 6<<20)}}, group, {{Data: make([]byte, 3<<20)}}, {{Data: make([]byte, 30<<10)}}}
	packets := 0
	for _, list := range all {
		packets += len(list)
	}
	send := func(r *recorder, prepared bool) error {
		for _, list := range append(all, all...) {
			for err := ErrNotReady; err == ErrNotReady; {
				if err := r.session.Ready(context.Background()); err != nil {
					return err
				}
				if o := (SendOptions{NoCompress: true, IfReady: true}); prepared {
					err = r.session.SendPrepared(o, Prepare(list...))
				} else {
					err = r.session.Send(o, list...)
				}
				if err != nil && err != ErrNotReady {
					return err
				}
			}
		}
		return nil
	}
	onBoth(t, cfg, func(t *testing.T, r *recorder, next packetReader) {
		done := make(chan error, 2)
		for i := range cap(done) {
			go func() { done <- send(r, i == 0) }()
		}
		for range cap(done) * 2 * packets {
			next()
		}
		for range cap(done) {
			want(t, "sent", receive(t, "sent", done), nil)
		}
	})
	t.Run("gathered", func(t *testing.T) { // what one Work has sent leaves together, over a pipe, which takes nothing at once
		synctest.Test(t, func(t *testing.T) {
			srv, _ := serverOnly(t, Config{MaxBacklogBytes: 4 << 10})
			sent := make(chan error, 1)
			accept := srv.cfg.Accept
			srv.cfg.Accept = func(s *Session) Receiver {
				r := accept(s)
				r.(*recorder).onWork = func(r *recorder) {
					for range 200 {
						_ = r.session.Ready(t.Context())
						_ = r.session.Send(SendOptions{}, Message{Data: make([]byte, 300)})
					}
					_ = r.session.Ready(t.Context())
					sent <- r.session.SendPrepared(uncompressed, Prepare(Message{Data: make([]byte, 20<<10)}))
				}
				return r
			}
			client, packets := pipeSession(t, srv, "EIO=4&transport=websocket")
			_, _ = client.Write(maskedFrame(ws.OpText, "4"))
			for range 201 {
				<-packets
			}
			want(t, "sent", <-sent, nil)
			_ = client.Close()
		})
	})
}

func TestReadyEnds(t *testing.T) {
	large := Message{Data: make([]byte, 12<<20)}
	for name, end := range map[string]func(*Session){
		"aborted": func(s *Session) { s.Abort(ReasonForcedServerClose) },
		"closed":  func(s *Session) { s.Close(ReasonForcedServerClose) },
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, Config{}, func(t *testing.T, r *recorder, _ packetReader) {
				want(t, "nothing waits", r.session.Ready(t.Context()), nil)
				_ = r.session.Send(SendOptions{}, large)
				want(t, "no room", r.session.Send(SendOptions{IfReady: true}, Message{}), ErrNotReady)
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				want(t, "context", r.session.Ready(ctx), context.Canceled)
				done := make(chan error, 1)
				go func() { done <- r.session.Ready(t.Context()) }()
				eventually(t, "waits", func() bool { return goroutinesIn("Session).Ready") == 1 })
				end(r.session)
				want(t, "ended", receive(t, "Ready", done), ErrClosed)
			})
		})
	}
}

// Ready goes on when an upgrade has taken the backlog over.
func TestReadyThroughAnUpgrade(t *testing.T) {
	h := newHarness(t, Config{}, nil)
	c, r := h.openPolling()
	w := h.dial("EIO=4&transport=websocket&sid=" + c.sid)
	w.send("2probe")
	want(t, "probe", w.text(), "3probe")
	half := Message{Data: make([]byte, DefaultMaxBacklogBytes/2)}
	_ = r.session.Send(SendOptions{}, half)
	_ = r.session.Send(SendOptions{}, half)
	done := make(chan error, 1)
	go func() { done <- r.session.Ready(t.Context()) }()
	eventually(t, "waits", func() bool { return goroutinesIn("Session).Ready") == 1 })
	w.write(maskedFrame(ws.OpText, "5"))
	for range 2 {
		want(t, "size", len(w.text()), len(half.Data)+1)
	}
	want(t, "ready", receive(t, "Ready", done), nil)
}

// A packet with its attachments is one send, and stays within the limits when an upgrade takes it over.
func TestLargeBacklogThroughAnUpgrade(t *testing.T) {
	h := newHarness(t, Config{MaxBacklogBytes: 64 << 10}, nil)
	c, r := h.openPolling()
	w := h.dial("EIO=4&transport=websocket&sid=" + c.sid)
	w.send("2probe")
	want(t, "probe", w.text(), "3probe")
	attachment := Message{Data: make([]byte, 4<<20), Binary: true}
	want(t, "send", r.session.Send(SendOptions{}, Message{Data: []byte("packet")}, attachment, attachment), nil)
	want(t, "send", r.session.SendPrepared(SendOptions{}, Prepare(Message{Data: []byte("behind")})), nil)
	w.write(maskedFrame(ws.OpText, "5"))
	want(t, "packet", w.text(), "4packet")
	for range 2 {
		f, err := w.frame()
		want(t, "err", err, nil)
		want(t, "attachment", len(f.Payload), len(attachment.Data))
	}
	want(t, "behind", w.text(), "4behind")
}

package transport

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
)

// countingStream counts the writes of a stream.
type countingStream struct {
	stream
	writes atomic.Int64
}

func (c *countingStream) tryWrite(b []byte) (int, error) {
	c.writes.Add(1)
	return c.stream.tryWrite(b)
}

// countWrites counts the writes of a session from Accept on.
func countWrites(s *Session) *countingStream {
	c := &countingStream{stream: s.ws.stream}
	s.ws.stream = c
	return c
}

func TestAnswersOfOneReadLeaveInOneWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // over a pipe, which cuts nothing, and with a timer that does not fire
		srv, _ := serverOnly(t, Config{})
		var counting *countingStream
		accept := srv.cfg.Accept
		srv.cfg.Accept = func(s *Session) Receiver {
			counting = countWrites(s)
			r := accept(s)
			echo(r.(*recorder))
			return r
		}
		client, packets := pipeSession(t, srv, "EIO=4&transport=websocket")
		var frames []byte
		const n = 100
		for i := range n {
			frames = append(frames, maskedFrame(ws.OpText, "4"+strconv.Itoa(i))...)
		}
		if len(frames) > plainStreamBuffer {
			t.Fatalf("%d bytes are more than one read", len(frames))
		}
		_, _ = client.Write(frames)
		for i := range n {
			want(t, "echo", <-packets, "4"+strconv.Itoa(i))
		}
		want(t, "writes", counting.writes.Load(), int64(1))
		client.Close()
	})
}

func TestBlockedWorkLosesReader(t *testing.T) {
	for _, how := range []string{"timer", "yield"} {
		t.Run(how, func(t *testing.T) {
			release := make(chan struct{})
			var works atomic.Int64
			h := newHarness(t, Config{PingInterval: 20 * time.Millisecond, PingTimeout: patience}, func(r *recorder) {
				r.onWork = func(r *recorder) {
					if works.Add(1) > 1 {
						return
					}
					_ = r.session.Send(SendOptions{}, Message{Data: []byte("gathered")})
					if how == "yield" {
						r.session.Yield()
					}
					<-release
					_ = r.session.Send(SendOptions{}, Message{Data: []byte("late")})
				}
			})
			c, r := h.openWebSocket()
			next := func() string {
				for {
					p := c.text()
					if p != "2" {
						return p
					}
					c.send("3") // the heartbeat goes on
				}
			}
			c.send("40")
			want(t, "gathered", next(), "4gathered")
			for i := 1; i < 100; i++ {
				c.send("4" + strconv.Itoa(i))
			}
			for i, m := range r.messages(t, 100) {
				want(t, "message", m, strconv.Itoa(i))
			}
			_ = r.session.Send(SendOptions{}, Message{Data: []byte("meanwhile")})
			want(t, "sent meanwhile", next(), "4meanwhile")
			// On a machine that stands still the reader may just be replaced once more.
			eventually(t, "the blocked goroutine and the reader", func() bool { return goroutinesIn("transport.(*wsConn)") == 2 })
			close(release)
			want(t, "late", next(), "4late")
			eventually(t, "one goroutine", func() bool { return goroutinesIn("transport.(*wsConn)") == 1 })
			c.send("4end")
			want(t, "message", r.messages(t, 101)[100], "end")
		})
	}
}

// Works that last about as long as the takeover's timer make turns, takeovers and ends meet in all orders.
func TestTakeoverRaces(t *testing.T) {
	const sessions, messages = 8, 300
	h := newHarness(t, Config{}, func(r *recorder) {
		var mu sync.Mutex
		var queue []string
		r.onReceive = func(_ *recorder, m Message) {
			mu.Lock()
			queue = append(queue, string(m.Data))
			mu.Unlock()
		}
		var n atomic.Int64
		r.onWork = func(r *recorder) {
			switch n.Add(1) % 4 {
			case 0:
				time.Sleep(takeoverAfter)
			case 1:
				time.Sleep(takeoverAfter - 500*time.Microsecond)
			case 2:
				r.session.Yield()
			}
			mu.Lock()
			defer mu.Unlock()
			for _, m := range queue {
				_ = r.session.Send(SendOptions{}, Message{Data: []byte(m)})
			}
			queue = nil
		}
	})
	var wg sync.WaitGroup
	for range sessions {
		c, r := h.openWebSocket()
		wg.Go(func() {
			for i := range messages {
				c.send("4" + strconv.Itoa(i))
				if i%7 == 0 {
					time.Sleep(time.Millisecond)
				}
			}
		})
		wg.Go(func() {
			for i := range messages {
				want(t, "echo", c.text(), "4"+strconv.Itoa(i))
			}
			if got := strings.Join(r.messages(t, messages), ","); !strings.HasSuffix(got, fmt.Sprint(messages-1)) {
				t.Errorf("messages end with %.20s", got)
			}
		})
	}
	wg.Wait()
	eventually(t, "a reader each", func() bool { return goroutinesIn("transport.(*wsConn)") == sessions })
}

func TestBlockedWorkDoesNotDelayClosed(t *testing.T) {
	release := make(chan struct{})
	h := newHarness(t, Config{}, func(r *recorder) { r.onWork = func(*recorder) { <-release } })
	c, r := h.openWebSocket()
	c.send("4x")
	r.messages(t, 1)
	c.conn.Close()
	want(t, "reason", r.reason(t), "transport close")
	close(release)
}

// A close frame behind a message ends the connection at once, however long the handler of the message takes.
func TestCloseFrameBehindASlowHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, opened := serverOnly(t, Config{})
		client, packets := pipeSession(t, srv, "EIO=4&transport=websocket")
		r := <-opened
		release := make(chan struct{})
		r.onWork = func(*recorder) { <-release }
		start := time.Now()
		_, _ = client.Write(append(maskedFrame(ws.OpText, "4x"), maskedFrame(ws.OpClose, "")...))
		want(t, "answer", <-packets, "op 8")
		_, more := <-packets
		want(t, "connection open", more, false)
		want(t, "time", time.Since(start), time.Duration(0))
		want(t, "reason", r.reason(t), "transport close")
		close(release)
		client.Close()
	})
}

func TestPostsWorkIsGathered(t *testing.T) {
	h := newHarness(t, Config{}, func(r *recorder) {
		r.onWork = func(r *recorder) {
			for i := range 20 {
				_ = r.session.Send(SendOptions{}, Message{Data: []byte(strconv.Itoa(i))})
				runtime.Gosched()
			}
		}
	})
	c, r := h.openPolling()
	poll := c.goGet()
	parked(t, r.session)
	c.post("4x")
	if got := strings.Count(receive(t, "poll", poll).body, "\x1e"); got < 10 { // 19, unless the machine is slow
		t.Errorf("%d packets in the first body, want 20", got+1)
	}
}

package transport

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// asleep waits until the session's WebSocket is parked.
func asleep(t *testing.T, s *Session) {
	t.Helper()
	eventually(t, "parked", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.ws != nil && s.ws.life == lifeParked
	})
}

func readers() int { return goroutinesIn("transport.(*wsConn)") }

func TestSilentWebSocketIsParked(t *testing.T) {
	h := newHarness(t, Config{ParkAfter: 20 * time.Millisecond}, echo)
	c, r := h.openWebSocket()
	asleep(t, r.session)
	for i := range 3 { // a single message wakes it, several keep it awake
		c.send("4a")
		want(t, "echo", c.text(), "4a")
		for range i * 5 {
			c.send("4b")
			want(t, "echo", c.text(), "4b")
		}
		asleep(t, r.session)
		eventually(t, "no reader", func() bool { return readers() == 0 })
	}
	_ = r.session.Send(SendOptions{}, Message{Data: []byte("to the parked")})
	want(t, "sent", c.text(), "4to the parked")
	want(t, "readers", readers(), 0)
}

func TestHeartbeatOfParkedWebSocket(t *testing.T) {
	h := newHarness(t, Config{ParkAfter: time.Millisecond, PingInterval: 20 * time.Millisecond, PingTimeout: time.Second}, nil)
	c, r := h.openWebSocket()
	for range 5 {
		asleep(t, r.session)
		want(t, "ping", c.text(), "2")
		asleep(t, r.session)
		c.send("3")
	}
	for c.text() == "2" { // and then no more answers
	}
	want(t, "reason", r.reason(t), "ping timeout")
	eventually(t, "no reader", func() bool { return readers() == 0 })
}

func TestParkedPeerGoes(t *testing.T) {
	for name, leave := range map[string]func(*wsClient){
		"close frame": func(c *wsClient) {
			c.write(maskedFrame(ws.OpClose, "\x03\xe8"))
			want(t, "close", c.eof(), "1000")
		},
		"end":       func(c *wsClient) { _ = c.conn.(*net.TCPConn).CloseWrite() },
		"closed":    func(c *wsClient) { _ = c.conn.Close() },
		"reset":     func(c *wsClient) { _ = c.conn.(*net.TCPConn).SetLinger(0); _ = c.conn.Close() },
		"engine.io": func(c *wsClient) { c.send("1") },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, Config{}, nil)
			c, r := h.openWebSocket()
			asleep(t, r.session)
			leave(c)
			want(t, "reason", r.reason(t), "transport close")
		})
	}
}

// What ends a connection with a deadline needs a reader, who notices.
func TestParkedSessionIsClosed(t *testing.T) {
	h := newHarness(t, Config{}, nil)
	c, r := h.openWebSocket()
	asleep(t, r.session)
	r.session.Close(ReasonForcedServerClose)
	want(t, "reason", r.reason(t), "forced server close")
	want(t, "frame", c.text(), "close none")
	// It waits for the client's answer, no longer than closeGrace. Who has sent the frame may not have ended yet.
	eventually(t, "one reader", func() bool { return readers() == 1 })
	c.write(maskedFrame(ws.OpClose, ""))
	want(t, "end", c.eof(), "no close frame")

	c, r = h.openWebSocket()
	asleep(t, r.session)
	r.session.Abort(ReasonForcedServerClose)
	want(t, "frame", c.text(), "close none")
	want(t, "end", c.eof(), "no close frame")
	eventually(t, "no reader", func() bool { return readers() == 0 })
}

func TestParkedSlowConsumer(t *testing.T) {
	h := newHarness(t, Config{MaxBacklogBytes: 64 << 10, ParkAfter: time.Millisecond}, nil)
	c, r := h.openWebSocket()
	asleep(t, r.session)
	for r.session.Send(SendOptions{}, Message{Data: make([]byte, 32<<10)}) == nil {
	}
	want(t, "reason", r.reason(t), "slow consumer")
	eventually(t, "no reader", func() bool { return readers() == 0 })
	c.conn.Close()
}

// Bytes that come at the moment of parking are neither lost nor doubled.
func TestDataAtTheMomentOfParking(t *testing.T) {
	const sessions, messages = 8, 200
	h := newHarness(t, Config{ParkAfter: time.Millisecond}, echo)
	var wg sync.WaitGroup
	for range sessions {
		c, _ := h.openWebSocket()
		wg.Go(func() {
			for i := range messages {
				time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond)
				c.send("4" + strconv.Itoa(i))
				if i%2 == 0 { // two on their way
					continue
				}
				want(t, "echo", c.text(), "4"+strconv.Itoa(i-1))
				want(t, "echo", c.text(), "4"+strconv.Itoa(i))
			}
		})
	}
	wg.Wait()
}

// Descriptors are closed and used again while others are parked and woken.
func TestParkedDescriptorsAreUsedAgain(t *testing.T) {
	h := newHarness(t, Config{ParkAfter: time.Millisecond}, echo)
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for i := range 60 {
				c, status, err := h.tryDial("EIO=4&transport=websocket")
				if err != nil || status != 101 {
					t.Errorf("dial: %d, %v", status, err)
					return
				}
				c.text()
				text := fmt.Sprintf("4%d/%d", n, i)
				for range 1 + i%3 {
					c.send(text)
					want(t, "echo", c.text(), text)
				}
				switch i % 3 {
				case 0:
					_ = c.conn.(*net.TCPConn).SetLinger(0)
				case 1:
					c.write(maskedFrame(ws.OpClose, ""))
				}
				_ = c.conn.Close()
			}
		})
	}
	wg.Wait()
	eventually(t, "sessions gone", func() bool { return h.srv.Sessions() == 0 })
	h.srv.parker.mu.Lock()
	defer h.srv.parker.mu.Unlock()
	for fd, s := range h.srv.parker.asleep {
		if s != nil {
			t.Errorf("descriptor %d is still parked", fd)
		}
	}
}

func TestBroadcastToParkedSessions(t *testing.T) {
	const n = 2000
	h := newHarness(t, Config{PingInterval: time.Hour}, nil) // a slow machine takes longer than one for all this
	clients := make([]*wsClient, n)
	for i := range clients {
		clients[i], _ = h.openWebSocket()
	}
	eventually(t, "no reader", func() bool { return readers() == 0 })
	p := Prepare(Message{Data: []byte("all")})
	for range 3 {
		h.srv.Each(func(s *Session) bool { return s.SendPrepared(SendOptions{}, p) == nil })
	}
	for _, c := range clients {
		for range 3 {
			want(t, "broadcast", c.text(), "4all")
		}
	}
	want(t, "readers", readers(), 0)
}

func TestShutdownWithParkedSessions(t *testing.T) {
	h := newHarness(t, Config{}, nil)
	clients := make([]*wsClient, 50)
	for i := range clients {
		var r *recorder
		clients[i], r = h.openWebSocket()
		asleep(t, r.session)
	}
	done := make(chan error, 1)
	go func() { done <- h.srv.Shutdown(context.Background()) }()
	for _, c := range clients {
		want(t, "close", c.eof(), "1001")
	}
	want(t, "Shutdown", receive(t, "Shutdown", done), error(nil))
	want(t, "goroutines", goroutinesIn("transport.(*parker)"), 0)
	want(t, "again", h.srv.Shutdown(t.Context()), error(nil))
}

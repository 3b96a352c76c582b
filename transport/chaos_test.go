package transport

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// Clients and the application do everything they can at any moment. The harness checks what must hold
// then: Closed once, after the last Receive and never beside one, and no session, goroutine or timer left.
func TestChaos(t *testing.T) {
	const clients, rounds = 12, 25
	h := newHarness(t, Config{
		AllowEIO3:         true,
		PingInterval:      30 * time.Millisecond,
		PingTimeout:       30 * time.Millisecond,
		UpgradeTimeout:    50 * time.Millisecond,
		MaxBacklogBytes:   64 << 10,
		PerMessageDeflate: &PerMessageDeflate{Threshold: 10},
	}, func(r *recorder) {
		r.onReceive = func(r *recorder, _ Message) {
			switch rand.IntN(60) {
			case 0:
				r.session.Close(ReasonForcedServerClose)
			case 1:
				r.session.Abort(ReasonForcedServerClose)
			default:
				_ = r.session.Send(SendOptions{Volatile: rand.IntN(2) == 0}, Message{Data: []byte("answer")})
			}
		}
		r.onWork = func(r *recorder) {
			switch rand.IntN(10) {
			case 0:
				r.session.Yield()
			case 1:
				time.Sleep(takeoverAfter)
			case 2:
				go r.session.Close(ReasonForcedServerClose)
			}
			_ = r.session.SendPrepared(SendOptions{}, Prepare(Message{Data: make([]byte, rand.IntN(1000)), Binary: true}))
		}
	})
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for range rounds {
				chaosClient(h)
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	shared := Prepare(Message{Data: []byte("to all")}, Message{Data: []byte{1}, Binary: true})
	for {
		select {
		case <-done:
			defer func() {
				if t.Failed() {
					h.dump()
				}
			}()
			// Those closed between two polls would be waited for, closeWait.
			h.srv.Each(func(s *Session) bool { s.Abort(ReasonForcedServerClose); return true })
			eventually(t, "sessions gone", func() bool { return h.srv.Sessions() == 0 })
			return
		case <-time.After(2 * time.Millisecond):
			h.srv.Each(func(s *Session) bool {
				_ = s.SendPrepared(SendOptions{Volatile: rand.IntN(2) == 0}, shared)
				_ = s.Transport()
				_, _ = s.Backlog()
				return true
			})
		}
	}
}

// chaosClient opens a session and does some things with it.
func chaosClient(h *harness) {
	ctx, cancel := context.WithTimeout(h.t.Context(), time.Duration(20+rand.IntN(150))*time.Millisecond)
	defer cancel()
	protocol, payload := "EIO=4", "4x\x1e3\x1e4y"
	if rand.IntN(3) == 0 {
		protocol, payload = "EIO=3", "2:4x1:22:4y"
	}
	if rand.IntN(3) == 0 {
		w, _, err := h.tryDialWith(protocol+"&transport=websocket", "Sec-WebSocket-Extensions: permessage-deflate\r\n", maskedFrame(ws.OpText, "4x"))
		if err == nil {
			chaosFrames(ctx, w)
		}
		return
	}
	c := h.poller(protocol + "&transport=polling")
	defer c.http.CloseIdleConnections()
	do := func(method, body string) answer {
		req, _ := http.NewRequestWithContext(ctx, method, c.url(), strings.NewReader(body))
		res, err := c.http.Do(req)
		if err != nil {
			return answer{}
		}
		defer res.Body.Close()
		b := make([]byte, 300)
		n, _ := res.Body.Read(b)
		return answer{res.StatusCode, string(b[:n]), res.Header}
	}
	_, sid, ok := strings.Cut(do("GET", "").body, `"sid":"`)
	if !ok {
		return
	}
	c.sid = sid[:sidLength]
	var wg sync.WaitGroup
	defer wg.Wait()
	for ctx.Err() == nil {
		switch rand.IntN(12) {
		case 0, 1, 2:
			wg.Go(func() { do("GET", "") })
		case 3, 4, 5:
			do("POST", payload)
		case 6:
			wg.Go(func() { do("POST", payload) })
		case 7:
			if rand.IntN(5) == 0 {
				do("POST", "1")
			}
		case 8, 9:
			w, status, err := h.tryDialWith(protocol+"&transport=websocket&sid="+c.sid, "", nil)
			if err == nil && status == 101 {
				wg.Go(func() {
					_, _ = w.conn.Write(maskedFrame(ws.OpText, "2probe"))
					if rand.IntN(3) > 0 {
						_, _ = w.conn.Write(maskedFrame(ws.OpText, "5"))
					}
					chaosFrames(ctx, w)
				})
			}
		default:
			time.Sleep(time.Millisecond)
		}
	}
}

// chaosFrames sends frames until ctx is done and ends the connection in one of the ways there are.
func chaosFrames(ctx context.Context, w *wsClient) {
	go func() {
		for {
			if _, err := w.frame(); err != nil {
				return
			}
		}
	}()
	for ctx.Err() == nil {
		f := maskedFrame(ws.OpText, "4x")
		switch rand.IntN(40) {
		case 0:
			f = maskedFrame(ws.OpClose, "")
		case 1:
			f = maskedFrame(ws.OpText, "9")
		case 2:
			f = []byte{0xff, 0xff}
		case 3, 4, 5:
			f = maskedFrame(ws.OpPing, "")
		case 6, 7, 8:
			f = maskedFrame(ws.OpText, "3")
		}
		if _, err := w.conn.Write(f); err != nil {
			break
		}
		if rand.IntN(3) == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	w.conn.Close()
}

// dump logs what the sessions that are left look like.
func (h *harness) dump() {
	h.srv.mu.RLock()
	defer h.srv.mu.RUnlock()
	for _, s := range h.srv.sessions {
		if !s.mu.TryLock() {
			h.t.Logf("session %d: locked", s.num)
			continue
		}
		h.t.Logf("session %d: opened %v state %d ws %v poll %v post %v upgrade %v waiting %v deadline in %v, working %v, finished %v",
			s.num, s.opened.Load(), s.state, s.ws != nil, s.poll != nil, s.post != nil, s.upgrade != nil,
			s.waiting != nil, s.deadline-s.srv.uptime(), s.working, s.finished)
		s.mu.Unlock()
	}
}

package transport

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
)

func TestUpgradeOfProtocol3(t *testing.T) {
	h := newHarness(t, Config{AllowEIO3: true}, echo)
	c := h.poller("EIO=3&transport=polling")
	c.open()
	r := h.session()
	poll := c.goGet()
	parked(t, r.session)
	w := h.dial("EIO=3&transport=websocket&sid=" + c.sid)
	w.send("2probe")
	want(t, "probe", w.text(), "3probe")
	want(t, "poll", receive(t, "poll", poll).body, "1:6")
	_ = r.session.Send(SendOptions{}, Message{Data: []byte{1}, Binary: true})
	w.write(maskedFrame(ws.OpText, "5"), maskedFrame(ws.OpText, "4x"))
	want(t, "waiting", w.text(), "b:0401")
	want(t, "echo", w.text(), "4x")
}

func TestPollPendingAtUpgradeGetsNoop(t *testing.T) {
	h := newHarness(t, Config{}, nil)
	c, r := h.openPolling()
	w := h.dial("EIO=4&transport=websocket&sid=" + c.sid)
	poll := c.goGet()
	parked(t, r.session)
	w.send("5") // without a probe, which Node takes too
	want(t, "poll", receive(t, "poll", poll).body, "6")
	eventually(t, "upgraded", func() bool { return r.session.Transport() == WebSocket })
}

func TestUpgradeWithAnotherProtocol(t *testing.T) {
	h := newHarness(t, Config{AllowEIO3: true}, nil)
	c, r := h.openPolling()
	_, status, _ := h.tryDial("EIO=3&transport=websocket&sid=" + c.sid)
	want(t, "status", status, http.StatusBadRequest)
	want(t, "refused", h.srv.Stats().Refused[causeOtherProtocol], uint64(1))
	want(t, "open", r.session.Open(), true)
}

// A poll that waits while the WebSocket is probed is answered as Node does it: not before the client can have
// the 3probe, and then again and again.
func TestNoopsOfAnUpgrade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, opened := serverOnly(t, Config{})
		poll := func(sid string) string {
			w := httptest.NewRecorder()
			srv.ServeHTTP(w, httptest.NewRequest("GET", "/?EIO=4&transport=polling"+sid, nil))
			return w.Body.String()
		}
		poll("")
		r := <-opened
		sid := "&sid=" + r.session.ID()
		c := servePipes(t, srv)()
		go io.WriteString(c.conn, "GET /?EIO=4&transport=websocket"+sid+" HTTP/1.1\r\n"+wsHeaders+"\r\n")
		w := &wsClient{t: t, conn: c.conn, r: c.r}
		_, _ = w.readHead()
		w.send("2probe")
		start := time.Now()
		want(t, "probe", w.text(), "3probe")
		for i := range 3 {
			want(t, "poll", poll(sid), "6")
			want(t, "time", time.Since(start), time.Duration(i+1)*noopInterval)
		}
		time.Sleep(noopInterval / 2)
		_ = r.session.Send(SendOptions{}, Message{Data: []byte("x")})
		want(t, "message", poll(sid), "4x")
		want(t, "time", time.Since(start), 7*noopInterval/2)
		_ = c.conn.Close() // and after a failed upgrade polls wait again
		synctest.Wait()
		time.AfterFunc(time.Second, func() { _ = r.session.Send(SendOptions{}, Message{Data: []byte("y")}) })
		want(t, "message", poll(sid), "4y")
	})
}

func TestFailedUpgradeLeavesPolling(t *testing.T) {
	for _, test := range []struct {
		name  string
		after func(c *pollClient, w *wsClient)
		code  string
		cause string
	}{
		{"message", func(_ *pollClient, w *wsClient) { w.send("4x") }, "none", "unexpected packet"},
		{"wrong probe", func(_ *pollClient, w *wsClient) { w.send("2x") }, "none", "unexpected packet"},
		{"no packet", func(_ *pollClient, w *wsClient) { w.send("9") }, "none", "invalid packet"},
		{"bad frame", func(_ *pollClient, w *wsClient) { w.write([]byte{0x81, 0x01, '5'}) }, "1002", "candidate transport error"},
		{"close", func(_ *pollClient, w *wsClient) { w.write(maskedFrame(ws.OpClose, "")) }, "none", "candidate transport close"},
		{"gone", func(_ *pollClient, w *wsClient) { w.conn.(*net.TCPConn).CloseWrite() }, "", "candidate closed"},
		{"timeout", func(*pollClient, *wsClient) {}, "none", "timeout"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHarness(t, Config{UpgradeTimeout: 200 * time.Millisecond}, nil)
			c, r := h.openPolling()
			w := h.dial("EIO=4&transport=websocket&sid=" + c.sid)
			w.send("2probe")
			want(t, "probe", w.text(), "3probe")
			test.after(c, w)
			if code := w.eof(); test.code != "" {
				want(t, "code", code, test.code)
			}
			eventually(t, "counted", func() bool { return h.srv.Stats().UpgradesFailed[test.cause] == 1 })
			poll := c.goGet()
			parked(t, r.session)
			_ = r.session.Send(SendOptions{}, Message{Data: []byte("on")})
			want(t, "poll", receive(t, "poll", poll).body, "4on")
			c.post("4x")
			want(t, "message", r.messages(t, 1)[0], "x")
		})
	}
}

func TestSecondWebSocketIsClosed(t *testing.T) {
	h := newHarness(t, Config{}, echo)
	c, r := h.openPolling()
	query := "EIO=4&transport=websocket&sid=" + c.sid
	first := h.dial(query)
	first.send("2probe")
	want(t, "probe", first.text(), "3probe")
	want(t, "second while upgrading", h.dial(query).eof(), "none")
	first.send("5")
	first.send("4x")
	want(t, "echo", first.text(), "4x")
	want(t, "second after", h.dial(query).eof(), "none")
	first.send("4y")
	want(t, "echo", first.text(), "4y")
	want(t, "open", r.session.Open(), true)
}

func TestSessionClosedWhileUpgrading(t *testing.T) {
	for _, how := range []string{"abort", "slow consumer", "close", "close packet", "close then upgrade"} {
		t.Run(how, func(t *testing.T) {
			h := newHarness(t, Config{MaxBacklogPackets: 1}, nil)
			c, r := h.openPolling()
			w := h.dial("EIO=4&transport=websocket&sid=" + c.sid)
			w.send("2probe")
			want(t, "probe", w.text(), "3probe")
			reason := "forced server close"
			switch how {
			case "abort":
				r.session.Abort(ReasonForcedServerClose)
				w.send("5")
			case "slow consumer":
				_ = r.session.Send(SendOptions{}, Message{Data: []byte("x")})
				want(t, "send", r.session.Send(SendOptions{}, Message{Data: []byte("y")}), ErrBacklog)
				want(t, "poll", c.get().status, http.StatusBadRequest)
				w.send("5")
				reason = "slow consumer"
			case "close":
				r.session.Close(ReasonForcedServerClose)
				want(t, "poll", c.get().body, "1")
				w.write(maskedFrame(ws.OpClose, ""))
			case "close packet":
				c.post("1")
				w.write(maskedFrame(ws.OpClose, ""))
				reason = "transport close"
			case "close then upgrade":
				_ = r.session.Send(SendOptions{}, Message{Data: []byte("last")})
				r.session.Close(ReasonForcedServerClose)
				w.send("5")
				want(t, "waiting", w.text(), "4last")
			}
			want(t, "code", w.eof(), "none")
			want(t, "reason", r.reason(t), reason)
		})
	}
}

// upgrading returns a session on polling and a WebSocket that is to become its transport, over memory.
func upgrading(t *testing.T) (*Server, *recorder, *wsClient) {
	t.Helper()
	srv, opened := serverOnly(t, Config{})
	srv.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/?EIO=4&transport=polling", nil))
	r := <-opened
	c := servePipes(t, srv)()
	go io.WriteString(c.conn, "GET /?EIO=4&transport=websocket&sid="+r.session.ID()+" HTTP/1.1\r\n"+wsHeaders+"\r\n")
	w := &wsClient{t: t, conn: c.conn, r: c.r}
	_, _ = w.readHead()
	return srv, r, w
}

// A session that is closed during its upgrade ends with that, and not when a client that polls no more would have been
// waited for long enough.
func TestClosedSessionEndsWithItsUpgrade(t *testing.T) {
	for _, waits := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			_, r, w := upgrading(t)
			w.send("2probe")
			want(t, "probe", w.text(), "3probe")
			if waits {
				_ = r.session.Send(SendOptions{}, Message{Data: []byte("last")})
			}
			r.session.Close(ReasonForcedServerClose)
			start := time.Now()
			w.send("5")
			if waits {
				want(t, "what waits", w.text(), "4last")
			}
			want(t, "code", w.eof(), "none")
			want(t, "reason", r.reason(t), string(ReasonForcedServerClose))
			if wait := time.Since(start); wait > 0 {
				t.Errorf("it ended %v after its upgrade", wait)
			}
		})
	}
}

// A client that is ending its polling when its session ends is not told by way of the WebSocket before it has: it would
// keep neither.
func TestEndOfASessionWaitsForTheEndOfPolling(t *testing.T) {
	for _, reason := range []CloseReason{ReasonSlowConsumer, ReasonForcedServerClose, ReasonPingTimeout, ReasonTransportError} {
		for _, probed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, probed %t", reason, probed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					srv, r, w := upgrading(t)
					if probed {
						w.send("2probe")
						want(t, "probe", w.text(), "3probe")
					}
					start := time.Now()
					ended := start
					time.AfterFunc(noopInterval/2, func() {
						ended = time.Now()
						r.session.Abort(reason)
					})
					if probed {
						time.AfterFunc(time.Second, func() { w.send("5") })
					}
					want(t, "code", w.eof(), "none")
					if wait := time.Since(ended); probed != (wait == time.Second-noopInterval/2) {
						t.Errorf("closed %v after the end", wait)
					}
					want(t, "counted", srv.Stats().UpgradesFailed["session closed"], uint64(1))
				})
			})
		}
	}
}

// Messages go both ways while sessions are upgraded; none is lost, doubled or reordered.
func TestUpgradeUnderLoad(t *testing.T) {
	const sessions, messages = 20, 2000
	var senders sync.WaitGroup
	h := newHarness(t, Config{}, nil)
	var clients sync.WaitGroup
	for range sessions {
		c, r := h.openPolling()
		senders.Go(func() {
			for i := range messages {
				m := Message{Data: []byte(strconv.Itoa(i))}
				var err error
				if i%3 == 0 {
					err = r.session.SendPrepared(SendOptions{}, Prepare(m))
				} else {
					err = r.session.Send(SendOptions{}, m)
				}
				if err != nil {
					t.Errorf("send: %v", err)
					return
				}
				if i%50 == 0 {
					time.Sleep(time.Duration(rand.IntN(3)) * time.Millisecond) // spread over the upgrade
				}
			}
		})
		clients.Go(func() {
			if err := upgradeUnderLoad(h, c, messages); err != nil {
				t.Error(err)
			}
			got := r.messages(t, messages)
			for i, m := range got {
				if m != strconv.Itoa(i) {
					t.Errorf("message %d is %s", i, m)
					break
				}
			}
		})
	}
	senders.Wait()
	clients.Wait()
	want(t, "upgrades", h.srv.Stats().Upgrades, uint64(sessions))
}

// upgradeUnderLoad is a client: it polls and posts as it should, upgrades in the middle, pausing polling
// as engine.io-client does, and returns an error unless it gets n numbers in order.
func upgradeUnderLoad(h *harness, c *pollClient, n int) error {
	next := 0
	take := func(packet string) error {
		if packet == "6" || packet == "2" {
			return nil
		}
		if packet != "4"+strconv.Itoa(next) {
			return fmt.Errorf("got %.60q, want 4%d", packet, next)
		}
		next++
		return nil
	}
	sent := 0
	batch := func(size int) (packets []string) {
		for range min(size, n-sent) {
			packets = append(packets, "4"+strconv.Itoa(sent))
			sent++
		}
		return packets
	}
	pause := make(chan struct{})
	polls, posts := make(chan error, 1), make(chan error, 1)
	running := func() bool {
		select {
		case <-pause:
			return false
		default:
			return true
		}
	}
	go func() {
		for running() {
			a, err := c.do("GET", nil, "")
			if err != nil || a.status != 200 {
				polls <- fmt.Errorf("poll: %v %v", a, err)
				return
			}
			for _, p := range strings.Split(a.body, "\x1e") {
				if err := take(p); err != nil {
					polls <- err
					return
				}
			}
		}
		polls <- nil
	}()
	go func() {
		for running() && sent < n {
			a, err := c.do("POST", strings.NewReader(strings.Join(batch(1+rand.IntN(20)), "\x1e")), "text/plain")
			if err != nil || a.status != 200 {
				posts <- fmt.Errorf("post: %v %v", a, err)
				return
			}
		}
		posts <- nil
	}()
	time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
	w := h.dial("EIO=4&transport=websocket&sid=" + c.sid)
	w.send("2probe")
	if p := w.text(); p != "3probe" {
		return fmt.Errorf("probe: %q", p)
	}
	close(pause)
	for _, done := range []chan error{polls, posts} {
		if err := <-done; err != nil {
			return err
		}
	}
	frames := maskedFrame(ws.OpText, "5")
	for _, p := range batch(n) {
		frames = append(frames, maskedFrame(ws.OpText, p)...)
	}
	w.write(frames)
	for next < n {
		f, err := w.frame()
		if err != nil {
			return fmt.Errorf("after %d: %v", next, err)
		}
		if err := take(string(f.Payload)); err != nil {
			return err
		}
	}
	return nil
}

func TestShutdown(t *testing.T) {
	h := newHarness(t, Config{}, nil)
	polling, r1 := h.openPolling()
	poll := polling.goGet()
	parked(t, r1.session)
	_, r2 := h.openPolling() // between two polls
	w, r3 := h.openWebSocket()
	code := make(chan string, 1)
	go func() { code <- w.eof() }()
	start := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := h.srv.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	want(t, "close code", receive(t, "close frame", code), "1001")
	if d := time.Since(start); d > shutdownPollGrace+time.Second {
		t.Errorf("took %v", d)
	}
	want(t, "poll", receive(t, "poll", poll).body, "1")
	for _, r := range []*recorder{r1, r2, r3} {
		want(t, "reason", r.reason(t), "server shutting down")
	}
	want(t, "handshake", polling.http != nil, true)
	polling.sid = ""
	want(t, "handshake", polling.get().status, 503)
	if err := h.srv.Shutdown(ctx); err != nil {
		t.Errorf("second Shutdown: %v", err)
	}
}

func TestShutdownKeepsDeadline(t *testing.T) {
	h := newHarness(t, Config{}, nil)
	_, r := h.openPolling()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	want(t, "err", h.srv.Shutdown(ctx), error(context.DeadlineExceeded))
	want(t, "reason", r.reason(t), "server shutting down")
}

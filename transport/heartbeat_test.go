package transport

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
)

// pipeWriter is a ResponseWriter whose connection is one end of a net.Pipe, so that a WebSocket can run
// inside a synctest bubble.
type pipeWriter struct {
	*httptest.ResponseRecorder
	conn net.Conn
}

func (p pipeWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return p.conn, bufio.NewReadWriter(bufio.NewReader(p.conn), bufio.NewWriter(p.conn)), nil
}

// pipeSession opens a WebSocket over a net.Pipe. Packets that the client gets are sent to the channel,
// which is closed with the connection.
func pipeSession(t *testing.T, srv *Server, query string) (net.Conn, chan string) {
	client, server := net.Pipe()
	r := httptest.NewRequest("GET", "/?"+query, nil)
	r.Header = http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
	packets := make(chan string, 100)
	head := make(chan struct{})
	go func() {
		defer close(packets)
		c := &wsClient{t: t, conn: client, r: bufio.NewReader(client)}
		if _, err := c.readHead(); err != nil {
			return
		}
		close(head)
		for {
			f, err := c.frame()
			if err != nil {
				return
			}
			if f.Header.OpCode != ws.OpText {
				packets <- fmt.Sprint("op ", f.Header.OpCode)
				continue
			}
			packets <- string(f.Payload)
		}
	}()
	srv.ServeHTTP(pipeWriter{httptest.NewRecorder(), server}, r)
	<-head
	if open := <-packets; !strings.HasPrefix(open, "0{") {
		t.Fatalf("first packet %q", open)
	}
	return client, packets
}

func TestHeartbeat4(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, opened := serverOnly(t, Config{})
		client, packets := pipeSession(t, srv, "EIO=4&transport=websocket")
		r := <-opened
		start := time.Now()
		for i := 1; i <= 3; i++ {
			want(t, "ping", <-packets, "2")
			want(t, "time", time.Since(start), 25*time.Second)
			time.Sleep(10 * time.Second)
			_, _ = client.Write(maskedFrame(ws.OpText, "3"))
			synctest.Wait()
			start = time.Now()
		}
		// An unasked pong puts the ping off.
		time.Sleep(20 * time.Second)
		_, _ = client.Write(maskedFrame(ws.OpText, "3"))
		synctest.Wait()
		start = time.Now()
		want(t, "ping", <-packets, "2")
		want(t, "time", time.Since(start), 25*time.Second)
		want(t, "open", r.session.Open(), true)
		<-r.done
		want(t, "closed", time.Since(start), 45*time.Second)
		want(t, "reason", r.reason(t), "ping timeout")
		client.Close()
	})
}

// A client that was asleep, and wakes up to the close frame, is to come back: in C++ it does so only with a code.
func TestPingTimeoutClosesWithACode(t *testing.T) {
	h := newHarness(t, Config{PingInterval: 20 * time.Millisecond, PingTimeout: 50 * time.Millisecond}, nil)
	c, r := h.openWebSocket()
	want(t, "ping", c.text(), "2")
	want(t, "close", c.eof(), "1001")
	want(t, "reason", r.reason(t), "ping timeout")
}

func TestPingTimeoutLongerThanInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, _ := serverOnly(t, Config{PingInterval: time.Second, PingTimeout: time.Minute})
		client, packets := pipeSession(t, srv, "EIO=4&transport=websocket")
		for range 3 {
			start := time.Now()
			want(t, "ping", <-packets, "2")
			want(t, "time", time.Since(start), time.Second)
			_, _ = client.Write(maskedFrame(ws.OpText, "3"))
			synctest.Wait()
		}
		client.Close()
	})
}

func TestHeartbeat3(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, opened := serverOnly(t, Config{AllowEIO3: true})
		client, packets := pipeSession(t, srv, "EIO=3&transport=websocket")
		r := <-opened
		var start time.Time
		for range 3 {
			time.Sleep(40 * time.Second)
			_, _ = client.Write(maskedFrame(ws.OpText, "2"))
			want(t, "pong", <-packets, "3")
			start = time.Now()
		}
		<-r.done
		want(t, "closed", time.Since(start), 45*time.Second)
		want(t, "reason", r.reason(t), "ping timeout")
		client.Close()
	})
}

func TestHeartbeatOverPolling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, opened := serverOnly(t, Config{})
		serve := func(method, query, body string) *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			r := httptest.NewRequest(method, "/?EIO=4&transport=polling"+query, strings.NewReader(body))
			srv.ServeHTTP(w, r)
			return w
		}
		serve("GET", "", "")
		r := <-opened
		sid := "&sid=" + r.session.ID()
		start := time.Now()
		want(t, "ping", serve("GET", sid, "").Body.String(), "2")
		want(t, "time", time.Since(start), 25*time.Second)
		want(t, "pong", serve("POST", sid, "3").Body.String(), "ok")
		want(t, "ping", serve("GET", sid, "").Body.String(), "2")
		want(t, "end", serve("GET", sid, "").Body.String(), "1")
		want(t, "time", time.Since(start), 70*time.Second)
		want(t, "reason", r.reason(t), "ping timeout")
	})
}

// A session closed between two polls waits for the next one, but not for ever.
func TestClosedBetweenPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, opened := serverOnly(t, Config{})
		serve := func(query string) string {
			w := httptest.NewRecorder()
			srv.ServeHTTP(w, httptest.NewRequest("GET", "/?EIO=4&transport=polling"+query, nil))
			return w.Body.String()
		}
		serve("")
		r := <-opened
		_ = r.session.Send(SendOptions{}, Message{Data: []byte("last")})
		r.session.Close(ReasonForcedServerClose)
		time.Sleep(10 * time.Second)
		want(t, "still there", srv.Sessions(), 1)
		want(t, "poll", serve("&sid="+r.session.ID()), "4last") // the CLOSE has a payload of its own
		want(t, "end", serve("&sid="+r.session.ID()), "1")
		want(t, "reason", r.reason(t), "forced server close")

		serve("")
		r = <-opened
		start := time.Now()
		r.session.Close(ReasonForcedServerClose)
		<-r.done
		want(t, "reason", r.reason(t), "forced server close")
		want(t, "waited", time.Since(start), DefaultPingTimeout)
	})
}

// A client that says nothing any more is held no longer because its session is being closed.
func TestClosingKeepsTheEndOfTheHeartbeat(t *testing.T) {
	for _, query := range []string{"EIO=4", "EIO=3"} {
		t.Run(query, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv, opened := serverOnly(t, Config{AllowEIO3: true})
				srv.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/?transport=polling&"+query, nil))
				r := <-opened
				start := time.Now()
				time.Sleep(40 * time.Second)
				r.session.Close(ReasonForcedServerClose)
				<-r.done
				want(t, "held", time.Since(start), 45*time.Second)
				want(t, "reason", r.reason(t), "forced server close")
			})
		})
	}
}

// On a slow line the PONG stands behind what the client sends.
func TestPingTimeoutIsExtendedOnce(t *testing.T) {
	const ping, timeout = 25 * time.Second, 20 * time.Second
	t.Run("websocket", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv, opened := serverOnly(t, Config{})
			client, packets := pipeSession(t, srv, "EIO=4&transport=websocket")
			r := <-opened
			start := time.Now()
			for range 2 { // once for every PING
				want(t, "ping", <-packets, "2")
				time.Sleep(15 * time.Second)
				_, _ = client.Write(maskedFrame(ws.OpText, "4x"))
				time.Sleep(15 * time.Second)
				_, _ = client.Write(maskedFrame(ws.OpText, "3"))
				synctest.Wait()
				want(t, "open", r.session.Open(), true)
				start = time.Now()
			}
			want(t, "ping", <-packets, "2")
			for range 2 {
				time.Sleep(15 * time.Second)
				_, _ = client.Write(maskedFrame(ws.OpText, "4x"))
			}
			<-r.done
			want(t, "closed", time.Since(start), ping+15*time.Second+timeout)
			want(t, "reason", r.reason(t), "ping timeout")
			client.Close()
		})
	})
	t.Run("polling", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv, opened := serverOnly(t, Config{})
			serve := func(method, query, body string) string {
				w := httptest.NewRecorder()
				srv.ServeHTTP(w, httptest.NewRequest(method, "/?EIO=4&transport=polling"+query, strings.NewReader(body)))
				return w.Body.String()
			}
			serve("GET", "", "")
			r := <-opened
			sid := "&sid=" + r.session.ID()
			start := time.Now()
			want(t, "ping", serve("GET", sid, ""), "2")
			for range 2 {
				time.Sleep(15 * time.Second)
				want(t, "post", serve("POST", sid, "4x"), "ok")
			}
			<-r.done
			want(t, "closed", time.Since(start), ping+15*time.Second+timeout)
			want(t, "reason", r.reason(t), "ping timeout")
		})
	})
}

// A polling client cannot send its PONG before the body that it is sending has ended.
func TestHeartbeatWaitsForTheBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, opened := serverOnly(t, Config{})
		serve := func(method, query string, body io.Reader) string {
			w := httptest.NewRecorder()
			srv.ServeHTTP(w, httptest.NewRequest(method, "/?EIO=4&transport=polling"+query, body))
			return w.Body.String()
		}
		serve("GET", "", nil)
		r := <-opened
		sid := "&sid=" + r.session.ID()
		want(t, "ping", serve("GET", sid, nil), "2")
		body, feed := io.Pipe()
		go func() {
			for range 25 { // a byte a second
				time.Sleep(time.Second)
				_, _ = feed.Write([]byte("x"))
			}
			_ = feed.Close()
		}()
		want(t, "post", serve("POST", sid, io.MultiReader(strings.NewReader("4"), body)), "ok")
		want(t, "pong", serve("POST", sid, strings.NewReader("3")), "ok")
		want(t, "ping", serve("GET", sid, nil), "2")
		<-r.done
		want(t, "reason", r.reason(t), "ping timeout")
	})
}

func TestUpgradeTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, opened := serverOnly(t, Config{})
		w := httptest.NewRecorder()
		srv.ServeHTTP(w, httptest.NewRequest("GET", "/?EIO=4&transport=polling", nil))
		r := <-opened
		client, server := net.Pipe()
		req := httptest.NewRequest("GET", "/?EIO=4&transport=websocket&sid="+r.session.ID(), nil)
		req.Header = http.Header{
			"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
			"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
		}
		go srv.ServeHTTP(pipeWriter{httptest.NewRecorder(), server}, req)
		c := &wsClient{t: t, conn: client, r: bufio.NewReader(client)}
		if _, err := c.readHead(); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		want(t, "close", c.text(), "close none")
		want(t, "time", time.Since(start), 10*time.Second)
		// A client that does not answer is not waited for.
		_, err := c.frame()
		want(t, "end", err != nil, true)
		want(t, "time", time.Since(start), 10*time.Second+closeGrace)
		want(t, "open", r.session.Open(), true)
		client.Close()
	})
}

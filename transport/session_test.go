package transport

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

func TestPollingEcho(t *testing.T) {
	h := newHarness(t, Config{}, echo)
	c, r := h.openPolling()
	poll := c.goGet()
	parked(t, r.session)
	a := c.post("4one\x1e4two\x1ebAQID")
	want(t, "status", a.status, 200)
	want(t, "body", a.body, "ok")
	want(t, "content type", a.header.Get("Content-Type"), "text/html")
	got := receive(t, "poll", poll)
	want(t, "poll", got.body, "4one\x1e4two\x1ebAQID")
	want(t, "content type", got.header.Get("Content-Type"), "text/plain; charset=UTF-8")
	want(t, "cache control", got.header.Get("Cache-Control"), "no-store")
	want(t, "messages", strings.Join(r.messages(t, 3), ","), "one,two,b:010203")
	c.post("1")
	want(t, "reason", r.reason(t), "transport close")
	a, err := c.do(http.MethodGet, nil, "")
	want(t, "status", a.status, 400)
	want(t, "error", a.body, `{"code":1,"message":"Session ID unknown"}`)
	want(t, "err", err, nil)
}

func TestWebSocketEcho(t *testing.T) {
	h := newHarness(t, Config{}, echo)
	c, r := h.openWebSocket()
	c.send("4hello")
	want(t, "echo", c.text(), "4hello")
	c.write(maskedFrame(ws.OpBinary, "\x01\x02"))
	want(t, "echo", c.text(), "b:0102")
	c.write(maskedFrame(ws.OpPing, "x"))
	want(t, "pong", c.text(), "op 10 x")
	c.write(maskedFrame(ws.OpClose, "\x03\xe8"))
	want(t, "close", c.eof(), "1000")
	want(t, "reason", r.reason(t), "transport close")
}

func TestUpgrade(t *testing.T) {
	h := newHarness(t, Config{}, echo)
	c, r := h.openPolling()
	poll := c.goGet()
	parked(t, r.session)
	w := h.dial("EIO=4&transport=websocket&sid=" + c.sid)
	w.send("2probe")
	want(t, "probe", w.text(), "3probe")
	want(t, "poll", receive(t, "poll", poll).body, "6")
	want(t, "poll while upgrading", c.get().body, "6")
	w.write(maskedFrame(ws.OpText, "5"), maskedFrame(ws.OpText, "4behind"))
	want(t, "echo", w.text(), "4behind")
	want(t, "transport", r.session.Transport(), WebSocket)
	want(t, "poll after", c.get().body, `{"code":3,"message":"Bad request"}`)
	want(t, "upgrades", h.srv.Stats().Upgrades, uint64(1))
	r.session.Close(ReasonForcedServerClose)
	want(t, "close", w.eof(), "none")
	want(t, "reason", r.reason(t), "forced server close")
}

// What a session keeps of its handshake is bounded: a client could make it a megabyte, for as long as it likes.
func TestHandshakeIsBounded(t *testing.T) {
	for _, transport := range []Name{Polling, WebSocket} {
		t.Run(string(transport), func(t *testing.T) {
			told := make(chan *ConnectionError, 10)
			h := newHarness(t, Config{ConnectionError: func(err *ConnectionError) { told <- err }}, nil)
			handshake := func(query, headers string) (status int) {
				query = "EIO=4&transport=" + string(transport) + query
				if transport == WebSocket {
					_, status, _ = h.tryDialWith(query, headers, nil)
					return status
				}
				conn, err := net.Dial("tcp", h.addr)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				_, _ = io.WriteString(conn, "GET /engine.io/?"+query+" HTTP/1.1\r\nHost: x\r\n"+headers+"\r\n")
				res, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					t.Fatal(err)
				}
				return res.StatusCode
			}
			for what, over := range map[string]int{
				"header":  handshake("", "Authorization: "+strings.Repeat("x", 16<<10)+"\r\n"),
				"headers": handshake("", strings.Repeat("X-A: "+strings.Repeat("x", 1000)+"\r\n", 17)),
				"query":   handshake("&token="+strings.Repeat("x", 16<<10), ""),
			} {
				want(t, what, over, http.StatusRequestHeaderFieldsTooLarge)
				want(t, "told", receive(t, "ConnectionError", told).Context["name"], "HANDSHAKE_TOO_LARGE")
			}
			want(t, "sessions", h.srv.Sessions(), 0)
			want(t, "fits", handshake("", "Authorization: "+strings.Repeat("x", 15<<10)+"\r\n")/100 < 3, true)
			h.session().session.Abort(ReasonForcedServerClose)
		})
	}
}

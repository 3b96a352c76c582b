package transport

import (
	"net"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gobwas/ws"
)

func TestConfigIsChecked(t *testing.T) {
	accept := func(*Session) Receiver { return nil }
	for _, test := range []struct {
		name, err string
		cfg       Config
	}{
		{"no Accept", "Accept", Config{}},
		{"transport", "unknown transport", Config{Accept: accept, Transports: []Name{"x"}}},
		{"duration", "PingTimeout", Config{Accept: accept, PingTimeout: -1}},
		{"number", "MaxSessions", Config{Accept: accept, MaxSessions: -1}},
		{"size", "MaxHTTPBufferSize", Config{Accept: accept, MaxHTTPBufferSize: -1}},
		{"cookie", "cookie", Config{Accept: accept, Cookie: &Cookie{Name: "a b"}}},
	} {
		_, err := New(test.cfg)
		if err == nil || !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: error %v", test.name, err)
		}
	}
}

// nginx in front may speak over a Unix socket.
func TestWebSocketOverUnixSocket(t *testing.T) {
	srv, opened := serverOnly(t, Config{})
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ts := httptest.NewUnstartedServer(srv)
	ts.Listener.Close()
	ts.Listener = ln
	ts.Start()
	defer ts.Close()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := newWSClient(t, conn)
	c.write([]byte("GET /?EIO=4&transport=websocket HTTP/1.1\r\n" + wsHeaders + "\r\n"))
	if status, err := c.readHead(); status != 101 {
		t.Fatalf("status %d, %v", status, err)
	}
	c.text()
	r := receive(t, "session", opened)
	if _, ok := r.session.ws.stream.(*plainStream); ok {
		t.Error("not a socketStream")
	}
	c.write(maskedFrame(ws.OpText, "4x"))
	want(t, "message", r.messages(t, 1)[0], "x")
}

// Whoever sends from many goroutines keeps the messages of one Send adjacent.
func TestGroupsStayAdjacent(t *testing.T) {
	h := newHarness(t, Config{MaxBacklogBytes: 64 << 20, MaxBacklogPackets: 1 << 20}, nil)
	c, r := h.openWebSocket()
	const senders, groups = 4, 500
	var wg sync.WaitGroup
	for i := range senders {
		name := string(rune('a' + i))
		group := []Message{{Data: []byte(name)}, {Data: []byte(strings.Repeat(name, 2000)), Binary: true}}
		prepared := Prepare(group...)
		wg.Go(func() {
			for n := range groups {
				var err error
				if n%2 == 0 {
					err = r.session.SendPrepared(SendOptions{}, prepared)
				} else {
					err = r.session.Send(SendOptions{}, group...)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range senders * groups {
		head, err := c.frame()
		if err != nil {
			t.Fatal(err)
		}
		body, err := c.frame()
		if err != nil || len(body.Payload) != 2000 || body.Payload[0] != head.Payload[1] {
			t.Fatalf("%q is followed by %.10q, %v", head.Payload, body.Payload, err)
		}
	}
	wg.Wait()
}

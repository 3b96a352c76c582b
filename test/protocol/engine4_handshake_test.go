package protocol

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Engine.IO 4: Handshake. The answer is an OPEN packet of exactly five keys; the headers are Node's.
func TestEngine4HandshakeOverPolling(t *testing.T) {
	t.Parallel()
	a := request(t, "GET", path+"?EIO=4&transport=polling", "")
	if a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	h := parseHello(t, a.body)
	if !regexp.MustCompile(`^[A-Za-z0-9_-]{20}$`).MatchString(h.SID) {
		t.Errorf("sid %q", h.SID)
	}
	want := hello{h.SID, []string{"websocket"}, pingInterval.Milliseconds(), pingTimeout.Milliseconds(), maxPayload}
	if !reflect.DeepEqual(h, want) {
		t.Errorf("OPEN %+v, want %+v", h, want)
	}
	var keys map[string]any
	if err := json.Unmarshal([]byte(a.body[1:]), &keys); err != nil || len(keys) != 5 {
		t.Errorf("OPEN has keys %v", keys)
	}
	for name, want := range map[string]string{
		"Content-Type":  "text/plain; charset=UTF-8",
		"Cache-Control": "no-store",
		"Set-Cookie":    "io=" + h.SID + "; Path=/; HttpOnly; SameSite=Lax",
	} {
		if got := strings.Join(a.header.Values(name), "|"); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// Engine.IO 4: Handshake. A WebSocket session cannot be upgraded further.
func TestEngine4HandshakeOverWebSocket(t *testing.T) {
	t.Parallel()
	s := openWebSocket(t)
	if len(s.hello.Upgrades) != 0 || s.hello.Upgrades == nil {
		t.Errorf("upgrades %v, want []", s.hello.Upgrades)
	}
	if s.hello.PingInterval != pingInterval.Milliseconds() || s.hello.MaxPayload != maxPayload {
		t.Errorf("OPEN %+v", s.hello)
	}
}

// Engine.IO 4: Query parameters. A missing or wrong one MUST be answered with 400; the codes are those
// of Server.errors in engine.io/lib/server.ts.
func TestEngine4RefusedRequests(t *testing.T) {
	t.Parallel()
	polling := openPolling(t)
	tests := []struct {
		name, method, uri string
		head              []string
		status            int
		body              string
	}{
		{"no transport", "GET", path + "?EIO=4", nil, 400, `{"code":0,"message":"Transport unknown"}`},
		{"unknown transport", "GET", path + "?EIO=4&transport=abc", nil, 400, `{"code":0,"message":"Transport unknown"}`},
		{"webtransport", "GET", path + "?EIO=4&transport=webtransport", nil, 400, `{"code":0,"message":"Transport unknown"}`},
		{"transport of Object", "GET", path + "?EIO=4&transport=constructor", nil, 400, `{"code":0,"message":"Transport unknown"}`},
		{"unknown sid", "GET", path + "?EIO=4&transport=polling&sid=unknown", nil, 400, `{"code":1,"message":"Session ID unknown"}`},
		{"unknown sid, POST", "POST", path + "?EIO=4&transport=polling&sid=unknown", nil, 400, `{"code":1,"message":"Session ID unknown"}`},
		{"sid of Object", "GET", path + "?EIO=4&transport=polling&sid=__proto__", nil, 400, `{"code":1,"message":"Session ID unknown"}`},
		{"transport before sid", "GET", path + "?EIO=4&transport=abc&sid=unknown", nil, 400, `{"code":0,"message":"Transport unknown"}`},
		{"handshake by POST", "POST", path + "?EIO=4&transport=polling", nil, 400, `{"code":2,"message":"Bad handshake method"}`},
		{"handshake by PUT", "PUT", path + "?EIO=4&transport=polling", nil, 400, `{"code":2,"message":"Bad handshake method"}`},
		{"websocket without upgrade", "GET", path + "?EIO=4&transport=websocket", nil, 400, `{"code":3,"message":"Bad request"}`},
		{"other transport without upgrade", "GET", path + "?EIO=4&transport=websocket&sid=" + polling.hello.SID, nil, 400, `{"code":3,"message":"Bad request"}`},
		{"other protocol than the session's", "GET", path + "?EIO=3&transport=polling&sid=" + polling.hello.SID, nil, 400, `{"code":3,"message":"Bad request"}`},
		{"refused by the application", "GET", strictPath + "?EIO=4&transport=polling", []string{"X-Refuse", "no entry"}, 403, `{"code":4,"message":"no entry"}`},
		{"no EIO", "GET", strictPath + "?transport=polling", nil, 400, `{"code":5,"message":"Unsupported protocol version"}`},
		{"EIO=3", "GET", strictPath + "?EIO=3&transport=polling", nil, 400, `{"code":5,"message":"Unsupported protocol version"}`},
		{"EIO=abc", "GET", strictPath + "?EIO=abc&transport=polling", nil, 400, `{"code":5,"message":"Unsupported protocol version"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := request(t, tt.method, tt.uri, "", tt.head...)
			if a.status != tt.status || a.body != tt.body {
				t.Errorf("%d %s, want %d %s", a.status, a.body, tt.status, tt.body)
			}
			if got := a.header.Get("Content-Type"); got != "application/json" {
				t.Errorf("Content-Type %q", got)
			}
		})
	}
}

// Engine.IO 4: WebSocket. A missing or wrong parameter MUST end the connection; Node writes 400 with the
// message as HTML, also where a poll would get 403.
func TestEngine4RefusedUpgrades(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, uri string
		head      []string
		body      string
	}{
		{"no transport", path + "?EIO=4", nil, "Transport unknown"},
		{"unknown transport", path + "?EIO=4&transport=abc", nil, "Transport unknown"},
		{"unknown sid", path + "?EIO=4&transport=websocket&sid=unknown", nil, "Session ID unknown"},
		{"no EIO", strictPath + "?transport=websocket", nil, "Unsupported protocol version"},
		{"EIO=3", strictPath + "?EIO=3&transport=websocket", nil, "Unsupported protocol version"},
		{"refused by the application", strictPath + "?EIO=4&transport=websocket", []string{"X-Refuse", "no entry"}, "no entry"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, r, res := upgrade(t, tt.uri, tt.head...)
			if onNode && res.StatusCode == 101 {
				return // Node finds the protocol out after its 101, and writes the 400 behind it
			}
			b, _ := io.ReadAll(res.Body)
			if res.StatusCode != 400 || string(b) != tt.body || !res.Close {
				t.Errorf("%d %q, Connection: close %v, want 400 %q", res.StatusCode, b, res.Close, tt.body)
			}
			if _, err := r.ReadByte(); err != io.EOF {
				t.Errorf("after the answer: %v, want EOF", err)
			}
		})
	}
}

// RFC 6455 section 4.2.1: what is no WebSocket handshake is refused.
func TestWebSocketHandshakeIsChecked(t *testing.T) {
	t.Parallel()
	uri := path + "?EIO=4&transport=websocket"
	base := []string{"Connection", "Upgrade", "Upgrade", "websocket"}
	tests := []struct {
		name, method string
		head         []string
		status       int
	}{
		{"no key", "GET", []string{"Sec-WebSocket-Version", "13"}, 400},
		{"short key", "GET", []string{"Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "abc"}, 400},
		{"old version", "GET", []string{"Sec-WebSocket-Version", "12", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}, 400},
		{"POST", "POST", []string{"Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}, 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := request(t, tt.method, uri, "", append(base, tt.head...)...)
			if a.status < 400 || a.status > 499 {
				t.Errorf("%d %s, want %d or its like", a.status, a.body, tt.status)
			}
		})
	}
}

// Node checks the Origin header for characters that no header may have (CVE-2022-21676's relatives).
func TestInvalidOriginIsRefused(t *testing.T) {
	t.Parallel()
	conn, err := net.DialTimeout("tcp", strings.TrimPrefix(target, "http://"), patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(conn, "GET "+path+"?EIO=4&transport=polling HTTP/1.1\r\nHost: localhost\r\nOrigin: a\x01b\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != 400 {
		t.Errorf("%s, want 400", res.Status)
	}
}

// Fetch standard, CORS-preflight: answered whatever the sid is; Node answers 204 by npm cors.
func TestCORS(t *testing.T) {
	t.Parallel()
	const origin = "https://app.example.com"
	a := request(t, "OPTIONS", path+"?EIO=4&transport=polling&sid=unknown", "", "Origin", origin,
		"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "x-token")
	if a.status != 204 {
		t.Errorf("preflight: %d %s, want 204", a.status, a.body)
	}
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin":      origin,
		"Access-Control-Allow-Credentials": "true",
		"Access-Control-Allow-Headers":     "x-token",
	} {
		if got := a.header.Get(name); got != want {
			t.Errorf("preflight, %s: %q, want %q", name, got, want)
		}
	}
	if got := a.header.Get("Access-Control-Allow-Methods"); !strings.Contains(got, "POST") {
		t.Errorf("preflight, methods %q", got)
	}
	a = request(t, "GET", path+"?EIO=4&transport=polling", "", "Origin", origin)
	if got := a.header.Get("Access-Control-Allow-Origin"); got != origin || a.header.Get("Vary") == "" {
		t.Errorf("handshake: origin %q, Vary %q", got, a.header.Get("Vary"))
	}
	a = request(t, "GET", path+"?EIO=4&transport=polling", "", "Origin", "https://evil.example.com")
	if got := a.header.Get("Access-Control-Allow-Origin"); got == "*" || got == "https://evil.example.com" {
		t.Errorf("handshake of another origin: allowed as %q", got)
	}
	if want := `{"code":4,"message":"origin not allowed"}`; !onNode && (a.status != 403 || a.body != want) { // Node leaves it to the browser
		t.Errorf("handshake of another origin: %d %s, want 403 %s", a.status, a.body, want)
	}
	// Errors carry the headers too, or a browser's script could not read them.
	a = request(t, "GET", path+"?EIO=4&transport=polling&sid=unknown", "", "Origin", origin)
	if got := a.header.Get("Access-Control-Allow-Origin"); a.status != 400 || got != origin {
		t.Errorf("error: %d, origin %q", a.status, got)
	}
	a = request(t, "OPTIONS", strictPath+"?EIO=4&transport=polling&sid=unknown", "", "Origin", origin)
	if got := a.header.Get("Access-Control-Allow-Origin"); got != "" {
		t.Errorf("without CORS configured: origin %q", got)
	}
}

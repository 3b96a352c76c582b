package protocol

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

// websocketKey goes with websocketAccept (RFC 6455 section 1.3).
const (
	websocketKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	websocketAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// host is the target as a Host header.
func host() string { return strings.TrimPrefix(target, "http://") }

// handshake opens a WebSocket by a request of just these lines. It returns the socket, of which nothing
// has been read, and the lines of the answer as they came.
func handshake(t testing.TB, lines ...string) (s *socket, answer []string) {
	t.Helper()
	conn := connect(t)
	if _, err := io.WriteString(conn, strings.Join(lines, "\r\n")+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("websocket handshake: %v", err)
		}
		if line == "\r\n" {
			break
		}
		answer = append(answer, strings.TrimSuffix(line, "\r\n"))
	}
	if !strings.HasPrefix(answer[0], "HTTP/1.1 101 ") {
		t.Fatalf("websocket handshake: %s", answer[0])
	}
	return &socket{t: t, conn: conn, r: r, eio3: strings.Contains(lines[0], "EIO=3")}, answer
}

// want checks that a header stands once among the lines of an answer, spelt and valued so.
func want(t testing.TB, answer []string, name, value string) {
	t.Helper()
	var got []string
	for _, line := range answer {
		if k, v, _ := strings.Cut(line, ": "); k == name {
			got = append(got, v)
		}
	}
	if len(got) != 1 || got[0] != value {
		t.Errorf("%s %q, want %q once", name, got, value)
	}
}

// exchange sends an HTTP request of just these lines, with the body behind them.
func exchange(t testing.TB, body string, lines ...string) answer {
	t.Helper()
	conn := connect(t)
	defer conn.Close()
	if _, err := io.WriteString(conn, strings.Join(lines, "\r\n")+"\r\n\r\n"+body); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	opened(t, strings.Fields(lines[0])[1], res, string(b))
	return answer{res.StatusCode, res.Header, string(b)}
}

// enter sends a CONNECT as a client writes it, and takes the answer and what the application greets with.
// nsp is the namespace with its comma, or nothing.
func (s *socket) enter(packet, nsp, auth string) {
	s.t.Helper()
	s.send(packet)
	if got := s.next(); !strings.HasPrefix(got, "40"+nsp+`{"sid":"`) {
		s.t.Fatalf("got %q, want CONNECT", got)
	}
	s.expect("42" + nsp + `["auth",` + auth + "]")
}

// sendClose sends a close frame with a code and a reason.
func (s *socket) sendClose(code ws.StatusCode, reason string) {
	s.t.Helper()
	s.frame(true, 0, ws.OpClose, ws.NewCloseFrameBody(code, reason))
}

// Swift takes the times of the OPEN packet as Int, Dart as int, C# as int, C++ as an integer: a 300.0
// would not do. Dart and C# need a list of upgrades, even if it is empty.
func TestOpenPacketIsGoodForTypedClients(t *testing.T) {
	t.Parallel()
	whole := regexp.MustCompile(`^\d+$`)
	for _, tt := range []struct{ name, packet, upgrades string }{
		{"polling", request(t, "GET", path+"?EIO=4&transport=polling", "").body, `["websocket"]`},
		{"websocket", dial(t, "EIO=4").raw(), `[]`},
		{"polling, protocol 3", splitText3(t, request(t, "GET", path+"?EIO=3&transport=polling&b64=1", "").body)[0], `["websocket"]`},
		{"websocket, protocol 3", dial(t, "EIO=3").raw(), `[]`},
	} {
		parseHello(t, tt.packet)
		var open map[string]json.RawMessage
		if err := json.Unmarshal([]byte(tt.packet[1:]), &open); err != nil {
			t.Fatal(err)
		}
		if got := string(open["upgrades"]); got != tt.upgrades {
			t.Errorf("%s: upgrades %s, want %s", tt.name, got, tt.upgrades)
		}
		for _, name := range []string{"pingInterval", "pingTimeout", "maxPayload"} {
			if got := open[name]; !whole.Match(got) {
				t.Errorf("%s: %s %s, want a whole number", tt.name, name, got)
			}
		}
	}
}

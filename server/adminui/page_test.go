package adminui_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"go.uber.org/goleak"
	"golang.org/x/crypto/bcrypt"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/adminui"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// hash is that of "changeit".
var hash = func() string {
	h, err := bcrypt.GenerateFromPassword([]byte("changeit"), bcrypt.MinCost)
	if err != nil {
		panic(err)
	}
	return string(h)
}()

// start serves a server with an Admin UI; app registers handlers behind it.
func start(t *testing.T, sc server.Config, cfg adminui.Config, app func(*server.Server)) (io *server.Server, url string) {
	t.Helper()
	io, err := server.New(sc)
	if err != nil {
		t.Fatal(err)
	}
	ui, err := adminui.Attach(io, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if app != nil {
		app(io)
	}
	web := httptest.NewServer(io)
	t.Cleanup(func() {
		ui.Close()
		ui.Close()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := io.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		web.Close()
	})
	return io, web.URL
}

// peer is a client on a raw WebSocket.
type peer struct {
	t    *testing.T
	conn net.Conn
	io.Reader
	sid string // of the socket
}

func (p *peer) Write(b []byte) (int, error) { return p.conn.Write(b) }

// dial connects to a namespace ("/" or "/admin") and returns the answer to CONNECT.
func dial(t *testing.T, url, nsp, auth string) (p *peer, answer string) {
	t.Helper()
	return dialFrom(t, url, "X-None: 1", nsp, auth)
}

// dialFrom is dial with one more header, which says what page it is.
func dialFrom(t *testing.T, url, page, nsp, auth string) (p *peer, answer string) {
	t.Helper()
	d := ws.Dialer{Header: ws.HandshakeHeaderString("Cookie: secret=1\r\nAuthorization: secret 2\r\nX-Api-Key: secret 3\r\n" +
		"X-Amz-Security-Token: secret 4\r\nReferer: http://a.test/?code=secret\r\nX-Whatever: secret 5\r\nVia: 1.1 seen\r\n" +
		page + "\r\n")}
	conn, br, _, err := d.Dial(t.Context(), "ws"+strings.TrimPrefix(url, "http")+"/socket.io/?EIO=4&transport=websocket&v=1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	p = &peer{t: t, conn: conn, Reader: conn}
	if br != nil {
		p.Reader = io.MultiReader(br, conn)
	}
	p.next()
	if nsp == "/" {
		nsp = ""
	} else {
		nsp += ","
	}
	p.send("40" + nsp + auth)
	answer = p.next()
	var connect struct{ SID string }
	if text, ok := strings.CutPrefix(answer, "40"+nsp); ok && json.Unmarshal([]byte(text), &connect) == nil {
		p.sid = connect.SID
	}
	return p, answer
}

func (p *peer) send(packets ...string) {
	p.t.Helper()
	for _, packet := range packets {
		if err := wsutil.WriteClientText(p.conn, []byte(packet)); err != nil {
			p.t.Fatal(err)
		}
	}
}

// next returns the next packet that is no ping.
func (p *peer) next() string {
	p.t.Helper()
	for {
		b, err := wsutil.ReadServerText(p)
		if err != nil {
			p.t.Fatalf("no packet: %v", err)
		}
		if string(b) == "2" {
			p.send("3")
			continue
		}
		return string(b)
	}
}

// event returns the arguments of the next event of that name that the page gets, whose text has all of
// parts in it.
func (p *peer) event(name string, parts ...string) []json.RawMessage {
	p.t.Helper()
	var others []string
	timer := time.AfterFunc(patience/2, func() { _ = p.conn.SetReadDeadline(time.Now()) })
	defer timer.Stop()
next:
	for {
		b, err := wsutil.ReadServerText(p)
		if err != nil {
			p.t.Fatalf("no event %s with %q, but %q", name, parts, others)
		}
		text := string(b)
		if text == "2" {
			p.send("3")
			continue
		}
		rest, _ := strings.CutPrefix(text, "42/admin,")
		var all []json.RawMessage
		if json.Unmarshal([]byte(rest), &all) != nil || string(all[0]) != fmt.Sprintf("%q", name) {
			others = append(others, text)
			continue
		}
		for _, part := range parts {
			if !strings.Contains(text, part) {
				others = append(others, text)
				continue next
			}
		}
		return all[1:]
	}
}

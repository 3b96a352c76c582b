package zishang_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/server/zishang"
)

// patience bounds every wait of a test; a test that waits so long has failed.
const patience = 20 * time.Second

// node is a server under test.
type node struct {
	io      *socket.Server
	handler *zishang.Handler
	url     string
}

// start runs a server on loopback until the test ends.
func start(t testing.TB, cfg zishang.Config, setup func(*socket.Server)) *node {
	t.Helper()
	if testing.Verbose() && cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	io, handler, err := zishang.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if setup != nil {
		setup(io)
	}
	web := httptest.NewServer(handler)
	n := &node{io, handler, web.URL}
	t.Cleanup(func() {
		n.stop(t)
		web.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return n
}

func (n *node) stop(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := n.handler.Shutdown(ctx); err != nil {
		t.Errorf("shutdown: %v", err)
	}
}

// onConnection registers fn for the sockets of a namespace.
func onConnection(nsp socket.Namespace, fn func(*socket.Socket)) {
	_ = nsp.On("connection", func(args ...any) { fn(args[0].(*socket.Socket)) })
}

// peer is a client on a raw WebSocket.
type peer struct {
	t    testing.TB
	conn net.Conn
	r    io.Reader
	sid  string // of the session
}

func dial(t testing.TB, url string) *peer { return dialEIO(t, url, "4") }

func dialEIO(t testing.TB, url, eio string) *peer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	dialer := ws.Dialer{Header: ws.HandshakeHeaderHTTP{"X-Test": {"yes"}}}
	conn, br, _, err := dialer.Dial(ctx, "ws"+strings.TrimPrefix(url, "http")+"/socket.io/?EIO="+eio+"&transport=websocket")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	p := &peer{t: t, conn: conn, r: conn}
	if br != nil {
		p.r = io.MultiReader(br, conn)
	}
	open := p.text()
	var hello struct{ SID string }
	if !strings.HasPrefix(open, "0") || json.Unmarshal([]byte(open[1:]), &hello) != nil {
		t.Fatalf("first packet %q is no OPEN", open)
	}
	p.sid = hello.SID
	return p
}

// welcome is the answer to CONNECT.
type welcome struct{ SID, PID string }

// join dials and connects to the namespace, and returns the socket's id.
func join(t testing.TB, url, nsp string) (*peer, string) {
	t.Helper()
	p := dial(t, url)
	return p, p.connect(nsp, "").SID
}

// connect connects to the namespace, with an auth payload.
func (p *peer) connect(nsp, auth string) welcome {
	p.t.Helper()
	prefix := "40"
	if nsp != "/" {
		prefix += nsp + ","
	}
	p.send(prefix + auth)
	var w welcome
	answer := p.text()
	if !strings.HasPrefix(answer, prefix) || json.Unmarshal([]byte(answer[len(prefix):]), &w) != nil {
		p.t.Fatalf("answer to CONNECT is %q", answer)
	}
	return w
}

func (p *peer) send(texts ...string) {
	p.t.Helper()
	for _, text := range texts {
		if err := wsutil.WriteClientText(p.conn, []byte(text)); err != nil {
			p.t.Fatal(err)
		}
	}
}

func (p *peer) sendBinary(b []byte) {
	p.t.Helper()
	if err := wsutil.WriteClientBinary(p.conn, b); err != nil {
		p.t.Fatal(err)
	}
}

// read returns the next message other than a ping, which it answers.
func (p *peer) read() ([]byte, ws.OpCode, error) {
	_ = p.conn.SetReadDeadline(time.Now().Add(patience))
	for {
		data, op, err := wsutil.ReadServerData(struct {
			io.Reader
			io.Writer
		}{p.r, p.conn})
		if err == nil && op == ws.OpText && string(data) == "2" {
			p.send("3")
			continue
		}
		return data, op, err
	}
}

func (p *peer) text() string {
	p.t.Helper()
	data, op, err := p.read()
	if err != nil || op != ws.OpText {
		p.t.Fatalf("read %v %q: %v; want a text", op, data, err)
	}
	return string(data)
}

func (p *peer) expect(want ...string) {
	p.t.Helper()
	for _, want := range want {
		if got := p.text(); got != want {
			p.t.Fatalf("got %q, want %q", got, want)
		}
	}
}

func (p *peer) expectBinary(want string) {
	p.t.Helper()
	data, op, err := p.read()
	if err != nil || op != ws.OpBinary || string(data) != want {
		p.t.Fatalf("read %v %q: %v; want binary %q", op, data, err, want)
	}
}

// expectClosed waits until the server has closed the connection.
func (p *peer) expectClosed() {
	p.t.Helper()
	for {
		_, _, err := p.read()
		if err == nil {
			continue
		}
		if e, ok := err.(net.Error); ok && e.Timeout() {
			p.t.Fatal("the server keeps the session open")
		}
		return
	}
}

// hangUp closes the connection without a word.
func (p *peer) hangUp() { _ = p.conn.Close() }

// await receives from ch within patience.
func await[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// eventually waits until ok holds; for state that no event announces.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

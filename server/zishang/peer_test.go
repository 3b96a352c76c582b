package zishang_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/internal/wsclient"
	"github.com/beanpole/beanpole/server/zishang"
)

// patience bounds every wait of a test; a test that waits so long has failed.
const patience = wsclient.Patience

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
type peer struct{ *wsclient.Client }

func dial(t testing.TB, url string) *peer { return dialEIO(t, url, "4") }

func dialEIO(t testing.TB, url, eio string) *peer {
	t.Helper()
	return &peer{wsclient.Dial(t, url, eio, http.Header{"X-Test": {"yes"}})}
}

// join dials and connects to the namespace, and returns the socket's id.
func join(t testing.TB, url, nsp string) (*peer, string) {
	t.Helper()
	p := dial(t, url)
	return p, p.Connect(nsp, "").SID
}

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

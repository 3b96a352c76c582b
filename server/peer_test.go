package server_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/beanpole/beanpole/internal/wsclient"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/transport"
)

// patience bounds every wait of a test; a test that waits so long has failed.
const patience = wsclient.Patience

// start runs a server on loopback until the test ends.
func start(t testing.TB, cfg server.Config, setup func(*server.Server)) (*server.Server, string) {
	t.Helper()
	if testing.Verbose() && cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	srv, err := server.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	setup(srv)
	web := httptest.NewServer(srv)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		web.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return srv, web.URL
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

// peer is a client on a raw WebSocket.
type peer struct{ *wsclient.Client }

func dial(t testing.TB, url string) *peer { return dialEIO(t, url, "4") }

func dialEIO(t testing.TB, url, eio string) *peer {
	t.Helper()
	return &peer{wsclient.Dial(t, url, eio, nil)}
}

// join dials and connects to the namespace, and returns the socket's id.
func join(t testing.TB, url, nsp string) (*peer, string) {
	t.Helper()
	p := dial(t, url)
	return p, p.Connect(nsp, "").SID
}

// wantClosed waits until n sessions have ended for the reason, and no more.
func wantClosed(t testing.TB, srv *server.Server, reason transport.CloseReason, n uint64) {
	t.Helper()
	closed := func() map[transport.CloseReason]uint64 { return srv.Engine().Stats().Closed }
	for end := time.Now().Add(patience); closed()[reason] != n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("sessions ended: %v; want %d by %q", closed(), n, reason)
		}
	}
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

package zishang_test

import (
	"log/slog"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws/wsutil"
	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io/v2/socket"

	beanpole "github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/zishang"
	"github.com/beanpole/beanpole/transport"
)

// The tests of this file, of configuration, belong to the table of defects in doc.go.

func TestServeHandlerFailsClosed(t *testing.T) {
	n := start(t, zishang.Config{}, func(io *socket.Server) { onConnection(io.Sockets(), echo) })
	wrong := newWeb(t, n.io.ServeHandler(nil))
	p := dial(t, wrong)
	closed := make(chan struct{})
	go func() { // the library's engine drops what comes before it listens
		for wsutil.WriteClientText(p.Conn, []byte("40")) == nil {
			select {
			case <-closed:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	p.ExpectClosed()
	close(closed)
}

func TestOptionsAreChecked(t *testing.T) {
	adapter := socket.DefaultServerOptions()
	adapter.SetAdapter(&socket.AdapterBuilder{})
	cors := func(c types.Cors) *socket.ServerOptions {
		o := socket.DefaultServerOptions()
		o.SetCors(&c)
		return o
	}
	forgetful := beanpole.Memory(nil)
	for want, cfg := range map[string]zishang.Config{
		"Recovery is set":              {Options: withRecovery(), Adapter: forgetful},
		"Config.Adapter":               {Options: adapter},
		"origin is a int":              {Options: cors(types.Cors{Origin: 7})},
		"origin true with credentials": {Options: cors(types.Cors{Origin: true, Credentials: true})},
		"MaxNamespaces":                {Limits: server.Limits{MaxNamespaces: -1}},
		"Accept":                       {Transport: transport.Config{Accept: func(*transport.Session) transport.Receiver { return nil }}},
	} {
		if _, _, err := zishang.New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s in it", err, want)
		}
	}
	for _, origin := range []any{
		true, "null", "file://", []string{"https://a.example", "null"}, []any{"https://a.example", "null"},
		regexp.MustCompile(`^https://`), regexp.MustCompile(`^http://`), []any{"https://a.example", regexp.MustCompile(`.*`)},
		regexp.MustCompile(`^https://.*\.github\.io$`), regexp.MustCompile(`^https?://[^.]+\.co\.uk$`),
		// With anything in front or behind, a.example.evil.net and evil.net/a.example too.
		regexp.MustCompile(`a\.example`), regexp.MustCompile(`^https://a\.example`), regexp.MustCompile(`a\.example$`),
		regexp.MustCompile(`^https://a\.example$|b\.example$`), regexp.MustCompile(`(?m)^https://a\.example$`),
	} {
		_, _, err := zishang.New(zishang.Config{Options: cors(types.Cors{Origin: origin, Credentials: true})})
		if err == nil || !strings.Contains(err.Error(), "pages of anybody") {
			t.Errorf("credentials for %v: %v", origin, err)
		}
	}
}

// What the library's option Cors allows is what may connect, over both transports.
func TestCorsIsWhoMayConnect(t *testing.T) {
	for _, tt := range []struct {
		cors    types.Cors
		foreign int    // status
		allowed string // the header for a page of a.example
	}{
		{types.Cors{Origin: "https://a.example", Credentials: true}, 403, "https://a.example"},
		{types.Cors{Origin: regexp.MustCompile(`^https://[ab]\.example$`)}, 403, "https://a.example"},
		{types.Cors{Origin: regexp.MustCompile(`^https://[ab]\.example$|^(https://c\.example)$`), Credentials: true}, 403, "https://a.example"},
		{types.Cors{Origin: regexp.MustCompile(`^https://[a-z]{4}\.example$|^https://a\.example$`), Credentials: true}, 403, "https://a.example"},
		{types.Cors{Origin: "*", Credentials: true}, 200, "*"}, // to browsers, without credentials
		{types.Cors{Origin: true}, 200, "*"},
	} {
		o := socket.DefaultServerOptions()
		o.SetCors(&tt.cors)
		n := start(t, zishang.Config{Options: o}, func(*socket.Server) {})
		for origin, want := range map[string]int{"https://a.example": 200, "https://evil.example": tt.foreign} {
			r := httptest.NewRequest("GET", "/socket.io/?EIO=4&transport=polling", nil)
			r.Header.Set("Origin", origin)
			w := httptest.NewRecorder()
			n.handler.ServeHTTP(w, r)
			if w.Code != want {
				t.Errorf("%v: a page of %s: %d, want %d", tt.cors.Origin, origin, w.Code, want)
			}
			if got := w.Header().Get("Access-Control-Allow-Origin"); origin == "https://a.example" && got != tt.allowed {
				t.Errorf("%v: allowed %q, want %q", tt.cors.Origin, got, tt.allowed)
			}
			if tt.allowed == "*" && w.Header().Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%v: with credentials", tt.cors.Origin)
			}
		}
	}
}

// Who takes WebTransport for the fast one is told that it is not there.
func TestWebTransportAlone(t *testing.T) {
	for name, told := range map[string]bool{"websocket": false, "polling": true} {
		var out strings.Builder
		options := socket.DefaultServerOptions()
		options.SetTransports(types.NewSet(name, "polling", "webtransport"))
		_, _, err := zishang.New(zishang.Config{Options: options, Logger: slog.New(slog.NewTextHandler(&out, nil))})
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(out.String(), "WebTransport is not served") != told {
			t.Errorf("%s: %q", name, out.String())
		}
	}
}

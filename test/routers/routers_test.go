package routers_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-contrib/gzip"
	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"
	"github.com/gorilla/handlers"
	"github.com/gorilla/mux"
	"github.com/labstack/echo/v4"
	echomiddleware "github.com/labstack/echo/v4/middleware"

	"github.com/beanpole/beanpole/client"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/transport"
)

// journal is a log that is read while it is written.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

// hiding is a writer that hides what the one below can do, as hand-written ones of middlewares often do.
type hiding struct{ http.ResponseWriter }

// unwrapping is the same, mended.
type unwrapping struct{ http.ResponseWriter }

func (u unwrapping) Unwrap() http.ResponseWriter { return u.ResponseWriter }

// timedOut has http.TimeoutHandler around everything.
func timedOut(d time.Duration) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler { return http.TimeoutHandler(next, d, "too late") }
}

func TestRouters(t *testing.T) {
	gin.SetMode(gin.ReleaseMode)
	const path = "/socket.io/"
	for name, c := range map[string]struct {
		handler func(io http.Handler) http.Handler
		at      string // the path, if not /socket.io/
		said    string // what the log says of it, if no client gets a WebSocket
	}{
		"none": {handler: func(io http.Handler) http.Handler { return io }},
		"http.ServeMux": {handler: func(io http.Handler) http.Handler {
			m := http.NewServeMux()
			m.Handle(path, io)
			return m
		}},
		"http.StripPrefix": {at: "/api/socket.io/", handler: func(io http.Handler) http.Handler {
			m := http.NewServeMux()
			m.Handle("/api/", http.StripPrefix("/api", io))
			return m
		}},
		"http.MaxBytesHandler": {handler: func(io http.Handler) http.Handler { return http.MaxBytesHandler(io, 1<<20) }},
		"gin": {handler: func(io http.Handler) http.Handler {
			e := gin.New()
			e.Use(gin.LoggerWithWriter(&journal{}), gin.Recovery())
			e.Any(path+"*any", gin.WrapH(io))
			return e
		}},
		"gin, gzip": {handler: func(io http.Handler) http.Handler {
			e := gin.New()
			e.Use(gzip.Gzip(gzip.DefaultCompression))
			e.Any(path+"*any", gin.WrapH(io))
			return e
		}},
		"chi": {handler: func(io http.Handler) http.Handler {
			r := chi.NewRouter()
			r.Use(chimiddleware.RequestID, chimiddleware.RealIP, chimiddleware.Recoverer, chimiddleware.Compress(5),
				chimiddleware.RequestLogger(&chimiddleware.DefaultLogFormatter{Logger: quiet{}}), chimiddleware.Timeout(time.Minute))
			r.Handle(path+"*", io)
			return r
		}},
		"chi, mounted": {at: "/v1/socket.io/", handler: func(io http.Handler) http.Handler {
			r, v1 := chi.NewRouter(), chi.NewRouter()
			v1.Mount(path, io)
			r.Mount("/v1", v1)
			return r
		}},
		"echo": {handler: func(io http.Handler) http.Handler {
			e := echo.New()
			e.Use(echomiddleware.LoggerWithConfig(echomiddleware.LoggerConfig{Output: &journal{}}), echomiddleware.Recover(), echomiddleware.Gzip())
			e.Any(path+"*", echo.WrapHandler(io))
			return e
		}},
		"gorilla": {handler: func(io http.Handler) http.Handler {
			r := mux.NewRouter()
			r.PathPrefix(path).Handler(io)
			return handlers.CombinedLoggingHandler(&journal{}, handlers.RecoveryHandler()(r))
		}},
		"gorilla, compress": {handler: func(io http.Handler) http.Handler { return handlers.CompressHandler(io) }},
		"a writer that unwraps": {handler: func(io http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.ServeHTTP(unwrapping{w}, r) })
		}},
		"a writer that hides": {handler: func(io http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.ServeHTTP(hiding{w}, r) })
		}, said: "writer=routers_test.hiding"},
		"http.TimeoutHandler": {handler: timedOut(time.Minute), said: "writer=*http.timeoutWriter"},
		"echo, timeout": {handler: func(io http.Handler) http.Handler {
			e := echo.New()
			e.Use(echomiddleware.TimeoutWithConfig(echomiddleware.TimeoutConfig{Timeout: time.Minute}))
			e.Any(path+"*", echo.WrapHandler(io))
			return e
		}, said: "http.timeoutWriter"},
	} {
		for _, h2 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/h2=%v", name, h2), func(t *testing.T) {
				t.Parallel()
				var said journal
				url, carrier := serve(t, c.handler, &said, h2, transport.Config{})
				cfg := client.Config{Path: cmp.Or(c.at, path), RoundTripper: carrier}
				cfg.Transports = []client.Transport{client.Polling}
				play(t, url, cfg, client.Polling)
				if c.said == "" {
					cfg.Transports = []client.Transport{client.WebSocket}
					play(t, url, cfg, client.WebSocket)
				}
				cfg.Transports = []client.Transport{client.Polling, client.WebSocket}
				if c.said == "" {
					play(t, url, cfg, client.WebSocket)
				} else {
					play(t, url, cfg, client.Polling)
					for !strings.Contains(said.String(), "WebSocket") { // the client's try may still be under way
						time.Sleep(time.Millisecond)
					}
				}
				switch {
				case c.said == "" && said.String() != "":
					t.Errorf("log: %s", said.String())
				case c.said != "" && (strings.Count(said.String(), "no client gets a WebSocket") != 1 || !strings.Contains(said.String(), c.said)):
					t.Errorf("the log does not say once that there are no WebSockets, by %s: %s", c.said, said.String())
				}
			})
		}
	}
}

// Routes that are for GET alone leave clients on polling without a voice, which the log says once; and nothing of clients whose
// POSTs come.
func TestRoutesForGETAlone(t *testing.T) {
	gin.SetMode(gin.ReleaseMode)
	for name, around := range map[string]func(io http.Handler) http.Handler{
		"http.ServeMux": func(io http.Handler) http.Handler {
			m := http.NewServeMux()
			m.Handle("GET /socket.io/", io)
			return m
		},
		"gin": func(io http.Handler) http.Handler {
			e := gin.New()
			e.GET("/socket.io/*any", gin.WrapH(io))
			return e
		},
		"chi": func(io http.Handler) http.Handler {
			r := chi.NewRouter()
			r.Get("/socket.io/*", io.ServeHTTP)
			return r
		},
		"all methods": func(io http.Handler) http.Handler { return io },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var said journal
			url, carrier := serve(t, around, &said, false, transport.Config{PingInterval: 200 * time.Millisecond, PingTimeout: 200 * time.Millisecond})
			c, err := client.New(url, client.Config{
				RoundTripper: carrier, Transports: []client.Transport{client.Polling}, Logger: slog.New(slog.DiscardHandler),
				ReconnectionDelay: 10 * time.Millisecond, ReconnectionDelayMax: 20 * time.Millisecond,
			})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			go func() { _ = c.Socket().Connect(ctx) }() // it tries again and again
			const sentence = "clients poll, and no POST has ever come"
			if name == "all methods" {
				for range 5 {
					play(t, url, client.Config{RoundTripper: carrier, Transports: []client.Transport{client.Polling}}, client.Polling)
				}
			}
			for !strings.Contains(said.String(), sentence) && name != "all methods" && ctx.Err() == nil {
				time.Sleep(time.Millisecond)
			}
			if err := c.Close(ctx); err != nil {
				t.Error(err)
			}
			if n := strings.Count(said.String(), sentence); (n == 1) == (name == "all methods") {
				t.Errorf("said %d times: %s", n, said.String())
			}
		})
	}
}

// quiet is a logger for chi.
type quiet struct{}

func (quiet) Print(...any) {}

// serve starts a server behind a handler, over TLS with HTTP/2 or not, and returns what carries requests to it.
func serve(t *testing.T, around func(http.Handler) http.Handler, said *journal, h2 bool, cfg transport.Config) (url string, carrier http.RoundTripper) {
	t.Helper()
	io, err := server.New(server.Config{Logger: slog.New(slog.NewTextHandler(said, nil)), Transport: cfg})
	if err != nil {
		t.Fatal(err)
	}
	io.On("echo", func(text string) string { return text })
	web := httptest.NewUnstartedServer(around(io))
	web.EnableHTTP2 = h2
	if h2 {
		web.StartTLS()
	} else {
		web.Start()
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := io.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		web.Close()
	})
	one := web.Client().Transport.(*http.Transport).Clone()
	one.ForceAttemptHTTP2, one.TLSNextProto = false, map[string]func(string, *tls.Conn) http.RoundTripper{}
	if one.TLSClientConfig != nil {
		one.TLSClientConfig.NextProtos = []string{"http/1.1"}
	}
	c := &browser{polls: web.Client().Transport, webSockets: one}
	t.Cleanup(func() {
		one.CloseIdleConnections()
		if n := c.two.Load(); n > 0 != h2 {
			t.Errorf("%d polls over HTTP/2", n)
		}
	})
	return web.URL, c
}

// browser carries requests as a browser does: WebSockets have connections of HTTP/1.1.
type browser struct {
	polls, webSockets http.RoundTripper
	two               atomic.Int32 // polls over HTTP/2
}

// RoundTrip carries one request.
func (b *browser) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("Upgrade") != "" {
		return b.webSockets.RoundTrip(r)
	}
	res, err := b.polls.RoundTrip(r)
	if err == nil && res.ProtoMajor == 2 {
		b.two.Add(1)
	}
	return res, err
}

// play connects a client, has small and large text answered, and waits for the transport that it wants.
func play(t *testing.T, url string, cfg client.Config, want client.Transport) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cfg.NoReconnection, cfg.Logger = true, slog.New(slog.DiscardHandler)
	c, err := client.New(url, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(ctx); err != nil {
			t.Error(err)
		}
	}()
	s := c.Socket()
	if err := s.Connect(ctx); err != nil {
		t.Fatalf("%v: %v", cfg.Transports, err)
	}
	for _, text := range []string{"hello", strings.Repeat("large ", 10_000)} {
		if got, err := client.Ask[string](ctx, s, "echo", text); err != nil || got != text {
			t.Fatalf("%v: %d letters for %d: %v", cfg.Transports, len(got), len(text), err)
		}
	}
	for c.Transport() != want {
		if ctx.Err() != nil {
			t.Fatalf("%v: the client is on %s, not %s", cfg.Transports, c.Transport(), want)
		}
		time.Sleep(time.Millisecond)
	}
}

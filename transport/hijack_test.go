package transport

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// A middleware's writer that hides Hijack leaves clients on polling, whose application is told once why, not the client.
func TestWriterThatCannotBeHijacked(t *testing.T) {
	for name, tt := range map[string]struct {
		wrap   func(http.Handler) http.Handler
		writer string
	}{
		"wrapper": {func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(bold{stubborn{w}}, r) })
		}, "writer=transport.stubborn"},
		"http.TimeoutHandler": {func(next http.Handler) http.Handler { return http.TimeoutHandler(next, time.Minute, "") }, "writer=*http.timeoutWriter"},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			h := newHarness(t, Config{Logger: slog.New(slog.NewTextHandler(&log, nil))}, nil)
			for range 3 {
				r := httptest.NewRequest("GET", "/?EIO=4&transport=websocket", nil)
				for k, v := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
					"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="} {
					r.Header.Set(k, v)
				}
				w := httptest.NewRecorder()
				tt.wrap(h.srv).ServeHTTP(w, r)
				want(t, "status", w.Code, http.StatusBadRequest)
			}
			want(t, "warnings", strings.Count(log.String(), "level=WARN"), 1)
			if got := log.String(); !strings.Contains(got, "Unwrap() http.ResponseWriter") || !strings.Contains(got, tt.writer) {
				t.Errorf("log %s", got)
			}
		})
	}
}

// A middleware's deadline that ends polls before a ping does ends sessions: the application is told once what to do.
func TestDeadlineThatCutsPolls(t *testing.T) {
	for name, tt := range map[string]struct {
		timeout time.Duration
		said    int
	}{"shorter than the ping interval": {100 * time.Millisecond, 1}, "longer": {time.Minute, 0}} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			h := newHarness(t, Config{Logger: slog.New(slog.NewTextHandler(&log, nil)), PingInterval: 30 * time.Second}, nil)
			var serving sync.WaitGroup // http.TimeoutHandler does not wait for what it has given up
			behind := http.TimeoutHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer serving.Done()
				h.srv.ServeHTTP(w, r)
			}), tt.timeout, "too late")
			for range 2 {
				serving.Add(2)
				w := httptest.NewRecorder()
				behind.ServeHTTP(w, httptest.NewRequest("GET", "/?EIO=4&transport=polling", nil))
				_, sid, _ := strings.Cut(w.Body.String(), `"sid":"`)
				sid, _, _ = strings.Cut(sid, `"`)
				if tt.said == 0 {
					s := h.srv.lookup(sid)
					go func() {
						for waits := false; !waits; runtime.Gosched() {
							s.mu.Lock()
							waits = s.poll != nil && s.poll.wake != nil
							s.mu.Unlock()
						}
						s.Close(ReasonForcedClose)
					}()
				}
				w = httptest.NewRecorder()
				behind.ServeHTTP(w, httptest.NewRequest("GET", "/?EIO=4&transport=polling&sid="+sid, nil))
				want(t, "status", w.Code, map[int]int{1: http.StatusServiceUnavailable, 0: http.StatusOK}[tt.said])
			}
			serving.Wait()
			want(t, "warnings", strings.Count(log.String(), "polls are cut off by a deadline"), tt.said)
			want(t, "writers", strings.Count(log.String(), "writer=*http.timeoutWriter"), tt.said)
		})
	}
}

// So is the application whose middleware has read what clients on polling say, and nobody when a client sends less than it
// promised.
func TestBodyThatHasBeenRead(t *testing.T) {
	for name, tt := range map[string]struct {
		before func(r *http.Request)
		sent   string
		said   int
	}{
		"read":      {func(r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }, "40", 1},
		"in part":   {func(r *http.Request) { _, _ = io.ReadFull(r.Body, make([]byte, 1)) }, "40", 1},
		"closed":    {func(r *http.Request) { _ = r.Body.Close() }, "40", 1},
		"put back":  {func(r *http.Request) { b, _ := io.ReadAll(r.Body); r.Body = io.NopCloser(bytes.NewReader(b)) }, "40", 0},
		"cut short": {func(*http.Request) {}, "4", 0},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			h := newHarness(t, Config{Logger: slog.New(slog.NewTextHandler(&log, nil))}, nil)
			web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost {
					tt.before(r)
				}
				h.srv.ServeHTTP(w, r)
			}))
			for range 2 {
				res, err := http.Get(web.URL + "/?EIO=4&transport=polling")
				if err != nil {
					t.Fatal(err)
				}
				open, _ := io.ReadAll(res.Body)
				_ = res.Body.Close()
				_, sid, _ := strings.Cut(string(open), `"sid":"`)
				sid, _, _ = strings.Cut(sid, `"`)
				conn, err := net.Dial("tcp", web.Listener.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				_, _ = io.WriteString(conn, "POST /?EIO=4&transport=polling&sid="+sid+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n"+tt.sent)
				_ = conn.(*net.TCPConn).CloseWrite()
				_, _ = io.Copy(io.Discard, conn)
				_ = conn.Close()
				if s := h.srv.lookup(sid); s != nil {
					s.Close(ReasonForcedClose)
				}
			}
			web.Close() // when all handlers have returned
			want(t, "warnings", strings.Count(log.String(), "the body of a POST had been read"), tt.said)
		})
	}
}

package transport

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
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

package host

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beanpole/beanpole/internal/limit"
)

// loggedPaths returns the paths that the access log has.
func loggedPaths(log fmt.Stringer) (paths []string) {
	for line := range strings.Lines(log.String()) {
		if _, rest, ok := strings.Cut(line, "msg=request "); ok {
			_, rest, _ = strings.Cut(rest, "path=")
			path, _, _ := strings.Cut(rest, " ")
			paths = append(paths, path)
		}
	}
	return paths
}

func TestAccessLog(t *testing.T) {
	for kind, want := range map[AccessLog]string{
		"":             "/app /missing /boom",
		AccessApp:      "/app /missing /boom",
		AccessSessions: "/app /missing /boom /socket.io/ /socket.io/", // the poll that failed, and the handshake
		AccessErrors:   "/boom",
		AccessAll:      "/app /missing /boom /socket.io/ /socket.io/ /socket.io/",
		AccessNone:     "",
	} {
		h, log := newTestHost(t, Config{AccessLog: kind})
		h.Handle("GET", "/app", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }))
		h.Handle("GET", "/boom", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) }))
		for _, target := range []string{"/app?token=secret", "/missing", "/boom", "/healthz",
			"/socket.io/?EIO=4&transport=polling&sid=secret"} {
			ask(h, "GET", target)
		}
		const session = "/socket.io/?EIO=4&transport=polling"
		sid := strings.Split(ask(h, "GET", session).Body.String(), `"`)[3]
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("POST", session+"&sid="+sid, strings.NewReader("40")))
		if w.Code != 200 {
			t.Errorf("a poll is answered %d", w.Code)
		}
		if got := strings.Join(loggedPaths(log), " "); got != want {
			t.Errorf("access log %q has %q, want %q", kind, got, want)
		}
		if strings.Contains(log.String(), "secret") || strings.Contains(log.String(), sid) {
			t.Errorf("access log %q has the query: %s", kind, log)
		}
		if kind == AccessSessions && strings.Count(log.String(), "status=200") != 1 {
			t.Errorf("not one line for a session: %s", log)
		}
	}
}

func TestAccessLogOfWhatIsNotThere(t *testing.T) {
	for kind, want := range map[AccessLog]int{AccessApp: limit.LinesPerSecond, AccessSessions: limit.LinesPerSecond, AccessAll: 100} {
		synctest.Test(t, func(t *testing.T) {
			h, log := newTestHost(t, Config{AccessLog: kind})
			for i := range 100 {
				ask(h, []string{"GET", "POST"}[i%2], fmt.Sprint("/missing/", i))
			}
			if n := len(loggedPaths(log)); n != want {
				t.Errorf("%s: %d lines for 100 requests, want %d", kind, n, want)
			}
		})
	}
}

func TestAccessLogOfAStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, log := newTestHost(t, Config{AccessLog: AccessSessions})
		h.Drain()
		for range 1000 {
			if w := ask(h, "GET", "/socket.io/?EIO=4&transport=websocket", "Upgrade", "websocket", "Connection", "Upgrade"); w.Code != 503 {
				t.Fatalf("a handshake is answered %d while draining", w.Code)
			}
		}
		if n := len(loggedPaths(log)); n != limit.LinesPerSecond {
			t.Errorf("%d lines for 1000 refused handshakes, want %d", n, limit.LinesPerSecond)
		}
		time.Sleep(time.Second)
		ask(h, "GET", "/socket.io/?EIO=4&transport=polling")
		if !strings.Contains(log.String(), "client=192.0.2.1 transport=polling left_out=990") {
			t.Errorf("the next line does not say what was left out: %s", log)
		}
	})
}

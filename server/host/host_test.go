package host

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gin-gonic/gin"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/transport"
)

// newTestHost returns a host that logs to the returned buffer and is shut down with the test.
func newTestHost(t *testing.T, cfg Config) (*Host, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		h.IO().Engine().Each(func(s *transport.Session) bool {
			s.Abort(transport.ReasonForcedClose) // a graceful end would wait for a poll that never comes
			return true
		})
		_ = h.IO().Close()
	})
	return h, &log
}

// ask sends a request; header is pairs of names and values.
func ask(h http.Handler, method, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestHandshakeAtThePath(t *testing.T) {
	for _, tt := range []struct {
		name   string
		cfg    Config
		target string
		status int
	}{
		{"default", Config{}, "/socket.io/", 200},
		{"without the slash", Config{}, "/socket.io", 404},
		{"without the slash, wanted", Config{NoTrailingSlash: true}, "/socket.io", 200},
		{"with the slash still", Config{NoTrailingSlash: true}, "/socket.io/", 200},
		{"another path", Config{Path: "/a/b/"}, "/a/b/", 200},
		{"another path without its slash", Config{Path: "/a/b"}, "/a/b/", 200},
		{"another path without any", Config{Path: "a/b"}, "/a/b/", 200},
		{"not the default then", Config{Path: "/a/b/"}, "/socket.io/", 404},
	} {
		h, _ := newTestHost(t, tt.cfg)
		w := ask(h, "GET", tt.target+"?EIO=4&transport=polling")
		if w.Code != tt.status || (w.Code == 200 && !strings.HasPrefix(w.Body.String(), `0{"sid":"`)) {
			t.Errorf("%s: GET %s: %d %q, want %d", tt.name, tt.target, w.Code, w.Body, tt.status)
		}
	}
}

func TestRequestBelowThePathIsTheServersToAnswer(t *testing.T) {
	h, _ := newTestHost(t, Config{})
	w := ask(h, "GET", "/socket.io/other.js")
	if w.Code != 400 || !strings.Contains(w.Body.String(), "Transport unknown") {
		t.Errorf("%d %q, want the protocol's own answer", w.Code, w.Body)
	}
}

func TestSettingsReachTheServer(t *testing.T) {
	h, _ := newTestHost(t, Config{MaxPayload: 4321, PingInterval: 7e9, PingTimeout: 3e9, NoUpgrades: true, Cookie: "beans",
		Adjust: func(c *server.Config) {
			c.Transport.Headers = func(h http.Header, _ *http.Request) { h.Set("X-Adjusted", "1") }
		}})
	w := ask(h, "GET", "/socket.io/?EIO=4&transport=polling")
	var open struct {
		Upgrades                              []string
		PingInterval, PingTimeout, MaxPayload int
	}
	if err := json.Unmarshal(w.Body.Bytes()[1:], &open); err != nil {
		t.Fatal(err)
	}
	if open.PingInterval != 7000 || open.PingTimeout != 3000 || open.MaxPayload != 4321 || len(open.Upgrades) != 0 {
		t.Errorf("open packet %+v", open)
	}
	if c := w.Header().Get("Set-Cookie"); !strings.HasPrefix(c, "beans=") {
		t.Errorf("cookie %q", c)
	}
	if w.Header().Get("X-Adjusted") != "1" {
		t.Error("Adjust had no effect")
	}
}

func TestHandshakeHasTheClientsAddress(t *testing.T) {
	h, _ := newTestHost(t, Config{TrustedHops: 2})
	ask(h, "GET", "/socket.io/?EIO=4&transport=polling",
		"X-Forwarded-For", "6.6.6.6, 198.51.100.7, 10.0.0.9", "X-Forwarded-Proto", "https")
	h.IO().Engine().Each(func(s *transport.Session) bool {
		if hs := s.Handshake(); hs.Addr() != "198.51.100.7" || !hs.Secure() {
			t.Errorf("address %s, secure %v", hs.Addr(), hs.Secure())
		}
		return true
	})
	if n := h.IO().Engine().Sessions(); n != 1 {
		t.Errorf("%d sessions, want 1", n)
	}
}

func TestAllowedOrigins(t *testing.T) {
	cfg := Config{AllowedOrigins: []string{"https://app.example.com"}, AllowCredentials: true, TrustedHops: 1}
	native, _ := newTestHost(t, cfg)
	library, _ := zishangHost(t, cfg)
	t.Cleanup(func() {
		library.app.Engine().Each(func(s *transport.Session) bool { s.Abort(transport.ReasonServerShuttingDown); return true })
		if err := library.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	for name, h := range map[string]*Host{"native": native, "zishang": library} {
		t.Run(name, func(t *testing.T) {
			const target = "http://chat.example.com/socket.io/?EIO=4&transport=polling"
			w := ask(h, "GET", target, "Origin", "https://app.example.com")
			if w.Code != 200 || w.Header().Get("Access-Control-Allow-Origin") != "https://app.example.com" ||
				w.Header().Get("Access-Control-Allow-Credentials") != "true" {
				t.Errorf("allowed origin: %d %v", w.Code, w.Header())
			}
			_, sid, _ := strings.Cut(w.Body.String(), `"sid":"`)
			session := target + "&sid=" + sid[:20]
			for _, tt := range []struct {
				page   []string
				status int
			}{
				{nil, 200}, // no page
				{[]string{"Origin", "https://evil.example.com"}, 403},
				{[]string{"Origin", "null"}, 403},
				{[]string{"Sec-Fetch-Site", "cross-site"}, 403},
				{[]string{"Sec-Fetch-Site", "same-site"}, 403},
				{[]string{"Sec-Fetch-Site", "same-origin"}, 200},
				// The server's own, over TLS or not as the proxy says.
				{[]string{"Origin", "http://chat.example.com"}, 200},
				{[]string{"Origin", "https://chat.example.com"}, 403},
				{[]string{"Origin", "https://chat.example.com", "X-Forwarded-Proto", "https"}, 200},
				{[]string{"Origin", "http://chat.example.com", "X-Forwarded-Proto", "https"}, 403},
				{[]string{"Origin", "https://chat.example.com", "X-Forwarded-Proto", "https, http"}, 403}, // the first is a lie
			} {
				if w := ask(h, "GET", target, tt.page...); w.Code != tt.status || tt.status != 200 && w.Header().Get("Access-Control-Allow-Origin") != "" {
					t.Errorf("handshake of %q: %d %v, want %d", tt.page, w.Code, w.Header(), tt.status)
				}
				if w := ask(h, "PUT", session, tt.page...); w.Code == 403 != (tt.status == 403) {
					t.Errorf("a session's request of %q: %d", tt.page, w.Code)
				}
			}
			if w := ask(h, "GET", target+"&j=0"); w.Code != 400 {
				t.Errorf("JSONP: %d", w.Code)
			}
		})
	}
	any, _ := newTestHost(t, Config{AllowedOrigins: []string{"*"}})
	w := ask(any, "GET", "/socket.io/?EIO=4&transport=polling", "Origin", "https://x.example", "Sec-Fetch-Site", "cross-site")
	if w.Code != 200 || w.Header().Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("any origin: %d %v", w.Code, w.Header())
	}
}

// What is refused to a page of an attacker's name that points here is everything, not the Socket.IO path alone.
func TestAllowedHosts(t *testing.T) {
	h, log := newTestHost(t, Config{AllowedHosts: []string{"chat.example.com"}, StaticDir: t.TempDir(), AccessLog: AccessAll})
	h.Static(fstest.MapFS{"index.html": {Data: []byte("secret")}})
	h.Handle("GET", "/app", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "secret") }))
	h.Router().GET("/gin", func(c *gin.Context) { c.String(200, "secret") })
	h.Handle("POST", "/login", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "secret") }))
	for _, path := range []string{"/socket.io/?EIO=4&transport=polling", "/socket.io/socket.io.js", "/", "/app", "/gin", "/nothing", "/healthz/", "//livez"} {
		if w := ask(h, "GET", "http://evil.example.com"+path); w.Code != 403 || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
		if w := ask(h, "GET", "http://chat.example.com:81"+path); w.Code == 403 {
			t.Errorf("%s of the own name: %d %s", path, w.Code, w.Body)
		}
	}
	if w := ask(h, "POST", "http://evil.example.com/login"); w.Code != 403 {
		t.Errorf("/login: %d %s", w.Code, w.Body)
	}
	for _, path := range []string{"/healthz", "/livez"} {
		if w := ask(h, "GET", "http://10.0.0.7"+path); w.Code != 200 { // as load balancers ask
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	if got := log.String(); strings.Count(got, "host=evil.example.com") != 1 || !strings.Contains(got, "path=/app status=403") {
		t.Errorf("log %s", got)
	}
}

func TestHealthWhileDraining(t *testing.T) {
	h, _ := newTestHost(t, Config{})
	for _, target := range []string{"/healthz", "/livez"} {
		for _, method := range []string{"GET", "HEAD"} {
			if w := ask(h, method, target); w.Code != 200 {
				t.Errorf("%s %s: %d", method, target, w.Code)
			}
		}
	}
	h.Drain()
	if w := ask(h, "GET", "/healthz"); w.Code != 503 || !strings.Contains(w.Body.String(), `"draining"`) {
		t.Errorf("/healthz while draining: %d %s", w.Code, w.Body)
	}
	if w := ask(h, "GET", "/livez"); w.Code != 200 {
		t.Errorf("/livez while draining: %d", w.Code)
	}
	w := ask(h, "GET", "/socket.io/?EIO=4&transport=polling")
	if w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("handshake while draining: %d %v", w.Code, w.Header())
	}
}

func TestPanicOfARouteIsA500(t *testing.T) {
	h, log := newTestHost(t, Config{})
	h.Handle("GET", "/boom", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("beans") }))
	if w := ask(h, "GET", "/boom"); w.Code != 500 {
		t.Errorf("status %d", w.Code)
	}
	if got := log.String(); !strings.Contains(got, `msg="handler panicked"`) || !strings.Contains(got, "path=/boom") {
		t.Errorf("log %q", got)
	}
	h.Handle("GET", "/abort", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer func() {
		if recover() != http.ErrAbortHandler {
			t.Error("ErrAbortHandler did not reach the HTTP server")
		}
	}()
	ask(h, "GET", "/abort")
}

func TestStaticFiles(t *testing.T) {
	h, _ := newTestHost(t, Config{})
	h.Static(fstest.MapFS{
		"index.html":       {Data: []byte("<h1>home</h1>")},
		"app.js":           {Data: []byte("1")},
		"docs/index.html":  {Data: []byte("docs")},
		"pictures/a.png":   {Data: []byte("png")},
		".env":             {Data: []byte("SECRET=1")},
		".git/config":      {Data: []byte("secret")},
		"healthz":          {Data: []byte("not this one")},
		"socket.io/own.js": {Data: []byte("not this one")},
	})
	for target, want := range map[string]int{
		"/": 200, "/app.js": 200, "/docs/": 200, "/docs": 301, "/pictures/": 404, "/pictures": 404,
		"/pictures/a.png": 200, "/.env": 404, "/.git/config": 404, "/nothing": 404, "/socket.io/own.js": 400,
		"/../host_test.go": 404, "/..%2fhost_test.go": 404,
	} {
		if w := ask(h, "GET", target); w.Code != want {
			t.Errorf("GET %s: %d, want %d", target, w.Code, want)
		}
	}
	if w := ask(h, "GET", "/healthz"); strings.Contains(w.Body.String(), "not this one") {
		t.Error("a file hides the health check")
	}
	if w := ask(h, "POST", "/app.js"); w.Code != 405 {
		t.Errorf("POST of a file: %d", w.Code)
	}
}

func TestLinksThatLeadOutOfTheFolderOrToWhatIsHiddenAreNotThere(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "public")
	for _, d := range []string{"public/sub", "public/listed", "other", "public/.git", "public/..2026"} {
		if err := os.MkdirAll(filepath.Join(top, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"public/a.txt": "a", "public/sub/b.txt": "b", "other/index.html": "out", "secret": "out",
		"public/.env": "out", "public/.git/config": "out", "public/..2026/index.txt": "in"} {
		if err := os.WriteFile(filepath.Join(top, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{
		"absolute": filepath.Join(top, "secret"), "relative": "../secret", "folder": "../other", "sub/deep": "../../secret",
		"round": "sub/../../secret", "chain": "relative", "listed/index.html": "../../secret", "loop": "loop",
		"visible": ".env", "g": ".git", "over": "sub/../.git/config", "..data": "..2026", "index.txt": "..data/index.txt",
		"inside": "sub/b.txt", "sub/up": "../a.txt", "here": "sub", "gone": "nothing",
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	served := map[string]*Host{}
	served["BEANPOLE_STATIC_DIR"], _ = newTestHost(t, Config{StaticDir: dir})
	served["Static of os.DirFS"], _ = newTestHost(t, Config{})
	served["Static of os.DirFS"].Static(os.DirFS(dir))
	for name, h := range served {
		for target, want := range map[string]int{
			"/a.txt": 200, "/inside": 200, "/sub/up": 200, "/here/b.txt": 200, "/gone": 404,
			"/absolute": 404, "/relative": 404, "/folder/": 404, "/sub/deep": 404, "/here/deep": 404,
			"/visible": 404, "/g/config": 404, "/over": 404, "/index.txt": 200, "/..data/index.txt": 404, "/a.txt%00": 404,
			"/round": 404, "/chain": 404, "/listed/": 404, "/loop": 404,
		} {
			if w := ask(h, "GET", target); w.Code != want || w.Body.String() == "out" {
				t.Errorf("%s: GET %s: %d %q, want %d", name, target, w.Code, w.Body, want)
			}
		}
	}
}

// Many small ranges would be many times what is asked for.
func TestManyRangesAreTheWhole(t *testing.T) {
	h, _ := newTestHost(t, Config{})
	h.Static(fstest.MapFS{"a.txt": {Data: []byte("0123456789")}})
	for ranges, want := range map[string]int{"bytes=0-0": 206, "bytes=0-0,2-2": 206, "bytes=0-0" + strings.Repeat(",0-0", 20): 200} {
		if w := ask(h, "GET", "/a.txt", "Range", ranges); w.Code != want || w.Body.Len() > 1000 {
			t.Errorf("%.20s: %d with %d bytes, want %d", ranges, w.Code, w.Body.Len(), want)
		}
	}
}

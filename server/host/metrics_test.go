package host

import (
	"compress/gzip"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"
)

// showing runs a host that has an address for its metrics, until it is stopped.
func showing(t *testing.T) (h *Host, stop func()) {
	t.Helper()
	h, _ = newTestHost(t, Config{Port: AnyPort, NoAdmin: true, MetricsAddr: "127.0.0.1:0", AllowedHosts: []string{"chat.example.com"}})
	if err := h.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	return h, func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// The address of the metrics shows them and nothing else, and one that cannot be had stops the start.
func TestMetricsHaveAnAddress(t *testing.T) {
	h, stop := showing(t)
	for path, want := range map[string]int{"/metrics": 200, "/drain": 404, "/": 404} {
		res, err := http.Get("http://" + h.shown.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode != want || want == 200 && !strings.Contains(string(body), "beanpole_sessions") {
			t.Errorf("%s: %d, %.100s", path, res.StatusCode, body)
		}
	}
	for host, want := range map[string]int{"": 200, "chat.example.com": 200, "10.0.0.5:9464": 200, "evil.example": 403, "localhost": 200} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+h.shown.Addr().String()+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if _ = res.Body.Close(); res.StatusCode != want {
			t.Errorf("host %q: %d, want %d", host, res.StatusCode, want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	stop()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	other, _ := newTestHost(t, Config{Port: AnyPort, NoAdmin: true, MetricsAddr: taken.Addr().String()})
	if err := other.Listen(); err == nil || !strings.Contains(err.Error(), "BEANPOLE_METRICS_ADDR") {
		t.Errorf("taken: %v", err)
	}
	_ = other.listener.Close()
}

// The listeners beside the host's own wait for no body without an end, and the metrics are for no page of an attacker's name.
func TestMetricsAddressIsBounded(t *testing.T) {
	h, stop := showing(t)
	for name, want := range map[string]string{"evil.example": "403", "chat.example.com": "200", "10.0.0.7:9464": "200", "[::1]:9464": "200", "localhost": "200"} {
		if got := exchanged(t, h.shown.Addr().String(), "GET /metrics HTTP/1.1\r\nHost: "+name+"\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 "+want) {
			t.Errorf("%s: %.100s", name, got)
		}
	}
	const part = "POST /x HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\nabc" // to the end of the connection, which comes
	if got := exchanged(t, h.shown.Addr().String(), part); !strings.HasPrefix(got, "HTTP/1.1 413") {
		t.Errorf("with part of a body: %.100s", got)
	}
	stop()
}

// exchanged sends text on a connection of its own and returns what comes until its end.
func exchanged(t *testing.T, addr, text string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	got, _ := io.ReadAll(c)
	return string(got)
}

// A page with its own paths is served for them, and what can be compressed is.
func TestSinglePage(t *testing.T) {
	h, _ := newTestHost(t, Config{SinglePage: true})
	page, script := strings.Repeat("<p>", 1000), strings.Repeat("x", 10_000)
	h.Static(fstest.MapFS{
		"index.html": {Data: []byte(page)}, "app.js": {Data: []byte(script)}, "docs/index.html": {Data: []byte("docs")},
	})
	const html = "text/html,*/*"
	for _, c := range []struct {
		path, accept string
		status       int
		body         string
	}{
		{"/", html, 200, page},
		{"/game/7", html, 200, page},
		{"/docs/", html, 200, "docs"},
		{"/app.js", "*/*", 200, script},
		{"/missing.js", html, 404, ""},
		{"/game/7", "application/json", 404, ""},
		{"/.git/config", html, 200, page}, // nothing of what is hidden
	} {
		w := ask(h, http.MethodGet, c.path, "Accept", c.accept)
		if w.Code != c.status || c.body != "" && w.Body.String() != c.body {
			t.Errorf("%s for %s: %d, %.50s", c.path, c.accept, w.Code, w.Body)
		}
	}
	w := ask(h, http.MethodGet, "/game/7", "Accept", html, "Accept-Encoding", "gzip")
	r, err := gzip.NewReader(w.Body)
	if err != nil || w.Header().Get("Content-Encoding") != "gzip" || w.Body.Len() > 500 {
		t.Fatalf("%v, %v", w.Header(), err)
	}
	if got, err := io.ReadAll(r); string(got) != page || err != nil {
		t.Errorf("%.50s, %v", got, err)
	}
	if w := ask(h, http.MethodGet, "/app.js", "Accept-Encoding", "gzip", "Range", "bytes=0-9"); w.Code != 206 || w.Body.Len() != 10 {
		t.Errorf("a range: %d, %d bytes", w.Code, w.Body.Len())
	}
	plain, _ := newTestHost(t, Config{})
	plain.Static(fstest.MapFS{"index.html": {Data: []byte(page)}})
	if w := ask(plain, http.MethodGet, "/game/7", "Accept", html); w.Code != 404 {
		t.Errorf("without: %d", w.Code)
	}
}

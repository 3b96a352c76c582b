package host

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/beanpole/beanpole/internal/version"
	"github.com/beanpole/beanpole/server"
)

// askAdmin sends a request to the admin listener.
func askAdmin(t *testing.T, h *Host, method, target string, header ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, h.AdminURL()+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if r.Header.Set(header[i], header[i+1]); header[i] == "Host" {
			r.Host = header[i+1]
		}
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// connect opens a polling session that has joined the main namespace, and returns the path of its polls.
func connect(t *testing.T, h *Host) string {
	t.Helper()
	open := get(t, h, "socket.io/?EIO=4&transport=polling")
	session := "socket.io/?EIO=4&transport=polling&sid=" + strings.Split(open, `"`)[3]
	res, err := http.Post(h.URL()+session, "text/plain", strings.NewReader("40"))
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if got := get(t, h, session); !strings.HasPrefix(got, "40{") {
		t.Fatalf("answer to CONNECT is %q", got)
	}
	return session
}

func status(t *testing.T, h *Host, target string) int {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/"+target, nil))
	return w.Code
}

func TestDrainOverTheAdminListener(t *testing.T) {
	h, _ := newTestHost(t, Config{Port: AnyPort, Host: "127.0.0.1"})
	reasons := make(chan string, 9)
	h.IO().OnConnection(func(s *server.Socket) { s.OnDisconnect(func(d server.Disconnection) { reasons <- string(d.Reason) }) })
	done := running(t, h)
	const clients = 5
	answers := make(chan string, clients)
	for range clients {
		session := connect(t, h)
		go func() { answers <- get(t, h, session) }()
	}

	code, body := askAdmin(t, h, http.MethodPost, "drain?time=200ms")
	var d Drained
	if err := json.Unmarshal([]byte(body), &d); err != nil || code != http.StatusOK || d.Sessions != clients || d.Left != 0 {
		t.Errorf("drain answered %d %s", code, body)
	}
	for range clients {
		// Engine.IO's close and nothing of Socket.IO: after a DISCONNECT clients do not come back.
		if got := <-answers; got != "1" {
			t.Errorf("poll answered %q, want a CLOSE packet", got)
		}
		if got := <-reasons; got != "server shutting down" {
			t.Errorf("disconnect reason %q", got)
		}
	}
	if got := status(t, h, "healthz"); got != http.StatusServiceUnavailable {
		t.Errorf("/healthz is %d while drained", got)
	}
	if got := status(t, h, "livez"); got != http.StatusOK {
		t.Errorf("/livez is %d while drained", got)
	}
	if got := status(t, h, "socket.io/?EIO=4&transport=polling"); got != http.StatusServiceUnavailable {
		t.Errorf("handshake is answered %d while drained", got)
	}
	if _, body := askAdmin(t, h, http.MethodDelete, "drain"); !strings.Contains(body, `"draining":false`) {
		t.Errorf("resume answered %s", body)
	}
	connect(t, h)
	signalSelf(t, syscall.SIGTERM)
	if err := await(t, done); err != nil {
		t.Error(err)
	}
}

func TestDrainedHostResumesByItself(t *testing.T) {
	h, _ := newTestHost(t, Config{Port: AnyPort, Host: "127.0.0.1"})
	done := running(t, h)
	if code, _ := askAdmin(t, h, http.MethodPost, "drain?hold=30ms"); code != http.StatusOK {
		t.Fatalf("drain answered %d", code)
	}
	for end := time.Now().Add(5 * time.Second); status(t, h, "healthz") != http.StatusOK; {
		if time.Now().After(end) {
			t.Fatal("the host has not resumed")
		}
		time.Sleep(5 * time.Millisecond) // a timer of the host, which tells nobody
	}
	connect(t, h)
	signalSelf(t, syscall.SIGTERM)
	if err := await(t, done); err != nil {
		t.Error(err)
	}
}

// A stop that is to be short closes all at once, and waits for nobody who does not poll again.
func TestStopDrainTime(t *testing.T) {
	h, _ := newTestHost(t, Config{Port: AnyPort, Host: "127.0.0.1", DrainTime: 10 * time.Second, StopDrainTime: 10 * time.Millisecond})
	done := running(t, h)
	for range 3 {
		connect(t, h)
	}
	start := time.Now()
	d := h.DrainSessions(t.Context(), h.cfg.StopDrainTime)
	if d.Sessions != 3 || d.Left != 3 || d.Took > 2*time.Second {
		t.Errorf("drained %+v", d)
	}
	signalSelf(t, syscall.SIGTERM)
	if err := await(t, done); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > 8*time.Second {
		t.Errorf("the stop took %v", took)
	}
}

func TestStopEndsASlowDrain(t *testing.T) {
	h, _ := newTestHost(t, Config{Port: AnyPort, Host: "127.0.0.1", DrainTime: 20 * time.Millisecond})
	done := running(t, h)
	for range 3 {
		connect(t, h) // clients that never poll again
	}
	drained := make(chan int, 1)
	go func() {
		code, _ := askAdmin(t, h, http.MethodPost, "drain?time=10m")
		drained <- code
	}()
	for !h.draining.Load() {
		time.Sleep(time.Millisecond)
	}
	start := time.Now()
	signalSelf(t, syscall.SIGTERM)
	if err := await(t, done); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > 8*time.Second {
		t.Errorf("the stop took %v", took)
	}
	<-drained
}

func TestAdminListenerRefuses(t *testing.T) {
	h, _ := newTestHost(t, Config{Port: AnyPort, Host: "127.0.0.1"})
	done := running(t, h)
	if code, _ := askAdmin(t, h, http.MethodPost, "drain", "Origin", "https://evil.example"); code != http.StatusForbidden {
		t.Errorf("a browser's POST is answered %d", code)
	}
	if code, _ := askAdmin(t, h, http.MethodPost, "drain?time=soon"); code != http.StatusBadRequest {
		t.Errorf("a bad time is answered %d", code)
	}
	if h.draining.Load() {
		t.Error("the host drains")
	}
	if !strings.HasPrefix(h.AdminURL(), "http://127.0.0.1:") {
		t.Errorf("the admin listener is at %s", h.AdminURL())
	}
	signalSelf(t, syscall.SIGTERM)
	if err := await(t, done); err != nil {
		t.Error(err)
	}
}

func TestInstanceHeader(t *testing.T) {
	for _, test := range []struct {
		cfg  Config
		want string
	}{
		{Config{Instance: "i-1", Version: "v7"}, "i-1 v7 beanpole/" + version.Number},
		{Config{NoInstanceHeader: true}, ""},
	} {
		h, _ := newTestHost(t, test.cfg)
		for _, target := range []string{"/healthz", "/socket.io/?EIO=4&transport=polling", "/nothing"} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, target, nil))
			if got := w.Header().Get(InstanceHeader); got != test.want {
				t.Errorf("%s: header %q, want %q", target, got, test.want)
			}
		}
	}
	h, _ := newTestHost(t, Config{})
	if len(strings.Fields(h.spoke)) != 3 {
		t.Errorf("default header %q", h.spoke)
	}
}

func TestContradictionsStopTheStart(t *testing.T) {
	for _, environ := range [][]string{
		{"BEANPOLE_DRAIN_TIME=30s"},
		{"BEANPOLE_IDLE_TIMEOUT=45s"},
		{"BEANPOLE_PROBE_TOKEN=short"},
		{"BEANPOLE_INSTANCE=two words"},
	} {
		if _, err := fromEnv(environ); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: err = %v, want one line", environ, err)
		}
	}
}

func TestProbeNamespaceIsOffWithoutToken(t *testing.T) {
	h, _ := newTestHost(t, Config{})
	for _, n := range h.IO().Namespaces() {
		if n.Name() == ProbeNamespace {
			t.Error("the probe namespace is there")
		}
	}
}

func TestStopDoesNotWaitForUnusedConnections(t *testing.T) {
	h, _ := newTestHost(t, Config{Port: AnyPort, Host: "127.0.0.1"})
	done := running(t, h)
	c, err := net.Dial("tcp", h.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	get(t, h, "livez") // accepted after c
	start := time.Now()
	signalSelf(t, syscall.SIGTERM)
	if err := await(t, done); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("the stop took %v", took)
	}
}

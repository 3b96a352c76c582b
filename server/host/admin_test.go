package host

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestAdminListenerShowsMetricsAndProfiles(t *testing.T) {
	h, _ := newTestHost(t, Config{Port: AnyPort, Host: "127.0.0.1"})
	done := running(t, h)
	connect(t, h)
	code, text := askAdmin(t, h, http.MethodGet, "metrics")
	for _, want := range []string{`beanpole_sessions{transport="polling"} 1`, `beanpole_handler_seconds_count{event="connection"} 1`} {
		if code != http.StatusOK || !strings.Contains(text, want) {
			t.Errorf("status %d, no %s in\n%s", code, want, text)
		}
	}
	if code, text := askAdmin(t, h, http.MethodGet, "debug/pprof/"); code != http.StatusOK || !strings.Contains(text, "goroutine") {
		t.Errorf("profiles: %d %s", code, text)
	}
	if code := status(t, h, "metrics"); code != http.StatusNotFound {
		t.Errorf("the public port answers /metrics with %d", code)
	}
	signalSelf(t, syscall.SIGTERM)
	if err := await(t, done); err != nil {
		t.Error(err)
	}
}

func TestAdminListenerIsForThisMachinesPrograms(t *testing.T) {
	h, _ := newTestHost(t, Config{Port: AnyPort, Host: "127.0.0.1"})
	done := running(t, h)
	for _, c := range []struct {
		method, target string
		header         []string
		want           int
	}{
		{"GET", "drain", nil, 200},
		{"GET", "drain", []string{"Host", "localhost:1234"}, 200},
		{"GET", "drain", []string{"Host", "[::1]"}, 200},
		{"GET", "metrics", []string{"Host", "rebound.example"}, 403},
		{"GET", "debug/pprof/", []string{"Host", "localhost.example:5001"}, 403},
		{"POST", "drain", []string{"Origin", "null"}, 403},
		{"DELETE", "drain", []string{"Origin", "http://a.example"}, 403},
		{"GET", "debug/pprof/heap", []string{"Origin", "http://a.example"}, 403},
		{"GET", "metrics", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"GET", "metrics", []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"GET", "metrics", []string{"Sec-Fetch-Site", "Cross-Site"}, 403},
		{"GET", "metrics", []string{"Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate"}, 200}, // typed
		{"GET", "metrics", []string{"Sec-Fetch-Site", "none", "Sec-Purpose", "prefetch"}, 403},    // speculation rules
		{"GET", "metrics", []string{"Sec-Fetch-Site", "none", "Sec-Purpose", "prefetch;prerender"}, 403},
		{"GET", "metrics", []string{"Sec-Fetch-Site", "none", "Purpose", "prefetch"}, 403},
		{"GET", "debug/pprof/profile?seconds=301", nil, 400},
		{"GET", "debug/pprof/trace?seconds=NaN", nil, 400},
		{"GET", "debug/pprof/heap?seconds=1e9", nil, 400},
	} {
		if code, text := askAdmin(t, h, c.method, c.target, c.header...); code != c.want {
			t.Errorf("%s %s %q: %d %s, want %d", c.method, c.target, c.header, code, text, c.want)
		}
	}
	signalSelf(t, syscall.SIGTERM)
	if err := await(t, done); err != nil {
		t.Error(err)
	}
}

func TestOneProfileAtATime(t *testing.T) {
	var one oneProfile
	began, end := make(chan struct{}), make(chan struct{})
	slow := one.timed(false, func(http.ResponseWriter, *http.Request) { close(began); <-end })
	over := make(chan struct{})
	go func() {
		defer close(over)
		slow(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	}()
	<-began
	ask := func() int {
		w := httptest.NewRecorder()
		one.timed(false, func(http.ResponseWriter, *http.Request) {})(w, httptest.NewRequest("GET", "/?seconds=1", nil))
		return w.Code
	}
	if code := ask(); code != http.StatusConflict {
		t.Errorf("the second at a time: %d", code)
	}
	close(end)
	<-over
	if code := ask(); code != http.StatusOK {
		t.Errorf("when the first has ended: %d", code)
	}
}

// Who finds a port taken learns whose it is, and which variable changes it.
func TestAPortThatIsTakenIsNamed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := Port(l.Addr().(*net.TCPAddr).Port)

	h, _ := newTestHost(t, Config{Host: "127.0.0.1", Port: taken})
	if err := h.Listen(); err == nil || !strings.Contains(err.Error(), "set PORT") {
		t.Errorf("the host's own port: %v", err)
	}
	h, log := newTestHost(t, Config{Host: "127.0.0.1", Port: AnyPort, AdminPort: taken})
	if err := h.Listen(); err != nil {
		t.Fatal(err)
	}
	defer h.listener.Close()
	h.flushLog()
	if got := log.String(); !strings.Contains(got, "no admin listener yet") || !strings.Contains(got, "BEANPOLE_ADMIN_PORT") {
		t.Errorf("the admin port: %s", got)
	}
}

// A host that starts while the one before it stops has an admin listener when that has ended.
func TestAdminPortThatIsFreedLater(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h, _ := newTestHost(t, Config{Host: "127.0.0.1", Port: AnyPort, AdminPort: Port(l.Addr().(*net.TCPAddr).Port)})
	done := running(t, h)
	if got := h.AdminURL(); got != "" {
		t.Errorf("the admin listener is at %s, which is another's", got)
	}
	_ = l.Close()
	for deadline := time.Now().Add(time.Minute); h.AdminURL() == "" && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	if status, _ := askAdmin(t, h, http.MethodGet, "drain"); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
	signalSelf(t, syscall.SIGTERM)
	if err := await(t, done); err != nil {
		t.Errorf("Run: %v", err)
	}
}

// poor is a listener that has no descriptor for a connection for a while.
type poor struct {
	net.Listener
	fails int
}

func (p *poor) Accept() (net.Conn, error) {
	if p.fails--; p.fails < 0 {
		return nil, net.ErrClosed
	}
	return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
}

func TestOutOfDescriptorsIsSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, log := newTestHost(t, Config{})
		if _, err := h.accepting(&poor{fails: 100}).Accept(); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		synctest.Wait()
		if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "ulimit -n") {
			t.Errorf("the log: %s", got)
		}
	})
}

package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"go.uber.org/goleak"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/metrics"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func scrape(t *testing.T, m *metrics.Metrics) string {
	t.Helper()
	rec := httptest.NewRecorder()
	m.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if rec.Code != http.StatusOK {
		t.Fatalf("status %d: %s", rec.Code, rec.Body)
	}
	return rec.Body.String()
}

func TestMetricsOfASession(t *testing.T) {
	m := metrics.New()
	srv, err := server.New(server.Config{Observers: []server.Observer{m}})
	if err != nil {
		t.Fatal(err)
	}
	m.Watch(srv)
	srv.On("works", func() bool { return true })
	srv.On("fails", func() error { return errors.New("no") })
	srv.On("panics", func() { panic("no") })
	web := httptest.NewServer(srv)
	defer web.Close()

	conn, br, _, err := ws.Dial(t.Context(), "ws"+strings.TrimPrefix(web.URL, "http")+"/socket.io/?EIO=4&transport=websocket")
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	var r io.Reader = conn
	if br != nil {
		r = io.MultiReader(br, conn)
	}
	peer := struct {
		io.Reader
		io.Writer
	}{r, conn}
	exchange := func(send string) {
		t.Helper()
		if send != "" {
			if err := wsutil.WriteClientText(conn, []byte(send)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := wsutil.ReadServerText(peer); err != nil {
			t.Fatal(err)
		}
	}
	exchange("") // OPEN
	exchange("40")
	exchange(`421["fails"]`)
	exchange(`421["panics"]`)
	for i := range 3 {
		if err := wsutil.WriteClientText(conn, fmt.Appendf(nil, `42["made up %d"]`, i)); err != nil {
			t.Fatal(err)
		}
	}
	exchange(`422["works"]`)
	exchange(`423["works"]`) // its answer says that the observer has been told of the one before
	text := scrape(t, m)
	for _, want := range []string{
		`beanpole_sessions{transport="websocket"} 1`,
		`beanpole_handshakes_total{transport="websocket"} 1`,
		`beanpole_sockets{namespace="/"} 1`,
		`beanpole_handler_failures_total{event="fails"} 1`,
		`beanpole_handler_seconds_count{event="fails"} 1`,
		`beanpole_handler_seconds_count{event="other"} 3`,
		`beanpole_handler_seconds_count{event="connection"} 1`,
		`beanpole_events_total{direction="in"} 7`,
		`beanpole_handler_failures_total{event="panics"} 1`,
		`beanpole_handler_panics_total{event="panics"} 1`,
		`beanpole_handler_panics_total{event="fails"} 0`,
		`beanpole_handler_errors_total 2`,
		`beanpole_outbox_bytes 0`,
		`beanpole_panics_total 1`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(text, "made up") {
		t.Error("a name that a client made up became a label")
	}
	if t.Failed() {
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "beanpole_") {
				t.Log(line)
			}
		}
	}
	_ = conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	http.DefaultClient.CloseIdleConnections()
	if text := scrape(t, m); !strings.Contains(text, `beanpole_sessions_closed_total{reason="`) {
		t.Error("the end of the session was not counted")
	}
}

// A second server is refused at once, and takes nothing away of what the first has: a host's metrics watch its own already.
func TestWatchTwice(t *testing.T) {
	m := metrics.New()
	srv, err := server.New(server.Config{Observers: []server.Observer{m}})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	m.Watch(srv)
	func() {
		defer func() {
			if p := recover(); !strings.Contains(fmt.Sprint(p), "twice") {
				t.Errorf("panic %v", p)
			}
		}()
		m.Watch(srv)
	}()
	if text := scrape(t, m); !strings.Contains(text, "beanpole_sessions") {
		t.Error("the server is not in the metrics any more")
	}
}

// gone is a server that a socket has left.
type gone struct{ *server.Server }

func (g gone) Stats() server.Stats {
	s := g.Server.Stats()
	s.Connected, s.Disconnected = 1, 1
	return s
}

// Metrics that are none of the observers have nothing of handlers, which is said, once.
func TestMetricsThatAreNoObserver(t *testing.T) {
	var log strings.Builder
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	defer slog.SetDefault(before)
	srv, err := server.New(server.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	for _, observes := range []bool{true, false} {
		log.Reset()
		m := metrics.New()
		m.Watch(gone{srv})
		if observes {
			m.Handled(t.Context(), nil, "connection", true, time.Millisecond, nil)
		}
		scrape(t, m)
		scrape(t, m)
		if n := strings.Count(log.String(), "Observers"); n != map[bool]int{false: 1}[observes] {
			t.Errorf("an observer: %v, said %d times", observes, n)
		}
	}
}

func TestEventLabelsAreBounded(t *testing.T) {
	m := metrics.New()
	for i := range 1000 {
		m.Handled(t.Context(), nil, fmt.Sprint("event ", i), true, time.Millisecond, nil)
	}
	if n := strings.Count(scrape(t, m), "beanpole_handler_seconds_count{"); n > 102 {
		t.Errorf("%d labels", n)
	}
}

// Metrics are a collector too, of all but what any registry has of its process, with what is registered and watched later.
func TestMetricsInARegistryOfOnesOwn(t *testing.T) {
	own := prometheus.NewRegistry()
	own.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m := metrics.New()
	own.MustRegister(m)
	srv, err := server.New(server.Config{Observers: []server.Observer{m}})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	m.Watch(srv)
	games := prometheus.NewGauge(prometheus.GaugeOpts{Name: "games_running", Help: "x"})
	if err := m.Register(games); err != nil {
		t.Fatal(err)
	}
	if m.Register(games) == nil {
		t.Error("registered twice")
	}
	m.Handled(t.Context(), nil, "event", true, time.Millisecond, nil)
	found, err := own.Gather()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, f := range found {
		names[f.GetName()] = true
	}
	for _, want := range []string{"go_goroutines", "beanpole_handler_seconds", "beanpole_sessions", "games_running"} {
		if !names[want] {
			t.Errorf("%s is not there", want)
		}
	}
	if text := scrape(t, m); !strings.Contains(text, "go_goroutines") || !strings.Contains(text, "games_running") {
		t.Error("the handler shows less than before")
	}
}

// unread is an answer that its client does not read until it is released.
type unread struct {
	http.ResponseWriter
	held     chan<- struct{}
	released <-chan struct{}
}

func (u unread) Write(b []byte) (int, error) {
	select {
	case u.held <- struct{}{}:
	case <-u.released:
	}
	<-u.released
	return u.ResponseWriter.Write(b)
}

// What is gathered for clients that do not read it is bounded in number, wherever it is shown.
func TestThoseWhoDoNotReadAreFew(t *testing.T) {
	const most = 4
	m := metrics.New()
	held, released := make(chan struct{}), make(chan struct{})
	ask := func(w http.ResponseWriter) {
		m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	}
	var all sync.WaitGroup
	for range most {
		all.Go(func() { ask(unread{httptest.NewRecorder(), held, released}) })
		<-held
	}
	w := httptest.NewRecorder()
	if ask(w); w.Code != http.StatusServiceUnavailable {
		t.Errorf("beside %d who do not read: %d", most, w.Code)
	}
	close(released)
	all.Wait()
	w = httptest.NewRecorder()
	if ask(w); w.Code != http.StatusOK {
		t.Errorf("when they have read: %d", w.Code)
	}
}

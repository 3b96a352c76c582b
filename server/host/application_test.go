package host

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/adapter/redis/redistest"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/zishang"
)

// zishangHost returns a host that carries an application of zishang's library, and tells why its sockets left.
func zishangHost(t *testing.T, cfg Config) (*Host, <-chan string) {
	t.Helper()
	reasons := make(chan string, 9)
	cfg.Server = func(sc server.Config) (Application, error) {
		io, handler, err := zishang.New(zishang.FromServer(sc, nil))
		if err != nil {
			return nil, err
		}
		_ = io.On("connection", func(args ...any) {
			s := args[0].(*socket.Socket)
			_ = s.On("works", func(args ...any) { args[0].(socket.Ack)([]any{"yes"}, nil) })
			_ = s.On("panics", func(...any) { panic("no") })
			_ = s.On("disconnect", func(args ...any) { reasons <- args[0].(string) })
		})
		return handler, nil
	}
	cfg.Port, cfg.Host, cfg.Logger = AnyPort, "127.0.0.1", slog.New(slog.DiscardHandler)
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h, reasons
}

// say sends packets of a polling session.
func say(t *testing.T, h *Host, session string, packets ...string) {
	t.Helper()
	res, err := http.Post(h.URL()+session, "text/plain", strings.NewReader(strings.Join(packets, "\x1e")))
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
}

func TestHostCarriesAnApplicationOfZishang(t *testing.T) {
	h, reasons := zishangHost(t, Config{MaxPayload: 4321, PingInterval: 9e9})
	if h.IO() != nil || h.Application() == nil {
		t.Error("IO is not nil, or Application is")
	}
	done := running(t, h)
	session := connect(t, h)
	say(t, h, session, `421["works"]`)
	if got := get(t, h, session); got != `431["yes"]` {
		t.Errorf("answer %q", got)
	}
	say(t, h, session, `42["panics"]`, `42["unknown"]`, `421["works"]`)
	if got := get(t, h, session); got != `431["yes"]` {
		t.Errorf("answer after a panic %q", got)
	}
	if open := get(t, h, "socket.io/?EIO=4&transport=polling"); !strings.Contains(open, `"maxPayload":4321`) ||
		!strings.Contains(open, `"pingInterval":9000`) {
		t.Errorf("the host's settings are not in %s", open)
	}
	if got := get(t, h, "healthz"); got != `{"status":"ok"}` {
		t.Errorf("health %s", got)
	}
	_, metrics := askAdmin(t, h, http.MethodGet, "metrics")
	for _, want := range []string{
		`beanpole_sessions{transport="polling"} 2`,
		`beanpole_sockets{namespace="/"} 1`,
		`beanpole_handler_seconds_count{event="works"} 2`,
		`beanpole_handler_seconds_count{event="other"} 1`,
		`beanpole_handler_panics_total{event="panics"} 1`,
		`beanpole_panics_total 1`,
	} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("no %s in the metrics", want)
		}
	}

	// A deployment drains it as any other.
	last := make(chan string)
	go func() { last <- get(t, h, session) }()
	code, body := askAdmin(t, h, http.MethodPost, "drain?time=50ms")
	var d Drained
	if err := json.Unmarshal([]byte(body), &d); err != nil || code != http.StatusOK || d.Sessions != 2 {
		t.Errorf("drain answered %d %s", code, body)
	}
	if got := <-last; got != "1" {
		t.Errorf("poll answered %q, want a CLOSE packet", got)
	}
	if got := <-reasons; got != "server shutting down" {
		t.Errorf("disconnect reason %q", got)
	}
	if got := status(t, h, "healthz"); got != http.StatusServiceUnavailable {
		t.Errorf("/healthz is %d while drained", got)
	}
	signalSelf(t, syscall.SIGTERM)
	if err := await(t, done); err != nil {
		t.Errorf("Run: %v", err)
	}
}

// A native server and one of zishang's API behind a load balancer that is not sticky.
func TestZishangIsForwardedInAClusterOfHosts(t *testing.T) {
	s := redistest.Start(t)
	cfg := Config{RedisURL: s.URL(), NodeSecret: "0123456789abcdef"}
	a, _ := zishangHost(t, cfg)
	doneA := running(t, a)
	cfg.Port, cfg.Host = AnyPort, "127.0.0.1"
	b, _ := newTestHost(t, cfg)
	b.IO().OnConnection(func(s *server.Socket) { s.On("works", func() string { return "native" }) })
	doneB := running(t, b)

	answers := []string{}
	for _, way := range []struct{ home, other *Host }{{a, b}, {b, a}} {
		session := connect(t, way.home)
		say(t, way.other, session, `421["works"]`)
		answers = append(answers, get(t, way.other, session))
	}
	if want := []string{`431["yes"]`, `431["native"]`}; !slices.Equal(answers, want) {
		t.Errorf("answers by way of the other server %q, want %q", answers, want)
	}
	for _, h := range []*Host{a, b} { // a stop waits for nobody whose poll will not come
		askAdmin(t, h, http.MethodPost, "drain?time=10ms")
	}
	signalSelf(t, syscall.SIGTERM)
	for _, done := range []<-chan error{doneA, doneB} {
		if err := await(t, done); err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

func TestErrorOfAnApplicationIsTheHosts(t *testing.T) {
	var log bytes.Buffer
	_, err := New(Config{Logger: slog.New(slog.NewTextHandler(&log, nil)), Server: func(sc server.Config) (Application, error) {
		options := socket.DefaultServerOptions()
		options.SetParser(nil)
		options.SetInitialPacket(strings.NewReader("x"))
		_, handler, err := zishang.New(zishang.FromServer(sc, options))
		if err != nil {
			return nil, err
		}
		return handler, nil
	}})
	if err == nil || !strings.Contains(err.Error(), "InitialPacket") {
		t.Errorf("New: %v", err)
	}
}

package client_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/client"
	"github.com/beanpole/beanpole/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of a test.
const patience = 20 * time.Second

// ways are the transports a test is tried over.
func ways() map[string][]client.Transport {
	return map[string][]client.Transport{
		"polling":   {client.Polling},
		"websocket": {client.WebSocket},
		"upgrade":   {client.Polling, client.WebSocket},
	}
}

// site is a server that can be cut off.
type site struct {
	io  *server.Server
	url string

	t       *testing.T
	h       *http.Server
	mu      sync.Mutex
	conns   map[net.Conn]bool
	refuses bool
}

// start starts a server with a short heartbeat and recovery.
func start(t *testing.T, cfg server.Config) *site {
	t.Helper()
	cfg.Logger = slog.New(slog.DiscardHandler)
	if cfg.Transport.PingInterval == 0 {
		cfg.Transport.PingInterval, cfg.Transport.PingTimeout = 500*time.Millisecond, 5*time.Second
	}
	io, err := server.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &site{io: io, url: "http://" + l.Addr().String(), t: t, conns: map[net.Conn]bool{}}
	s.h = &http.Server{Handler: io, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.h.Serve(listener{l, s}) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := io.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		s.cut(true)
		_ = s.h.Close()
		<-done
	})
	return s
}

// listener keeps the connections, to cut them.
type listener struct {
	net.Listener
	s *site
}

type conn struct {
	net.Conn
	s *site
}

func (c conn) Close() error {
	c.s.mu.Lock()
	delete(c.s.conns, c.Conn)
	c.s.mu.Unlock()
	return c.Conn.Close()
}

func (l listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		l.s.mu.Lock()
		if l.s.refuses {
			l.s.mu.Unlock()
			_ = c.Close()
			continue
		}
		l.s.conns[c] = true
		l.s.mu.Unlock()
		return conn{c, l.s}, nil
	}
}

// cut closes all connections, and refuses new ones or not.
func (s *site) cut(refuse bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuses = refuse
	for c := range s.conns {
		_ = c.Close()
		delete(s.conns, c)
	}
}

// open makes a client that is closed with the test, and tries again at once.
func open(t *testing.T, url string, cfg client.Config) *client.Client {
	t.Helper()
	if cfg.ReconnectionDelay == 0 {
		cfg.ReconnectionDelay, cfg.ReconnectionDelayMax = 10*time.Millisecond, 50*time.Millisecond
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(&lines{t: t}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	if cfg.RoundTripper == nil {
		cfg.RoundTripper = &http.Transport{}
	}
	c, err := client.New(url, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, c) })
	return c
}

// lines writes a log to the test's.
type lines struct{ t *testing.T }

func (l *lines) Write(p []byte) (int, error) {
	l.t.Logf("%s", bytes.TrimSpace(p))
	return len(p), nil
}

func shut(t *testing.T, c *client.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.Close(ctx); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// connect connects a socket.
func connect(t *testing.T, s *client.Socket) *client.Socket {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.Connect(ctx); err != nil {
		t.Fatalf("Connect: %v", err)
	}
	return s
}

// each runs a test over each way.
func each(t *testing.T, test func(t *testing.T, cfg client.Config)) {
	for name, list := range ways() {
		t.Run(name, func(t *testing.T) { test(t, client.Config{Transports: list}) })
	}
}

// get returns what comes next from a channel.
func get[T any](t *testing.T, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(patience):
		t.Fatalf("nothing of type %T has come", v)
	}
	return v
}

// eventually waits until fn returns nil.
func eventually(t *testing.T, fn func() error) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) { // polls another goroutine
		err := fn()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// ask asks and decodes the answer.
func ask[T any](t *testing.T, s *client.Socket, event string, args ...any) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	v, err := client.Ask[T](ctx, s, event, args...)
	if err != nil {
		t.Fatalf("Ask(%q): %v", event, err)
	}
	return v
}

// recovery is a server's configuration with connection state recovery.
func recovery() server.Config {
	return server.Config{Recovery: &server.Recovery{Recovery: adapter.Recovery{MaxDisconnection: time.Minute}}}
}

package protocol

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/transport"
	"go.uber.org/goleak"
)

// The server under test. Its heartbeat is the default one: a session is not to end because the machine is slow.
const (
	pingInterval = 25 * time.Second
	pingTimeout  = 20 * time.Second
	maxPayload   = 1_000_000
	bodyTimeout  = time.Second // at strictPath
)

// The times at quickPath, for tests of time. A client must have answered within the second and the third.
const (
	quickInterval  = 300 * time.Millisecond
	quickTimeout   = 5 * time.Second
	connectTimeout = 5 * time.Second
)

// patience bounds every wait; a test that waits so long has failed. How fast a server is, is not promised, so it
// is what the slowest machine takes, and less than a heartbeat.
const patience = 30 * time.Second

// The paths of the server under test: one for clients of all ages, with CORS, cookie and compression of
// frames; one for Engine.IO 4 alone, which refuses what has an X-Refuse header; and the first with quick times.
const (
	path       = "/socket.io/"
	strictPath = "/strict/"
	quickPath  = "/quick/"
)

// Set by TestMain, then read only.
var (
	target string // http://host:port
	onNode bool   // the target is reference/server.mjs
)

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if target = strings.TrimSuffix(os.Getenv("BEANPOLE_TARGET"), "/"); target != "" {
		s, err := readStats()
		if err != nil {
			fmt.Fprintln(os.Stderr, "BEANPOLE_TARGET:", err)
			return 2
		}
		onNode = s.Node
		return m.Run()
	}
	stop, err := startServer()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	code := m.Run()
	if err := stop(); err != nil {
		fmt.Fprintln(os.Stderr, "shutdown:", err)
		code = 1
	}
	client.CloseIdleConnections()
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}

// startServer starts the server under test in this process.
func startServer() (stop func() error, err error) {
	base := transport.Config{
		PingInterval:      pingInterval,
		PingTimeout:       pingTimeout,
		MaxHTTPBufferSize: maxPayload,
	}
	all, strict := base, base
	all.AllowEIO3 = true
	all.PerMessageDeflate = &transport.PerMessageDeflate{}
	all.Cookie = &transport.Cookie{}
	all.CORS = &transport.CORS{Origins: []string{"https://app.example.com"}, Credentials: true}
	quick := all
	quick.PingInterval, quick.PingTimeout = quickInterval, quickTimeout
	strict.BodyTimeout = bodyTimeout
	strict.JSONP = transport.JSONPAll
	strict.AllowRequest = func(r *http.Request) error {
		if text := r.Header.Get("X-Refuse"); text != "" {
			return errors.New(text)
		}
		return nil
	}
	mux := http.NewServeMux()
	var servers []*server.Server
	for at, cfg := range map[string]transport.Config{path: all, strictPath: strict, quickPath: quick} {
		c := server.Config{Transport: cfg, Path: at}
		if at == quickPath {
			c.ConnectTimeout = connectTimeout
		}
		s, err := server.New(c)
		if err != nil {
			return nil, err
		}
		application(s)
		mux.Handle(at, s)
		servers = append(servers, s)
	}
	mux.HandleFunc("/stats", func(w http.ResponseWriter, _ *http.Request) {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC() // the second empties the pools
		runtime.ReadMemStats(&m)
		s := stats{Heap: m.HeapAlloc}
		for _, srv := range servers {
			s.Sessions += srv.Engine().Sessions()
		}
		_ = json.NewEncoder(w).Encode(s)
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	web := &http.Server{Handler: mux}
	done := make(chan error, 1)
	go func() { done <- web.Serve(l) }()
	for _, s := range servers {
		go func() { _ = web.Serve(s.Engine().Returns()) }() // polling without net/http; ends with web
	}
	target = "http://" + l.Addr().String()
	return func() error {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		var errs []error
		for _, s := range servers {
			errs = append(errs, s.Shutdown(ctx))
		}
		errs = append(errs, web.Shutdown(ctx))
		if err := <-done; err != http.ErrServerClosed {
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	}, nil
}

// application is the echo application that reference/server.mjs has too.
func application(srv *server.Server) {
	for _, nsp := range []string{"/", "/custom"} {
		srv.Of(nsp).OnConnection(echo)
	}
	srv.OfPattern(regexp.MustCompile(`^/dyn-\d+$`))
	srv.Of("/greeted").Use(func(s *server.Socket) error {
		var auth struct{ Tell string }
		if err := s.Handshake().Auth(&auth); err != nil {
			return err
		}
		s.OnDisconnect(func(why server.Disconnection) { _ = srv.To(auth.Tell).Emit("left", why.Reason) })
		return s.Emit("early", 1)
	})
	srv.Of("/greeted").OnConnection(func(s *server.Socket) { _ = s.Emit("late") })
	srv.Of("/refused").Use(func(*server.Socket) error { return errors.New("not authorized") })
	srv.Of("/refused-with-data").Use(func(*server.Socket) error {
		return &server.Error{Message: "not authorized", Data: map[string]string{"code": "E1"}}
	})
}

func echo(s *server.Socket) {
	auth := s.Handshake().RawAuth()
	if auth == nil {
		auth = json.RawMessage("{}")
	}
	_ = s.Emit("auth", auth)
	s.On("message", func(e *server.Event) { _ = s.Emit("message-back", e.Values()...) })
	s.On("message-with-ack", func(e *server.Event) { _ = e.Ack(e.Values()...) })
	s.On("id", func(ack server.Ack) { _ = ack(s.ID()) })
	s.On("ask", func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		args, err := s.EmitWithAck(ctx, "question", 1)
		if err == nil {
			_ = s.Emit("answer", args.Values()...)
		}
	})
	s.On("large", func(size int) { _ = s.Emit("large", strings.Repeat("x", size)) })
	s.On("leave", func(closeSession bool) {
		_ = s.Emit("last")
		s.Disconnect(closeSession)
	})
}

// stats is what the target says of itself at /stats.
type stats struct {
	Node     bool   `json:"node"`
	Sessions int    `json:"sessions"`
	Heap     uint64 `json:"heap"` // bytes in use after a collection
}

func readStats() (stats, error) {
	var s stats
	res, err := client.Get(target + "/stats")
	if err != nil {
		return s, err
	}
	defer res.Body.Close()
	return s, json.NewDecoder(res.Body).Decode(&s)
}

// awaitStats reads the stats until they are good.
func awaitStats(t *testing.T, want string, good func(stats) bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		s, err := readStats()
		if err != nil {
			t.Fatal(err)
		}
		if good(s) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%+v, want %s", s, want)
		}
	}
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/packet"
	"github.com/beanpole/beanpole/transport"
)

// shutdownTimeout bounds the end of the process after a signal.
const shutdownTimeout = 10 * time.Second

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "fixture:", err)
		os.Exit(1)
	}
}

func run() error {
	port := flag.Int("port", 0, "port on the loopback interface; 0 takes a free one")
	interval := flag.Int("ping-interval", 0, "milliseconds between two heartbeats; 0 means the default")
	timeout := flag.Int("ping-timeout", 0, "milliseconds a heartbeat may stay unanswered; 0 means the default")
	origin := flag.String("origin", "http://app.example", "origin whose pages may connect")
	verbose := flag.Bool("v", false, "log sessions to the standard error")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// Whoever started the fixture holds its standard input open. Not waited for: it may stay so.
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()

	log := slog.New(slog.DiscardHandler)
	if *verbose {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	servers, err := newServers(transport.Config{
		PingInterval: time.Duration(*interval) * time.Millisecond,
		PingTimeout:  time.Duration(*timeout) * time.Millisecond,
		AllowEIO3:    true,
		CORS:         &transport.CORS{Origins: []string{*origin}, Credentials: true},
		Logger:       log,
	})
	if err != nil {
		return err
	}

	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", *port))
	if err != nil {
		return err
	}
	web := &http.Server{Handler: newMux(servers), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- web.Serve(l) }()
	for _, s := range servers {
		go func() { _ = web.Serve(s.Engine().Returns()) }() // polling without net/http; ends with web
	}
	fmt.Printf("{\"port\":%d}\n", l.Addr().(*net.TCPAddr).Port)

	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	var errs []error
	for _, s := range servers {
		errs = append(errs, s.Shutdown(end))
	}
	errs = append(errs, web.Shutdown(end))
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// newServers returns one server for each path of the fixture. Each begins with base.
func newServers(base transport.Config) ([]*server.Server, error) {
	w := newWatch()
	var servers []*server.Server
	for path, change := range map[string]func(*server.Config){
		"/socket.io/": func(*server.Config) {},
		"/tight/": func(c *server.Config) {
			c.Transport.MaxHTTPBufferSize = 1000
			c.ConnectTimeout = time.Second
		},
		"/recovery/": func(c *server.Config) { c.Recovery = &server.Recovery{} },
		"/deflate/": func(c *server.Config) {
			c.Transport.PerMessageDeflate = &transport.PerMessageDeflate{Threshold: 64}
			c.Transport.HTTPCompression.Threshold = 64
		},
		"/msgpack/": func(c *server.Config) { c.Parser = packet.MsgPack() },
		"/sticky/": func(c *server.Config) {
			c.Transport.Headers = func(h http.Header, _ *http.Request) {
				h.Add("Set-Cookie", "AWSALB=node-1; Path=/")
				h.Add("Set-Cookie", "AWSALBCORS=node-1; Path=/; SameSite=None; Secure")
			}
		},
	} {
		cfg := server.Config{Transport: base, Path: path, Logger: base.Logger}
		change(&cfg)
		s, err := server.New(cfg)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		behave(s, w)
		servers = append(servers, s)
	}
	return servers, nil
}

// newMux mounts the servers at their paths, and the count of their sessions at /stats.
func newMux(servers []*server.Server) http.Handler {
	mux := http.NewServeMux()
	for _, s := range servers {
		if s.Path() == "/sticky/" {
			mux.Handle(s.Path(), behindBalancer(s))
			continue
		}
		mux.Handle(s.Path(), s)
	}
	mux.HandleFunc("/stats", func(w http.ResponseWriter, _ *http.Request) {
		var sessions int
		for _, s := range servers {
			sessions += s.Engine().Sessions()
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]int{"sessions": sessions})
	})
	return mux
}

// behindBalancer answers a request of a session that comes without the balancer's cookie as the node
// would on which it then lands.
func behindBalancer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Any node answers a preflight, which never has a cookie.
		if r.Method != http.MethodOptions && r.URL.Query().Has("sid") && !strings.Contains(r.Header.Get("Cookie"), "AWSALB=node-1") {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"code":1,"message":"Session ID unknown"}`))
			return
		}
		next.ServeHTTP(w, r)
	})
}

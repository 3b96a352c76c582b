// Zishang is a small chat written for github.com/zishang520/socket.io/v2, on Beanpole's transport. chat.go
// is what such an application has; this file is what changes for it. See README.md.
package main

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/internal/look"
	"github.com/beanpole/beanpole/server/zishang"
)

//go:embed web
var web embed.FS

// shutdownTimeout bounds a graceful stop.
const shutdownTimeout = 20 * time.Second

func main() {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, log); err != nil {
		log.Error("the chat has ended", "err", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, log *slog.Logger) error {
	cluster, err := newCluster(log)
	if err != nil {
		return err
	}
	var factory adapter.Factory
	if cluster != nil {
		factory = cluster.Adapter()
	}
	handler, err := newHandler(factory, log)
	if err != nil {
		return err
	}
	routes, err := newRoutes(handler)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", net.JoinHostPort(os.Getenv("HOST"), cmp.Or(os.Getenv("PORT"), "5000")))
	if err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	fmt.Printf("The chat is open at http://%s/\n", net.JoinHostPort(cmp.Or(os.Getenv("HOST"), "localhost"), port))
	web := &http.Server{Handler: routes, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- web.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	err = errors.Join(handler.Shutdown(end), web.Shutdown(end))
	if cluster != nil {
		err = errors.Join(err, cluster.Close(end))
	}
	return err
}

// newHandler makes the library's server as the application wants it, and what serves it.
func newHandler(factory adapter.Factory, log *slog.Logger) (*zishang.Handler, error) {
	options := socket.DefaultServerOptions()
	options.SetConnectionStateRecovery(&socket.ConnectionStateRecovery{})
	if factory != nil {
		options.SetConnectionStateRecovery(nil) // over pub/sub there is none
	}
	io, handler, err := zishang.New(zishang.Config{ // was socket.NewServer(nil, options)
		Options: options, Adapter: factory, Logger: log,
	})
	if err != nil {
		return nil, err
	}
	setup(io)
	return handler, nil
}

// newRoutes serves the page, the client and the chat.
func newRoutes(handler http.Handler) (http.Handler, error) {
	page, err := look.Page(web)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServerFS(page))
	mux.Handle("/socket.io/", handler) // was io.ServeHandler(nil)
	mux.HandleFunc("GET /socket.io/socket.io.min.js", func(w http.ResponseWriter, r *http.Request) {
		bundle := filepath.Join("node_modules", "socket.io-client", "dist", "socket.io.min.js")
		if _, err := os.Stat(bundle); err != nil {
			http.Redirect(w, r, "https://cdn.socket.io/4.8.3/socket.io.min.js", http.StatusFound)
			return
		}
		http.ServeFile(w, r, bundle)
	})
	return mux, nil
}

// newCluster joins this server to others by the Redis in REDIS_URL, if there is one.
func newCluster(log *slog.Logger) (*redis.Cluster, error) {
	url := os.Getenv("REDIS_URL")
	if url == "" {
		return nil, nil
	}
	return redis.New(redis.Config{URL: url, Logger: log})
}

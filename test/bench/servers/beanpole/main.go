// Command beanpole is the benchmark's server on Beanpole: default options, typed handlers.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"regexp"
	"time"

	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/host"
	"github.com/beanpole/beanpole/test/bench/servers/control"
	"github.com/beanpole/beanpole/transport"
)

func main() {
	var cfg server.Config
	flag.IntVar(&cfg.Transport.MaxBacklogBytes, "backlog", 0, "bound of a session's outbox in bytes; 0 means the default")
	flag.IntVar(&cfg.Transport.MaxSessions, "max-sessions", 0, "bound of sessions; 0 means none")
	flag.IntVar(&cfg.Transport.HandshakesPerSecond, "handshakes", 0, "bound of handshakes a second; 0 means none")
	flag.DurationVar(&cfg.Transport.ParkAfter, "park-after", 0, "silence before a session is parked; 0 means the default, negative never")
	handlers := flag.Int("handlers", 0, "further handlers of each socket")
	redisAddr := flag.String("redis", "", "address of the Redis that joins several servers")
	hosted := flag.Bool("host", false, "serve by package host")
	flag.Parse()
	if *redisAddr != "" {
		cluster, err := redis.New(redis.Config{URL: "redis://" + *redisAddr})
		if err != nil {
			fail(err)
		}
		cfg.Adapter = cluster.Adapter()
	}
	if *hosted {
		serveHosted(cfg, *handlers)
		return
	}
	io, err := server.New(cfg)
	if err != nil {
		fail(err)
	}
	register(io, *handlers)
	control.Serve(io, func() int { return int(io.Engine().Stats().Sessions) }, transport.Listener(control.Listen()), io.Engine().Returns())
}

// serveHosted is the same in a host, with what that does for every application: its routes, metrics and logs.
func serveHosted(cfg server.Config, handlers int) {
	h, err := host.New(host.Config{
		Host: "127.0.0.1", Port: host.AnyPort,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Adjust: func(c *server.Config) {
			if cfg.Adapter != nil {
				c.Adapter = cfg.Adapter
			}
			to, from := &c.Transport, &cfg.Transport
			to.MaxBacklogBytes, to.MaxSessions, to.HandshakesPerSecond, to.ParkAfter =
				from.MaxBacklogBytes, from.MaxSessions, from.HandshakesPerSecond, from.ParkAfter
		},
	})
	if err != nil {
		fail(err)
	}
	register(h.IO(), handlers)
	if err := h.Listen(); err != nil {
		fail(err)
	}
	go func() { fail(h.Run(context.Background())) }()
	at, err := url.Parse(h.URL())
	if err != nil {
		fail(err)
	}
	control.Obey(at.Port(), func() int { return int(h.IO().Engine().Stats().Sessions) })
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// register adds the handlers.
func register(io *server.Server, handlers int) {
	names := make([]string, max(1000, handlers))
	for i := range names {
		names[i] = fmt.Sprint("g", i)
	}
	connected := func(s *server.Socket) {
		s.On("echo", func(text string) string { return text })
		s.On("size", func(text string) int { return len(text) })
		s.On("bin", func(b []byte) []byte { return b })
		s.On("broadcast", func(text string) error { return io.Emit("msg", text) })
		s.On("join", func(room string) int { s.Join(room); return 1 })
		s.On("room", func(room, text string) error { return io.To(room).Emit("msg", text) })
		for i := range handlers {
			s.On(names[i], func(text string) string { return text })
		}
	}
	// What the others do not have is not a socket's, whose memory is compared.
	io.On("block", func() { time.Sleep(time.Second) })
	io.On("enter", func(s *server.Socket, rooms int) int { s.Join(names[:rooms]...); return rooms })
	io.OnConnection(connected)
	io.OfPattern(regexp.MustCompile(`^/n\d+$`)).OnConnection(connected)
}

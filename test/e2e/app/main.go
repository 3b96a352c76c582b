// App is the application of the end-to-end tests: rooms, an echo, and a way for the tests to emit.
package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/host"
	"github.com/beanpole/beanpole/transport"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// forward makes requests of sessions that live elsewhere go there.
func forward(c *redis.Cluster, cfg *host.Config) error {
	var id transport.NodeID
	_, _ = rand.Read(id[:]) // never fails
	f, err := c.Forward(redis.ForwardConfig{
		Node: hex.EncodeToString(id[:]),
		NodeOf: func(sid string) (string, bool) {
			n, ok := transport.NodeOf(sid)
			return hex.EncodeToString(n[:]), ok
		},
		URL: fmt.Sprintf("http://127.0.0.1:%d", cfg.Port),
	})
	cfg.Adjust = func(s *server.Config) { s.Transport.NodeID, s.Transport.UnknownSession = id, f.UnknownSession }
	return err
}

func run() error {
	cfg, err := host.FromEnv()
	if err != nil {
		return err
	}
	if url := os.Getenv("E2E_REDIS"); url != "" {
		c, err := redis.New(redis.Config{URL: url, Mode: redis.Streams, Recovery: &adapter.Recovery{MaxDisconnection: cfg.Recovery}})
		if err != nil {
			return err
		}
		cfg.Adapter = c.Adapter()
		if err := forward(c, &cfg); err != nil {
			return err
		}
		defer func() {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			defer cancel()
			_ = c.Close(ctx)
		}()
	}
	h, err := host.New(cfg)
	if err != nil {
		return err
	}
	io := h.IO()
	io.OnConnection(func(s *server.Socket) {
		s.On("join", func(room string) string {
			s.Join(room)
			return h.Config().Instance
		})
		s.On("echo", func(text string) string { return text })
		s.On("address", func() string { return s.Handshake().Addr() })
	})
	// For the tests, straight to the application: sends the number n to a room of all instances.
	h.Handle(http.MethodPost, "/say", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.URL.Query().Get("n"))
		if err == nil {
			err = io.To(r.URL.Query().Get("room")).Emit("said", n)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	}))
	return h.Run(context.Background())
}

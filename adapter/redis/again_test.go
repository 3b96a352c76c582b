package redis_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	lib "github.com/redis/go-redis/v9"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// opaque hides what a connection is, as TLS does: the library cannot look whether it is still open.
type opaque struct{ net.Conn }

// Connections of the pool that Redis closes, all at once, are no outage: questions are answered, and nobody complains.
func TestPooledConnectionsAreClosed(t *testing.T) {
	t.Parallel()
	for name, cfg := range modes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			var log written
			cfg.Prefix, cfg.HeartbeatInterval, cfg.Logger = unique(), 200*time.Millisecond, slog.New(slog.NewTextHandler(&log, nil))
			cfg.Stream, cfg.SessionPrefix = cfg.Prefix, cfg.Prefix
			client := lib.NewClient(&lib.Options{Addr: s.Addr(), Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
				c, err := new(net.Dialer).DialContext(ctx, network, addr)
				return opaque{c}, err
			}})
			defer client.Close() // its options are used, not the client
			cfg.Client = client
			clusters := []*redis.Cluster{start(t, cfg), start(t, cfg)}
			n := adaptertest.NewNode(t, "/", clusters[0].Adapter())
			adaptertest.NewNode(t, "/", clusters[1].Adapter())
			if _, err := clusters[0].Forward(redis.ForwardConfig{Node: "a", NodeOf: nodeOf, URL: "http://127.0.0.1:1"}); err != nil {
				t.Fatal(err)
			}
			ready(t, clusters...)
			before := log.String()
			for range 4 {
				var wg sync.WaitGroup
				for range 8 { // as many connections
					wg.Go(func() {
						if k, err := n.Count(t.Context(), adapter.Target{}); err != nil {
							t.Errorf("Count = %d, %v", k, err)
						}
					})
				}
				wg.Wait()
				if err := s.Client().Do(t.Context(), "client", "kill", "type", "normal", "skipme", "yes").Err(); err != nil {
					t.Fatal(err)
				}
				// The publisher's connection is there again, and the registry is renewed at each heartbeat.
				published := func() (n int) {
					text, err := s.Client().Info(t.Context(), "commandstats").Result()
					if err != nil {
						t.Fatal(err)
					}
					for _, name := range []string{"publish", "spublish"} {
						calls := 0
						if _, list, ok := strings.Cut(text, "cmdstat_"+name+":"); ok {
							_, _ = fmt.Sscanf(list, "calls=%d,", &calls)
						}
						n += calls
					}
					return n
				}
				enough := published() + 10 // by two servers
				adaptertest.Eventually(t, func() error {
					if now := published(); now < enough {
						return fmt.Errorf("%d published", now)
					}
					return nil
				})
				pass(t, 2*cfg.HeartbeatInterval)
			}
			if text := strings.TrimPrefix(log.String(), before); strings.Contains(text, "degraded") {
				t.Errorf("the log says:\n%s", text)
			}
		})
	}
}

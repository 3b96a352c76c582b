package server_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
	"github.com/beanpole/beanpole/server"
)

// node starts a server of the cluster of a test. ready waits until it hears what it wants to hear.
type node func(setup func(*server.Server)) (io *server.Server, url string, ready func())

// nodes returns what starts the servers of a cluster over one Redis.
func nodes(t testing.TB, cfg redis.Config) node { return nodesWithin(t, cfg, server.Limits{}) }

func nodesWithin(t testing.TB, cfg redis.Config, limits server.Limits) node {
	cfg.URL = redistest.Start(t).URL()
	return func(setup func(*server.Server)) (*server.Server, string, func()) {
		t.Helper()
		c, err := redis.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			_ = c.Close(ctx)
		})
		io, url := start(t, server.Config{Adapter: c.Adapter(), Limits: limits}, setup)
		ready := func() {
			t.Helper()
			if err := c.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		ready()
		return io, url, ready
	}
}

func inEveryMode(t *testing.T, test func(*testing.T, node)) {
	t.Parallel()
	for _, mode := range []redis.Mode{redis.PubSub, redis.Sharded, redis.Streams} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			test(t, nodes(t, redis.Config{Mode: mode}))
		})
	}
}

// The last client of a namespace may leave it and come again at once.
func TestLastClientComesAgainAtOnceOverRedis(t *testing.T) {
	inEveryMode(t, func(t *testing.T, start node) {
		_, url, _ := start(func(io *server.Server) { io.OfPattern(tenants) })
		p, _ := join(t, url, "/tenant-5")
		for range 300 {
			p.Send("41/tenant-5,", "40/tenant-5,")
			if got := p.Text(); !strings.HasPrefix(got, `40/tenant-5,{"sid":`) {
				t.Fatal(got)
			}
		}
	})
}

// A server emits to namespaces that only other servers have: their clients get it, nothing is left here, and the
// pattern's middlewares guard the name everywhere.
func TestEmitsToNamesOfOtherServers(t *testing.T) {
	inEveryMode(t, func(t *testing.T, start node) {
		setup := func(io *server.Server) {
			io.OfPattern(tenants).Use(func(s *server.Socket) error {
				var auth struct{ Token string }
				if _ = s.Handshake().Auth(&auth); auth.Token != "yes" {
					return reject(s)
				}
				return nil
			})
		}
		one, url, _ := start(setup)
		two, other, ready := start(setup)
		eventually(t, "they know each other", func() bool {
			n, err := one.Servers(t.Context())
			return n == 2 && err == nil
		})
		p := dial(t, other)
		p.Connect("/tenant-5", `{"token":"yes"}`)
		ready() // or the first question could be asked before its server hears it, and wait for it in vain
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		eventually(t, "the client is counted", func() bool {
			n, err := one.Of("/tenant-5").Count(ctx)
			return n == 1 && err == nil
		})
		for i := range 50 {
			_ = one.Of(fmt.Sprintf("/tenant-%d", i+100)).Emit("news")
			if err := one.Of("/tenant-5").Emit("news", i); err != nil {
				t.Fatal(err)
			}
			p.Expect(fmt.Sprintf(`42/tenant-5,["news",%d]`, i))
		}
		for _, url := range []string{url, other} {
			wantAnswer(t, answer(t, url, "/tenant-5", ""), rejected)
		}
		onlyMain(t, one)
		if n := len(two.Namespaces()); n != 2 {
			t.Errorf("%d namespaces on the other server", n)
		}
	})
}

// A question is answered as soon when servers have just opened or closed the namespace that it is about.
func TestQuestionsWhileNamespacesComeAndGo(t *testing.T) {
	inEveryMode(t, func(t *testing.T, start node) {
		setup := func(io *server.Server) { io.OfPattern(tenants) }
		one, _, _ := start(setup)
		two, other, ready := start(setup)
		eventually(t, "they know each other", func() bool {
			n, err := one.Servers(t.Context())
			return n == 2 && err == nil
		})
		for i := range 4 {
			name := fmt.Sprintf("/tenant-%d", i)
			p, _ := join(t, other, name)
			ready()
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
			// The first question, from a server that has not had the namespace.
			if n, err := one.Of(name).Count(ctx); n != 1 || err != nil {
				t.Errorf("%s: first count %d, %v", name, n, err)
			}
			eventually(t, "it is closed here", func() bool { return len(one.Namespaces()) == 1 })
			// And one from the server that has it, which the other has just closed.
			if n, err := two.Of(name).Count(ctx); n != 1 || err != nil {
				t.Errorf("%s: count %d, %v", name, n, err)
			}
			cancel()
			p.HangUp()
		}
	})
}

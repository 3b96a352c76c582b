// Package cluster tests clusters of Go servers and of Node's, on real Redis servers and seen from
// Node's client. Node's packages are installed by `npm ci` in the folder node.
package cluster

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
	"github.com/beanpole/beanpole/server"
)

// installed makes sure that Node's packages are there.
func installed(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("node/node_modules/socket.io-client"); err == nil {
		return
	}
	cmd := exec.CommandContext(t.Context(), "npm", "ci", "--no-audit", "--no-fund")
	cmd.Dir = "node"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
}

// order is what a client asks a server to do to the cluster.
type order struct {
	Rooms, Except, Join     []string
	Event                   string
	Args                    []any
	Binary, Volatile, Local bool
	Close                   bool
}

func (o *order) args() []any {
	if o.Binary {
		return append([]any{[]byte{0, 1, 255}}, o.Args...)
	}
	return o.Args
}

// do carries out an order, as node/server.js does.
func do(ctx context.Context, io *server.Server, op string, o order) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, 4*time.Second)
	defer cancel()
	to := io.Except(o.Except...)
	if len(o.Rooms) > 0 { // Node's empty list is everybody
		to = to.In(o.Rooms...)
	}
	if o.Volatile {
		to = to.Volatile()
	}
	if o.Local {
		to = to.Local()
	}
	switch op {
	case "emit":
		return "ok", to.Emit(o.Event, o.args()...)
	case "ask":
		return first(to.EmitWithAck(ctx, o.Event, o.args()...))
	case "fetch":
		list, err := to.FetchSockets(ctx)
		out := []any{}
		for _, x := range list {
			in := false
			for _, r := range x.Rooms() {
				in = in || r == "everyone"
			}
			out = append(out, []any{x.ID(), x.Data.Get("home"), x.Handshake().URL[:11], in})
		}
		return out, err
	case "join":
		return "ok", to.SocketsJoin(o.Join...)
	case "leave":
		return "ok", to.SocketsLeave(o.Join...)
	case "disconnect":
		return "ok", to.DisconnectSockets(o.Close)
	case "server":
		return "ok", io.ServerSideEmit("server event", o.args()...)
	case "serverAck":
		return first(io.ServerSideEmitWithAck(ctx, "server event", o.args()...))
	case "servers":
		return io.Servers(ctx)
	}
	return nil, fmt.Errorf("unknown order %s", op)
}

// first returns the first value of each answer.
func first(answers []server.Args, err error) (any, error) {
	out := []any{}
	for _, a := range answers {
		var v any
		if err := a.Decode(0, &v); err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, err
}

// goServer starts a Go server and returns its URL.
func goServer(t *testing.T, name string, cfg redis.Config) string {
	t.Helper()
	c, err := redis.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	sc := server.Config{Adapter: c.Adapter()}
	if cfg.Recovery != nil {
		sc.Recovery = &server.Recovery{Recovery: *cfg.Recovery}
	}
	io, err := server.New(sc)
	if err != nil {
		t.Fatal(err)
	}
	io.OnServerSide("server event", func(e *server.Event, what any) error {
		if e.WantsAck() {
			return e.Ack(name)
		}
		return io.Local().Emit("seen", name, what)
	})
	io.OnConnection(func(s *server.Socket) {
		s.Data.Set("home", name)
		s.Join("everyone", name)
		s.On("do", func(ctx context.Context, op string, o order) (any, error) { return do(ctx, io, op, o) })
	})
	h := httptest.NewServer(io)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = io.Shutdown(ctx)
		h.Close()
		if err := c.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := c.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return h.URL
}

// Two Go servers and one of Node behave as one cluster: every operation in every direction. The second Go
// server is of this project's API, or of zishang's.
func TestMixedCluster(t *testing.T) {
	installed(t)
	s := redistest.Start(t)
	for _, mode := range []redis.Mode{redis.PubSub, redis.Sharded, redis.Streams} {
		for _, second := range []struct {
			api   string
			start func(*testing.T, string, redis.Config) string
		}{{"native", goServer}, {"zishang", zishangServer}} {
			t.Run(string(mode)+"/"+second.api, func(t *testing.T) {
				cfg := redis.Config{URL: s.URL(), Mode: mode, Prefix: "mixed-" + string(mode) + "-" + second.api}
				if mode == redis.Streams {
					cfg.Recovery = &adapter.Recovery{}
				}
				mixed(t, cfg, mode, second.start)
			})
		}
	}
}

// So they do on a Redis that behaves as ElastiCache Serverless, where the Go servers find out by themselves what to use.
func TestMixedClusterOnServerless(t *testing.T) {
	installed(t)
	p := redistest.StartServerless(t, 20*time.Second)
	mixed(t, redis.Config{URL: p.URL(), Prefix: "mixed-serverless"}, redis.Sharded, goServer)
}

// mixed runs node/mixed.js, whose server is in a mode, with two Go servers.
func mixed(t *testing.T, cfg redis.Config, mode redis.Mode, second func(*testing.T, string, redis.Config) string) {
	cfg.Stream, cfg.SessionPrefix = cfg.Prefix, cfg.Prefix+":s:"
	a, b := goServer(t, "go1", cfg), second(t, "go2", cfg)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "mixed.js")
	cmd.Dir = "node"
	cmd.Env = append(os.Environ(), "MODE="+string(mode), "REDIS="+cfg.URL, "PREFIX="+cfg.Prefix, "GO="+a+","+b)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

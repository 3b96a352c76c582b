package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/zishang"
)

// result is what a callback of the library is called with.
type result struct {
	args []any
	err  error
}

// doZishang carries out an order by the library's API, as do does and node/server.js.
func doZishang(io *socket.Server, op string, o order) (any, error) {
	to := io.In(roomsOf(o.Rooms)...).Except(roomsOf(o.Except)...)
	if o.Volatile {
		to = to.Volatile()
	}
	if o.Local {
		to = to.Local()
	}
	answers := make(chan result, 1)
	answer := func(args []any, err error) { answers <- result{args, err} }
	switch op {
	case "emit":
		return "ok", to.Emit(o.Event, o.args()...)
	case "ask":
		ask(io, to, o, answer)
	case "fetch":
		out := []any{}
		to.FetchSockets()(func(list []*socket.RemoteSocket, err error) {
			for _, x := range list {
				data, _ := x.Data().(map[string]any)
				out = append(out, []any{x.Id(), data["home"], x.Handshake().Url[:11], x.Rooms().Has("everyone")})
			}
			answer(out, err)
		})
	case "join":
		to.SocketsJoin(roomsOf(o.Join)...)
		return "ok", nil
	case "leave":
		to.SocketsLeave(roomsOf(o.Join)...)
		return "ok", nil
	case "disconnect":
		to.DisconnectSockets(o.Close)
		return "ok", nil
	case "server":
		return "ok", io.ServerSideEmit("server event", o.args()...)
	case "serverAck":
		if err := io.ServerSideEmitWithAck("server event", o.args()...)(answer); err != nil {
			return nil, err
		}
	case "servers":
		return io.Sockets().Adapter().ServerCount(), nil
	default:
		return nil, fmt.Errorf("unknown order %s", op)
	}
	select {
	case r := <-answers:
		return r.args, r.err
	case <-time.After(6 * time.Second):
		return nil, context.DeadlineExceeded
	}
}

func roomsOf(names []string) []socket.Room {
	out := make([]socket.Room, len(names))
	for i, n := range names {
		out[i] = socket.Room(n)
	}
	return out
}

// zishangServer starts a server of the library's API and returns its URL.
func zishangServer(t *testing.T, name string, cfg redis.Config) string {
	t.Helper()
	c, err := redis.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	sc := server.Config{Adapter: c.Adapter()}
	if cfg.Recovery != nil {
		sc.Recovery = &server.Recovery{Recovery: *cfg.Recovery}
	}
	io, handler, err := zishang.New(zishang.FromServer(sc, nil))
	if err != nil {
		t.Fatal(err)
	}
	_ = io.On("server event", func(args ...any) {
		if ack, ok := args[len(args)-1].(socket.Ack); ok {
			ack([]any{name}, nil)
			return
		}
		_ = io.Local().Emit("seen", name, args[0])
	})
	_ = io.On("connection", func(args ...any) {
		s := args[0].(*socket.Socket)
		s.SetData(map[string]any{"home": name})
		s.Join("everyone", socket.Room(name))
		_ = s.On("do", func(args ...any) {
			var o order
			raw, err := json.Marshal(args[1])
			if err == nil {
				err = json.Unmarshal(raw, &o)
			}
			var v any
			if err == nil {
				v, err = doZishang(io, args[0].(string), o)
			}
			if err != nil {
				v = "error: " + err.Error()
			}
			args[2].(socket.Ack)([]any{v}, nil)
		})
	})
	h := httptest.NewServer(handler)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = handler.Shutdown(ctx)
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

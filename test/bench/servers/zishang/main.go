// Command zishang is the benchmark's server on github.com/zishang520/socket.io/v2, default options.
package main

import (
	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/test/bench/servers/control"
)

func main() {
	io := socket.NewServer(nil, nil)
	_ = io.On("connection", func(clients ...any) {
		s := clients[0].(*socket.Socket)
		ack := func(args []any, v any) {
			if fn, ok := args[len(args)-1].(func([]any, error)); ok {
				fn([]any{v}, nil)
			}
		}
		_ = s.On("echo", func(args ...any) { ack(args, args[0]) })
		_ = s.On("bin", func(args ...any) {
			if b, ok := args[0].(*types.BytesBuffer); ok {
				ack(args, b.Bytes())
				return
			}
			ack(args, args[0])
		})
		_ = s.On("broadcast", func(args ...any) { _ = io.Emit("msg", args[0]) })
		_ = s.On("join", func(args ...any) { s.Join(socket.Room(args[0].(string))); ack(args, 1) })
		_ = s.On("room", func(args ...any) { _ = io.To(socket.Room(args[0].(string))).Emit("msg", args[1]) })
	})
	control.Serve(io.ServeHandler(nil), func() int { return int(io.Engine().ClientsCount()) }, control.Listen())
}

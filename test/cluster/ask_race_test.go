//go:build race

package cluster

import (
	"context"
	"time"

	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/server/zishang"
)

// ask asks all sockets by zishang.Ask, as the library's own call has a data race (see package zishang).
func ask(io *socket.Server, _ *socket.BroadcastOperator, o order, answer func([]any, error)) {
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Second)
	defer cancel()
	answer(zishang.Ask(ctx, io.Sockets(), roomsOf(o.Rooms), o.Event, o.args()...))
}

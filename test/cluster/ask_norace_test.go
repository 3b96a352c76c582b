//go:build !race

package cluster

import (
	"time"

	"github.com/zishang520/socket.io/v2/socket"
)

// ask asks all sockets by the library's own call.
func ask(_ *socket.Server, to *socket.BroadcastOperator, o order, answer func([]any, error)) {
	to.Timeout(4*time.Second).EmitWithAck(o.Event, o.args()...)(answer)
}

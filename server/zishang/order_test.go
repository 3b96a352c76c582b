package zishang_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/server/zishang"
)

// A broadcast that wants answers keeps its place among the others, and is what its arguments were then.
func TestBroadcastWithAckKeepsItsPlace(t *testing.T) {
	n := start(t, zishang.Config{}, func(*socket.Server) {})
	p, _ := join(t, n.url, "/")
	for i := range 200 {
		arg := map[string]int{"i": i}
		_ = n.io.Timeout(time.Second).Emit("ask", arg, func([]any, error) {})
		arg["i"] = -1
		_ = n.io.Emit("tell", i)
		p.Expect(fmt.Sprintf(`42%d["ask",{"i":%d}]`, i+1, i), fmt.Sprintf(`42["tell",%d]`, i))
		p.Send(fmt.Sprintf("43%d[1]", i+1))
	}
}

package zishang_test

import (
	"fmt"
	"sync/atomic"
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

// An answer that waits for its turn while its time ends is called back once, by the library's timer.
func TestAnswerAndTimeoutCallBackOnce(t *testing.T) {
	over, last := make(chan struct{}), make(chan string, 1)
	var calls atomic.Int32
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) {
			_ = s.On("here", func(...any) { _ = s.Emit("here") })
			_ = s.Emit("ask", func([]any, error) { <-over })
			_ = s.Timeout(500*time.Millisecond).Emit("ask", func(_ []any, err error) {
				if calls.Add(1) == 1 {
					close(over)
				}
			})
			_ = s.Emit("ask", func(args []any, _ error) { last <- fmt.Sprint(args) })
		})
	})
	p, _ := join(t, n.url, "/")
	for i := range 3 {
		p.Expect(fmt.Sprintf(`42%d["ask"]`, i+1))
		p.Send(fmt.Sprintf("43%d[%d]", i+1, i))
	}
	p.Send(`42["here"]`)
	p.Expect(`42["here"]`) // the answers are
	if got := await(t, last); got != "[2]" {
		t.Error(got)
	}
	if got := calls.Load(); got != 1 {
		t.Errorf("called back %d times", got)
	}
}

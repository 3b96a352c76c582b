package server_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/transport"
)

// What is emitted to sockets before their client knows of them counts as long as it waits, and no longer: a session
// may enter and leave as often as it likes.
func TestWhatWasHeldCountsNoMoreWhenItIsSent(t *testing.T) {
	_, url := start(t, server.Config{Transport: transport.Config{MaxBacklogBytes: 16 << 10}}, func(io *server.Server) {
		io.Use(func(s *server.Socket) error { return s.Emit("hello", strings.Repeat("x", 1000)) })
		io.OnConnection(func(s *server.Socket) { s.On("ask", func(n int) int { return n }) })
	})
	p := dial(t, url)
	for i := range 50 {
		p.Connect("/", "")
		if got := p.Text(); !strings.HasPrefix(got, `42["hello"`) {
			t.Fatalf("got %.40s", got)
		}
		p.Send(fmt.Sprintf(`42%d["ask",%d]`, i, i))
		p.Expect(fmt.Sprintf(`43%d[%d]`, i, i))
		p.Send("41")
	}
}

package zishang_test

import (
	"fmt"
	"testing"

	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/server/zishang"
)

func TestAsk(t *testing.T) {
	sockets := make(chan *socket.Socket, 2)
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) { s.Join("r"); sockets <- s })
	})
	p, _ := join(t, n.url, "/")
	q, _ := join(t, n.url, "/")
	a, b := await(t, sockets), await(t, sockets)
	got := make(chan string, 1)
	go func() {
		answers, err := zishang.Ask(t.Context(), n.io.Sockets(), []socket.Room{"r"}, "ask", 1)
		got <- fmt.Sprint(answers, err)
	}()
	p.Expect(`421["ask",1]`)
	q.Expect(`421["ask",1]`)
	p.Send(`431[]`)
	q.Send(`431["two",3]`)
	if got := await(t, got); got != "[<nil> two] <nil>" && got != "[two <nil>] <nil>" {
		t.Error(got)
	}
	if a.Acks().Len()+b.Acks().Len() != 0 {
		t.Error("acknowledgements are kept")
	}
}

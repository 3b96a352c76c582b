//go:build !race

package zishang_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/server/zishang"
)

// The tests of this file touch the library's own data race: BroadcastOperator.Emit with an acknowledgement
// writes expectedServerCount in the caller's goroutine and reads it in its callbacks, without a lock
// (socket/broadcast-operator.go, lines 219 and 249 of v2.5.0).

func TestNoRaceRemoteSocketAck(t *testing.T) {
	n := start(t, zishang.Config{}, func(io *socket.Server) { onConnection(io.Sockets(), echo) })
	p, _ := join(t, n.url, "/")
	p.Send(`42["echo",1]`)
	p.Expect(`42["echo",1]`)
	got := make(chan string, 1)
	ask := func() {
		n.io.FetchSockets()(func(list []*socket.RemoteSocket, _ error) {
			_ = list[0].Timeout(200*time.Millisecond).Emit("ask", func(args []any, err error) { got <- fmt.Sprint(args, err) })
		})
	}
	for id, answer := range map[string]string{`[]`: "[<nil>] <nil>", `["a"]`: "[a] <nil>", `["a","b"]`: "[a] <nil>"} {
		ask()
		packet := p.Text()
		p.Send("43" + packet[2:len(packet)-len(`["ask"]`)] + id)
		if got := await(t, got); got != answer {
			t.Errorf("%s: got %s, want %s", id, got, answer)
		}
	}
	ask()
	p.Text() // and no answer
	if got := await(t, got); got != "[] operation has timed out" {
		t.Error(got)
	}
	ask()
	p.Text()
	p.HangUp()
	if got := await(t, got); got != "[] operation has timed out" {
		t.Error(got)
	}
}

func TestNoRaceBroadcastAckComesOnce(t *testing.T) {
	n := start(t, zishang.Config{}, func(io *socket.Server) { onConnection(io.Sockets(), echo) })
	peers := make([]*peer, 3)
	for i := range peers {
		peers[i], _ = join(t, n.url, "/")
		peers[i].Send(`42["echo",1]`)
		peers[i].Expect(`42["echo",1]`)
	}
	var calls atomic.Int64
	got := make(chan string, 1)
	const times = 50
	for range times {
		_ = n.io.Timeout(10*time.Second).Emit("ask", func(args []any, err error) {
			calls.Add(1)
			got <- fmt.Sprint(args, err)
		})
		for _, p := range peers {
			packet := p.Text()
			p.Send("43" + packet[2:len(packet)-len(`["ask"]`)] + `["y"]`)
		}
		if got := await(t, got); got != "[y y y] <nil>" {
			t.Fatal(got)
		}
	}
	// Nobody there: complete at once.
	_ = n.io.To("nobody").Timeout(10*time.Second).Emit("ask", func(args []any, err error) { got <- fmt.Sprint(args, err) })
	if got := await(t, got); got != "[] <nil>" {
		t.Error(got)
	}
	// One does not answer.
	_ = n.io.Timeout(100*time.Millisecond).Emit("ask", func(args []any, err error) { got <- fmt.Sprint(args, err) })
	packet := peers[0].Text()
	peers[0].Send("43" + packet[2:len(packet)-len(`["ask"]`)] + `["y"]`)
	if got := await(t, got); got != "[y] operation has timed out" {
		t.Error(got)
	}
	if calls.Load() != times {
		t.Errorf("called %d times, want %d", calls.Load(), times)
	}
}

package client_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/beanpole/beanpole/client"
	"github.com/beanpole/beanpole/server"
)

// Whatever registers a function returns what takes it out again, and leaves those beside it.
func TestEveryRegistrationIsTakenOut(t *testing.T) {
	s := start(t, server.Config{})
	var refuse atomic.Bool
	s.io.Use(func(*server.Socket) error {
		if refuse.Load() {
			return errors.New("no")
		}
		return nil
	})
	s.io.On("ask", func(x *server.Socket) error { return x.Emit("\x00", 1) }) // a name like any other
	c := open(t, s.url, client.Config{ReconnectionDelay: time.Millisecond, ReconnectionDelayMax: time.Millisecond, ReconnectionAttempts: 2})
	x := c.Socket()
	var mu sync.Mutex
	var called []string
	note := func(name string) { mu.Lock(); defer mu.Unlock(); called = append(called, name) }
	register := func(name string) []func() {
		return []func(){
			x.OnConnect(func() { note(name + " connect") }),
			x.OnDisconnect(func(client.Reason, error) { note(name + " disconnect") }),
			x.OnConnectError(func(error) { note(name + " connect error") }),
			x.OnAny(func(event string, _ client.Args) { note(fmt.Sprintf("%s any %q", name, event)) }),
			x.OnAnyOutgoing(func(event string, _ client.Args) { note(name + " sent " + event) }),
			x.On("\x00", func(int) { note(name + " on") }),
			x.Once("\x00", func(int) { note(name + " once") }),
			c.OnReconnectAttempt(func(int) { note(name + " attempt") }),
			c.OnReconnectFailed(func(error) { note(name + " failed") }),
		}
	}
	first, out, last := register("first"), register("out"), register("last")
	for range 2 { // the second time does nothing
		for _, off := range out {
			off()
		}
	}
	connect(t, x)
	done := make(chan struct{}, 1)
	x.On("\x00", func() { done <- struct{}{} })
	if err := x.Emit("ask"); err != nil {
		t.Error(err)
	}
	<-done
	refuse.Store(true)
	x.Disconnect()
	if err := x.Connect(t.Context()); err == nil {
		t.Error("connected")
	}
	refuse.Store(false)
	connect(t, x)
	failed := make(chan struct{})
	c.OnReconnectFailed(func(error) { close(failed) })
	s.cut(true)
	<-failed
	mu.Lock()
	defer mu.Unlock()
	for _, want := range []string{"connect", "disconnect", "connect error", `any "\x00"`, "sent ask", "on", "once", "attempt", "failed"} {
		for name, there := range map[string]bool{"first ": true, "out ": false, "last ": true} {
			if slices.Contains(called, name+want) != there {
				t.Errorf("%s%s: called %v", name, want, !there)
			}
		}
	}
	for _, off := range slices.Concat(first, last) {
		off()
	}
}

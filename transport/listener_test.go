package transport

import (
	"net"
	"runtime"
	"sync/atomic"
	"testing"
)

// crowd is a listener that always has another connection.
type crowd struct{ net.Listener }

func (crowd) Accept() (net.Conn, error) { return nil, nil }

// What is ready to run runs before a crowd of clients has been accepted.
func TestListenerGivesWay(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	l := Listener(crowd{})
	var ran atomic.Bool
	done := make(chan struct{})
	go func() {
		ran.Store(true)
		close(done)
	}()
	accepted := 0
	for ; !ran.Load() && accepted < 100; accepted++ {
		if _, err := l.Accept(); err != nil {
			t.Fatal(err)
		}
	}
	if accepted == 100 {
		t.Error("another goroutine did not run while 100 connections were accepted")
	}
	<-done
}

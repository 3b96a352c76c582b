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
func (crowd) Close() error              { return nil }

// acceptUntil accepts until the condition holds and returns how often it took, at most 100 times.
func acceptUntil(t *testing.T, l net.Listener, holds func() bool) (accepted int) {
	for ; !holds() && accepted < 100; accepted++ {
		if _, err := l.Accept(); err != nil {
			t.Fatal(err)
		}
	}
	return accepted
}

// What is ready to run runs before a crowd of clients has been accepted.
func TestListenerGivesWayToTheReady(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	l := Listener(crowd{})
	defer l.Close()
	var ran atomic.Bool
	done := make(chan struct{})
	go func() {
		ran.Store(true)
		close(done)
	}()
	if n := acceptUntil(t, l, ran.Load); n == 100 {
		t.Error("another goroutine did not run while 100 connections were accepted")
	}
	<-done
}

// So does a session to which something has been sent.
func TestListenerGivesWayToReaders(t *testing.T) {
	if !canPark {
		t.Skip("only on Linux")
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	l := Listener(crowd{})
	defer l.Close()
	var got atomic.Bool
	ours, theirs := tcpPair(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		var b [1]byte
		_, _ = ours.Read(b[:])
		got.Store(true)
	}()
	acceptUntil(t, l, func() bool { return false }) // until it waits
	_, _ = theirs.Write([]byte("x"))
	if n := acceptUntil(t, l, got.Load); n == 100 {
		t.Error("a reader did not get its byte while 100 connections were accepted")
	}
	_ = ours.Close()
	<-done
}

// Accept is let go by Close, and after it the listener's own error counts.
func TestListenerClosed(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := Listener(ln)
	done := make(chan error)
	go func() {
		_, err := l.Accept()
		done <- err
	}()
	_ = l.Close()
	if err := <-done; err == nil {
		t.Error("accepted after Close")
	}
	if _, err := l.Accept(); err == nil {
		t.Error("accepted after Close")
	}
}

// tcpPair returns the two ends of a connection.
func tcpPair(t *testing.T) (net.Conn, net.Conn) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	a, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close(); _ = b.Close() })
	return a, b
}

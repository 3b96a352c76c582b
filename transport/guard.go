package transport

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// The application's code may panic, or end its goroutine (runtime.Goexit, as testify's require does), and
// takes nothing with it that is not its own.
//
// The functions of Config, Accept among them, are called by the handlers of HTTP requests, of which net/http
// recovers the panics and closes the connection. What such a handler has taken it gives back by defer.
//
// The methods of a Receiver are called by goroutines of the server's own, where a panic would end the process:
// here and nowhere else. A panic ends the call. A goroutine that is ended was perhaps the session's reader:
// with Work it is replaced as if that had blocked (see turn.go); with Receive the rest of what had been read
// is lost, and so the session is.

// errExited is why a session ends whose reader the application has ended in between.
var errExited = errors.New("goroutine ended by the application's code")

// receive hands a message to the receiver.
func (s *Session) receive(m Message) {
	defer s.recovered("Receive")
	s.recv.Receive(m)
}

// work lets the receiver work on what it has got, in the turn of that number, or in none if it is zero. It
// reports whether the turn's reader still is the caller.
func (s *Session) work(turn uint64) (mine bool) {
	exits := true
	defer func() {
		if exits && turn != 0 { // at once, as long as this goroutine is counted
			s.handOver(turn)
		}
	}()
	s.callWork()
	exits = false
	return turn != 0 && s.endWork(turn)
}

func (s *Session) callWork() {
	defer s.recovered("Work")
	s.recv.Work()
}

// reportEnd tells the receiver that the session has ended.
func (s *Session) reportEnd() {
	defer s.recovered("Closed")
	s.recv.Closed(s.ending.reason, s.ending.cause)
}

// recovered is deferred around a method of the receiver: a panic is logged and counted.
func (s *Session) recovered(method string) {
	if v := recover(); v != nil {
		s.srv.counters.panics.Add(1)
		s.srv.log.Error("receiver panicked", "session", s.num, "method", method, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
	}
}

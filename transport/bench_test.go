package transport

import (
	"fmt"
	"runtime"
	"testing"
	"unsafe"

	"github.com/gobwas/ws"
)

// sink is a stream that takes everything and has nothing to read. A reader that takes over, as on a machine
// that stands still for a moment, waits until done.
type sink struct {
	stream
	done chan struct{}
}

func (sink) tryWrite(b []byte) (int, error) { return len(b), nil }

func (s sink) read(*reading) (*buffer, error) {
	<-s.done
	runtime.Goexit()
	return nil, nil
}

// BenchmarkTurn is one read of so many messages, each answered from Work, without the system calls.
func BenchmarkTurn(b *testing.B) {
	for _, messages := range []int{1, 16} {
		b.Run(fmt.Sprint("messages=", messages), func(b *testing.B) {
			s, frames := benchSession(b, messages)
			data := make([]byte, len(frames))
			b.ReportAllocs()
			for b.Loop() {
				copy(data, frames)
				s.ws.take(data, nil)
			}
		})
	}
}

// ackReceiver answers every message with one of the same size.
type ackReceiver struct {
	s    *Session
	n    int
	data [32]byte
}

func (a *ackReceiver) Receive(Message) { a.n++ }

func (a *ackReceiver) Work() {
	for ; a.n > 0; a.n-- {
		_ = a.s.Send(SendOptions{}, Message{Data: a.data[:]})
	}
}

func (*ackReceiver) Closed(CloseReason, error) {}

// benchSession returns a session over a WebSocket that goes nowhere, and messages as frames.
func benchSession(tb testing.TB, messages int) (*Session, []byte) {
	srv, err := New(Config{Accept: func(*Session) Receiver { return nil }})
	if err != nil {
		tb.Fatal(err)
	}
	s := &Session{srv: srv, state: stateOpen, proto: 4}
	s.receiving.Store(true)
	s.recv = &ackReceiver{s: s}
	done := make(chan struct{})
	tb.Cleanup(func() { close(done); srv.wg.Wait() })
	s.ws = newWSConn(s, sink{done: done}, false)
	var frames []byte
	for range messages {
		frames = append(frames, maskedFrame(ws.OpText, `42["message","0123456789abcdef"]`)...)
	}
	return s, frames
}

// The way from a read to the write of its answers allocates nothing per message.
func TestTurnDoesNotAllocate(t *testing.T) {
	s, frames := benchSession(t, 16)
	data := make([]byte, len(frames))
	allocs := testing.AllocsPerRun(100, func() {
		copy(data, frames)
		s.ws.take(data, nil)
	})
	if allocs > 1 { // the race detector makes pools forget
		t.Errorf("%v allocations for 16 messages", allocs)
	}
}

// What every idle session holds stays within the allocator's size class that it has now: a field more must be
// worth 16 to 32 bytes of each.
func TestIdleSessionIsSmall(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("sizes are those of 64 bits")
	}
	if size := unsafe.Sizeof(Session{}); size > 176 {
		t.Errorf("a Session has %d bytes", size)
	}
	if size := unsafe.Sizeof(wsConn{}); size > 96 { // with its stream 128
		t.Errorf("a WebSocket has %d bytes", size)
	}
}

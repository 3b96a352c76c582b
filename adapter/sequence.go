package adapter

import "sync"

// Sequence runs functions one at a time in the order they were put, without a goroutine of its own: one
// of the callers runs what the others have put meanwhile. So a function may put another without a
// deadlock, which then runs after it. The zero value is ready. Safe for concurrent use.
type Sequence struct {
	mu    sync.Mutex
	queue []func()
	busy  bool
}

// Put adds fn at the end. Nothing runs before Run is called. It is cheap and may be called with a lock
// held, which then decides the order.
func (s *Sequence) Put(fn func()) {
	s.mu.Lock()
	s.queue = append(s.queue, fn)
	s.mu.Unlock()
}

// Run runs what has been put, unless another caller is at it, who then does.
func (s *Sequence) Run() {
	s.mu.Lock()
	if s.busy {
		s.mu.Unlock()
		return
	}
	s.busy = true
	s.mu.Unlock()
	over := false
	defer func() {
		if !over { // fn panicked: the panic goes on, and so will others
			s.mu.Lock()
			s.busy = false
			s.mu.Unlock()
		}
	}()
	for {
		s.mu.Lock()
		if len(s.queue) == 0 {
			s.queue = nil
			s.busy, over = false, true
			s.mu.Unlock()
			return
		}
		fn := s.queue[0]
		s.queue[0] = nil
		s.queue = s.queue[1:]
		s.mu.Unlock()
		fn()
	}
}

// Wait puts fn, runs what has been put and returns when fn has run. It must not be called from a
// function of the sequence.
func (s *Sequence) Wait(fn func()) {
	done := make(chan struct{})
	s.Put(func() {
		defer close(done)
		fn()
	})
	s.Run()
	<-done
}

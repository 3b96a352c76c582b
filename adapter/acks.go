package adapter

import (
	"context"
	"errors"
	"sync"
)

// Answers gathers the answers of many to one question: it hands them on one at a time, counts them,
// and hands on none after Stop. Wait returns, or Then calls, when all are in. Use NewAnswers.
type Answers struct {
	answer func(Message)
	done   chan struct{}

	// handing serialises answer, so that the callee needs no lock. Taken before mu.
	handing sync.Mutex

	mu       sync.Mutex
	expected int // answers still to come
	open     int // questions asked whose number of answers is not known yet
	missing  int // of parties that are there, and not waited for any longer
	stopped  bool
	then     func(error) // of Then, until it has been called
	leave    func() bool // has the end of its context call it no more
}

// NewAnswers returns an Answers that hands each answer to fn.
func NewAnswers(fn func(Message)) *Answers {
	return &Answers{answer: fn, done: make(chan struct{})}
}

// Ask says that one more party was asked which will say by Expect how many answers it sends.
func (a *Answers) Ask() {
	a.mu.Lock()
	a.open++
	a.mu.Unlock()
}

// Expect says that a party that was asked sends n answers; a party that is gone sends none.
func (a *Answers) Expect(n int) {
	a.mu.Lock()
	a.open--
	a.expected += n
	a.settle()
	a.mu.Unlock()
}

// Put hands on one answer, or, when m has no Data, takes note that the one who was to give it is gone, or is missing: there,
// and not waited for any longer. Answers may overtake the number of them.
func (a *Answers) Put(m Message, missing bool) {
	if m.Data == nil {
		a.less(1, b2i(missing))
		return
	}
	a.handing.Lock()
	defer a.handing.Unlock()
	a.mu.Lock()
	stopped := a.stopped
	a.mu.Unlock()
	if stopped {
		return
	}
	a.answer(m)
	a.mu.Lock()
	a.expected--
	a.settle()
	a.mu.Unlock()
}

// Less says that n answers will not come: their parties are gone.
func (a *Answers) Less(n int) { a.less(n, 0) }

func (a *Answers) less(n, missing int) {
	a.mu.Lock()
	a.expected -= n
	a.missing += missing
	a.settle()
	a.mu.Unlock()
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (a *Answers) settle() {
	if a.open <= 0 && a.expected <= 0 && !a.stopped {
		a.stopped = true
		close(a.done)
		if a.then != nil {
			a.leave()
			go a.then(nil) // who counts the last answer may hold locks
			a.then = nil
		}
	}
}

// Then has fn called once, on a goroutine of its own, with what Wait would return: no goroutine waits meanwhile.
func (a *Answers) Then(ctx context.Context, fn func(error)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stopped {
		go fn(nil)
		return
	}
	a.then = fn
	a.leave = context.AfterFunc(ctx, func() {
		a.mu.Lock()
		late := a.then == nil // all were in
		a.then, a.stopped = nil, true
		a.mu.Unlock()
		if !late {
			fn(a.end(ctx))
		}
	})
}

// Ended returns why ctx has ended: ErrTimeout or ErrServerClosed when that is its cause, and otherwise the error of ctx.
func Ended(ctx context.Context) error {
	for _, err := range []error{ErrTimeout, ErrServerClosed} {
		if errors.Is(context.Cause(ctx), err) {
			return err
		}
	}
	return ctx.Err()
}

// Wait returns nil when all answers are in. When ctx ends first it returns what Ended does, and no
// answer is handed on after that.
func (a *Answers) Wait(ctx context.Context) error {
	select {
	case <-a.done:
		return nil
	case <-ctx.Done():
	}
	return a.end(ctx)
}

// end stops, as ctx has ended, and returns what Wait does.
func (a *Answers) end(ctx context.Context) error {
	a.Stop()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.open <= 0 && a.expected <= 0 { // both at once: the answers count
		return nil
	}
	return Ended(ctx)
}

// Poll is Wait without an end: answers go on being handed on after ctx.
func (a *Answers) Poll(ctx context.Context) error {
	select {
	case <-a.done:
		return nil
	case <-ctx.Done():
		return Ended(ctx)
	}
}

// Stop ends the gathering; when it returns, no answer is being handed on.
func (a *Answers) Stop() {
	a.mu.Lock()
	a.stopped = true
	a.mu.Unlock()
	a.handing.Lock()
	a.handing.Unlock() //nolint:staticcheck // it waits for an answer that is being handed on
}

// Missing returns how many answers are still to come from the parties that said how many they send, and how many were given
// up, whose parties are there.
func (a *Answers) Missing() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return max(a.expected, 0) + a.missing
}

// GivenUp returns how many of Missing were given up.
func (a *Answers) GivenUp() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.missing
}

// Short returns the error of a question whose wait has ended with err: what is missing, and why; nil if nothing is.
func (a *Answers) Short(err error) error {
	given := a.GivenUp()
	if given > 0 {
		err = errors.Join(err, ErrQueueFull)
	}
	if err == nil {
		return nil
	}
	return &PartialError{Clients: a.Missing(), Err: err}
}

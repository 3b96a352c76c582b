package names

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/beanpole/beanpole/internal/shrink"
)

var (
	// ErrClosed is returned once Shutdown has been called.
	ErrClosed = errors.New("closed")
	// ErrMaking is returned to the maker of a name that needs it before Show.
	ErrMaking = errors.New("needed for its own making")

	errUnfinished = errors.New("making ended without a result") // by a panic or runtime.Goexit
)

// Config says how a Table ends what it has. No function is called with a lock held.
type Config[T any] struct {
	// Close ends a value. Its error is Shutdown's, or else goes to Failed.
	Close func(context.Context, T) error
	// Failed is told of a value that Close did not end.
	Failed func(name string, err error)
	// CloseTimeout bounds each Close outside of Shutdown.
	CloseTimeout time.Duration
	// MaxIdle bounds the entries that stay unused. Beyond it the one that would go first goes early.
	MaxIdle int
}

// Table has one Entry for each name. Its methods may be called from any goroutine. Shutdown ends it.
type Table[T any] struct {
	cfg Config[T] // read only

	mu      sync.Mutex
	entries map[string]*Entry[T] // guarded by mu
	had     shrink.Map[string, *Entry[T]]
	makers  map[string]int // guarded by mu; how much each goroutine is making
	idle    idle[T]        // guarded by mu
	timer   *time.Timer    // guarded by mu; for idle, nil until it is needed
	closed  bool           // guarded by mu
}

// New returns an empty Table.
func New[T any](cfg Config[T]) *Table[T] {
	return &Table[T]{cfg: cfg, entries: make(map[string]*Entry[T]), makers: make(map[string]int)}
}

// Hold returns the open entry of the name, which stays so until Release. When there is none it calls fn, which
// returns the value, or ends what it has begun and returns an error. While another caller makes it, or it is
// closing, Hold waits, with the error of ctx when that ends first; Show says who need not. The error of fn is
// that of all who waited for it.
func (t *Table[T]) Hold(ctx context.Context, name string, fn func(*Entry[T]) (T, error)) (*Entry[T], error) {
	if e := t.Try(name); e != nil {
		return e, nil
	}
	me := goroutine()
	for {
		t.mu.Lock()
		e := t.entries[name]
		switch {
		case t.closed:
			t.mu.Unlock()
			return nil, ErrClosed
		case e == nil:
			e = newEntry(t, name, me)
			t.entries[name] = e
			t.makers[me]++
			t.mu.Unlock()
			return e, e.make(fn)
		case e.state == open || e.state == making && e.shown && t.makers[me] > 0:
			e.use()
			t.mu.Unlock()
			return e, nil
		}
		wait, making := e.gone, e.state == making
		t.mu.Unlock()
		if making {
			if e.maker == me {
				return nil, ErrMaking
			}
			wait = e.made
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if making && e.err != nil {
			return nil, e.err
		}
	}
}

// Try holds the entry of the name if it is open, and returns nil if it is not.
func (t *Table[T]) Try(name string) *Entry[T] {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.entries[name]
	if e == nil || e.state != open {
		return nil
	}
	e.use()
	return e
}

// Find returns the value of the name if it is open.
func (t *Table[T]) Find(name string) (v T, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.entries[name]; e != nil && e.state == open {
		return e.value, true
	}
	return v, false
}

// Has reports whether there is anything for the name, in whatever state.
func (t *Table[T]) Has(name string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.entries[name] != nil
}

// Closed reports whether Shutdown has been called.
func (t *Table[T]) Closed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.closed
}

// All returns the values that are open, in no order.
func (t *Table[T]) All() []T {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]T, 0, len(t.entries))
	for _, e := range t.entries {
		if e.state == open {
			out = append(out, e.value)
		}
	}
	return out
}

// Shutdown ends every entry, and Hold returns ErrClosed from now on. What is being made is ended by its
// maker. Shutdown waits for all of them and returns the errors of Close, and that of ctx when it ends first.
func (t *Table[T]) Shutdown(ctx context.Context) (err error) {
	t.mu.Lock()
	t.closed = true
	if t.timer != nil {
		t.timer.Stop()
	}
	t.idle = nil
	var ours, others []*Entry[T]
	for _, e := range t.entries {
		if e.state == open {
			e.state = closing
			ours = append(ours, e)
		} else {
			others = append(others, e)
		}
	}
	t.mu.Unlock()
	for _, e := range ours {
		err = errors.Join(err, e.end(ctx))
	}
	for _, e := range others {
		select {
		case <-e.gone:
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		}
	}
	return err
}

// goroutine returns what tells the calling goroutine from others: the head of its stack trace,
// "goroutine 17 [running]".
func goroutine() string {
	var b [48]byte
	head, _, _ := bytes.Cut(b[:runtime.Stack(b[:], false)], []byte(" ["))
	return string(head)
}

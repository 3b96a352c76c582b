package names

import (
	"context"
	"time"
)

// state is where an entry is between its making and its end.
type state uint8

const (
	making  state = 1 + iota // by one caller of Hold, the others wait
	open                     // may be held
	closing                  // who needs the name waits until it is free, and makes it anew
)

// Entry is what there is for one name.
type Entry[T any] struct {
	// Set by Hold, then read only.
	table *Table[T]
	name  string
	maker string        // a goroutine
	made  chan struct{} // closed when it is open, or could not be made
	gone  chan struct{} // closed when the name is free again

	// Set while it is being made, then read only.
	value T
	err   error // why it could not be made

	// Guarded by table.mu.
	state  state
	shown  bool
	uses   int
	pinned bool
	until  time.Time // it stays so long at least
	place  int       // in table.idle, from 1; 0 when it is not there
}

func newEntry[T any](t *Table[T], name, maker string) *Entry[T] {
	return &Entry[T]{table: t, name: name, maker: maker, made: make(chan struct{}), gone: make(chan struct{}),
		state: making, uses: 1}
}

// Value returns the value. The caller holds the entry, or has shown it.
func (e *Entry[T]) Value() T { return e.value }

// Made is closed when the entry is open, or could not be made.
func (e *Entry[T]) Made() <-chan struct{} { return e.made }

// Show gives v, the value that is being made, to those who would wait for themselves: callers of Hold whose
// goroutine is making this entry or another.
func (e *Entry[T]) Show(v T) {
	e.table.mu.Lock()
	e.value, e.shown = v, true
	e.table.mu.Unlock()
}

// Release gives back what Hold has returned. An entry that nobody holds closes, unless it is to stay.
func (e *Entry[T]) Release() {
	e.table.mu.Lock()
	defer e.table.mu.Unlock()
	if e.uses--; e.uses == 0 && e.state == open && !e.pinned {
		e.table.rest(e)
	}
}

// Pin keeps the entry open until Shutdown. The caller holds it.
func (e *Entry[T]) Pin() {
	e.table.mu.Lock()
	e.pinned = true
	e.table.mu.Unlock()
}

// Keep keeps the entry open until then, whether anybody holds it or not. The caller holds it.
func (e *Entry[T]) Keep(until time.Time) {
	e.table.mu.Lock()
	if until.After(e.until) {
		e.until = until
	}
	e.table.mu.Unlock()
}

// use is called with the table's mu held.
func (e *Entry[T]) use() {
	e.uses++
	e.table.idle.remove(e)
}

// make has fn make the value and returns why it could not be made.
func (e *Entry[T]) make(fn func(*Entry[T]) (T, error)) (err error) {
	var v T
	result := errUnfinished
	defer func() { err = e.finish(v, result) }() // however fn ends
	v, result = fn(e)
	return nil
}

// finish ends the making, with a value or why there is none.
func (e *Entry[T]) finish(v T, err error) error {
	t := e.table
	t.mu.Lock()
	if t.makers[e.maker]--; t.makers[e.maker] == 0 {
		delete(t.makers, e.maker)
	}
	e.state = open
	if !e.shown {
		e.value = v
	}
	late := err == nil && t.closed
	switch {
	case late:
		e.err, e.state = ErrClosed, closing
	case err != nil:
		e.err, e.state = err, closing
		t.entries = t.had.Delete(t.entries, e.name)
		close(e.gone)
	}
	close(e.made)
	t.mu.Unlock()
	if late {
		e.endAlone()
	}
	return e.err
}

// end ends the value of an entry that is closing, and frees the name.
func (e *Entry[T]) end(ctx context.Context) error {
	t := e.table
	err := t.cfg.Close(ctx, e.value)
	t.mu.Lock()
	t.entries = t.had.Delete(t.entries, e.name)
	t.mu.Unlock()
	close(e.gone)
	return err
}

// endAlone is end outside of Shutdown.
func (e *Entry[T]) endAlone() {
	ctx, cancel := context.WithTimeout(context.Background(), e.table.cfg.CloseTimeout)
	defer cancel()
	if err := e.end(ctx); err != nil {
		e.table.cfg.Failed(e.name, err)
	}
}

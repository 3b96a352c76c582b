package names

import (
	"container/heap"
	"time"
)

// idle are the open entries that nobody holds and that stay for a while, the first to go in front.
type idle[T any] []*Entry[T]

// rest has an entry that nobody holds any more stay as long as it is to, and close. Called with mu held.
func (t *Table[T]) rest(e *Entry[T]) {
	heap.Push(&t.idle, e)
	for len(t.idle) > t.cfg.MaxIdle {
		t.closeFirst()
	}
	t.expire(time.Now())
}

// expire closes what has stayed long enough. Called with mu held.
func (t *Table[T]) expire(now time.Time) {
	for len(t.idle) > 0 && !t.idle[0].until.After(now) {
		t.closeFirst()
	}
	if len(t.idle) == 0 {
		return // the timer may run once for nothing
	}
	wait := t.idle[0].until.Sub(now)
	if t.timer == nil {
		t.timer = time.AfterFunc(wait, func() {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.expire(time.Now())
		})
		return
	}
	t.timer.Reset(wait)
}

// closeFirst closes the entry that goes first. Called with mu held.
func (t *Table[T]) closeFirst() {
	e := heap.Pop(&t.idle).(*Entry[T])
	e.state = closing
	go e.endAlone() // Shutdown waits for it by e.gone
}

// remove takes an entry out that is used again.
func (l *idle[T]) remove(e *Entry[T]) {
	if e.place > 0 {
		heap.Remove(l, e.place-1)
	}
}

func (l idle[T]) Len() int           { return len(l) }
func (l idle[T]) Less(i, j int) bool { return l[i].until.Before(l[j].until) }

func (l idle[T]) Swap(i, j int) {
	l[i], l[j] = l[j], l[i]
	l[i].place, l[j].place = i+1, j+1
}

// Push and Pop are called by package heap.
func (l *idle[T]) Push(x any) {
	e := x.(*Entry[T])
	*l = append(*l, e)
	e.place = len(*l)
}

func (l *idle[T]) Pop() any {
	old := *l
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*l = old[:len(old)-1]
	e.place = 0
	return e
}

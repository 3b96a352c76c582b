package adminui

import "sync"

// maxNews bounds what waits to be told to the page.
const maxNews = 10_000

// news is one event for the page.
type news struct {
	event string
	args  []any
}

// queue holds news in order. Its methods may be called from any goroutine and do not wait.
type queue struct {
	ready chan struct{} // has one element when there may be something

	mu      sync.Mutex
	list    []news // guarded by mu
	dropped uint64 // guarded by mu
	closed  bool   // guarded by mu
}

func newQueue() *queue { return &queue{ready: make(chan struct{}, 1)} }

// put appends an event, unless there are too many.
func (q *queue) put(event string, args ...any) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return
	case len(q.list) >= maxNews:
		q.dropped++
		return
	}
	q.list = append(q.list, news{event, args})
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// take returns what waits.
func (q *queue) take() []news {
	q.mu.Lock()
	defer q.mu.Unlock()
	list := q.list
	q.list = nil
	return list
}

func (q *queue) droppedCount() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropped
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed, q.list = true, nil
}

func (q *queue) isClosed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}

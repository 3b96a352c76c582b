package adminui

import (
	"encoding/json"
	"sync"

	"github.com/beanpole/beanpole/server/packet"
)

// What may wait to be told to the page, and how long one thing of it may be. Names of events, rooms and
// namespaces are the clients' choice, and so are most of the bytes.
const (
	maxNews      = 10_000
	maxNewsBytes = 16 << 20
	maxNewsSize  = 256 << 10
)

// news is one event for the page. Its arguments are encoded, and so hold nothing of the packets and sockets
// that they tell of.
type news struct {
	event string
	args  []any // of json.RawMessage
	size  int   // bytes
}

// queue holds news in order. Its methods may be called from any goroutine and do not wait.
type queue struct {
	ready chan struct{} // has one element when there may be something

	mu      sync.Mutex
	list    []news // guarded by mu
	bytes   int    // guarded by mu; of list
	dropped uint64 // guarded by mu
	closed  bool   // guarded by mu
}

func newQueue() *queue { return &queue{ready: make(chan struct{}, 1)} }

// put appends an event, unless there are too many, or it is too long.
func (q *queue) put(event string, args ...any) {
	if q.full() {
		return // without having encoded it
	}
	n := news{event: event, args: make([]any, len(args))}
	for i, arg := range args {
		raw, _, err := packet.AppendValue(nil, nil, arg)
		if err != nil {
			n.size = maxNewsSize + 1 // what has no JSON has no place either
			break
		}
		n.args[i], n.size = json.RawMessage(raw), n.size+len(raw)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return
	case len(q.list) >= maxNews, n.size > maxNewsSize, q.bytes+n.size > maxNewsBytes:
		q.dropped++
		return
	}
	q.list, q.bytes = append(q.list, n), q.bytes+n.size
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// full reports whether nothing can be put, and counts what could not.
func (q *queue) full() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	full := len(q.list) >= maxNews || q.bytes >= maxNewsBytes
	if full && !q.closed {
		q.dropped++
	}
	return full || q.closed
}

// take returns what waits.
func (q *queue) take() []news {
	q.mu.Lock()
	defer q.mu.Unlock()
	list := q.list
	q.list, q.bytes = nil, 0
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
	q.closed, q.list, q.bytes = true, nil, 0
}

func (q *queue) isClosed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}

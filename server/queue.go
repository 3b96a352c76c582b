package server

import (
	"errors"
	"sync"
)

var (
	errInvalidState      = errors.New("packet for a namespace the client is not in")
	errTooManyNamespaces = errors.New("too many namespaces")
	errRateLimited       = errors.New("too many events per second")
	errQueueFull         = errors.New("too many events wait for the handlers")
)

// item is one thing a socket has to do, in its turn.
type item struct {
	kind  itemKind
	event *Event // itemEvent
}

type itemKind uint8

const (
	itemConnect   itemKind = iota + 1
	itemConnected          // the rest of itemConnect, never in a queue
	itemEvent
	itemDisconnect
)

// items is a list that is taken from its front. The lists are pooled, since a queue is empty most of
// the time: it then holds none, and filling it allocates nothing.
type items struct {
	list []item
	head int
}

// maxPooledItems is the length of a list from which it is left to the collector.
const maxPooledItems = 1024

var itemLists = sync.Pool{New: func() any { return &items{list: make([]item, 0, 16)} }}

// queue holds what a socket has to do, in order, and knows whether somebody does it. It borrows a
// goroutine only while there is work.
type queue struct {
	mu      sync.Mutex
	items   *items // nil when empty
	bytes   int
	running bool
	drop    bool // events are dropped: the server has disconnected the socket
}

// len is called with mu held.
func (q *queue) len() int {
	if q.items == nil {
		return 0
	}
	return len(q.items.list) - q.items.head
}

// push appends it. It reports whether the caller must have the queue run, or errQueueFull.
func (q *queue) push(it item, limits *Limits) (runnable bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := q.len()
	if it.kind == itemEvent {
		if q.drop {
			return false, nil
		}
		size := it.event.size()
		if n >= limits.MaxQueuedEvents || q.bytes+size > limits.MaxQueuedBytes && n > 0 {
			return false, errQueueFull
		}
		q.bytes += size
	}
	if n == 0 {
		q.items = itemLists.Get().(*items)
	}
	q.items.list = append(q.items.list, it)
	return !q.running && n == 0, nil
}

// start claims the queue; it reports false when somebody has it.
func (q *queue) start() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.running {
		return false
	}
	q.running = true
	return true
}

// next returns the next item, or gives the queue up and reports false.
func (q *queue) next() (item, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.items != nil {
		it := q.pop()
		if it.kind == itemEvent {
			q.bytes -= it.event.size()
			if q.drop {
				continue
			}
		}
		return it, true
	}
	q.running = false
	return item{}, false
}

// pop takes the first item. Called with mu held, on a queue that is not empty.
func (q *queue) pop() item {
	l := q.items
	it := l.list[l.head]
	l.list[l.head] = item{}
	l.head++
	switch {
	case l.head == len(l.list):
		q.items = nil
		if cap(l.list) <= maxPooledItems {
			l.list, l.head = l.list[:0], 0
			itemLists.Put(l)
		}
	case l.head >= maxPooledItems && l.head > len(l.list)/2:
		// One that never becomes empty must not grow for ever.
		n := copy(l.list, l.list[l.head:])
		clear(l.list[n:])
		l.list, l.head = l.list[:n], 0
	}
	return it
}

// dropEvents discards the events that wait, and all that come.
func (q *queue) dropEvents() {
	q.mu.Lock()
	q.drop = true
	q.mu.Unlock()
}

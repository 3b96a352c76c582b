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
	kind        itemKind
	data        []byte // itemEvent: the JSON array
	attachments [][]byte
	id          uint64
	hasID       bool
}

type itemKind uint8

const (
	itemConnect itemKind = iota + 1
	itemEvent
	itemDisconnect
)

func (it *item) size() int {
	n := len(it.data)
	for _, a := range it.attachments {
		n += len(a)
	}
	return n
}

// queue holds what a socket has to do, in order, and knows whether somebody does it. It borrows a
// goroutine only while there is work.
type queue struct {
	mu      sync.Mutex
	items   []item
	bytes   int
	running bool
	drop    bool // events are dropped: the server has disconnected the socket
}

// push appends it. It reports whether the caller must have the queue run, or errQueueFull.
func (q *queue) push(it item, limits *Limits) (runnable bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if it.kind == itemEvent {
		if q.drop {
			return false, nil
		}
		if len(q.items) >= limits.MaxQueuedEvents || q.bytes+it.size() > limits.MaxQueuedBytes && len(q.items) > 0 {
			return false, errQueueFull
		}
		q.bytes += it.size()
	}
	q.items = append(q.items, it)
	return !q.running && len(q.items) == 1, nil
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
	for len(q.items) > 0 {
		it := q.items[0]
		q.items[0] = item{}
		if q.items = q.items[1:]; len(q.items) == 0 {
			q.items = nil
		}
		if it.kind == itemEvent {
			q.bytes -= it.size()
			if q.drop {
				continue
			}
		}
		return it, true
	}
	q.running = false
	return item{}, false
}

// dropEvents discards the events that wait, and all that come.
func (q *queue) dropEvents() {
	q.mu.Lock()
	q.drop = true
	q.mu.Unlock()
}

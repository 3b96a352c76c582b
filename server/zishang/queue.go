package zishang

import (
	"errors"
	"sync"

	"github.com/beanpole/beanpole/server"
)

var (
	errInvalidState = errors.New("packet for a namespace the client is not in")
	errRateLimited  = errors.New("too many events per second")
	errQueueFull    = errors.New("too many events wait for the handlers")
)

// item is one thing to do for a socket, in its turn.
type item struct {
	kind   itemKind
	owed   bool // itemEvent: counted when it is handed on; see exceeds
	member *member
	event  *event        // itemEvent
	call   func(*member) // itemCall
	auth   []byte        // itemConnect: the payload, or nil
	query  string        // itemConnect: of a v2 client
}

type itemKind uint8

const (
	itemConnect    itemKind = iota + 1
	itemEvent               // an event for the handlers
	itemLeave               // the client's DISCONNECT
	itemDisconnect          // the disconnect handlers
	itemCall                // an acknowledgement, an error
)

// queue holds what is to be done for one client in one namespace, in order, and knows whether somebody
// does it. It borrows a goroutine only while there is work.
type queue struct {
	seat *seat // set when made, then read only

	mu      sync.Mutex
	items   []item
	bytes   int
	running bool // somebody runs it, or a connection is being made and whoever makes it will go on
}

// push appends it. It reports whether the caller must see to it that the queue is run, or errQueueFull.
func (q *queue) push(it item, limits *server.Limits) (runnable bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if it.kind == itemEvent {
		if len(q.items) >= limits.MaxQueuedEvents || q.bytes+it.event.size > limits.MaxQueuedBytes && len(q.items) > 0 {
			return false, errQueueFull
		}
		q.bytes += it.event.size
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
	if len(q.items) == 0 {
		q.running = false
		return item{}, false
	}
	it := q.items[0]
	q.items[0] = item{}
	if q.items = q.items[1:]; len(q.items) == 0 {
		q.items = nil
	}
	if it.kind == itemEvent {
		q.bytes -= it.event.size
	}
	return it, true
}

// run does what is in the queue until it is empty, unless somebody does already.
func (q *queue) run() {
	if q.start() {
		q.work()
	}
}

// work goes on with a queue that has been claimed.
func (q *queue) work() {
	for {
		it, ok := q.next()
		if !ok {
			return
		}
		if held := q.seat.do(it); held {
			return // until the connection is made: see turn
		}
	}
}

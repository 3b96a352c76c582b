package server

import (
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/beanpole/beanpole/server/packet"
)

var (
	errInvalidState      = errors.New("packet for a namespace the client is not in")
	errTooManyNamespaces = errors.New("too many namespaces")
	errAuthTooLarge      = errors.New("auth payloads too large")
	errAttachments       = errors.New("attachments of a packet do not come")
	errTooEarly          = errors.New("too many events before the answer to CONNECT")
	errRateLimited       = errors.New("too many events per second")
)

// item is one thing a socket has to do, in its turn. An event is itself or, behind many others, packed.
type item struct {
	kind   itemKind
	owed   bool // an event that is counted when it is handed on; see exceeds
	event  *Event
	packed []byte // see pack
}

// unpacked is how many events of a session wait as they are. Those behind them take a fifth of the memory,
// and are made again when it is their turn.
const unpacked = 64

// pack returns what is needed to make the event of the socket again: the acknowledgement's id, or zero, and
// the payload. The event has no attachments.
func pack(p *packet.Packet) []byte {
	b := make([]byte, 8, 8+len(p.Data))
	if p.HasID {
		binary.LittleEndian.PutUint64(b, p.ID+1) // an id is far below the largest number
	}
	return append(b, p.Data...)
}

// unpack makes the event of s again.
func (s *Socket) unpack(b []byte) *Event {
	e := takeEvent(b[8:], nil)
	e.socket = s
	if id := binary.LittleEndian.Uint64(b); id > 0 {
		e.ack.socket, e.ack.id = s, id-1
	}
	return e
}

type itemKind uint8

const (
	itemConnect   itemKind = iota + 1
	itemConnected          // the rest of itemConnect, never in a queue
	itemGone               // the same when the client has gone meanwhile
	itemEvent
	itemDisconnect
	itemCall // of what later has put there; no load
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

// load is what waits for the handlers of a session, and what they are at, in all its sockets. Only Receive
// adds events to it.
type load struct {
	bytes   atomic.Int64 // and jobs, with ended set when the session has; zero beside that when there is nothing to do
	events  atomic.Int32
	watched atomic.Bool // Receive waits until it is light
}

const (
	// job is what a load's bytes have for each thing to do that is no event: a CONNECT, from when it is let through
	// until its connection handlers are done, or disconnect handlers. They are no load, but keep the session's place.
	job = 1 << 40
	// ended is set in a load's bytes when its session has ended, and nothing is added any more.
	ended = 1 << 62
)

// size returns the bytes of the events.
func (l *load) size() int { return int(l.bytes.Load() & (job - 1)) }

// add reports whether an event of that size may be taken. A single one may be of any size.
func (l *load) add(size int, limits *Limits) bool {
	n := int(l.events.Load())
	if n >= limits.MaxQueuedEvents || n > 0 && l.size()+size > limits.MaxQueuedBytes {
		return false
	}
	l.events.Add(1)
	l.bytes.Add(int64(size))
	return true
}

// put adds what is no event of the session's own, unless that has ended.
func (l *load) put(size int) bool {
	l.events.Add(1)
	for {
		b := l.bytes.Load()
		if b&ended != 0 {
			l.events.Add(-1)
			return false
		}
		if l.bytes.CompareAndSwap(b, b+int64(size)) {
			return true
		}
	}
}

// exceeds reports whether the load is above the part 1/n of the limits.
func (l *load) exceeds(limits *Limits, n int) bool {
	return int(l.events.Load()) > limits.MaxQueuedEvents/n || l.size() > limits.MaxQueuedBytes/n
}

// queue holds what a socket has to do, in order, and knows whether somebody does it. It borrows a
// goroutine only while there is work.
type queue struct {
	mu      sync.Mutex
	items   *items // nil when empty
	running bool
	behind  bool // something was, behind the item taken last; see next
	drop    bool // events are dropped; see dropEvents

	handler atomic.Uint32 // which connection handler is running, counted from one; zero for none
}

// calling notes that connection handler n runs, counted from one, or that none does any more.
func (q *queue) calling(n int) { q.handler.Store(uint32(n)) } //nolint:gosec // they are few

// push appends it. It reports whether the caller must have the queue run, or ErrQueueFull.
func (q *queue) push(it item, l *load, limits *Limits) (runnable bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch it.kind {
	case itemEvent:
		if q.drop {
			return false, nil
		}
		if !l.add(it.size(), limits) {
			return false, ErrQueueFull
		}
	case itemDisconnect:
		l.bytes.Add(job)
	}
	first := q.items == nil
	if first {
		q.items = itemLists.Get().(*items)
	}
	q.items.list = append(q.items.list, it)
	return !q.running && first, nil
}

// waits reports whether something waits behind what is done.
func (q *queue) waits() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.items != nil
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

// next returns the next item, or gives the queue up and reports false. bursts counts the queues with more behind
// the item that was taken last.
func (q *queue) next(bursts *atomic.Int32) (it item, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if ok = q.items != nil; ok {
		it = q.pop()
	} else {
		q.running = false
	}
	if behind := q.items != nil; behind != q.behind {
		q.behind = behind
		if behind {
			bursts.Add(1)
		} else {
			bursts.Add(-1)
		}
	}
	return it, ok
}

// busy reports whether something waits, or is being done.
func (q *queue) busy() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.running || q.items != nil
}

func isEvent(it item) bool { return it.kind == itemEvent }

// pop takes the first item. Called with mu held, on a queue that is not empty.
func (q *queue) pop() item {
	l := q.items
	it := l.list[l.head]
	l.list[l.head] = item{}
	l.head++
	switch {
	case l.head == len(l.list):
		q.items = nil
		l.release()
	case l.head >= maxPooledItems && l.head > len(l.list)/2:
		// One that never becomes empty must not grow for ever.
		n := copy(l.list, l.list[l.head:])
		clear(l.list[n:])
		l.list, l.head = l.list[:n], 0
	}
	return it
}

// dropEvents discards the events that wait, and all that come, and returns how many and of what size they were.
func (q *queue) dropEvents() (events, bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.drop = true
	l := q.items
	if l == nil {
		return 0, 0
	}
	q.items = nil // the list of many events is not kept for what is left, one or two
	for i, it := range l.list[l.head:] {
		l.list[l.head+i] = item{}
		if isEvent(it) {
			events, bytes = events+1, bytes+it.size()
			continue
		}
		if q.items == nil {
			q.items = itemLists.Get().(*items)
		}
		q.items.list = append(q.items.list, it)
	}
	l.release()
	return events, bytes
}

// release puts the list, which is of no use any more and all zero, back.
func (l *items) release() {
	if cap(l.list) <= maxPooledItems {
		l.list, l.head = l.list[:0], 0
		itemLists.Put(l)
	}
}

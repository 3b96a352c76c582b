package redis

import (
	"fmt"
	"sync"
	"time"
)

// op is a command of Redis that the publisher sends.
type op uint8

const (
	opPublish op = 1 + iota
	opSPublish
	opXAdd
	opSet // SET key value PX ttl
)

// command is one command on its way to Redis. It belongs to the outbox once put.
type command struct {
	op    op
	key   string // channel, stream or key
	route string // the key that decides which node of a Redis Cluster gets it
	data  []byte // payload, or value of opSet
	xadd  *entry // fields of opXAdd
	ttl   time.Duration
	was   string // what opSet may find there, if it was not done: the mark of an earlier claim
	// done, if not nil, is called once from the publisher, or from Close: with the id of a stream entry, or
	// with an error when the command was dropped. It must not block.
	done func(id string, err error)
	at   time.Time
	// urgent commands are heartbeats.
	urgent bool
}

// size is about what a command costs in memory, in bytes.
func (c *command) size() int {
	n := len(c.data) + len(c.key) + 160
	if c.xadd != nil {
		n += len(c.xadd.data) + len(c.xadd.nsp)
	}
	return n
}

// fits returns an error if c is for other nodes and has more than some bytes.
func (c *command) fits(bytes int) error {
	if n := c.size(); c.op != opSet && n > bytes {
		return fmt.Errorf("%w: %d bytes, and %d may be", ErrTooLarge, n, bytes)
	}
	return nil
}

// outbox is the bounded queue of commands. What does not fit is refused, which never blocks.
type outbox struct {
	maxMessages, maxBytes int
	wake                  chan struct{} // holds one token when something was put

	mu     sync.Mutex
	urgent []*command // heartbeats: before everything else, few by nature
	list   []*command
	bytes  int
	closed bool
	seq    uint64 // number of the last stream entry put
}

func newOutbox(messages, bytes int) *outbox {
	return &outbox{maxMessages: messages, maxBytes: bytes, wake: make(chan struct{}, 1)}
}

// put queues c. It returns errOutbox or ErrClosed when c was not taken.
func (o *outbox) put(c *command) error {
	c.at = time.Now()
	o.mu.Lock()
	switch {
	case o.closed:
		o.mu.Unlock()
		return ErrClosed
	case len(o.list) >= o.maxMessages || o.bytes > 0 && o.bytes+c.size() > o.maxBytes:
		o.mu.Unlock()
		return errOutbox
	}
	if c.xadd != nil { // here, so that numbers rise in the order of the queue
		o.seq++
		c.xadd.seq = o.seq
	}
	o.list = append(o.list, c)
	o.bytes += c.size()
	o.mu.Unlock()
	o.signal()
	return nil
}

// hurry queues c before everything else and whatever waits.
func (o *outbox) hurry(c *command) {
	c.at, c.urgent = time.Now(), true
	o.mu.Lock()
	if !o.closed {
		o.urgent = append(o.urgent, c)
	}
	o.mu.Unlock()
	o.signal()
}

func (o *outbox) signal() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// take moves at most n commands of at most size bytes, and one at least, from the queue to dst.
func (o *outbox) take(dst []*command, n, size int) []*command {
	o.mu.Lock()
	defer o.mu.Unlock()
	dst = append(dst, o.urgent...)
	clear(o.urgent)
	o.urgent = o.urgent[:0]
	k := 0
	for k < len(o.list) && k < n && (k == 0 || size > 0) {
		size -= o.list[k].size()
		o.bytes -= o.list[k].size()
		k++
	}
	dst = append(dst, o.list[:k]...)
	if k == len(o.list) {
		clear(o.list)
		o.list = o.list[:0]
		if cap(o.list) > 4096 {
			o.list = nil
		}
	} else {
		clear(o.list[:k])
		o.list = o.list[k:]
	}
	return dst
}

// untake puts commands that were taken back to the front. Heartbeats are not among them: they are
// out of date.
func (o *outbox) untake(list []*command) {
	o.mu.Lock()
	defer o.mu.Unlock()
	kept := make([]*command, 0, len(list)+len(o.list))
	for _, c := range list {
		if c.urgent {
			continue
		}
		o.bytes += c.size()
		kept = append(kept, c)
	}
	o.list = append(kept, o.list...)
}

// expire takes out what was put before old.
func (o *outbox) expire(old time.Time) (list []*command) {
	o.mu.Lock()
	defer o.mu.Unlock()
	k := 0
	for k < len(o.list) && o.list[k].at.Before(old) {
		o.bytes -= o.list[k].size()
		k++
	}
	list = append(list, o.list[:k]...)
	clear(o.list[:k])
	o.list = o.list[k:]
	return list
}

// close refuses further commands. What waits is still taken.
func (o *outbox) close() {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	o.signal()
}

func (o *outbox) isClosed() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.closed
}

// waiting returns what is in the queue.
func (o *outbox) waiting() (messages, bytes int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.list), o.bytes
}

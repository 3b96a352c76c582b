package redis

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/beanpole/beanpole/adapter"
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
	// done, if not nil, is called once from the publisher, or from Close: with the id of a stream entry or the
	// number of those that got a message, or with an error when the command was dropped. It must not block.
	done func(id string, err error)
	at   time.Time
	// urgent commands are heartbeats and letters.
	urgent bool

	// numbered commands carry a message of lane lane of the namespace nsp, and get a number. Of those that are
	// fleeting only the number is kept.
	numbered, fleeting bool
	nsp, lane          string
	number             uint64
	moved              bool // the master it was sent to is not the one it is for
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
	wake                  chan struct{}  // holds one token when something was put
	stamp                 func(*command) // gives a command its number
	of                    *outbox        // from which this one, of one master, gets its commands; nil for that itself
	by                    *sender        // of that master
	routing               sync.Mutex     // held while commands find their way to a master, or come back from one

	mu              sync.Mutex
	urgent          []*command // before everything else, few by nature
	list            []*command
	bytes           int
	closed          bool
	seqs            map[string]uint64 // by stream: number of the last entry put
	node            *redis.Client     // of a master, as it was last known
	away, awayBytes int               // guarded by mu; what senders have of it
	held            map[string]held   // guarded by mu; of that, what is in order, by route
}

// held is how many commands a sender has that go one way, and which.
type held struct {
	by *sender
	n  int
}

func newOutbox(messages, bytes int) *outbox {
	return &outbox{maxMessages: messages, maxBytes: bytes, wake: make(chan struct{}, 1), seqs: map[string]uint64{}, held: map[string]held{}}
}

// offer queues c, and counts it if it does not fit in. One of more than some bytes is refused, which is the caller's to tell:
// nothing is lost that somebody is told of.
func (o *outbox) offer(c *command, most int, stats *counters, st *state) error {
	if err := c.fits(most); err != nil {
		return err
	}
	err := o.put(c)
	if errors.Is(err, errOutbox) {
		stats.lost[lostFull].Add(1)
		st.set(PartOutbox, "", err)
		return fmt.Errorf("%w: %w", adapter.ErrDegraded, err)
	}
	return err
}

// put queues c. It returns errOutbox or ErrClosed when c was not taken.
func (o *outbox) put(c *command) error {
	c.at = time.Now()
	o.mu.Lock()
	switch {
	case o.closed:
		o.mu.Unlock()
		return ErrClosed
	case len(o.list)+o.away >= o.maxMessages || o.bytes+o.awayBytes > 0 && o.bytes+o.awayBytes+c.size() > o.maxBytes:
		o.mu.Unlock()
		return errOutbox
	}
	if c.xadd != nil { // here, so that numbers rise in the order of the queue
		o.seqs[c.key]++
		c.xadd.seq = o.seqs[c.key]
	}
	if c.numbered && o.stamp != nil {
		o.stamp(c)
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

// all moves everything from the queue to dst.
func (o *outbox) all(dst []*command) []*command { return o.take(dst, math.MaxInt, math.MaxInt) }

// push hands c, taken from the outbox of all, to that of its master. node may be nil for the one that is known.
func (o *outbox) push(c *command, node *redis.Client) {
	o.of.lend(nil, []*command{c}, o.by)
	o.mu.Lock()
	if node != nil {
		o.node = node
	}
	if c.urgent {
		o.urgent = append(o.urgent, c)
	} else {
		o.list = append(o.list, c)
		o.bytes += c.size()
	}
	o.mu.Unlock()
	o.signal()
}

// holder returns the sender that has something that goes a way, behind which other commands go; nil if none has.
func (o *outbox) holder(route string) *sender {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.held[route].by
}

// newest returns the node as it was last known, else node.
func (o *outbox) newest(node *redis.Client) *redis.Client {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.node != nil {
		return o.node
	}
	return node
}

// done notes that of the commands before, those of after are left.
func (o *outbox) done(before, after []*command) {
	if o.of == nil {
		return
	}
	o.of.lend(before, after, o.by)
}

// lend counts commands that are somewhere else, and those of before no more, against the bounds; and those that are in order
// by the way that they go, if a sender has them.
func (o *outbox) lend(before, after []*command, by *sender) {
	o.mu.Lock()
	count := func(list []*command, sign int) {
		o.away += sign * len(list)
		for _, c := range list {
			o.awayBytes += sign * c.size()
			if by == nil || c.urgent { // which may be overtaken
				continue
			}
			if n := o.held[c.route].n + sign; n > 0 {
				o.held[c.route] = held{by, n}
			} else {
				delete(o.held, c.route)
			}
		}
	}
	count(after, 1) // first: nothing that remains is nowhere
	count(before, -1)
	idle := o.away == 0
	o.mu.Unlock()
	if idle {
		o.signal()
	}
}

// elsewhere returns how many commands senders have of it.
func (o *outbox) elsewhere() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.away
}

// untake puts commands that were taken back to the front.
func (o *outbox) untake(list []*command) {
	o.mu.Lock()
	var back []*command
	for _, c := range list {
		if c.urgent {
			o.urgent = append(o.urgent, c)
			continue
		}
		o.bytes += c.size()
		back = append(back, c)
	}
	o.list = append(back, o.list...)
	o.mu.Unlock()
	o.signal()
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
	return len(o.list) + o.away, o.bytes + o.awayBytes
}

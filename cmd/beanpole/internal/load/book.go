package load

import (
	"errors"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	maxWaiting = 1000      // events of one session that are not answered; no more are sent then
	maxMissing = 1_000_000 // deliveries that are missed and may still come; more are lost at once
	maxCauses  = 20        // errors that are told apart
)

// outgoing is an event whose acknowledgement is waited for.
type outgoing struct {
	id   uint64 // of the acknowledgement, set when it is encoded
	seq  uint32
	join bool // is no part of the load
	due  time.Duration
}

// entry is what the book has of one session.
type entry struct {
	id     uint32
	row    int  // of broadcasts, -1 for none
	sender bool // of the row, who may or may not hear itself

	since time.Time // when it began to be waited for
	up    bool      // it is connected
	ready bool      // and in its room
	been  bool      // it was before
	gone  bool      // it leaves for good, and what comes is not counted

	waiting  map[uint64]*outgoing
	lastID   uint64
	seq      uint32 // of the last event
	answered uint32 // the highest number that was acknowledged

	last    uint32 // the highest number heard, 0 for none
	must    uint32 // the lowest that has to be, while it is ready
	missing map[uint32]struct{}
}

// tally counts messages of one kind.
type tally struct {
	Messages
	all, second, point *hdrhistogram.Histogram // microseconds
}

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, time.Hour.Microseconds(), 3)
}

func record(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(min(max(d.Microseconds(), 1), time.Hour.Microseconds())) // within its bounds
}

// arrived counts a message that has arrived.
func (t *tally) arrived(after time.Duration) {
	t.Arrived++
	record(t.all, after)
	record(t.second, after)
}

// book has what was sent, and what came of it. All its methods may be called at any time; it calls nobody.
type book struct {
	// Set by newBook, then read only.
	prefix    []byte
	began     time.Time
	unordered bool

	mu                 sync.Mutex
	events, broadcasts tally
	connect, reconnect *hdrhistogram.Histogram
	late               *hdrhistogram.Histogram // of sending
	entries            map[*entry]struct{}
	ids                uint32
	ready              int // entries that are
	missing            int // of all entries
	rows               []row
	refused, lost      map[string]uint64 // attempts to connect, and connections, by cause
	cuts, left         uint64
	points             []Point
	over               bool
}

func newBook(rows int, unordered bool) *book {
	b := &book{prefix: newPrefix(), began: time.Now(), unordered: unordered, rows: make([]row, rows), entries: map[*entry]struct{}{},
		refused: map[string]uint64{}, lost: map[string]uint64{}, connect: newHistogram(), reconnect: newHistogram(), late: newHistogram()}
	for _, t := range []*tally{&b.events, &b.broadcasts} {
		t.all, t.second, t.point = newHistogram(), newHistogram(), newHistogram()
	}
	return b
}

// enter begins an entry. It was due to connect then.
func (b *book) enter(row int, sender bool, due time.Time) *entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ids++
	e := &entry{id: b.ids, row: row, sender: sender, since: due, waiting: map[uint64]*outgoing{}, missing: map[uint32]struct{}{}}
	b.entries[e] = struct{}{}
	return e
}

// welcomed notes that a session is connected, and unless it has to join a room that it is there.
func (b *book) welcomed(e *entry, joins bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e.up = true
	if !joins {
		b.join(e)
	}
}

// join notes that a session is there. Called with mu held.
func (b *book) join(e *entry) {
	if e.ready || e.gone || b.over {
		return
	}
	h := b.connect
	if e.been {
		h = b.reconnect
	}
	record(h, time.Since(e.since))
	e.ready, e.been = true, true
	b.ready++
	if e.row >= 0 {
		e.must = b.rows[e.row].sent + 1
	}
}

// leave notes that a session is no longer connected. What its row's sender has sent, and nobody has heard, may have gone with it.
func (b *book) leave(e *entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over || e.gone {
		return
	}
	e.up = false
	if !e.ready {
		return
	}
	e.ready, e.since, e.must = false, time.Now(), 0
	b.ready--
	if e.sender {
		if r := &b.rows[e.row]; r.sent > r.heard {
			r.void = append(r.void, span{r.heard + 1, r.sent})
		}
	}
}

// part ends the entry of a session that is about to leave for good. What it waits for is cut off.
func (b *book) part(e *entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left++
	e.gone = true
	if e.ready {
		b.ready--
	}
	for _, o := range e.waiting {
		if !o.join {
			b.events.Cut++
		}
	}
	b.missing -= len(e.missing)
	b.broadcasts.Lost += uint64(len(e.missing))
	delete(b.entries, e)
}

// send numbers an event that was due then, unless too many of the session are not answered.
func (b *book) send(e *entry, due time.Time) (*outgoing, word, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	record(b.late, time.Since(due))
	if e.gone {
		return nil, word{}, false
	}
	if len(e.waiting) >= maxWaiting {
		b.events.Unsent++
		return nil, word{}, false
	}
	b.events.Sent++
	e.seq++
	o := &outgoing{seq: e.seq, due: due.Sub(b.began)}
	return o, word{e.id | ofSession, o.seq, o.due}, true
}

// encoded notes the id by which an event is acknowledged.
func (b *book) encoded(e *entry, o *outgoing, id uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o.id, e.lastID = id, max(e.lastID, id)
	e.waiting[id] = o
	if e.gone && !o.join {
		b.events.Cut++
	}
}

// acknowledged takes an acknowledgement.
func (b *book) acknowledged(e *entry, id uint64, data []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over || e.gone {
		return
	}
	o := e.waiting[id]
	delete(e.waiting, id)
	switch {
	case o == nil && id <= e.lastID:
		b.events.Doubled++
		return
	case o == nil:
		b.events.Wrong++
		return
	case o.join:
		b.join(e)
		return
	}
	if w, ok := find(data, b.prefix); ok && (w.row != e.id|ofSession || w.seq != o.seq) {
		b.events.Wrong++
	}
	if o.seq < e.answered && !b.unordered {
		b.events.Reordered++
	}
	e.answered = max(e.answered, o.seq)
	b.events.arrived(time.Since(b.began) - o.due)
}

// failed takes back an event whose connection has ended before the answer.
func (b *book) failed(e *entry, o *outgoing) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(e.waiting, o.id)
	if !b.over && !e.gone && !o.join {
		b.events.Cut++
	}
}

// withdraw takes back a message that was numbered last and not sent: its session has just left, or too much waits. o is nil for a
// broadcast.
func (b *book) withdraw(e *entry, o *outgoing, left bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := &b.events
	if o != nil {
		delete(e.waiting, o.id)
	} else {
		t = &b.broadcasts
		b.rows[e.row].sent--
	}
	t.Sent--
	if !left {
		t.Unsent++
	}
}

// behind counts messages that were due and that this process has not come to.
func (b *book) behind(t *tally, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t.Unsent += uint64(n)
}

// open reports whether anything may still come.
func (b *book) open() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for e := range b.entries {
		if len(e.waiting) > 0 || !e.sender && (len(e.missing) > 0 || e.ready && b.tail(e)) {
			return true
		}
	}
	return false
}

// close ends the book: with judge, what has not come by now is lost. Nothing is counted afterwards.
func (b *book) close(judge bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for e := range b.entries {
		if judge {
			for _, o := range e.waiting {
				switch {
				case o.join:
				case e.up:
					b.events.Lost++
				default: // it has not come back
					b.events.Cut++
				}
			}
			if e.ready && e.row >= 0 {
				b.miss(e, b.rows[e.row].sent+1)
			}
		}
		if !e.sender {
			b.broadcasts.Lost += uint64(len(e.missing))
		}
	}
	b.over = true
}

// count counts an error of a session by its cause, without what differs from one to the next: addresses, ports, ids.
func (b *book) count(to map[string]uint64, e *entry, err error) {
	if err == nil {
		err = errors.New("no cause given")
	}
	cause := err.Error()
	if u, ok := errors.AsType[*url.Error](err); ok {
		cause = u.Err.Error()
	}
	if n, ok := errors.AsType[syscall.Errno](err); ok {
		cause = n.Error()
	}
	cause = strings.Join(strings.Fields(cause), " ")
	cause = cause[:min(len(cause), 200)]
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, known := to[cause]; !known && len(to) >= maxCauses {
		cause = "others"
	}
	if !b.over && !e.gone {
		to[cause]++
	}
}

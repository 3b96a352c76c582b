package redis

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// reader reads one stream for all namespaces, from one goroutine, which holds one connection.
type reader struct {
	c      *Cluster
	stream string

	// Owned by run.
	feed    *feed              // nil without a connection
	windows map[string]*window // by source: its entries
	page    int64              // how many entries are read at once
	full    int                // how many reads in a row have brought ReadCount entries or more
	recent  []readEntry        // the last entries read
	next    int                // the oldest of recent, once there are maxRecent
	mark    streamID           // an entry that was read, by which it is seen whether what comes hangs together with it
	marked  int                // how many entries were read since
	looked  time.Time          // when was last looked how far behind it is
	seen    extent             // what the stream held when it was looked
	end     streamID           // its end at an earlier look, which is not reached yet
	caught  int64              // how many entries up to end were read since
	warned  time.Time          // when was last said that it is far
	emptied time.Time          // when was last said that the stream has lost what was read
	since   time.Time          // when it began
	start   streamID           // where it began; does not change once that is known
	checked time.Time          // when was last looked whether the stream has dropped anything since
	dropped bool               // it has

	open    atomic.Pointer[feed] // feed, for others to look at
	replies chan reply           // to a question for what is missing

	own       window // of this node
	places    places // for recoveries
	stretches stretches
	load      load

	mu      sync.Mutex
	tails   map[string]uint64 // by node: the number of its last entry, as it says
	lag     time.Duration     // how far it is behind the end of the stream
	pos     streamID          // of the last entry handled
	begun   bool              // pos is known
	changed chan struct{}
}

// readEntry is an entry that was read, and the window of who sent it.
type readEntry struct {
	id streamID
	w  *window
}

// streamID is the id of an entry of a stream.
type streamID struct{ ms, seq uint64 }

func parseStreamID(s string) (id streamID, ok bool) {
	ms, seq, ok := strings.Cut(s, "-")
	if !ok {
		return id, false
	}
	var err1, err2 error
	id.ms, err1 = strconv.ParseUint(ms, 10, 64)
	id.seq, err2 = strconv.ParseUint(seq, 10, 64)
	return id, err1 == nil && err2 == nil
}

// before returns the id before a, which no entry need have.
func (a streamID) before() streamID {
	if a.seq > 0 {
		return streamID{a.ms, a.seq - 1}
	}
	if a.ms > 0 {
		return streamID{a.ms - 1, 1<<64 - 1}
	}
	return a
}

func (a streamID) less(b streamID) bool { return a.ms < b.ms || a.ms == b.ms && a.seq < b.seq }

func (a streamID) String() string {
	return strconv.FormatUint(a.ms, 10) + "-" + strconv.FormatUint(a.seq, 10)
}

// streams returns the names of the streams; there are none in the other modes.
func (c *Config) streams() (list []string) {
	switch {
	case c.Mode != Streams:
	case c.StreamCount == 1:
		list = append(list, c.Stream)
	default:
		for i := range c.StreamCount {
			list = append(list, c.Stream+"-"+strconv.Itoa(i))
		}
	}
	return list
}

// at returns the id of the last entry handled, and a channel that is closed when it changes.
func (r *reader) at() (streamID, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changed == nil {
		r.changed = make(chan struct{})
	}
	return r.pos, r.changed
}

// where returns the id of the last entry handled, and whether it is known yet.
func (r *reader) where() (pos streamID, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pos, r.begun
}

func (r *reader) moveTo(id streamID) {
	r.mu.Lock()
	r.pos, r.begun = id, true
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
	r.mu.Unlock()
}

// ready returns when the reader knows where it stands.
func (r *reader) ready(ctx context.Context) error {
	for {
		_, changed := r.at()
		r.mu.Lock()
		begun := r.begun
		r.mu.Unlock()
		if begun {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-r.c.ctx.Done():
			return ErrClosed
		}
	}
}

// run reads until ctx is done.
func (r *reader) run(ctx context.Context) {
	defer r.leave()
	failed := 0
	for ctx.Err() == nil {
		err := r.read(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			failed = 0
			r.c.state.set(PartReading, r.stream, nil)
			continue
		}
		failed++
		r.c.state.set(PartReading, r.stream, err)
		pause(ctx, failed)
	}
}

// read finds out where the stream ends, the first time, and then waits for entries and handles them.
func (r *reader) read(ctx context.Context) error {
	if _, begun := r.where(); !begun {
		r.since = time.Now()
		last, err := r.last(ctx)
		if err != nil {
			return err
		}
		r.start, r.mark, r.recent = last, last, append(r.recent, readEntry{id: last})
		r.moveTo(last)
	}
	tails := r.told()
	// Not from "$": what is added between two reads would be lost.
	n, size := 0, 0
	err := again(ctx, func() (err error) {
		if r.feed == nil { // another Redis may have taken over
			if err := r.connect(ctx); err != nil {
				return err
			}
			if err := r.anew(ctx); err != nil {
				r.leave()
				return err
			}
		}
		pos, _ := r.where()
		n, size, err = r.pull(ctx, pos)
		return err
	})
	if err != nil {
		return err
	}
	if n == 0 {
		r.full = 0
		r.atEnd(ctx, tails)
		pos, _ := r.where()
		last, err := r.last(ctx)
		if last != pos { // not what the connection brings: it may be to a server that is the master no more
			r.leave()
		}
		return err
	}
	// Who is behind reads more at once: each read costs the way to Redis and back.
	if r.page = r.c.cfg.ReadCount; int64(n) >= r.c.cfg.ReadCount {
		r.page = max(1, min(4*int64(n), maxPage, int64(n)*maxPageBytes/int64(size+1)))
		if r.full++; r.full == 2 { // it has fallen behind since it was last looked
			r.looked = time.Time{}
		}
		r.behind(ctx, int64(n))
	} else {
		r.full = 0
		r.atEnd(ctx, tails)
	}
	return nil
}

// last returns the id of the last entry of the stream.
func (r *reader) last(ctx context.Context) (id streamID, err error) {
	err = again(ctx, func() error {
		list, err := r.c.client.XRevRangeN(ctx, r.stream, "+", "-", 1).Result()
		if err == nil && len(list) > 0 {
			id, _ = parseStreamID(list[0].ID)
		}
		return err
	})
	return id, err
}

// parseEntry reads the fields of an entry.
func parseEntry(values map[string]any) *entry {
	e := &entry{}
	e.uid, _ = values["uid"].(string)
	e.nsp, _ = values["nsp"].(string)
	e.data, _ = values["data"].(string)
	if s, ok := values["type"].(string); ok {
		n, _ := strconv.Atoi(s)
		e.kind = kind(n)
	}
	if s, ok := values[seqField].(string); ok {
		s, e.instance, _ = strings.Cut(s, ".")
		e.instance, _, e.dense = strings.Cut(e.instance, ".")
		e.seq, _ = strconv.ParseUint(s, 36, 64)
	}
	return e
}

// handle takes one entry, and returns about how large it is, in bytes.
func (r *reader) handle(ctx context.Context, b *brought) int {
	r.c.stats.received.Add(1)
	size := len(b.data) + keptCost
	r.load.read(size)
	done := func() { r.moveTo(b.id) }
	if !r.fresh(ctx, b) { // sent again although it had arrived
		r.c.stats.skipped.Add(1)
		r.places.repeat(b.id)
		done()
		return size
	}
	if n := r.c.of(b.nsp); n != nil && string(b.kind) == broadcastKind && string(b.uid) != r.c.uid && n.passes(b, done) {
		r.c.stats.skipped.Add(1)
		return size
	}
	r.hand(b.entry(), b.id, done)
	return size
}

// passes reports whether an event of another node concerns nobody here. Then done was called.
func (n *namespace) passes(b *brought, done func()) bool {
	if n.line != nil {
		return n.line.passes(b, done)
	}
	if !unwantedBody(&n.Local, b.data) {
		return false
	}
	done()
	return true
}

// hand hands an entry to its namespace. done is called when it has it.
func (r *reader) hand(e *entry, id streamID, done func()) {
	n := r.c.namespace(e.nsp)
	switch {
	case n == nil || e.uid == r.c.uid && n.line == nil:
		r.c.stats.skipped.Add(1)
	case n.line != nil && e.kind == kindBroadcast:
		n.line.arrived(e, id, done)
		return
	case e.uid == r.c.uid:
	default:
		m, err := decodeEntry(e)
		if err != nil {
			r.garbled(e, id, err)
		} else {
			n.handle(m)
		}
	}
	done()
}

// garbled notes an entry that could not be understood.
func (r *reader) garbled(e *entry, id streamID, err error) {
	if s := r.c.garbled([]byte(e.uid), err, "stream", r.stream, "id", id.String()); s != nil && e.seq > 0 {
		r.count(e.source(), lostGarbled, 1)
	}
}

// fresh reports whether an entry was not had before. What is missing before it is fetched first.
func (r *reader) fresh(ctx context.Context, e *brought) bool {
	source, seq, dense := e.source()
	if seq == 0 {
		r.remember(e.id, nil)
		return true
	}
	w := r.window(source)
	r.remember(e.id, w)
	asks := &source[0] == &e.uid[0] || isEmitter(source)
	if dense && seq > w.max+1 {
		switch {
		case string(source) == r.c.uid:
			if w.begins() {
				r.tear(w)
			}
		case w.begins(), asks && r.begin(ctx, string(source), w, seq):
			if !r.fetch(ctx, string(source), asks, w, seq-1) {
				r.mend(w, streamID{})
				r.c.garbled(source, errNumber, "stream", r.stream, "id", e.id.String())
				return false
			}
		}
	}
	if seq > w.max && w.torn.Load() {
		r.mend(w, e.id)
	}
	if w.take(seq) {
		return true
	}
	if now := time.Now(); asks && now.Sub(w.checked) > checkEvery && r.c.members.answers(string(source)) {
		w.checked = now
		if a := r.ask(ctx, string(source), w.max, 0, &tries{}); a != nil && a.never { // what came before with that number was not of it
			r.c.garbled(source, errNumber, "stream", r.stream, "id", e.id.String())
			w.max, w.missing = seq-1, nil
			return w.take(seq)
		}
	}
	return false
}

const (
	// maxPage and maxPageBytes bound what is read at once.
	maxPage = 5000
	// maxRecent is how many entries are remembered, to know a stream again.
	maxRecent    = 1024
	maxPageBytes = 4 << 20
)

package redis

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// reader reads one stream for all namespaces, from one goroutine, which holds one connection.
type reader struct {
	c      *Cluster
	stream string

	// Owned by run.
	seqs map[string]uint64 // node -> number of its last entry

	mu      sync.Mutex
	again   map[streamID]struct{} // guarded by mu; entries that repeat one before, as their node could not know
	pos     streamID              // of the last entry handled
	begun   bool                  // pos is known
	changed chan struct{}
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

func (a streamID) less(b streamID) bool { return a.ms < b.ms || a.ms == b.ms && a.seq < b.seq }

func (a streamID) String() string {
	return strconv.FormatUint(a.ms, 10) + "-" + strconv.FormatUint(a.seq, 10)
}

// startReaders starts a reader for each stream.
func (c *Cluster) startReaders() {
	for i := range c.cfg.StreamCount {
		name := c.cfg.Stream
		if c.cfg.StreamCount > 1 {
			name += "-" + strconv.Itoa(i)
		}
		r := &reader{c: c, stream: name, seqs: map[string]uint64{}}
		c.readers[name] = r
		c.wg.Go(func() { r.run(c.ctx) })
	}
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
	failed := 0
	for ctx.Err() == nil {
		err := r.read(ctx)
		if ctx.Err() != nil {
			return
		}
		part := "stream " + r.stream
		if err == nil {
			failed = 0
			r.c.state.set(part, nil)
			continue
		}
		failed++
		r.c.state.set(part, err)
		pause(ctx, failed)
		r.gap(ctx)
	}
}

// read finds out where the stream ends, the first time, and then waits for entries and handles them.
func (r *reader) read(ctx context.Context) error {
	r.mu.Lock()
	pos, begun := r.pos, r.begun
	r.mu.Unlock()
	if !begun {
		list, err := r.c.client.XRevRangeN(ctx, r.stream, "+", "-", 1).Result()
		if err != nil {
			return err
		}
		if len(list) > 0 {
			pos, _ = parseStreamID(list[0].ID)
		}
		r.moveTo(pos)
	}
	// Not from "$": what is added between two reads would be lost.
	res, err := r.c.client.XRead(ctx, &redis.XReadArgs{
		Streams: []string{r.stream, pos.String()}, Count: r.c.cfg.ReadCount, Block: r.c.cfg.BlockTime,
	}).Result()
	if errors.Is(err, redis.Nil) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, s := range res {
		for _, x := range s.Messages {
			r.handle(x)
		}
	}
	return nil
}

// gap says when the stream has lost entries, while it was out of reach, that were not read.
func (r *reader) gap(ctx context.Context) {
	r.mu.Lock()
	pos, begun := r.pos, r.begun
	r.mu.Unlock()
	if !begun || pos == (streamID{}) {
		return
	}
	list, err := r.c.client.XRangeN(ctx, r.stream, "-", "+", 1).Result()
	if err != nil || len(list) == 0 {
		return
	}
	if first, ok := parseStreamID(list[0].ID); ok && pos.less(first) {
		r.c.stats.lost[lostTrimmed].Add(1)
		r.c.cfg.Logger.Warn("the stream was trimmed before it was read", "stream", r.stream,
			"advice", "raise MaxStreamLen: it must hold what is sent during an outage")
	}
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
		e.seq, _ = strconv.ParseUint(s, 36, 64)
	}
	return e
}

// repeats notes an entry that is to be left out when the stream is read again, for a recovery.
func (r *reader) repeats(id streamID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.again == nil || len(r.again) > 10_000 { // of long ago
		r.again = map[streamID]struct{}{}
	}
	r.again[id] = struct{}{}
}

// repeated reports whether an entry repeats one before.
func (r *reader) repeated(id streamID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.again[id]
	return ok
}

// handle hands one entry to its namespace.
func (r *reader) handle(x redis.XMessage) {
	id, ok := parseStreamID(x.ID)
	if !ok {
		return
	}
	r.c.stats.received.Add(1)
	e := parseEntry(x.Values)
	n := r.c.namespace(e.nsp)
	done := func() { r.moveTo(id) }
	if e.seq > 0 {
		if e.seq <= r.seqs[e.source()] { // sent again although it had arrived
			r.c.stats.skipped.Add(1)
			r.repeats(id)
			done()
			return
		}
		if len(r.seqs) > 10_000 { // of nodes long gone
			clear(r.seqs)
		}
		r.seqs[e.source()] = e.seq
	}
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
			r.c.stats.malformed.Add(1)
			r.c.cfg.Logger.Debug("entry of the stream not understood", "stream", r.stream, "id", x.ID, "error", err)
		} else {
			n.handle(m)
		}
	}
	done()
}

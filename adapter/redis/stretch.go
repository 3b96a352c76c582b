package redis

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// A server that ends sends its clients elsewhere at once, and all of them have missed about the same. So what one of
// them reads of a stream is kept for a moment, for those who come with it or behind it.
const (
	// stretchLead is how far before what a client has a stretch begins: others may have a little less.
	stretchLead = 2 * time.Second
	// maxStretch is how many bytes of entries are kept of one, and keepStretch how long when nobody needs it any more.
	maxStretch  = 32 << 20
	keepStretch = 5 * time.Second
)

// stretch is a part of a stream that was read for recoveries.
type stretch struct {
	reading chan struct{} // held by who reads more of it

	mu      sync.Mutex
	lo, hi  streamID // the entries behind lo and up to hi, which is the last, if any was read
	entries []*passed
	bytes   int // of them
	read    int // in all
	page    int64
}

// passed is an entry of it.
type passed struct {
	*entry
	id streamID

	once sync.Once
	m    *message
	err  error
}

// message decodes the entry, once for all.
func (p *passed) message() (*message, error) {
	p.once.Do(func() { p.m, p.err = decodeEntry(p.entry) })
	return p.m, p.err
}

// stretches is that of a reader that is in use.
type stretches struct {
	mu    sync.Mutex
	last  *stretch
	timer *time.Timer
}

// from returns a stretch that has, or will have, what is behind an entry.
func (s *stretches) from(after streamID) *stretch {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer == nil {
		s.timer = time.AfterFunc(keepStretch, s.drop)
	}
	s.timer.Reset(keepStretch)
	if s.last != nil && s.last.begins(after) {
		return s.last
	}
	lo := streamID{ms: after.ms - min(after.ms, uint64(stretchLead.Milliseconds()))}
	s.last = &stretch{reading: make(chan struct{}, 1), lo: lo, hi: lo, page: firstPage}
	return s.last
}

// drop forgets it: nobody needs it, or Redis has another stream now.
func (s *stretches) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = nil
}

// begins reports whether it has what comes behind an entry.
func (s *stretch) begins(after streamID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !after.less(s.lo)
}

// behind returns the entries that it has behind one and up to another, and up to where these are all. ok is false if it has
// them no more.
func (s *stretch) behind(after, end streamID) (list []*passed, upto streamID, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if after.less(s.lo) {
		return nil, after, false
	}
	if upto = end; s.hi.less(end) {
		upto = s.hi
	}
	if !after.less(upto) {
		return nil, after, true
	}
	search := func(id streamID) int { // of the first entry behind
		i, _ := slices.BinarySearchFunc(s.entries, id, func(p *passed, id streamID) int { return 2*b2i(id.less(p.id)) - 1 })
		return i
	}
	return s.entries[search(after):search(upto)], upto, true
}

// passed returns entries of the stream behind one and up to another, some at least if there are any, and up to where these
// are all.
func (n *namespace) passed(ctx context.Context, after, end streamID) ([]*passed, streamID, error) {
	all := &n.line.r.stretches
	for {
		s := all.from(after)
		if list, upto, ok := s.behind(after, end); ok && after.less(upto) {
			return list, upto, nil
		}
		if err := n.extend(ctx, s, after, end); err != nil {
			return nil, after, err
		}
	}
}

// extend reads a page more of a stretch, unless somebody else has read what is behind an entry meanwhile.
func (n *namespace) extend(ctx context.Context, s *stretch, after, end streamID) error {
	select {
	case s.reading <- struct{}{}:
	case <-ctx.Done():
		return errCrowded
	}
	defer func() { <-s.reading }()
	if _, upto, ok := s.behind(after, end); !ok || after.less(upto) {
		return nil
	}
	from, page, read := s.hi, s.page, s.read // nobody else changes them
	begin := "(" + from.String()
	if read > 0 { // of two servers that are its masters for a moment, one has not what the other has given
		begin = from.String()
		page++
	}
	entries, err := n.entries(ctx, begin, end.String(), page, read)
	if err != nil {
		return err
	}
	linked := read == 0 || len(entries) > 0 && entries[0].ID == from.String()
	if linked && read > 0 {
		entries = entries[1:]
	}
	if !linked || len(entries) == 0 {
		n.line.r.stretches.drop()
		return errTorn
	}
	s.add(entries)
	return nil
}

// add takes in a page, and forgets the first ones for it.
func (s *stretch) add(entries []redis.XMessage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	size := 0
	for _, x := range entries {
		p := &passed{entry: parseEntry(x.Values)}
		p.id, _ = parseStreamID(x.ID)
		size += p.size()
		s.entries = append(s.entries, p)
		s.hi = p.id
	}
	s.bytes += size
	s.read += size
	s.page = nextPage(s.page, size)
	for s.bytes > maxStretch && len(s.entries) > len(entries) {
		s.bytes -= s.entries[0].size()
		s.lo = s.entries[0].id
		s.entries = s.entries[1:]
	}
}

func (p *passed) size() int { return len(p.data) + keptCost }

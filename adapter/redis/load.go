package redis

import "sync/atomic"

// loadParts is of how many parts MaxStreamBytes is made, and so how exactly it is kept.
const loadParts = 64

// load finds out how many of the last entries of a stream are MaxStreamBytes together. Every server reads them all, and
// has the stream trimmed to so many when it adds one.
type load struct {
	part   int64 // bytes
	bytes  int64 // of the last part so far
	parts  []int64
	latest int64 // entries of the last part
	most   atomic.Int64
}

// read takes in the size of the next entry. Called by one goroutine.
func (l *load) read(size int) {
	l.latest++
	if l.bytes += int64(size); l.bytes < l.part {
		return
	}
	for range min(l.bytes/l.part, loadParts) {
		l.parts = append(l.parts, l.latest)
		l.latest = 0
	}
	l.bytes %= l.part
	if len(l.parts) < loadParts {
		return
	}
	l.parts = append(l.parts[:0], l.parts[len(l.parts)-loadParts:]...)
	most := int64(0)
	for _, n := range l.parts {
		most += n
	}
	l.most.Store(max(1, most))
}

// maxLen is how many entries the stream may have.
func (r *reader) maxLen() int64 {
	if most := r.load.most.Load(); most > 0 {
		return min(most, r.c.cfg.MaxStreamLen)
	}
	return r.c.cfg.MaxStreamLen
}

// maxLen is how many entries a stream may have.
func (c *Cluster) maxLen(stream string) int64 {
	if r := c.readers[stream]; r != nil {
		return r.maxLen()
	}
	return c.cfg.MaxStreamLen
}

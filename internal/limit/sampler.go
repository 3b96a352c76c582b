package limit

import (
	"sync"
	"time"
)

// LinesPerSecond is how many of the same kind of event a Sampler lets through.
const LinesPerSecond = 10

// Sampler lets some of what clients can make happen as often as they like through to the log, and tells how
// much it left out. The zero Sampler is ready; its methods may be called from any goroutine.
type Sampler struct {
	mu      sync.Mutex
	bucket  Bucket // guarded by mu
	leftOut uint64 // guarded by mu; since the last one that was let through
}

// Sample reports whether this one gets a line, and how many before it got none.
func (s *Sampler) Sample(now time.Time) (leftOut uint64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bucket.rate == 0 {
		s.bucket = NewBucket(LinesPerSecond, 1)
	}
	if !s.bucket.Take(now) {
		s.leftOut++
		return 0, false
	}
	leftOut, s.leftOut = s.leftOut, 0
	return leftOut, true
}

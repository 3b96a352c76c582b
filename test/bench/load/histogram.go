package load

import (
	"math/bits"
	"time"
)

// Histogram counts durations with an error of at most 1.6 %. The zero Histogram is empty.
type Histogram struct {
	counts [64 * steps]uint32
	n      uint64
	max    time.Duration
}

// steps is the number of buckets between a power of two and the next.
const steps = 64

func bucketOf(ns uint64) int {
	if ns < steps {
		return int(ns)
	}
	exp := bits.Len64(ns) - 7 // ns>>exp is in [64, 128)
	return (exp+1)*steps + int(ns>>exp) - steps
}

func bucketValue(i int) uint64 {
	if i < steps {
		return uint64(i)
	}
	exp := i/steps - 1
	return uint64(i%steps+steps)<<exp + 1<<exp/2
}

// Add counts d.
func (h *Histogram) Add(d time.Duration) {
	d = max(d, 0)
	h.counts[bucketOf(uint64(d))]++
	h.n++
	h.max = max(h.max, d)
}

// Quantile returns the duration that a part q of all do not exceed, zero when there are none.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank, sum := uint64(q*float64(h.n)), uint64(0)
	for i, c := range h.counts {
		if sum += uint64(c); c > 0 && sum > rank {
			return min(time.Duration(bucketValue(i)), h.max)
		}
	}
	return h.max
}

// Count returns how many were counted.
func (h *Histogram) Count() uint64 { return h.n }

// Max returns the longest.
func (h *Histogram) Max() time.Duration { return h.max }

package redis

import (
	"context"
	"errors"
	"sync"
	"time"
)

// A client that comes back is worth reading the whole stream for, if it says that it has missed all of it. So what
// recoveries read is bounded for all of them together: how many ask Redis at a time, and, beyond the first mebibyte of each,
// how much. Those that have read little come first: each page waits for its turn anew.
const (
	// maxReading is how many recoveries read a page at a time.
	maxReading = 4
	// pageEvery is how often one reads a page, of about a mebibyte, behind its first mebibyte; readBurst how much of that may be
	// caught up with.
	pageEvery = time.Second / 32
	readBurst = 2 * time.Second
)

// errCrowded says that a recovery had no turn in time: that is no fault of Redis.
var errCrowded = errors.New("too much is being read for other clients that come back")

// reads is what recoveries read.
type reads struct {
	turns chan struct{}

	mu   sync.Mutex
	next time.Time // when what has been read is paid for
}

func newReads() *reads { return &reads{turns: make(chan struct{}, maxReading)} }

// begin waits for a turn to read a page, for a recovery that has read some bytes. end gives it back.
func (r *reads) begin(ctx context.Context, bytes int) error {
	if bytes >= pageBytes && !sleep(ctx, r.pace(time.Now())) {
		return errCrowded
	}
	select {
	case r.turns <- struct{}{}:
		return nil
	case <-ctx.Done():
		return errCrowded
	}
}

func (r *reads) end() { <-r.turns }

// pace returns how long the next page has to wait.
func (r *reads) pace(now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next.Before(now.Add(-readBurst)) {
		r.next = now.Add(-readBurst)
	}
	r.next = r.next.Add(pageEvery)
	return r.next.Sub(now)
}

// firstPage is how many entries are read at once before it is known how large they are.
const firstPage = 16

// pageBytes is about how many bytes the others have.
const pageBytes = 1 << 20

// nextPage is how many are to be read at once behind that many of some bytes together.
func nextPage(n int64, bytes int) int64 {
	return max(1, min(2*n, 500, n*pageBytes/int64(bytes+1)))
}

package limit

import "time"

// Tally counts how often each key did something of late. Each time is forgotten after a while, one after the
// other. It has the bounds of a Table. Made by NewTally; its methods may be called from any goroutine.
type Tally struct {
	max   int
	table Table
}

// NewTally returns a Tally that counts to max, and has forgotten as many after within.
func NewTally(max int, within time.Duration) *Tally {
	full := Bucket{rate: float64(max) / within.Seconds(), size: float64(max), tokens: float64(max)}
	return &Tally{max, newTable(full, within)}
}

// Add counts one more, unless there are max.
func (t *Tally) Add(key string, now time.Time) { t.table.Take(key, now) }

// Count returns how many there are, from 0 to max. Asking takes no room.
func (t *Tally) Count(key string, now time.Time) int {
	t.table.mu.Lock()
	defer t.table.mu.Unlock()
	b := t.table.bucket(key)
	b.fill(now)
	return t.max - int(b.tokens)
}

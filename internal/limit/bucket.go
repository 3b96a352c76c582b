package limit

import (
	"crypto/sha256"
	"sync"
	"time"
)

// Bucket limits a rate: so many tokens a second, and no more at once than it holds. The zero Bucket always
// has one. Not safe for concurrent use.
type Bucket struct {
	rate   float64 // tokens per second; zero means no limit
	size   float64
	tokens float64
	last   time.Time
}

// NewBucket returns a full bucket of perSecond tokens a second that holds as much as comes in so many
// seconds. Zero per second means no limit.
func NewBucket(perSecond, seconds int) Bucket {
	size := float64(perSecond) * float64(seconds)
	return Bucket{rate: float64(perSecond), size: size, tokens: size}
}

// Take takes a token and reports whether there was one. A nil Bucket always has one.
func (b *Bucket) Take(now time.Time) bool { return b.Wait(now) == 0 }

// Wait takes a token and returns zero, or takes none and returns how long it is until there is one.
func (b *Bucket) Wait(now time.Time) time.Duration {
	if b == nil || b.rate == 0 {
		return 0
	}
	b.fill(now)
	if b.tokens < 1 {
		return max(time.Duration((1-b.tokens)/b.rate*float64(time.Second)), 1)
	}
	b.tokens--
	return 0
}

// fill adds the tokens that have come since the last time.
func (b *Bucket) fill(now time.Time) {
	if !b.last.IsZero() {
		b.tokens = min(b.size, b.tokens+max(0, now.Sub(b.last).Seconds())*b.rate)
	}
	b.last = now
}

// MaxKeys is how many keys a Table holds at most.
const MaxKeys = 1 << 17

// maxKey is the length from which a key is kept as its hash: clients may be able to choose keys, such as the
// name of an account that nobody checks.
const maxKey = 64

// short returns what key is kept as.
func short(key string) string {
	if len(key) <= maxKey {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return string(sum[:])
}

// Table is a Bucket for each key. A nil Table always has a token. Its methods may be called from any
// goroutine.
type Table struct {
	// Set when the table is made, then read only.
	full  Bucket        // of a key that has not been used
	until time.Duration // how long an empty bucket takes to be full
	half  int           // of the keys

	mu sync.Mutex
	// Guarded by mu.
	current, before map[string]Bucket
	turned          time.Time // when current was begun
}

// NewTable returns a table of buckets as NewBucket makes them, or nil when perSecond is zero.
func NewTable(perSecond, seconds int) *Table {
	if perSecond == 0 {
		return nil
	}
	t := newTable(NewBucket(perSecond, seconds), time.Duration(seconds)*time.Second)
	return &t
}

func newTable(full Bucket, until time.Duration) Table {
	return Table{full: full, until: until, half: MaxKeys / 2}
}

// Take takes a token of the key and reports whether there was one.
func (t *Table) Take(key string, now time.Time) bool {
	if t == nil {
		return true
	}
	key = short(key)
	t.mu.Lock()
	defer t.mu.Unlock()
	// After so long a bucket that nobody has used is full, and as good as a new one.
	if t.current == nil || now.Sub(t.turned) > t.until || len(t.current) >= t.half {
		t.current, t.before, t.turned = make(map[string]Bucket), t.current, now
	}
	b := t.bucket(key)
	ok := b.Take(now)
	t.current[key] = b
	return ok
}

// bucket returns the key's. Called with mu held.
func (t *Table) bucket(key string) Bucket {
	if b, ok := t.current[key]; ok {
		return b
	}
	if b, ok := t.before[key]; ok {
		return b
	}
	return t.full
}

// Len returns how many keys the table holds. A key of both generations counts twice.
func (t *Table) Len() int {
	if t == nil {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.current) + len(t.before)
}

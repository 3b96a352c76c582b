package limit

import (
	"sync"

	"github.com/beanpole/beanpole/internal/shrink"
)

// Holders bounds how many different holders a key has. A holder may hold its key several times. Its methods
// may be called from any goroutine.
type Holders[H comparable] struct {
	max int // zero means no limit, and then nothing is counted

	mu    sync.Mutex
	byKey map[string]map[H]int // guarded by mu; how often each holds it
	had   shrink.Map[string, map[H]int]
}

// NewHolders returns an empty Holders that lets a key have max of them. Zero means no limit.
func NewHolders[H comparable](max int) *Holders[H] {
	return &Holders[H]{max: max, byKey: make(map[string]map[H]int)}
}

// Enter makes h a holder of key, once more if it is one, and reports whether there was room. Leave is called
// once for each true.
func (s *Holders[H]) Enter(key string, h H) bool {
	if s.max == 0 {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	holders := s.byKey[key]
	if holders[h] == 0 && len(holders) >= s.max {
		return false
	}
	if holders == nil {
		holders = make(map[H]int, 1)
		s.byKey[key] = holders
	}
	holders[h]++
	return true
}

// Leave takes back one Enter.
func (s *Holders[H]) Leave(key string, h H) {
	if s.max == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	holders := s.byKey[key]
	if holders[h]--; holders[h] <= 0 {
		delete(holders, h)
	}
	if len(holders) == 0 {
		s.byKey = s.had.Delete(s.byKey, key)
	}
}

// Max returns how many holders a key may have; zero means any number.
func (s *Holders[H]) Max() int { return s.max }

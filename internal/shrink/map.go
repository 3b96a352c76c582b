package shrink

import "maps"

const (
	// least is how many keys a map has had at least that is made anew.
	least = 1024
	// times is how many times as many it has had.
	times = 8
)

// Map is the memory of how large a map has been. The zero value is that of a map that is empty.
type Map[K comparable, V any] struct{ most int }

// Delete deletes a key of m, and returns m, or a new map with what is left when that is little beside what it had. It
// has the lock that guards m.
func (s *Map[K, V]) Delete(m map[K]V, key K) map[K]V {
	s.most = max(s.most, len(m))
	delete(m, key)
	if s.most < least || len(m) > s.most/times {
		return m
	}
	s.most = len(m)
	left := make(map[K]V, len(m))
	maps.Copy(left, m)
	return left
}

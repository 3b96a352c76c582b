package shrink

import (
	"runtime"
	"testing"
)

// heap returns the bytes that are in use.
func heap() uint64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

// A map that was large keeps what is left, and gives the room of the rest back.
func TestRoomIsGivenBack(t *testing.T) {
	const n, left = 500_000, 10
	before := heap()
	m, s := map[int]int{}, Map[int, int]{}
	for i := range n {
		m[i] = i
	}
	full := heap() - before
	for i := left; i < n; i++ {
		m = s.Delete(m, i)
	}
	if kept := int64(heap()) - int64(before); kept > int64(full/20) {
		t.Errorf("%d bytes of %d are kept", kept, full)
	}
	for i := range left {
		if m[i] != i {
			t.Errorf("m[%d] = %d", i, m[i])
		}
	}
	if len(m) != left {
		t.Errorf("%d keys are left", len(m))
	}
}

// One that grows and shrinks by as much again and again is not copied each time.
func TestFewAreCopied(t *testing.T) {
	m, s := map[int]int{}, Map[int, int]{}
	for i := range 4 * least {
		m[i] = i
	}
	same := func(a, b map[int]int) bool { a[-1] = 1; defer delete(a, -1); _, ok := b[-1]; return ok }
	copies := 0
	for i := range 4 * least {
		left := s.Delete(m, i)
		if !same(left, m) {
			copies++
		}
		m = left
	}
	if copies > 2 {
		t.Errorf("%d copies", copies)
	}
}

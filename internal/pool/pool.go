package pool

import (
	"math/bits"
	"sync"
)

const (
	// Min is the size from which room is pooled, in bytes. Smaller messages have room of their own elsewhere.
	Min = 8 << 10
	// Max is the size up to which it is.
	Max = 1 << 20

	minBits = 13 // of Min
	steps   = 4  // classes of each doubling
)

// pools are for room of Min<<(i/steps) and i%steps quarters of that more.
var pools [7*steps + 1]sync.Pool

// class returns the class of the smallest room for n bytes, from Min to Max, and its size.
func class(n int) (i, size int) {
	if n <= Min {
		return 0, Min
	}
	doubling := bits.Len(uint(n-1)) - 1 //nolint:gosec // positive
	step := 1 << doubling / steps
	quarters := (n-1-1<<doubling)/step + 1
	return (doubling-minBits)*steps + quarters, 1<<doubling + quarters*step
}

// Take returns an empty slice with room for n bytes at least.
func Take(n int) []byte {
	if n > Max {
		return make([]byte, 0, n)
	}
	i, size := class(n)
	if b, ok := pools[i].Get().(*[]byte); ok {
		return (*b)[:0]
	}
	return make([]byte, 0, size)
}

// Put gives back room that nobody uses any more, made by Take or not.
func Put(b []byte) {
	c := cap(b)
	if c < Min || c > Max {
		return
	}
	i, size := class(c)
	if size > c { // not one of ours: it has room for the class below
		i--
	}
	b = b[:0]
	pools[i].Put(&b)
}

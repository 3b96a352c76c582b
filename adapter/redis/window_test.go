package redis

import "testing"

// A number counts once, in whatever order they come.
func TestWindow(t *testing.T) {
	w := &window{}
	for _, x := range []struct {
		seq     uint64
		fresh   bool
		skipped uint64
	}{{5, true, 0}, {6, true, 0}, {5, false, 0}, {9, true, 2}, {8, true, 0}, {8, false, 0}, {7, true, 0}, {7, false, 0}, {10, true, 0}, {3, false, 0},
		{1 << 40, true, 1<<40 - 11}, {1<<40 - 1, true, 0}, {12, false, 0}} {
		if fresh, skipped := w.take(x.seq); fresh != x.fresh || skipped != x.skipped {
			t.Errorf("take(%d) = %v, %d", x.seq, fresh, skipped)
		}
	}
}

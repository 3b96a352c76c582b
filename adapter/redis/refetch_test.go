package redis

import "testing"

// A number counts once, in whatever order they come.
func TestWindow(t *testing.T) {
	w := &window{}
	for _, x := range []struct {
		seq   uint64
		fresh bool
	}{{5, true}, {6, true}, {5, false}, {9, true}, {8, true}, {8, false}, {7, true}, {7, false}, {10, true}, {3, false},
		{1 << 40, true}, {1<<40 - 1, true}, {12, false}} {
		if fresh := w.take(x.seq); fresh != x.fresh {
			t.Errorf("take(%d) = %v", x.seq, fresh)
		}
	}
}

package pool

import "testing"

// What is taken has room for what was asked for, and no more than a quarter beyond, whatever was put back before.
func TestRoomIsLargeEnough(t *testing.T) {
	for n := 1; n <= Max+Max/8; n += 1 + n/97 {
		Put(make([]byte, n))
		for range 2 {
			b := Take(n)
			if len(b) != 0 || cap(b) < n {
				t.Fatalf("Take(%d) has %d of %d bytes", n, len(b), cap(b))
			}
			if c := cap(Take(n)); n >= Min && n <= Max && c > n+n/2 {
				t.Fatalf("Take(%d) has room for %d", n, c)
			}
			Put(b)
		}
	}
}

func TestClassesAreInOrder(t *testing.T) {
	last, lastSize := -1, 0
	for n := Min; n <= Max; n++ {
		i, size := class(n)
		if size < n || i < last || i > last+1 || (i > last) != (size > lastSize) || i >= len(pools) {
			t.Fatalf("class(%d) = %d, of %d; before it %d, of %d", n, i, size, last, lastSize)
		}
		last, lastSize = i, size
	}
	if last != len(pools)-1 {
		t.Errorf("the last class is %d of %d", last, len(pools))
	}
}

package adapter_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/beanpole/beanpole/adapter"
)

func TestSequenceRunsInOrderAndWithoutDeadlock(t *testing.T) {
	var s adapter.Sequence
	var got []int
	s.Put(func() {
		got = append(got, 1)
		s.Put(func() { got = append(got, 3) })
		s.Run() // from within: nothing happens now
		got = append(got, 2)
	})
	s.Run()
	if !slices.Equal(got, []int{1, 2, 3}) {
		t.Errorf("ran %v", got)
	}
}

func TestSequenceRunsEverythingOnce(t *testing.T) {
	var s adapter.Sequence
	n := 0
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				s.Wait(func() { n++ })
			}
		})
	}
	wg.Wait()
	if n != 8000 {
		t.Errorf("ran %d of 8000", n)
	}
}

func TestSequenceGoesOnAfterAPanic(t *testing.T) {
	var s adapter.Sequence
	func() {
		defer func() { _ = recover() }()
		s.Put(func() { panic("x") })
		s.Run()
	}()
	ran := false
	s.Wait(func() { ran = true })
	if !ran {
		t.Error("did not run")
	}
}

package main

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestRefusedTriesCompareNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLogins()
		compared := 0
		wrong := func() bool { compared++; return false }
		right := func() bool { return true }
		for i := range 200 {
			if _, err := l.try(t.Context(), "2001:db8::1", "ada", wrong); (err != nil) != (i >= maxPerAddress) {
				t.Fatalf("try %d: %v", i, err)
			}
		}
		if compared != maxPerAddress {
			t.Errorf("%d passwords are compared, want %d", compared, maxPerAddress)
		}
		for range 2 * maxPerAddress { // who is right has not failed
			if ok, err := l.try(t.Context(), "192.0.2.1", "ada", right); !ok || err != nil {
				t.Fatalf("from elsewhere: %v, %v", ok, err)
			}
		}
		time.Sleep(window)
		if ok, err := l.try(t.Context(), "2001:db8::1", "ada", right); !ok || err != nil {
			t.Errorf("a minute later: %v, %v", ok, err)
		}
	})
}

func TestOwnerComesInWhileOthersGuess(t *testing.T) {
	l := newLogins()
	right, wrong := func() bool { return true }, func() bool { return false }
	if ok, _ := l.try(t.Context(), "192.0.2.1", "ada", right); !ok {
		t.Fatal("refused at first")
	}
	for i := range maxPerName {
		if _, err := l.try(t.Context(), fmt.Sprint("198.51.100.", i), "ada", wrong); err != nil {
			t.Fatal(i, err)
		}
	}
	for i := range maxPerAddress { // a stranger has one guess now
		if _, err := l.try(t.Context(), "203.0.113.2", "ada", wrong); errors.Is(err, errTries) != (i > 0) {
			t.Errorf("guess %d: %v", maxPerName+i, err)
		}
	}
	if ok, err := l.try(t.Context(), "203.0.113.3", "ada", right); !ok || err != nil {
		t.Errorf("the owner in a new place: %v, %v", ok, err)
	}
	if ok, err := l.try(t.Context(), "192.0.2.1", "ada", right); !ok || err != nil {
		t.Errorf("the owner: %v, %v", ok, err)
	}
	if ok, err := l.try(t.Context(), "203.0.113.1", "grace", right); !ok || err != nil {
		t.Errorf("another: %v, %v", ok, err)
	}
}

func TestTriesDoNotPileUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLogins()
		var running, busy atomic.Int32
		release := make(chan struct{})
		for i := range 200 {
			go func() {
				_, err := l.try(t.Context(), fmt.Sprint("192.0.2.", i), fmt.Sprint(i), func() bool {
					running.Add(1)
					<-release
					return false
				})
				if errors.Is(err, errBusy) {
					busy.Add(1)
				}
			}()
		}
		synctest.Wait()
		if r, b := running.Load(), busy.Load(); r > maxHashing || b < 200-maxHashing-maxQueued {
			t.Errorf("%d are compared, %d refused at once", r, b)
		}
		time.Sleep(maxQueuedTime)
		synctest.Wait()
		if b := busy.Load(); b != 200-maxHashing {
			t.Errorf("%d are refused in the end, want all but %d", b, maxHashing)
		}
		close(release)
		synctest.Wait()
		if ok, err := l.try(t.Context(), "192.0.2.1", "1", func() bool { return true }); !ok || err != nil {
			t.Errorf("afterwards: %v, %v", ok, err)
		}
	})
}

func TestOwnerWaitsWhereStrangersAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLogins()
		right := func() bool { return true }
		if ok, _ := l.try(t.Context(), "203.0.113.1", "ada", right); !ok {
			t.Fatal("refused at first")
		}
		release := make(chan struct{})
		for i := range 2 * (maxHashing + maxQueued) {
			go func() {
				_, _ = l.try(t.Context(), fmt.Sprint("192.0.2.", i), "", func() bool { <-release; return false })
			}()
		}
		synctest.Wait()
		if _, err := l.try(t.Context(), "203.0.113.2", "ada", right); !errors.Is(err, errBusy) {
			t.Errorf("a stranger: %v", err)
		}
		owner := make(chan error, 1)
		go func() {
			_, err := l.try(t.Context(), "203.0.113.1", "ada", right)
			owner <- err
		}()
		synctest.Wait()
		close(release)
		if err := <-owner; err != nil {
			t.Errorf("the owner: %v", err)
		}
		synctest.Wait()
	})
}

func TestMapsOfTriesAreBounded(t *testing.T) {
	l := newLogins()
	for i := range maxKeys + 100 {
		_, _ = l.try(t.Context(), fmt.Sprint("192.0.2.", i), fmt.Sprint(i), func() bool { return i%2 == 0 })
	}
	if a, b, c := len(l.byNetwork), len(l.byName), len(l.known); a > maxKeys || b > maxKeys || c > maxKeys {
		t.Errorf("%d networks, %d names, %d known", a, b, c)
	}
}

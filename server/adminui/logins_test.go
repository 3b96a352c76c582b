package adminui

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beanpole/beanpole/internal/limit"
)

var (
	rightLogin = &credentials{Username: "ada", Password: "right"}
	wrongLogin = &credentials{Username: "ada", Password: "wrong"}
)

// testLogins returns logins of ada whose comparisons take as long as bcrypt's with a cost of 10 or so.
func testLogins(compared *atomic.Int64) *logins {
	l := newLogins("ada", "right")
	l.compare = func(hash, password []byte) error {
		time.Sleep(60 * time.Millisecond)
		compared.Add(1)
		if string(hash) != string(password) {
			return errors.New("another")
		}
		return nil
	}
	return l
}

// guessing has so many addresses each send a wrong password, all at once, and returns when they wait.
func guessing(ctx context.Context, l *logins, addresses int, answers *[3]atomic.Int64) {
	for i := range addresses {
		go func() {
			switch err := l.check(ctx, fmt.Sprintf("2001:db8:%x:%x::1", i>>16, i&0xffff), wrongLogin); {
			case errors.Is(err, errCredentials):
				answers[0].Add(1)
			case errors.Is(err, errBusy):
				answers[1].Add(1)
			case errors.Is(err, context.Canceled):
				answers[2].Add(1)
			}
		}()
	}
	synctest.Wait()
}

func TestGuessesOfOneNetworkAreOneClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var compared atomic.Int64
		l := testLogins(&compared)
		for i := range maxFailures {
			if err := l.check(t.Context(), fmt.Sprintf("2001:db8::%x", i), wrongLogin); !errors.Is(err, errCredentials) {
				t.Errorf("guess %d: %v", i, err)
			}
		}
		if err := l.check(t.Context(), "2001:db8::ffff:ffff", rightLogin); !errors.Is(err, errGuesses) {
			t.Errorf("the eleventh of the network: %v", err)
		}
		if n := compared.Load(); n != maxFailures {
			t.Errorf("%d passwords were compared, want %d", n, maxFailures)
		}
		if err := l.check(t.Context(), "2001:db8:0:1::1", rightLogin); err != nil {
			t.Errorf("another network: %v", err)
		}
		time.Sleep(failureWindow / maxFailures * 2)
		if err := l.check(t.Context(), "2001:db8::1", rightLogin); err != nil {
			t.Errorf("when a failure is forgotten: %v", err)
		}
	})
}

// Who has not failed is let in, whoever else has, and however often.
func TestGuessersLockOutNobodyElse(t *testing.T) {
	for _, seen := range []bool{false, true} {
		l := newLogins("ada", "right")
		l.compare = func(hash, password []byte) error {
			if string(hash) != string(password) {
				return errors.New("another")
			}
			return nil
		}
		if seen {
			if err := l.check(t.Context(), "192.0.2.1", rightLogin); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 15_000 {
			if err := l.check(t.Context(), fmt.Sprintf("2001:db8:%x:%x::1", i>>16, i&0xffff), wrongLogin); !errors.Is(err, errCredentials) {
				t.Fatalf("guess %d: %v", i, err)
			}
		}
		for range 20 { // tabs of one office
			if err := l.check(t.Context(), "192.0.2.7", rightLogin); err != nil {
				t.Errorf("%v", err)
			}
		}
	}
}

func TestRightPasswordOvertakesGuesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var compared atomic.Int64
		var answers [3]atomic.Int64
		l := testLogins(&compared)
		ctx, cancel := context.WithCancel(t.Context())
		for range 3 { // the same addresses again and again
			guessing(ctx, l, 500, &answers)
		}
		before := compared.Load()
		if err := l.check(t.Context(), "192.0.2.7", rightLogin); err != nil {
			t.Error(err)
		}
		if n := compared.Load() - before; n > 2 { // one that was under way, and its own
			t.Errorf("%d passwords were compared before the right one was", n)
		}
		cancel()
		synctest.Wait()

		// From then on nobody's comparison is waited for, not even one's own.
		before = compared.Load()
		guessing(t.Context(), l, 500, &answers)
		for _, addr := range []string{"192.0.2.7", "192.0.2.8"} {
			if err := l.check(t.Context(), addr, rightLogin); err != nil {
				t.Error(err)
			}
		}
		if n := compared.Load(); n != before {
			t.Errorf("%d passwords were compared though the right one is known", n-before)
		}
	})
}

// Strangers with any number of addresses do not keep out who has not failed, who is let in at the first try.
func TestStreamOfGuessesLocksNobodyOut(t *testing.T) {
	for name, c := range map[string]struct {
		perSecond int
		address   func(i int) string
	}{
		"a network of IPv4, in turn": {80, func(i int) string { return fmt.Sprintf("198.51.100.%d", i%254) }},
		"a /56 of IPv6, in turn":     {30, func(i int) string { return fmt.Sprintf("2001:db8:0:%x::1", i%256) }},
		"always a new one":           {250, func(i int) string { return fmt.Sprintf("10.%d.%d.%d", i&255, i>>8&255, i>>16) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var compared atomic.Int64
				l := testLogins(&compared)
				ctx, cancel := context.WithCancel(t.Context())
				var all sync.WaitGroup
				defer all.Wait()
				defer cancel()
				all.Go(func() {
					for i := 0; ctx.Err() == nil; i++ {
						all.Go(func() { _ = l.check(ctx, c.address(i), wrongLogin) })
						time.Sleep(time.Second / time.Duration(c.perSecond))
					}
				})
				time.Sleep(30 * time.Second)
				start := time.Now()
				if err := l.check(t.Context(), "192.0.2.7", rightLogin); err != nil {
					t.Errorf("after %v: %v", time.Since(start), err)
				}
			})
		})
	}
}

func TestQueueOfLoginsIsBoundedAndLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var compared atomic.Int64
		var answers [3]atomic.Int64
		l := testLogins(&compared)
		ctx, cancel := context.WithCancel(t.Context())
		guessing(ctx, l, 10_000, &answers)
		if n := answers[1].Load(); n != 10_000-1-maxWaiting {
			t.Errorf("%d of 10,000 were told to try again, want all but one and the %d that may wait", n, maxWaiting)
		}
		cancel() // all clients go
		synctest.Wait()
		if n := answers[2].Load(); n != maxWaiting {
			t.Errorf("%d have left, want %d", n, maxWaiting)
		}
		if err := l.check(t.Context(), "192.0.2.7", rightLogin); err != nil || compared.Load() != 2 {
			t.Errorf("%v after %d comparisons, want none of those that have left", err, compared.Load())
		}
	})
}

// A turn that is given to one who leaves at the same moment is given on.
func TestTurnIsNotLost(t *testing.T) {
	l := newLogins("ada", "right")
	l.compare = func(_, _ []byte) error { return nil }
	for range 2000 {
		if err := l.enter(t.Context(), limit.Networks("a")); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error)
		go func() { left <- l.enter(ctx, limit.Networks("b")) }()
		go cancel()
		l.leave()
		if err := <-left; err == nil {
			l.leave()
		}
		if l.busy || len(l.waiting) != 0 {
			t.Fatalf("busy %v, %d wait", l.busy, len(l.waiting))
		}
	}
}

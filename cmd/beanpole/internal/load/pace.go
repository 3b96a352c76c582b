package load

import (
	"context"
	"time"
)

// doze is the last part of a wait, for which timers are not good enough.
const doze = 2 * time.Millisecond

// pace calls fn for each moment that is due, so many times, until ctx ends or fn returns false, and returns how often it was. Calls that
// come late are made up for, one after the other; what was due stays due.
func pace(ctx context.Context, began time.Time, rate float64, times int, fn func(n int, due time.Time) bool) int {
	t := time.NewTimer(0)
	defer t.Stop()
	for n := range times {
		due := began.Add(time.Duration(float64(n) / rate * float64(time.Second)))
		if wait := time.Until(due) - doze; wait > 0 {
			t.Reset(wait)
			select {
			case <-t.C:
			case <-ctx.Done():
				return n
			}
		}
		for wait := time.Until(due); wait > 0; wait = time.Until(due) {
			nap(wait)
		}
		if ctx.Err() != nil || !fn(n, due) {
			return n
		}
	}
	return times
}

// until waits until done returns true, and reports whether it did before the time was over.
func until(ctx context.Context, patience time.Duration, done func() bool) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	t := time.NewTicker(5 * time.Millisecond)
	defer t.Stop()
	for !done() {
		select {
		case <-t.C:
		case <-ctx.Done():
			return done()
		}
	}
	return true
}

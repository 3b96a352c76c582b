package limit

import "time"

// Deadline bounds a wait that begins and ends many times. The zero Deadline is ready. Not safe for
// concurrent use: who owns it holds a lock.
type Deadline struct {
	timer *time.Timer // nil unless it runs
}

// Watch starts the deadline when waiting begins, starts it anew each time that waiting goes on, and stops it
// when waiting ends: fn is called, in a goroutine of its own, when nothing has been said for limit.
func (d *Deadline) Watch(waiting bool, limit time.Duration, fn func()) {
	switch {
	case !waiting:
		d.Stop()
	case d.timer == nil:
		d.timer = time.AfterFunc(limit, fn)
	default:
		d.timer.Reset(limit)
	}
}

// Stop stops the deadline if it runs.
func (d *Deadline) Stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}

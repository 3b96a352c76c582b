package limit

import "time"

// Deadline bounds a wait that begins and ends many times. The zero Deadline is ready. Not safe for
// concurrent use: who owns it holds a lock.
type Deadline struct {
	timer *time.Timer // nil unless it runs
	over  bool
}

// Watch starts the deadline if waiting begins and stops it if waiting ends: fn is called, in a goroutine of
// its own, when waiting has lasted for limit.
func (d *Deadline) Watch(waiting bool, limit time.Duration, fn func()) {
	switch {
	case waiting && d.timer == nil && !d.over:
		d.timer = time.AfterFunc(limit, fn)
	case !waiting:
		d.stop()
	}
}

// End stops the deadline for good.
func (d *Deadline) End() {
	d.over = true
	d.stop()
}

func (d *Deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}

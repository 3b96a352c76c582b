package load

import (
	"syscall"
	"time"
)

// nap sleeps for a moment. Timers of the runtime are late by up to a millisecond when nothing else goes on: at 300 events a second, 0.6
// ms at the median, which made two thirds of a latency of 0.8, and 0.09 by this.
func nap(d time.Duration) {
	t := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&t, nil) // a signal ends it, and the next look at the clock sees that
}

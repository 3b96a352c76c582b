//go:build unix

package load

import (
	"syscall"
	"time"
)

// openFiles returns how many files this process may have open, false where nobody knows.
func openFiles() (int, bool) {
	var l syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l)
	return int(min(l.Cur, 1<<31-1)), err == nil
}

// processorTime returns what this process has used of processors.
func processorTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // if not, it is 0
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

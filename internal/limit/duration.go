package limit

import (
	"fmt"
	"time"
)

// CheckDuration returns an error if d, a setting that is not zero, is negative or below a millisecond: a number of
// milliseconds, as in a configuration of Node's, is one of nanoseconds where a time.Duration is wanted.
func CheckDuration(name string, d time.Duration) error {
	switch {
	case d < 0:
		return fmt.Errorf("%s is negative", name)
	case d > 0 && d < time.Millisecond:
		return fmt.Errorf("%s is %v: write %d*time.Millisecond, if those are milliseconds", name, d, d.Nanoseconds())
	}
	return nil
}

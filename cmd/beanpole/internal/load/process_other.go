//go:build !unix

package load

import "time"

func openFiles() (int, bool) { return 0, false }

func processorTime() time.Duration { return 0 }

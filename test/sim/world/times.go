//go:build wasip1

package main

import "time"

const (
	// busy says that whatever waits may have waited for the processor alone.
	busy = false
	// askTimeout bounds a wait for acknowledgements.
	askTimeout = 3 * time.Second
	// slack is how much later than it must a wait ends at most.
	slack = time.Second
	// callLimit is what an emit takes at most: time passes while it waits, and by a microsecond when it looks at the clock.
	callLimit = 5 * time.Millisecond
	// ackLimit is what an acknowledgement takes at most when no handler runs before it.
	ackLimit = 2 * time.Second
	// localLimit is what an event takes at most to a client of the same server.
	localLimit = time.Second
	// reach is how long what a server tells others takes at most without trouble.
	reach = second / 2
)

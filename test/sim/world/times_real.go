//go:build !wasip1

package main

import "time"

// The times of the simulation, longer: here time passes while somebody computes, and while others have the processor.
const (
	busy       = true
	askTimeout = 10 * time.Second
	slack      = 5 * time.Second
	callLimit  = 10 * time.Second
	ackLimit   = 20 * time.Second
	localLimit = 20 * time.Second
	reach      = settle
)

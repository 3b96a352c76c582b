//go:build !wasip1

package main

import "time"

// askTimeout bounds a wait for acknowledgements: longer than in the simulation, where time does not pass while
// somebody computes.
const askTimeout = 10 * time.Second

// reach is how long what a server tells others takes at most without trouble.
const reach = settle

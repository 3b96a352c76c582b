//go:build wasip1

package main

import "time"

// askTimeout bounds a wait for acknowledgements.
const askTimeout = 3 * time.Second

// reach is how long what a server tells others takes at most without trouble.
const reach = second / 2

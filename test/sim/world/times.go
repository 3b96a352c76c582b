//go:build wasip1

package main

import "time"

// askTimeout bounds a wait for acknowledgements.
const askTimeout = 3 * time.Second

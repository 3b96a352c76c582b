//go:build race

package server_test

// The race detector makes sync.Pool drop things.
const raceEnabled = true

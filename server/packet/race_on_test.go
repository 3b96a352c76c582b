//go:build race

package packet

// The race detector makes sync.Pool drop things.
const raceEnabled = true

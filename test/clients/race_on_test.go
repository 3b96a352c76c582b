//go:build race

package clients

// raceEnabled says that the tests run with -race, and so shall the fixture.
const raceEnabled = true

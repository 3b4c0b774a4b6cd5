//go:build race

package proxy

// raceEnabled is true under the race detector, where sync.Pool forgets at random.
const raceEnabled = true

package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// heapRoom is how many bytes are allocated between two garbage collections, at
// the least. Go collects whenever the heap has doubled, by default: a proxy
// holds next to nothing from one request to the next, so that would be every 4 MB.
const heapRoom = 32 << 20

// paceCollector gives the garbage collector heapRoom, for as long as the process
// lives. GOGC in the environment goes before it, and GOMEMLIMIT counts in any case.
func paceCollector() {
	if os.Getenv("GOGC") == "" {
		followCollections(percentFor(0))
	}
}

// percentFor answers GOGC for a heap of which so many bytes are in use.
func percentFor(live uint64) int {
	const usual, least = 100, 4 << 20 // Go's own
	return int(max(usual, usual*heapRoom/max(live, least)))
}

// followCollections sets GOGC, and again after each collection, by what is left then.
func followCollections(percent int) {
	if percent != gcPercent() { // setting it stops everything for a moment
		debug.SetGCPercent(percent)
	}
	passing := new([2]*int) // nothing refers to it, so each collection finds it
	runtime.AddCleanup(passing, func(int) { followCollections(percentFor(liveBytes())) }, 0)
}

func liveBytes() uint64 { return readRuntime("/gc/heap/live:bytes") }

func gcPercent() int { return int(readRuntime("/gc/gogc:percent")) }

func readRuntime(name string) uint64 {
	sample := []metrics.Sample{{Name: name}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

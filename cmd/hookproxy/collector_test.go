package main

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestTheCollectorHasRoomWhateverIsInUse(t *testing.T) {
	for live, want := range map[uint64]int{
		0: 800, 1 << 20: 800, 4 << 20: 800, 8 << 20: 400, 32 << 20: 100, 1 << 30: 100,
	} {
		if got := percentFor(live); got != want {
			t.Errorf("%d bytes in use: GOGC %d, want %d", live, got, want)
		}
	}
}

func TestTheCollectorIsPacedAfterEachCollection(t *testing.T) {
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before) // what follows is harmless, and ends with the process
	t.Setenv("GOGC", "")
	paceCollector()
	if got := gcPercent(); got != 800 {
		t.Fatalf("GOGC %d at the start", got)
	}
	ballast := make([]byte, 64<<20)
	paced := make(chan struct{})
	runtime.GC()
	go func() { // ends when the cleanup has run, which the next collections bring
		for gcPercent() != 100 {
			runtime.GC()
		}
		close(paced)
	}()
	<-paced
	runtime.KeepAlive(ballast)
}

func TestGOGCGoesBeforeOurs(t *testing.T) {
	before := gcPercent()
	t.Setenv("GOGC", "50")
	paceCollector()
	if got := gcPercent(); got != before {
		t.Errorf("GOGC %d, want it left at %d", got, before)
	}
}

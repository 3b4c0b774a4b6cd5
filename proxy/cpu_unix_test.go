//go:build unix

package proxy

import (
	"syscall"
	"testing"
	"time"
)

// cpu answers the processor time that the process has had: on a machine that is
// shared, an exchange's own cost, which the time on the clock is not.
func cpu(t testing.TB) time.Duration {
	t.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

package proxy

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// budget counts the bytes of captured bodies. It never blocks: where there are
// none left, a body is not captured.
type budget struct {
	used  atomic.Int64
	gauge prometheus.Gauge // nil: nobody watches
}

// lease is one body's share of the budget.
type lease struct {
	budget *budget
	most   int64 // what all leases may have together, by the rules in force
	held   int64
	within *lease // of a wider budget that pays too; nil: none
}

// grow adds n bytes to the lease, or reports that there are not so many left.
func (l *lease) grow(n int64) bool {
	if l.budget.used.Add(n) > l.most {
		l.budget.used.Add(-n)
		return false
	}
	if l.within != nil && !l.within.grow(n) {
		l.budget.used.Add(-n)
		return false
	}
	l.held += n
	if l.budget.gauge != nil {
		l.budget.gauge.Add(float64(n))
	}
	return true
}

// release gives everything back.
func (l *lease) release() {
	if l.held == 0 {
		return
	}
	l.budget.used.Add(-l.held)
	if l.budget.gauge != nil {
		l.budget.gauge.Sub(float64(l.held))
	}
	if l.within != nil {
		l.within.release()
	}
	l.held = 0
}

// Why a body is not whole; they go out with the event as its data_omitted.
const (
	omittedTooLarge  = "too_large"
	omittedBudget    = "budget"
	omittedTruncated = "truncated"
	omittedSlow      = "slow"
	omittedEncoding  = "encoding"
)

// firstRead is where a buffer of unknown size begins.
const firstRead = 4 << 10

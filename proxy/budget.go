package proxy

import (
	"io"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// budget counts the bytes of all captured bodies. It never blocks: where there
// are none left, a body is not captured.
type budget struct {
	used  atomic.Int64
	gauge prometheus.Gauge
}

// lease is one body's share of the budget.
type lease struct {
	budget *budget
	most   int64 // what all leases may have together, by the rules in force
	held   int64
}

// grow adds n bytes to the lease, or reports that there are not so many left.
func (l *lease) grow(n int64) bool {
	if l.budget.used.Add(n) > l.most {
		l.budget.used.Add(-n)
		return false
	}
	l.held += n
	l.budget.gauge.Add(float64(n))
	return true
}

// release gives everything back.
func (l *lease) release() {
	if l.held == 0 {
		return
	}
	l.budget.used.Add(-l.held)
	l.budget.gauge.Sub(float64(l.held))
	l.held = 0
}

// Why a body is not whole; they go out with the event as its data_omitted.
const (
	omittedTooLarge  = "too_large"
	omittedBudget    = "budget"
	omittedTruncated = "truncated"
	omittedEncoding  = "encoding"
)

// firstRead is where a buffer of unknown size begins.
const firstRead = 4 << 10

// readWhole reads up to limit bytes, in memory that the lease pays for. Where
// omitted is empty, data is everything there was; else data is what has been
// read so far, and for omittedTruncated err is what the reader answered.
func readWhole(r io.Reader, size, limit int64, l *lease) (data []byte, omitted string, err error) {
	want := int64(firstRead)
	if size >= 0 {
		want = size + 1 // one more, so that the end is seen without growing
	}
	for {
		if len(data) == cap(data) {
			want = min(max(want, 2*int64(cap(data))), limit+1)
			if !l.grow(want - int64(cap(data))) {
				return data, omittedBudget, nil
			}
			data = append(make([]byte, 0, want), data...)
		}
		n, err := r.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		switch {
		case int64(len(data)) > limit:
			return data, omittedTooLarge, nil
		case err == io.EOF:
			return data, "", nil
		case err != nil:
			return data, omittedTruncated, err
		}
	}
}

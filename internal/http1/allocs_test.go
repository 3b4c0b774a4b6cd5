//go:build !race

package http1

import "testing"

// What is left is the request with its turn, and of the response its text, the
// map of its header (two), and the values in that.
func TestARoundTripTakesFewAllocations(t *testing.T) {
	const most = 5
	trip := plainTrip(t)
	if n := testing.AllocsPerRun(200, trip); n > most {
		t.Errorf("%v allocations, want %d at most", n, most)
	}
}

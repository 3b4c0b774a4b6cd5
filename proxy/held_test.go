package proxy

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
)

// pieces is a response writer that notes how much it is given at once.
type pieces struct {
	discard
	body  bytes.Buffer
	sizes []int
}

func (p *pieces) Write(b []byte) (int, error) {
	p.sizes = append(p.sizes, len(b))
	return p.body.Write(b)
}

func TestWhatWasHeldIsHandedOnInPiecesThatASlowClientCanTake(t *testing.T) {
	for _, size := range []int{1, 512, maxPiece, maxPiece + 1, 5*maxPiece + 7} {
		body := append(append([]byte(`{"id":7,"note":"`), bytes.Repeat([]byte("x"), size)...), `"}`...)
		to := newPublisher()
		p := featureProxy(t, ruleWith("", ""), canned{http.Header{"Content-Type": {"application/json"}}, body, true}, to)
		w := &pieces{discard: discard{http.Header{}}}
		p.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/contacts/7", nil))
		if !bytes.Equal(w.body.Bytes(), body) {
			t.Errorf("of %d bytes %d came, or others", len(body), w.body.Len())
		}
		if got := to.one(t).Payload; !bytes.Equal(got, body) {
			t.Errorf("of %d bytes the event has %d, or others", len(body), len(got))
		}
		for i, n := range w.sizes {
			if last := i == len(w.sizes)-1; n > maxPiece || n < maxPiece && !last {
				t.Errorf("%d bytes came in pieces of %v", len(body), w.sizes)
			}
		}
	}
}

// A body of any size is in memory that was there before.
func TestACaptureTakesNoMemoryForItsBody(t *testing.T) {
	if raceEnabled {
		t.Skip("sync.Pool forgets at random under the race detector")
	}
	const runs, most = 500, 10_000
	for _, size := range []int{100, 64 << 10, 900 << 10} {
		body := append(append([]byte(`{"id":7,"note":"`), bytes.Repeat([]byte("x"), size)...), `"}`...)
		answer := canned{http.Header{"Content-Type": {"application/json"}}, body, false}
		send := repeating(t, featureProxy(t, ruleWith("", ""), answer, nowhere{}), "/contacts/7")
		send() // takes it
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range runs {
			send()
		}
		runtime.ReadMemStats(&after)
		if each := (after.TotalAlloc - before.TotalAlloc) / runs; each > most {
			t.Errorf("a capture of %d bytes takes %d bytes of fresh memory; want %d at most", len(body), each, most)
		}
	}
}

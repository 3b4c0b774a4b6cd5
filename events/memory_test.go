package events

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/hookproxy/hookproxy/internal/redistest"
)

// TestNoEventIsWrittenOverByAnother publishes events of many sizes at once, so that
// the memory of one is soon that of the next, with Redis and with the spool.
func TestNoEventIsWrittenOverByAnother(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		spool := openSpool(t, spoolPath(t), SpoolOptions{})
		for _, p := range []*Publisher{
			NewPublisher(Options{Client: newClient(t, s.Addr)}),
			NewPublisher(Options{Client: newClient(t, "127.0.0.1:1"), Spool: spool}),
		} {
			var publishing sync.WaitGroup
			for number := range 16 {
				publishing.Go(func() {
					for turn := range 8 {
						var batch []Event
						for i := range 1 + turn%3 {
							e := newEvent(fmt.Sprintf("%d-%d-%d", number, turn, i))
							e.Payload = own(e.ID, 100<<(number%8)+number)
							batch = append(batch, e)
						}
						if err := p.Publish(t.Context(), batch); err != nil {
							t.Error(err)
						}
						for _, e := range batch {
							clear(e.Payload) // as the proxy does once its response has gone
						}
					}
				})
			}
			publishing.Wait()
		}
		var elements [][]byte
		for _, element := range s.Client.LRange(t.Context(), lane0.Events(), 0, -1).Val() {
			elements = append(elements, []byte(element))
		}
		spooled, err := spool.queues[0].read(nil, 1000, 100<<20)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range spooled {
			elements = append(elements, e.bytes)
		}
		seen := map[string]int{}
		for _, element := range elements {
			e, err := Decode(element)
			if err != nil || !bytes.Equal(e.Payload, own(e.ID, len(e.Payload))) {
				t.Fatalf("%.200q: %v", element, err)
			}
			seen[e.ID]++
		}
		if want := 16 * (1 + 2 + 3 + 1 + 2 + 3 + 1 + 2); len(seen) != want || len(elements) != 2*want {
			t.Errorf("%d events, %d elements; want %d of both", len(seen), len(elements), want)
		}
	})
}

// own answers a payload that says whose it is all over.
func own(id string, size int) []byte {
	return []byte(strings.Repeat(id+" ", size/len(id)+1)[:size])
}

package events

import (
	"fmt"
	"testing"

	"github.com/hookproxy/hookproxy/internal/redistest"
	"github.com/redis/go-redis/v9"
)

// BenchmarkPublish shows what group commit saves: "trips/op" is round trips to
// Redis per event.
func BenchmarkPublish(b *testing.B) {
	for _, callers := range []int{1, 16, 128} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			client := newClient(b, redistest.Real(b).Addr)
			count := &trips{}
			client.(*redis.Client).AddHook(count)
			p := NewPublisher(Options{Client: client})
			batch := []Event{newEvent("a")}
			b.SetParallelism(callers)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := p.Publish(b.Context(), batch); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(count.sent.Load())/float64(b.N), "trips/op")
		})
	}
}

// BenchmarkSpool shows the same for the disk: every append is fsynced.
func BenchmarkSpool(b *testing.B) {
	for _, callers := range []int{1, 16, 128} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			spool := openSpool(b, spoolPath(b), SpoolOptions{})
			p := NewPublisher(Options{Client: newClient(b, "127.0.0.1:1"), Spool: spool})
			away(p)
			batch := []Event{newEvent("a")}
			b.SetParallelism(callers)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := p.Publish(b.Context(), batch); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(spool.Bytes())/float64(b.N), "B-spooled/op")
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	e := newEvent(NewID())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Encode(); err != nil {
			b.Fatal(err)
		}
	}
}

package plain

import (
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// A GET as an API's client sends it, and an answer as an API gives it.
const (
	usualGet = "GET /api/orders/17?expand=lines HTTP/1.1\r\nHost: api.example.com\r\nUser-Agent: client/1.0\r\nAccept: application/json\r\n" +
		"Accept-Encoding: gzip\r\nAuthorization: Bearer 0123456789abcdef\r\n\r\n"
	usualBody = 512
)

// usual answers as the proxy does: fields that are there already, and a body.
func usual() http.HandlerFunc {
	body := []byte(text(usualBody))
	contentType, length, date := []string{"application/json"}, []string{"512"}, []string{"Sat, 28 Nov 2026 12:00:00 GMT"}
	return func(w http.ResponseWriter, _ *http.Request) {
		header := w.Header()
		header["Content-Type"], header["Content-Length"], header["Date"] = contentType, length, date
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write(body) // a client that has left is no news
	}
}

// exchange is a client that costs nothing of its own.
func exchange(t testing.TB, conn net.Conn) (ask func()) {
	t.Helper()
	request, buffer := []byte(usualGet), make([]byte, 4<<10)
	_, _ = conn.Write(request) // reading says why it fails
	size, err := conn.Read(buffer)
	for err == nil && size < usualBody {
		var n int
		n, err = conn.Read(buffer[size:])
		size += n
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if _, err := conn.Write(request); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, buffer[:size]); err != nil {
			t.Fatal(err)
		}
	}
}

// mostAllocations is what a request may allocate: its head, the turn, and the
// header, which is two.
const mostAllocations = 4

func TestAGetAllocatesLittle(t *testing.T) {
	ask := exchange(t, dial(t, serve(t, true, usual()).addr))
	if n := testing.AllocsPerRun(1000, ask); n > mostAllocations {
		t.Errorf("%v allocations", n)
	}
}

// One and the other in turn, so that both have the same machine.
func BenchmarkAGetBesideNetHTTP(b *testing.B) {
	var took [2]time.Duration
	var asks [2]func()
	for i := range asks {
		conn := dial(b, serve(b, i == 0, usual()).addr)
		if err := conn.SetDeadline(time.Time{}); err != nil {
			b.Fatal(err)
		}
		asks[i] = exchange(b, conn)
	}
	const round = 100
	for b.Loop() {
		for i, ask := range asks {
			began := time.Now()
			for range round {
				ask()
			}
			took[i] += time.Since(began)
		}
	}
	b.ReportMetric(float64(took[0].Nanoseconds())/float64(round*b.N), "ns/plain")
	b.ReportMetric(float64(took[1].Nanoseconds())/float64(round*b.N), "ns/net/http")
	b.ReportMetric(float64(took[0])/float64(took[1]), "plain/net/http")
	b.ReportMetric(0, "ns/op")
}

package proxy

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/hookproxy/hookproxy/events"
	"github.com/hookproxy/hookproxy/identity"
	"github.com/hookproxy/hookproxy/rules"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds waits for what should happen at once; only a failing test
// takes that long.
const patience = 10 * time.Second

// contacts is the rules file of most tests: its events are the caller's.
const contacts = "resources:\n  contact: /contacts\n"

// named is a rules file whose events are about what the path names, so that
// they can do without a payload.
const named = `rules: [{on: "POST /{id}", emit: x.y}, {on: "GET /{id}", emit: x.y}]`

func rulesOf(t testing.TB, source string) *rules.File {
	t.Helper()
	file, err := rules.Parse("rules.yaml", []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// everybodyIs answers an identity for which every caller is one user.
func everybodyIs(t testing.TB, user string) Identifier {
	t.Helper()
	chain, err := identity.New(identity.Options{Entries: []identity.Entry{{Kind: identity.KindAnonymous, User: user}}})
	if err != nil {
		t.Fatal(err)
	}
	return chain
}

// publisher remembers what was published.
type publisher struct {
	entered chan struct{} // gets a token for each call, if not nil
	release chan struct{} // is waited for in each call, if not nil
	err     error
	batches chan []events.Event
}

func newPublisher() *publisher { return &publisher{batches: make(chan []events.Event, 100)} }

func (p *publisher) Publish(ctx context.Context, batch []events.Event) error {
	if p.entered != nil {
		p.entered <- struct{}{}
	}
	if p.release != nil {
		<-p.release
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	kept := slices.Clone(batch)
	for i := range kept {
		kept[i].Payload = bytes.Clone(kept[i].Payload)
	}
	p.batches <- kept
	return p.err
}

// one answers the only event of the next batch.
func (p *publisher) one(t testing.TB) events.Event {
	t.Helper()
	batch := receive(t, p.batches)
	if len(batch) != 1 {
		t.Fatalf("%d events in the batch, want 1", len(batch))
	}
	return batch[0]
}

func (p *publisher) none(t testing.TB) {
	t.Helper()
	select {
	case batch := <-p.batches:
		t.Fatalf("published %+v, want nothing", batch)
	default:
	}
}

func receive[T any](t testing.TB, from <-chan T) (value T) {
	t.Helper()
	select {
	case value = <-from:
	case <-time.After(patience):
		t.Fatal("nothing came")
	}
	return value
}

// serve runs a handler as an upstream.
func serve(t testing.TB, handler http.HandlerFunc) *url.URL {
	t.Helper()
	s := httptest.NewUnstartedServer(handler)
	s.Config = NewServer(ServerOptions{Handler: handler})
	s.Start()
	t.Cleanup(s.Close)
	return parse(t, s.URL)
}

func parse(t testing.TB, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// stand is a proxy at work.
type stand struct {
	url    string
	addr   string
	server *httptest.Server
	proxy  *Proxy
	client *http.Client
	log    *syncBuffer
}

// setUp runs a proxy on a socket.
func setUp(t testing.TB, o Options) *stand {
	t.Helper()
	s := newStand(t, &o)
	server := httptest.NewUnstartedServer(s.proxy)
	server.Config = NewServer(ServerOptions{Handler: s.proxy, Log: o.Log})
	server.Listener = NewListener(server.Listener, ListenerOptions{Server: server.Config})
	server.Start()
	t.Cleanup(func() {
		server.Close()
		s.rest(t)
	})
	s.server, s.url, s.addr = server, server.URL, server.Listener.Addr().String()
	return s
}

// rest returns when nothing is under way any more.
func (s *stand) rest(t testing.TB) {
	t.Helper()
	if err := s.proxy.Wait(context.Background()); err != nil {
		t.Error(err)
	}
}

func newStand(t testing.TB, o *Options) *stand {
	t.Helper()
	transport := transportUnderTest(TransportOptions{})
	if o.Transport == nil {
		o.Transport = transport
	}
	s := &stand{log: &syncBuffer{}, client: newClient(t, NewTransport(TransportOptions{NetHTTP: true}))}
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(s.log, nil))
	}
	p, err := New(*o)
	if err != nil {
		t.Fatal(err)
	}
	s.proxy = p
	t.Cleanup(transport.CloseIdleConnections)
	return s
}

// newClient follows no redirects: they are part of what is looked at.
func newClient(t testing.TB, transport Transport) *http.Client {
	t.Helper()
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// capturing runs a proxy with rules whose callers are all user 42.
func capturing(t testing.TB, source string, upstream *url.URL, change func(*Options)) (*stand, *publisher) {
	t.Helper()
	p := newPublisher()
	o := Options{Upstream: upstream, Ruling: Ruling{Rules: rulesOf(t, source), Identity: everybodyIs(t, "42")}, Publisher: p}
	if change != nil {
		change(&o)
	}
	return setUp(t, o), p
}

// countOf reads one counter or gauge.
func countOf(t testing.TB, c prometheus.Collector) float64 {
	t.Helper()
	return testutil.ToFloat64(c)
}

// eventually asks until a metric that nobody announces has its value.
func eventually(t testing.TB, c prometheus.Collector, want float64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for testutil.ToFloat64(c) != want {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("is %v, want %v", testutil.ToFloat64(c), want)
		}
	}
}

// syncBuffer is a buffer for several goroutines.
type syncBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

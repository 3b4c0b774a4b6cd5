package identity

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"
)

// warnEvery is how often at most the log says that lookups fail.
const warnEvery = time.Minute

// lookup is a probe with a memory. A question goes through it like this:
//
//	credentials ─HMAC─► key ─► known? ─► in flight? ─► probe ─► known
//
// Credentials are never kept: the key is an HMAC of them under a key of this
// process alone, so that the memory cannot be searched for weak ones.
type lookup struct {
	probe   *probe
	kind    string
	timeout time.Duration
	secret  [32]byte
	known   *cache[Caller]
	refused *cache[*UnauthenticatedError] // apart, so that guessing evicts no caller
	flights singleflight.Group
	log     *slog.Logger
	metrics *Metrics
	now     func() time.Time
	warned  atomic.Int64 // when the log last had a warning, ns since 1970; 0: never
	trusted peers        // whose X-Forwarded headers are passed on

	mu     sync.Mutex
	flying map[cacheKey]*atomic.Bool // lookups in flight, and whether their answer is to be forgotten
}

func newLookup(o Options, entry Entry, read func([]byte) (string, error)) (*lookup, error) {
	p, err := newProbe(o, entry, read)
	if err != nil {
		return nil, err
	}
	l := &lookup{
		probe: p, kind: entry.Kind, timeout: o.Timeout,
		known:   newCache[Caller](o.CacheEntries, o.CacheFor, o.Now),
		refused: newCache[*UnauthenticatedError](o.CacheEntries, o.RefusedFor, o.Now),
		log:     o.Log, metrics: o.Metrics, now: o.Now, trusted: o.peers,
		flying: map[cacheKey]*atomic.Bool{},
	}
	_, _ = rand.Read(l.secret[:]) // never fails; it ends the process instead
	return l, nil
}

// concerns says whether there are credentials to ask with.
func (l *lookup) concerns(h http.Header) bool {
	for _, name := range l.probe.credentials {
		if slices.ContainsFunc(h[name], func(value string) bool { return value != "" }) {
			return true
		}
	}
	return false
}

// looked is a question for a lookup: all of a request that the answer depends on.
type looked struct {
	*lookup
	host        string
	forwarded   forwarded
	credentials [][]string // values of each of the probe's credential headers
	query       string     // the credentials that stand in the query, encoded
	parameters  [][]string // their values
	name        string     // what a lookup that reads no body answers
}

func (l *lookup) question(r *http.Request) *looked {
	q := &looked{lookup: l, host: r.Host, forwarded: forwardedOf(r, l.trusted), credentials: make([][]string, len(l.probe.credentials))}
	for i, name := range l.probe.credentials {
		q.credentials[i] = slices.Clone(r.Header[name])
	}
	return q
}

// inQuery adds credentials that stand in the query.
func (q *looked) inQuery(parameters url.Values) {
	q.query = parameters.Encode() // sorted by name
	for _, values := range parameters {
		q.parameters = append(q.parameters, values)
	}
}

func (q *looked) answer(ctx context.Context) (Caller, error) {
	l, key := q.lookup, q.key()
	if caller, err, ok := l.remember(key); ok {
		return caller, err
	}
	// The lookup belongs to all who wait for it, so no single one's leaving
	// ends it: only its timeout does, and nobody need wait for that.
	flight := l.flights.DoChan(string(key[:]), func() (any, error) {
		if caller, err, ok := l.recall(key); ok { // by a flight that landed just now
			return caller, err
		}
		forgotten := l.takeOff(key)
		defer l.land(key)
		return l.fetch(key, q, forgotten)
	})
	select {
	case landed := <-flight:
		caller, _ := landed.Val.(Caller)
		return caller, landed.Err
	case <-ctx.Done():
		return Caller{}, fmt.Errorf("%w: %w", ErrUnavailable, context.Cause(ctx))
	}
}

func (q *looked) known() (Caller, error, bool) { return q.remember(q.key()) }

// remember answers a question from memory, if that is possible, and counts it.
func (l *lookup) remember(key cacheKey) (Caller, error, bool) {
	caller, err, ok := l.recall(key)
	if ok {
		l.metrics.cached.WithLabelValues(l.kind).Inc()
	}
	return caller, err, ok
}

// recall answers what is known for a key, and whether anything is.
func (l *lookup) recall(key cacheKey) (Caller, error, bool) {
	if caller, ok := l.known.get(key); ok {
		return caller, nil, true
	}
	if refusal, ok := l.refused.get(key); ok {
		return Caller{}, refusal, true
	}
	return Caller{}, nil, false
}

// fetch asks the upstream and remembers what it said. What it could not say is
// not remembered.
func (l *lookup) fetch(key cacheKey, q *looked, forgotten *atomic.Bool) (caller Caller, err error) {
	// An answer that trips a parser must not take the whole proxy with it.
	defer func() {
		if p := recover(); p != nil {
			l.log.Error("lookup panicked", "resolver", l.kind, "panic", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
			caller, err = Caller{}, fmt.Errorf("%w: lookup panicked", ErrUnavailable)
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), l.timeout)
	defer cancel()
	start := time.Now()
	user, err := l.probe.ask(ctx, q)
	l.metrics.duration.WithLabelValues(l.kind).Observe(time.Since(start).Seconds())
	l.report(err)
	if refusal, ok := errors.AsType[*UnauthenticatedError](err); ok {
		l.refused.put(key, refusal, time.Time{})
	}
	if err != nil {
		return Caller{}, err
	}
	if l.probe.read == nil {
		user = q.name
	}
	caller = Caller{User: user}
	l.known.put(key, caller, expiryOf(slices.Concat(q.credentials, q.parameters)))
	if forgotten.Load() { // after put: whoever says so next removes it
		l.known.remove(key)
	}
	return caller, nil
}

// report counts a lookup. The error itself is for those who asked; the log has
// it once in a while, because it may be a mistake in the settings.
func (l *lookup) report(err error) {
	outcome := outcomeOf(err)
	l.metrics.lookups.WithLabelValues(l.kind, outcome).Inc()
	if outcome != outcomeUnavailable {
		return
	}
	now, last := l.now().UnixNano(), l.warned.Load()
	if (last == 0 || now-last >= int64(warnEvery)) && l.warned.CompareAndSwap(last, now) {
		l.log.Warn("identity cannot be asked at the upstream", "resolver", l.kind, "path", l.probe.name(), "error", err)
	}
}

// key folds everything that the answer depends on into one value. Each part
// has its length before it, and each list its count, so that no two questions
// run together.
func (q *looked) key() cacheKey {
	message := make([]byte, 0, 512)
	number := func(n int) { message = binary.BigEndian.AppendUint64(message, uint64(n)) }
	text := func(s string) { number(len(s)); message = append(message, s...) }
	list := func(values []string) {
		number(len(values))
		for _, value := range values {
			text(value)
		}
	}
	text(q.host)
	text(q.query)
	list(q.forwarded.proto)
	list(q.forwarded.host)
	for _, values := range q.credentials { // one list per credential header, in a fixed order
		list(values)
	}
	mac := hmac.New(sha256.New, q.secret[:])
	_, _ = mac.Write(message) // a hash's Write never fails
	return cacheKey(mac.Sum(nil))
}

// forget drops what is known about the credentials, and what a lookup now in
// flight will find out: it may have asked before they were revoked.
func (q *looked) forget() {
	key := q.key()
	q.mu.Lock()
	if forgotten := q.flying[key]; forgotten != nil {
		forgotten.Store(true)
	}
	q.mu.Unlock()
	q.lookup.known.remove(key)
}

func (l *lookup) takeOff(key cacheKey) *atomic.Bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flying[key] = new(atomic.Bool)
	return l.flying[key]
}

func (l *lookup) land(key cacheKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.flying, key)
}

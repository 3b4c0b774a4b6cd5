package identity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// What applies where Options leaves a field zero.
const (
	DefaultTimeout      = 2 * time.Second  // for one whole lookup at the upstream
	DefaultCacheFor     = 60 * time.Second // how long a caller stays known
	DefaultRefusedFor   = 5 * time.Second  // how long a refusal stays known
	DefaultCacheEntries = 10_000           // callers known at once, and refusals at once
)

// Options configures New. Zero values are defaults unless said otherwise.
type Options struct {
	// Entries are the resolvers in order. None: nobody is ever known.
	Entries []Entry
	// Upstream is the API; its path, if any, stands before an entry's Get.
	// Required by whoami and basic.
	Upstream *url.URL
	// Transport reaches the upstream. Required by whoami and basic.
	Transport http.RoundTripper
	// Before is a chain that this one takes the place of, or nil. What it knows
	// of callers and keys lives on in the entries that have not changed, nor has
	// any file that they name. The other options must be those of Before.
	Before *Chain
	// TrustedProxies are the peers whose identity header is believed. None by
	// default.
	TrustedProxies []netip.Prefix
	// Outside reaches absolute URLs. Nil: a transport of its own for each file
	// of certificates.
	Outside http.RoundTripper

	Timeout      time.Duration    // DefaultTimeout
	CacheFor     time.Duration    // DefaultCacheFor
	RefusedFor   time.Duration    // DefaultRefusedFor
	CacheEntries int              // DefaultCacheEntries
	Now          func() time.Time // time.Now

	Log     *slog.Logger // nothing is logged
	Metrics *Metrics     // counted on a registry that nobody reads

	outside *outside
	peers   peers
}

// resolver is one entry at work.
type resolver interface {
	// ask answers nil where the resolver is not responsible for the request.
	ask(r *http.Request) *Question
}

// Chain finds out who is calling. It is safe for concurrent use.
type Chain struct {
	resolvers []resolver
	made      []made // of each entry, in order
	peers     peers
	headers   []string // names that Strip removes
	nobody    *Question
	outside   *outside
}

// New makes a chain, or answers all that is wrong with its options at once.
func New(o Options) (*Chain, error) {
	o = o.withDefaults()
	trusted, err := newPeers(o.TrustedProxies)
	mistakes := []error{err}
	o.peers = trusted
	c := &Chain{peers: trusted, nobody: &Question{}, outside: o.outside}
	for i, entry := range o.Entries {
		if entry.Kind == KindHeader {
			c.headers = append(c.headers, entry.Header)
		}
		if err := c.add(o, entry, i); err != nil {
			mistakes = append(mistakes, fmt.Errorf("identity entry %d (%s): %w", i+1, entry.Kind, err))
		}
	}
	mistakes = append(mistakes, c.checkCredentials(o.Entries))
	c.nobody.err = &UnauthenticatedError{Challenges: challengesOf(o.Entries), reason: "no credentials that identity could go by"}
	if err := errors.Join(mistakes...); err != nil {
		return nil, err
	}
	return c, nil
}

func (o Options) withDefaults() Options {
	o.Timeout = orDefault(o.Timeout, DefaultTimeout)
	o.CacheFor = orDefault(o.CacheFor, DefaultCacheFor)
	o.RefusedFor = orDefault(o.RefusedFor, DefaultRefusedFor)
	o.CacheEntries = orDefault(o.CacheEntries, DefaultCacheEntries)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics(prometheus.NewRegistry())
	}
	if o.Before != nil {
		o.outside = o.Before.outside
	} else {
		o.outside = &outside{given: o.Outside, transports: map[string]*http.Transport{}}
	}
	return o
}

func orDefault[T int | time.Duration](value, fallback T) T {
	if value <= 0 {
		return fallback
	}
	return value
}

// add builds the resolver of entry number i.
func (c *Chain) add(o Options, entry Entry, i int) error {
	if i > 0 && o.Entries[i-1].Kind == KindAnonymous {
		return errors.New("would never be asked: anonymous, before it, is always responsible")
	}
	kept := made{entry: entry, files: contentsOf(entry)}
	if o.Before != nil {
		kept.resolver = o.Before.resolverOf(kept)
	}
	var err error
	if kept.resolver == nil {
		kept.resolver, err = newResolver(o, entry)
	}
	c.made, c.resolvers = append(c.made, kept), append(c.resolvers, kept.resolver)
	return err
}

func newResolver(o Options, entry Entry) (resolver, error) {
	switch entry.Kind {
	case KindHeader:
		if len(o.TrustedProxies) == 0 {
			o.Log.Warn("the identity header is believed from nobody: there are no trusted proxies", "header", entry.Header)
		}
		return newHeader(entry, o.peers)
	case KindWhoami:
		return newWhoami(o, entry)
	case KindBasic:
		return newBasic(o, entry)
	case KindJWT:
		return newJWT(o, entry)
	case KindKey:
		return newKey(o, entry)
	case KindAnonymous:
		return newAnonymous(entry)
	}
	return nil, errors.New("unknown kind; known are header, basic, jwt, whoami, key, anonymous")
}

// checkCredentials refuses an identity header as a credential: a stranger's
// would reach the upstream.
func (c *Chain) checkCredentials(entries []Entry) error {
	for _, entry := range entries {
		credentials := entry.Credentials
		if entry.Kind == KindKey {
			credentials = []string{entry.Header}
		}
		for _, credential := range credentials {
			if slices.ContainsFunc(c.headers, func(name string) bool { return sameHeader(name, credential) }) {
				return fmt.Errorf("%q cannot be both an identity header and a credential", credential)
			}
		}
	}
	return nil
}

// challengesOf answers what a caller without credentials is asked for, as far
// as the entries tell.
func challengesOf(entries []Entry) []string {
	var challenges []string
	for _, entry := range entries {
		challenge := map[string]string{KindBasic: `Basic realm="api", charset="UTF-8"`, KindJWT: "Bearer"}[entry.Kind] // RFC 7617, 6750
		if challenge != "" && !slices.Contains(challenges, challenge) {
			challenges = append(challenges, challenge)
		}
	}
	return challenges
}

// Ask takes from a request what is needed to say who sent it, so that the
// question can be answered on another goroutine, after the request is gone. It
// costs nothing but a look at the headers; nothing is sent. Whether it comes
// before or after Strip makes no difference.
func (c *Chain) Ask(r *http.Request) *Question {
	for _, resolver := range c.resolvers {
		if q := resolver.ask(r); q != nil {
			return q
		}
	}
	return c.nobody
}

// Close ends the connections to absolute URLs that wait for a next lookup, those
// of the chains before it included. The Chain remains usable.
func (c *Chain) Close() error {
	c.outside.close()
	return nil
}

// Question is "who is calling?" about one request. It holds the caller's
// credentials while it lives. It may be answered more than once, and by several
// goroutines.
type Question struct {
	caller Caller // the answer, where inquiry is nil
	err    error

	inquiry inquiry // nil where the headers alone decided
}

// inquiry is a question that takes more than a look at the headers.
type inquiry interface {
	answer(ctx context.Context) (Caller, error)
	known() (Caller, error, bool)
	forget()
}

// Answer says who is calling. It answers ErrUnauthenticated (as an
// *UnauthenticatedError) or ErrUnavailable where that is not known; where ctx
// ends first, the error is ErrUnavailable and ctx's, and the lookup goes on for
// whoever else waits.
func (q *Question) Answer(ctx context.Context) (Caller, error) {
	if q.inquiry == nil {
		return q.caller, q.err
	}
	return q.inquiry.answer(ctx)
}

// Known answers as Answer does, and true, where that takes no more than a look
// at what this process knows already.
func (q *Question) Known() (Caller, error, bool) {
	if q.inquiry == nil {
		return q.caller, q.err, true
	}
	return q.inquiry.known()
}

// Forget drops what is known about the request's credentials. It is for whoever
// has seen the API refuse them (401): they may have been revoked since. The next
// question about them is asked anew, or joins a lookup that is in flight.
func (q *Question) Forget() {
	if q.inquiry != nil {
		q.inquiry.forget()
	}
}

// anonymous is everybody.
type anonymous struct{ question *Question }

func newAnonymous(entry Entry) (resolver, error) {
	return anonymous{&Question{caller: Caller{User: entry.User}}}, checkUser(entry.User)
}

func (a anonymous) ask(*http.Request) *Question { return a.question }

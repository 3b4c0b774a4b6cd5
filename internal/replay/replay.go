// Package replay sends recorded traffic through the very code that the live
// proxy uses, and says which events would come of it:
//
//	recording ─► proxy.Proxy ─► publisher that collects ─► Exchanges
//	                 │  ▲
//	                 ▼  │ recorded responses, lookups and fetches
//	               player
//
// Nothing is sent anywhere.
package replay

import (
	"bytes"
	"context"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hookproxy/hookproxy/events"
	"github.com/hookproxy/hookproxy/identity"
	"github.com/hookproxy/hookproxy/internal/har"
	"github.com/hookproxy/hookproxy/proxy"
	"github.com/hookproxy/hookproxy/rules"
)

// patience is far more than anything here takes: what the live proxy gives up
// for being slow must not depend on how busy this machine is.
const patience = time.Minute

// Options configures Run.
type Options struct {
	// Rules are what is tried. Required.
	Rules *rules.File
	// Identity is the identity section of the rules.
	Identity []identity.Entry
	// User is who sends every request. Empty: whom the recording tells.
	User string
	// BasePath is the upstream's base path, which is taken off the recorded
	// paths. Empty for none.
	BasePath string
	// Recording is what is replayed, in the order of its times.
	Recording []har.Entry
}

// Exchange is what came of one recorded exchange.
type Exchange struct {
	// Index counts the entries of the recording, from 0.
	Index int
	// Method and Path are the request's, the path escaped and without the base
	// path; Status the response's.
	Method, Path string
	Status       int
	// Outcomes are what the rules made of it, in the order of the rules.
	Outcomes []Outcome
	// Reason is why there are none, in words.
	Reason string
	// Notes say what was missing in the recording.
	Notes []string
}

// Outcome is one event, or one that a rule did not make.
type Outcome struct {
	// Rule made the event, or did not.
	Rule *rules.Rule
	// Event is what would be published, with a fresh id and the time of now.
	Event events.Event
	// Observed says that it would be counted and logged only.
	Observed bool
	// Skipped is why there is no event, in a word, and Why in a sentence. Event
	// is zero then.
	Skipped, Why string
}

// Run replays a recording. It fails where the rules cannot be tried at all.
func Run(ctx context.Context, o Options) ([]Exchange, error) {
	s := &stage{Options: o, proxies: map[string]*proxy.Proxy{}}
	s.player = newPlayer(o.Recording, s.upstreams)
	s.order = make(map[string]int, len(o.Rules.Rules))
	for i := len(o.Rules.Rules) - 1; i >= 0; i-- {
		s.order[o.Rules.Rules[i].Position] = i
	}
	var done []Exchange
	for _, i := range s.player.inTime {
		if o.Recording[i].Own {
			continue
		}
		x, err := s.play(ctx, i)
		if err != nil {
			return nil, err
		}
		done = append(done, x)
	}
	return done, ctx.Err()
}

// stage is where a recording is replayed, one exchange at a time.
type stage struct {
	Options
	player  *player
	proxies map[string]*proxy.Proxy // by origin
	order   map[string]int          // of rules, by position
}

// turn is the exchange that is being replayed. Requests on its way find it in
// their context.
type turn struct {
	index int
	entry har.Entry
	stage *stage
	*Exchange
	own       bool // hookproxy's own endpoints answered
	forwarded bool // the request has reached the upstream
}

type turnKey struct{}

func turnOf(ctx context.Context) *turn {
	t, _ := ctx.Value(turnKey{}).(*turn)
	return t
}

func (s *stage) play(ctx context.Context, i int) (Exchange, error) {
	e := s.Recording[i]
	x := Exchange{Index: i, Method: e.Request.Method, Status: e.Response.Status}
	t := &turn{index: i, entry: e, stage: s, Exchange: &x}
	if x.Reason = unplayable(e); x.Reason != "" {
		if e.Request.URL != nil {
			x.Path = rawPath(e.Request.URL)
		}
		return x, nil
	}
	r := s.request(t)
	if r == nil {
		return x, nil
	}
	p, err := s.proxyTo(e.Request.URL)
	if err != nil {
		return x, err
	}
	ctx, cancel := context.WithCancel(context.WithValue(ctx, turnKey{}, t)) // as net/http has it
	defer cancel()
	serve(p, r.WithContext(ctx))
	if err := p.Wait(ctx); err != nil { // for what is fetched behind the response
		return x, err
	}
	s.player.noteUnknown(t)
	slices.SortStableFunc(x.Outcomes, func(a, b Outcome) int { return s.order[a.position()] - s.order[b.position()] })
	if len(x.Outcomes) == 0 && x.Reason == "" {
		x.Reason = s.reason(t)
	}
	return x, nil
}

// serve lets the proxy break off a response, as net/http's server does.
func serve(p *proxy.Proxy, r *http.Request) {
	defer func() {
		if v := recover(); v != nil && v != http.ErrAbortHandler {
			panic(v)
		}
	}()
	p.ServeHTTP(newNowhere(), r)
}

func (o Outcome) position() string {
	if o.Rule != nil {
		return o.Rule.Position
	}
	return o.Event.Rule
}

// unplayable says why an entry is nothing that a proxy saw to its end.
func unplayable(e har.Entry) string {
	switch {
	case e.Request.URL == nil:
		return "not HTTP"
	case e.Request.Method == http.MethodConnect:
		return "CONNECT is not supported"
	case e.Response.Status == 0:
		return "the recording holds no response"
	case e.Response.Status < 200:
		return "upgraded connections are never captured"
	}
	return ""
}

// reason says why an exchange came to nothing though it was replayed.
func (s *stage) reason(t *turn) string {
	method := s.Rules.Method(t.Method, t.entry.Request.Header)
	switch {
	case t.own:
		return "answered by hookproxy itself"
	case t.Method == http.MethodHead || t.Method == http.MethodOptions:
		return t.Method + " is never captured"
	case s.Rules.Match(method, t.Path) == nil:
		return "no rule for " + method + " " + t.Path
	}
	return "never captured: " + t.entry.Request.Header.Get("Content-Type")
}

// request answers the request as the live proxy's server would have read it,
// or nil and a reason.
func (s *stage) request(t *turn) *http.Request {
	recorded := t.entry.Request
	t.Path = rawPath(recorded.URL)
	path, below := strings.CutPrefix(t.Path, s.BasePath)
	if !below || path != "" && path[0] != '/' {
		t.Reason = "not below the base path " + s.BasePath
		return nil
	}
	if path == "" {
		path = "/"
	}
	path = s.leftOut(recorded) + path
	target := path
	if recorded.URL.RawQuery != "" {
		target += "?" + recorded.URL.RawQuery
	}
	u, err := url.ParseRequestURI(target)
	if err != nil {
		t.Reason = "the path is none that a server takes"
		return nil
	}
	t.Path = u.EscapedPath()
	r := &http.Request{
		Method: recorded.Method, URL: u, RequestURI: target, Host: recorded.URL.Host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, RemoteAddr: peer,
		Header: recorded.Header.Clone(), Body: http.NoBody,
	}
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
	}
	r.Header.Del("Host")
	s.player.sign(r.Header, s.Identity)
	switch {
	case recorded.Omitted == "too_large":
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader("")), math.MaxInt64
	case recorded.Omitted != "":
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader("")), -1
	case len(recorded.Body) > 0:
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(recorded.Body)), int64(len(recorded.Body))
	}
	return r
}

// leftOut answers the mount that the live proxy left out of what it forwarded,
// where that is what was recorded; "" for none.
func (s *stage) leftOut(recorded har.Request) string {
	told := recorded.Header.Get("X-Forwarded-Prefix")
	for at := range len(told) { // the whole, or what a proxy before us said and a mount
		if told[at] == '/' && s.Rules.Stripped(told[at:]) == len(told)-at {
			return told[at:]
		}
	}
	return ""
}

// upstreams answers a recorded URL as the upstream has it.
func (s *stage) upstreams(recorded har.Request) *url.URL {
	raw := rawPath(recorded.URL)
	mount := s.Rules.Stripped(raw)
	if mount == 0 || s.leftOut(recorded) != "" {
		return recorded.URL
	}
	at := *recorded.URL
	if at.Path, at.RawPath = at.Path[mount:], raw[mount:]; at.RawPath == "" {
		at.Path, at.RawPath = "/", "/"
	}
	return &at
}

// rawPath answers a path as it was written.
func rawPath(u *url.URL) string {
	if u.RawPath != "" {
		return u.RawPath
	}
	return u.EscapedPath()
}

// proxyTo answers the proxy before an origin.
func (s *stage) proxyTo(u *url.URL) (*proxy.Proxy, error) {
	origin := &url.URL{Scheme: u.Scheme, Host: u.Host, Path: s.BasePath}
	if path, err := url.PathUnescape(s.BasePath); err == nil {
		origin.Path, origin.RawPath = path, s.BasePath
	}
	if made := s.proxies[origin.String()]; made != nil {
		return made, nil
	}
	own := s.Rules.Subscriptions
	made, err := proxy.New(proxy.Options{
		Upstream: origin, Transport: s.player, Publisher: collector{}, Aside: aside,
		Ruling: proxy.Ruling{
			Rules: s.Rules, Identity: newCallers(s, origin),
			Own: http.HandlerFunc(answerOwn), OwnPaths: []string{own.Path, own.EventsPath},
		},
		CallerPatience: patience, FetchTimeout: patience, HoldStall: patience, HoldTime: patience,
	})
	s.proxies[origin.String()] = made
	return made, err
}

func answerOwn(w http.ResponseWriter, r *http.Request) {
	turnOf(r.Context()).own = true
	w.WriteHeader(http.StatusNoContent)
}

// collector is a Publisher that publishes nothing.
type collector struct{}

// Publish keeps the events with the exchange they came of.
func (collector) Publish(ctx context.Context, batch []events.Event) error {
	t := turnOf(ctx)
	for _, e := range batch {
		e.Payload = bytes.Clone(e.Payload)
		t.Outcomes = append(t.Outcomes, Outcome{Rule: t.stage.ruleAt(e.Rule), Event: e})
	}
	return nil
}

func (s *stage) ruleAt(position string) *rules.Rule {
	if i, known := s.order[position]; known {
		return s.Rules.Rules[i]
	}
	return nil
}

// aside keeps what is not published.
func aside(a proxy.Aside) {
	t := turnOf(a.Request.Context())
	file, result := t.stage.Rules, a.Result
	switch {
	case result.Rule != nil && result.Skipped != "":
		t.Outcomes = append(t.Outcomes, Outcome{Rule: result.Rule, Skipped: result.Skipped, Why: file.Why(a.Exchange, result)})
	case result.Rule != nil:
		result.Event.Payload = bytes.Clone(result.Event.Payload)
		t.Outcomes = append(t.Outcomes, Outcome{Rule: result.Rule, Event: result.Event, Observed: true})
	case result.Skipped == rules.SkippedStatus:
		x := *a.Exchange
		x.Status = t.entry.Response.Status
		for _, rule := range file.Match(file.Method(a.Request.Method, a.Request.Header), t.Path).Rules() {
			result.Rule = rule
			t.Outcomes = append(t.Outcomes, Outcome{Rule: rule, Skipped: result.Skipped, Why: file.Why(&x, result)})
		}
	default:
		t.Reason = "the response is never captured: " + result.Skipped
	}
}

// nowhere is a client that wants nothing.
type nowhere struct{ header http.Header }

func newNowhere() nowhere { return nowhere{make(http.Header)} }

func (n nowhere) Header() http.Header         { return n.header }
func (n nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (n nowhere) WriteHeader(int)             {}
func (n nowhere) Flush()                      {}

package replay

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"sync"

	"github.com/hookproxy/hookproxy/identity"
	"github.com/hookproxy/hookproxy/internal/har"
	"github.com/hookproxy/hookproxy/proxy"
)

// errNotRecorded answers a request that the recording does not hold.
var errNotRecorded = errors.New("not in the recording")

// player is the upstream: a RoundTripper that answers from the recording.
//
//	a client's request     its own recorded response
//	a lookup (whoami …)    a recorded exchange with the same credentials
//	a fetch                the nearest GET before or after, with no write between
type player struct {
	recording []har.Entry
	inTime    []int            // indices of the recording
	place     []int            // of each index in inTime
	at        map[string][]int // places in time, by URL without the query
	anonymous bool             // no request has credentials: all are of one caller

	mu      sync.Mutex
	turn    *turn  // whose caller is asked for
	unknown string // why that cannot be answered
}

func newPlayer(recording []har.Entry, upstreams func(har.Request) *url.URL) *player {
	p := &player{recording: recording, place: make([]int, len(recording)), at: map[string][]int{}}
	for i := range recording {
		p.inTime = append(p.inTime, i)
	}
	if !slices.ContainsFunc(recording, func(e har.Entry) bool { return e.Started.IsZero() }) {
		slices.SortStableFunc(p.inTime, func(a, b int) int { return recording[a].Started.Compare(recording[b].Started) })
	}
	p.anonymous = true
	for place, i := range p.inTime {
		p.place[i] = place
		request := recording[i].Request
		if request.URL != nil {
			key := resource(upstreams(request))
			p.at[key] = append(p.at[key], place)
		}
		p.anonymous = p.anonymous && credentialsOf(request.Header, credentials) == ""
	}
	return p
}

func resource(u *url.URL) string { return u.Host + rawPath(u) }

// RoundTrip answers from the recording.
func (p *player) RoundTrip(r *http.Request) (*http.Response, error) {
	t := turnOf(r.Context())
	switch {
	case t == nil:
		return p.lookup(r)
	case proxy.Forwards(r.Context()):
		return p.forward(t, r)
	}
	return p.fetch(t, r)
}

// forward reads the request's body, as an upstream does, and answers.
func (p *player) forward(t *turn, r *http.Request) (*http.Response, error) {
	t.forwarded = true
	if r.Body != nil && t.entry.Request.Omitted == "" {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return nil, err
		}
	}
	if t.entry.Response.Omitted == har.OmittedNotRecorded {
		t.note("the recording lacks the response's body")
	}
	return answer(t.entry.Response, r), nil
}

// fetch answers how the resource was next to the exchange: before it, until it
// has been forwarded, and then after it.
func (p *player) fetch(t *turn, r *http.Request) (*http.Response, error) {
	places := p.at[resource(r.URL)]
	here := p.place[t.index]
	step, when := 1, "after"
	if !t.forwarded {
		places, step, when = slices.Clone(places), -1, "before"
		slices.Reverse(places)
	}
	for _, place := range places {
		e := p.recording[p.inTime[place]]
		if (place-here)*step <= 0 {
			continue
		}
		if e.Request.Method != http.MethodGet {
			if e.Request.Method == http.MethodHead || e.Request.Method == http.MethodOptions {
				continue
			}
			break // it was something else by then
		}
		if e.Request.URL.RawQuery == r.URL.RawQuery && e.Response.Status != 0 {
			return answer(e.Response, r), nil
		}
	}
	t.note(fmt.Sprintf("would fetch GET %s %s it; the recording holds no such answer", r.URL.RequestURI(), when))
	return nil, errNotRecorded
}

// lookup answers who is calling: what the same question was answered with the
// same credentials or, in a recording from which they have been taken, by
// anybody.
func (p *player) lookup(r *http.Request) (*http.Response, error) {
	var sent []byte
	if r.Body != nil {
		sent, _ = io.ReadAll(r.Body) // it is in memory
	}
	names := passedOn(r.Header)
	wanted := credentialsOf(r.Header, names)
	var found *har.Response
	for _, place := range p.at[resource(r.URL)] {
		e := &p.recording[p.inTime[place]]
		same := e.Request.Method == r.Method && e.Request.URL.RawQuery == r.URL.RawQuery && e.Response.Status != 0 &&
			(len(sent) == 0 || bytes.Equal(sent, e.Request.Body)) &&
			(p.anonymous || credentialsOf(e.Request.Header, names) == wanted)
		if same && (found == nil || found.Status > 299 && e.Response.Status <= 299) {
			found = &e.Response
		}
	}
	if found == nil {
		p.unanswered(fmt.Sprintf("would ask %s %s who is calling; the recording holds no such answer", r.Method, r.URL.Path))
		return nil, errNotRecorded
	}
	return answer(*found, r), nil
}

// credentials are the headers that tell callers apart in any recording.
var credentials = []string{"Authorization", "Cookie", "X-Api-Key", "X-Auth-Token"}

// lookups' own headers are no credentials.
var lookups = []string{"Accept", "Accept-Encoding", "Content-Type", "User-Agent", "X-Forwarded-Host", "X-Forwarded-Proto"}

// passedOn answers the names of the caller's credentials in a lookup.
func passedOn(h http.Header) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(h)), func(name string) bool { return slices.Contains(lookups, name) })
}

// credentialsOf folds the headers of these names into a text; "" where there
// are none.
func credentialsOf(h http.Header, names []string) string {
	text := ""
	for _, name := range names {
		if values := h[name]; len(values) > 0 {
			text += fmt.Sprintf("%s %q\n", name, values)
		}
	}
	return text
}

// sign gives a request credentials to be asked by, where the recording has
// lost all of them.
func (p *player) sign(h http.Header, entries []identity.Entry) {
	if !p.anonymous {
		return
	}
	for _, entry := range entries {
		if entry.Kind == identity.KindWhoami {
			name := "Authorization"
			if len(entry.Credentials) > 0 {
				name = entry.Credentials[0]
			}
			h.Set(name, "recorded")
			return
		}
	}
}

// answer makes a response of a recorded one.
func answer(recorded har.Response, r *http.Request) *http.Response {
	res := &http.Response{
		Status: fmt.Sprintf("%d %s", recorded.Status, http.StatusText(recorded.Status)), StatusCode: recorded.Status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: recorded.Header.Clone(), Request: r,
		Body: io.NopCloser(bytes.NewReader(recorded.Body)), ContentLength: int64(len(recorded.Body)),
	}
	switch recorded.Omitted {
	case "":
	case "too_large":
		res.ContentLength = math.MaxInt64
	default:
		res.ContentLength = -1
		res.Body = io.NopCloser(io.MultiReader(bytes.NewReader(recorded.Body), brokenOff{}))
	}
	return res
}

// brokenOff is where a body ends before its end.
type brokenOff struct{}

func (brokenOff) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// note adds a note, once.
func (t *turn) note(text string) {
	if !slices.Contains(t.Notes, text) {
		t.Notes = append(t.Notes, text)
	}
}

// answering has lookups' notes go to a turn. A lookup that nobody waits for may
// go on when its turn is over.
func (p *player) answering(t *turn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unknown, p.turn = "", t
}

// unanswered keeps why nobody can tell who is calling.
func (p *player) unanswered(why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unknown = why
}

// noteUnknown tells of it where an event has come of it.
func (p *player) noteUnknown(t *turn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.turn == t && p.unknown != "" && slices.ContainsFunc(t.Outcomes, func(o Outcome) bool { return o.Event.Parked != "" }) {
		t.note(p.unknown)
	}
}

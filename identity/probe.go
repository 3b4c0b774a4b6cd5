package identity

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"slices"
	"strings"
)

const (
	// maxAnswer is how much of the upstream's answer is read, in bytes.
	maxAnswer = 64 << 10
	// maxChallenges and maxChallenge bound what is remembered of a refusal.
	maxChallenges = 4
	maxChallenge  = 1 << 10
)

// unpassable headers frame the request or its answer; as credentials they would
// break it.
var unpassable = []string{"Accept-Encoding", "Connection", "Content-Length", "Expect", "Host", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// probe is one fixed request to the upstream: a GET, or a POST of a fixed body.
type probe struct {
	endpoint
	method, body string
	credentials  []string // canonical header names
	// read finds the user in a 2xx answer's JSON. Nil: 2xx says it all.
	read func(body []byte) (string, error)
}

func newProbe(o Options, entry Entry, read func([]byte) (string, error)) (*probe, error) {
	p := &probe{method: http.MethodGet, read: read}
	where := entry.Get
	if entry.Post != "" {
		p.method, p.body, where = http.MethodPost, entry.Body, entry.Post
	}
	at, err := newEndpoint(o, where, entry.CA)
	if err != nil {
		return nil, err
	}
	// Whether a password or key is good, the API itself must say.
	if at.outside && entry.Kind != KindWhoami {
		return nil, errors.New("needs a path at the upstream, such as /me")
	}
	p.endpoint = at
	for _, name := range entry.Credentials {
		canonical := http.CanonicalHeaderKey(name)
		if !isToken(name) || slices.Contains(unpassable, canonical) {
			return nil, fmt.Errorf("%q cannot be passed on as a credential", name)
		}
		if !slices.Contains(p.credentials, canonical) {
			p.credentials = append(p.credentials, canonical)
		}
	}
	if len(p.credentials) == 0 && entry.Query == "" {
		p.credentials = []string{"Authorization"}
	}
	return p, nil
}

// ask sends the request and judges the answer. The user is "" where read is
// nil. Its errors are ErrUnavailable or an *UnauthenticatedError, and hold
// nothing of the credentials or the body.
func (p *probe) ask(ctx context.Context, q *looked) (string, error) {
	// RoundTrip rather than a Client: it follows no redirects and keeps no
	// cookies, so the credentials reach the one place they are meant for.
	res, err := p.transport.RoundTrip(p.request(ctx, q))
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrUnavailable, presentable(err))
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case res.StatusCode == http.StatusUnauthorized, res.StatusCode == http.StatusForbidden:
		return "", refusal(res)
	case res.StatusCode < 200 || res.StatusCode > 299:
		return "", fmt.Errorf("%w: the upstream answered %d", ErrUnavailable, res.StatusCode)
	case p.read == nil:
		return "", nil
	case err != nil:
		return "", fmt.Errorf("%w: %w", ErrUnavailable, presentable(err))
	case len(body) > maxAnswer:
		return "", fmt.Errorf("%w: the upstream's answer is over %d bytes", ErrUnavailable, maxAnswer)
	case !isJSON(res.Header):
		return "", fmt.Errorf("%w: the upstream's answer is not plain application/json", ErrUnavailable)
	}
	user, err := p.read(body)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return user, nil
}

// request keeps the caller's Host at the upstream, and what the proxy says there
// of the request's own way: an API that routes by the one, or redirects to HTTPS
// by the other, would otherwise answer something else.
func (p *probe) request(ctx context.Context, q *looked) *http.Request {
	h := http.Header{
		"Accept": {"application/json"},
		// Said outright, or the transport asks for gzip on its own.
		"Accept-Encoding": {"identity"},
		"User-Agent":      {"hookproxy"},
	}
	host := p.url.Host
	if !p.outside {
		host, h[forwardedProto], h[forwardedHost] = q.host, slices.Clone(q.forwarded.proto), slices.Clone(q.forwarded.host)
	}
	for i, name := range p.credentials {
		if len(q.credentials[i]) > 0 {
			h[name] = slices.Clone(q.credentials[i])
		}
	}
	target := *p.url
	if q.query != "" {
		target.RawQuery = strings.TrimPrefix(target.RawQuery+"&"+q.query, "&")
	}
	req := &http.Request{Method: p.method, URL: &target, Host: host, Header: h, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	if p.body != "" {
		h["Content-Type"] = []string{"application/json"}
		req.ContentLength = int64(len(p.body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(p.body)), nil }
		req.Body, _ = req.GetBody() // never fails
	}
	return req.WithContext(ctx)
}

func isJSON(h http.Header) bool {
	if coding := h.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return false
	}
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && (media == "application/json" || strings.HasSuffix(media, "+json"))
}

// refusal keeps the upstream's challenges, as far as they are of sane size.
func refusal(res *http.Response) *UnauthenticatedError {
	e := &UnauthenticatedError{reason: fmt.Sprintf("the upstream answered %d", res.StatusCode)}
	for _, challenge := range res.Header.Values("WWW-Authenticate") {
		if len(e.Challenges) < maxChallenges && len(challenge) <= maxChallenge {
			e.Challenges = append(e.Challenges, challenge)
		}
	}
	return e
}

// presentable answers an error of the transport that may be shown. Those about
// connections, certificates and time say nothing of the exchange; others quote
// what the upstream sent, which may be anything.
func presentable(err error) error {
	var connection *net.OpError
	var certificate *tls.CertificateVerificationError
	for _, kind := range []error{context.DeadlineExceeded, context.Canceled, io.EOF, io.ErrUnexpectedEOF} {
		if errors.Is(err, kind) {
			return kind
		}
	}
	if errors.As(err, &connection) || errors.As(err, &certificate) {
		return err
	}
	return fmt.Errorf("the upstream's answer could not be read (%T)", err)
}
